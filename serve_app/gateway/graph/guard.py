"""Before any field that fetches or changes something: the scope it needs, and the audit of what it changes."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import strawberry
from strawberry.extensions import FieldExtension

from orthoray.errors import OrthoRayError
from orthoray.ports import Write
from serve_app.gateway.audit import GRAPH, end_write, write_of
from serve_app.gateway.graph.loaders import GraphContext
from serve_app.gateway.problems import status_of
from serve_app.gateway.scopes import FIELDS, require

MUTATION = "Mutation"
_DONE = 200


class Guard(FieldExtension):
    """Refuses what the caller's scopes do not allow, and a field that the table of scopes does not have.

    Every mutation is told in the audit: the attempt before anything is done, be it allowed or not, the outcome afterwards.
    """

    async def resolve_async(
        self, next_: Callable[..., Awaitable[Any]], source: Any, info: Any, **kwargs: Any
    ) -> Any:
        context: GraphContext = info.context
        field = f"{info.path.typename}.{info.field_name}"

        async def go_on() -> Any:
            require(context.caller, FIELDS[field])
            return await next_(source, info, **kwargs)

        if info.path.typename != MUTATION:
            return await go_on()
        context.begin_anew()
        ids = {name: str(value) for name, value in kwargs.items() if name == "id"}
        shown = ", ".join(f"{name}: {value}" for name, value in ids.items())
        write = write_of(context.caller, "POST", f"{GRAPH} {info.field_name}({shown})")
        write.route, write.ids = f"{GRAPH} {info.field_name}", ids
        return await _told(context, write, go_on)


async def _told(context: GraphContext, write: Write, change: Callable[[], Awaitable[Any]]) -> Any:
    imagery, tenant = context.services.imagery, context.tenant
    await imagery.record_write(tenant, write)
    try:
        changed = await change()
    except Exception as error:
        found = status_of(error) if isinstance(error, OrthoRayError) else None
        write.status = found[0] if found else 500
        raise
    else:
        write.status, write.location = _DONE, context.location
        return changed
    finally:
        if write.status is not None:
            await asyncio.shield(end_write(imagery, tenant, write))


GUARD = Guard()
Resolver = TypeVar("Resolver", bound=Callable[..., Awaitable[Any]])


def guarded(description: str) -> Callable[[Resolver], Resolver]:
    """Make a field of a method that fetches or changes something."""
    made: Callable[[Resolver], Resolver] = strawberry.field(description=description, extensions=[GUARD])
    return made
