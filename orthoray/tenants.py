"""Whose rows a piece of work may see.

Row-level security in the databases shows a transaction the rows of one tenant, or of all where it says so. Which one travels
in the context of the running call: services are decorated with `per_tenant`, transactions read it (`orthoray.database`). Work
that has no tenant sees nobody's rows.
"""

from __future__ import annotations

import functools
import inspect
import re
from collections.abc import Awaitable, Callable, Iterator, Set
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, TypeVar

from orthoray.errors import BadInput

ALL_TENANTS = "*"
"""For workers, which take jobs of everybody, and for maintenance. No tenant is called so."""

_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")
# Folders of the default tenant's objects: another tenant of such a name would share a prefix with it.
_FOLDERS = frozenset({"imagery", "thumbnails", "heatmaps", "indices", "reports", "batches", "uploads"})
_acting: ContextVar[str | None] = ContextVar("tenant", default=None)

Service = TypeVar("Service", bound=type)


def checked_tenant(name: str) -> str:
    """
    Raises:
        BadInput: no tenant may be called so, for the name begins the keys of its objects.
    """
    if not _NAME.fullmatch(name) or name in _FOLDERS:
        raise BadInput(
            "A tenant's name has 1 to 63 lower-case letters, digits, - and _, begins with a letter or digit, "
            f"and is none of {', '.join(sorted(_FOLDERS))}."
        )
    return name


def acting_tenant() -> str | None:
    """Whose rows the running call may see: a tenant's, ALL_TENANTS, or None for nobody's."""
    return _acting.get()


@contextmanager
def acting_for(tenant: str) -> Iterator[None]:
    """Transactions that begin in this block see the rows of `tenant`, which may be ALL_TENANTS."""
    token = _acting.set(tenant)
    try:
        yield
    finally:
        _acting.reset(token)


def per_tenant(*, for_all: Set[str] = frozenset()) -> Callable[[Service], Service]:
    """Let every public coroutine method of a service act for the tenant that is its first argument.

    Those named in `for_all` have none and act for all tenants.

    Raises:
        TypeError: a method has neither a tenant nor a place in `for_all`: whose rows it may see is not decided.
    """

    def decorate(service: Service) -> Service:
        for name, method in list(vars(service).items()):
            if name.startswith("_") or not inspect.iscoroutinefunction(method):
                continue
            takes_tenant = list(inspect.signature(method).parameters)[1:2] == ["tenant"]
            if takes_tenant == (name in for_all):
                raise TypeError(
                    f"{service.__name__}.{name}: let its first argument be `tenant`, or name it in `for_all`."
                )
            setattr(service, name, _for_first(method) if takes_tenant else _for_all(method))
        return service

    return decorate


def _for_first(method: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
    @functools.wraps(method)
    async def bound(self: Any, tenant: str, *args: Any, **kwargs: Any) -> Any:
        with acting_for(tenant):
            return await method(self, tenant, *args, **kwargs)

    return bound


def _for_all(method: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
    @functools.wraps(method)
    async def bound(self: Any, *args: Any, **kwargs: Any) -> Any:
        with acting_for(ALL_TENANTS):
            return await method(self, *args, **kwargs)

    return bound
