"""The audit of writes: who changed what, and how it ended.

The attempt is written down before anything else is done, and its outcome afterwards. So no write happens that left no trace:
where the trace cannot be written, the request is refused (503); where the gateway dies on the way, the entry stays without a
status.
"""

from __future__ import annotations

import asyncio
from uuid import uuid4

import structlog
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from orthoray.errors import OrthoRayError
from orthoray.ports import Caller, ImageryPort, Write
from serve_app.gateway.problems import problem_of

# Its mutations are told one by one, by `serve_app.gateway.graph.guard`: most of what is posted there only reads.
GRAPH = "/graphql"
WRITES = frozenset({"POST", "PUT", "PATCH", "DELETE"})
# Where POST only reads.
READ_BY_POST = frozenset({"/stac/search"})
MAX_TEXT = 512

log = structlog.get_logger(__name__)


class Audit:
    """Pure ASGI middleware, right inside of `Authentication`: strangers' attempts are only lines in the log."""

    def __init__(self, app: ASGIApp, *, imagery: ImageryPort) -> None:
        self._app = app
        self._imagery = imagery

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        caller: Caller | None = scope.get("state", {}).get("caller")
        reads = scope["type"] != "http" or scope["method"] not in WRITES or scope["path"] in READ_BY_POST
        if reads or caller is None or scope["path"] == GRAPH:
            await self._app(scope, receive, send)
            return
        write = write_of(caller, scope["method"], scope["path"])
        try:
            await self._imagery.record_write(caller.tenant, write)
        except OrthoRayError as error:
            await problem_of(error, scope["path"])(scope, receive, send)
            return

        async def send_and_note(message: Message) -> None:
            if message["type"] == "http.response.start":
                write.status = message["status"]
                write.location = Headers(raw=message["headers"]).get("location", "")[:MAX_TEXT] or None
            await send(message)

        try:
            await self._app(scope, receive, send_and_note)
        except Exception:
            write.status = write.status or 500
            raise
        finally:
            if write.status is not None:
                write.route = getattr(scope.get("route"), "path_format", None)
                write.ids = {
                    name: str(value)[:MAX_TEXT] for name, value in scope.get("path_params", {}).items()
                }
                await asyncio.shield(end_write(self._imagery, caller.tenant, write))


def write_of(caller: Caller, method: str, path: str) -> Write:
    """The entry of an attempt that is about to be made."""
    return Write(
        id=uuid4(),
        caller=caller.name,
        method=method,
        path=path[:MAX_TEXT],
        request_id=structlog.contextvars.get_contextvars().get("request_id"),
    )


async def end_write(imagery: ImageryPort, tenant: str, write: Write) -> None:
    """Complete an entry with its outcome. It is too late to refuse anything: a failure is logged."""
    try:
        await imagery.record_write(tenant, write)
    except OrthoRayError as error:
        log.warning(
            "outcome of a write not recorded",
            write=str(write.id),
            status=write.status,
            reason=error.detail,
        )
