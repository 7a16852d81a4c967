"""Who waits for runs and reports: however many there are, the service is asked for all of them at once, twice a second.

So a stream or a waiting request holds a coroutine here, and neither a connection of the database nor a place in a service.
"""

from __future__ import annotations

import asyncio
import contextvars
import time
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from contextlib import aclosing, contextmanager
from dataclasses import dataclass
from typing import Annotated, Protocol
from uuid import UUID

import structlog
from fastapi import Depends, Request

from orthoray.errors import OrthoRayError, Unavailable
from orthoray.standings import Standing

EVERY_S = 0.5
MAX_WATCHERS = 64
"""At once, in one replica of the gateway; half of them of one tenant."""

log = structlog.get_logger(__name__)


class HasStandings(Protocol):
    async def standings(self, ids: Sequence[UUID], /) -> Sequence[Standing]: ...


class Watch:
    """The records of one service that somebody waits for."""

    def __init__(self, service: Callable[[], HasStandings], *, every_s: float = EVERY_S) -> None:
        self._service = service
        self._every_s = every_s
        self._watched: Counter[UUID] = Counter()
        self._tenants: Counter[str] = Counter()
        self._found: dict[UUID, Standing | None] = {}
        self._asked = asyncio.Event()
        self._asking: asyncio.Task[None] | None = None

    def has_room(self, tenant: str) -> bool:
        return self._tenants.total() < MAX_WATCHERS and self._tenants[tenant] < MAX_WATCHERS // 2

    def check_room(self, tenant: str) -> None:
        """
        Raises:
            Unavailable: too many wait already.
        """
        if not self.has_room(tenant):
            raise Unavailable(
                "Too many clients follow runs at the moment: ask for the run itself every few seconds, or try again later.",
                retry_after_s=10,
            )

    async def follow(
        self, first: Standing, *, beat_s: float, until_s: float
    ) -> AsyncGenerator[Standing | None]:
        """Its standings from `first` on, each once, to the last one or for `until_s` seconds; None for each `beat_s` without one.

        Raises:
            LookupError: it is there no more.
        """
        yield first
        known, deadline = first, time.monotonic() + until_s
        with self._watching(first):
            while not known.is_final and (left := deadline - time.monotonic()) > 0:
                found = await self._next(known, min(left, beat_s))
                if found is not None:
                    known = found
                yield found

    async def ended(self, first: Standing, seconds: float) -> bool:
        """Wait for the end so long; whether it has come, be it that the record is gone."""
        known = first
        try:
            async with aclosing(self.follow(first, beat_s=seconds, until_s=seconds)) as standings:
                async for standing in standings:
                    known = standing or known
        except LookupError:
            return True
        return known.is_final

    async def _next(self, known: Standing, timeout_s: float) -> Standing | None:
        try:
            async with asyncio.timeout(timeout_s):
                while True:
                    await self._asked.wait()
                    found = self._found.get(known.id, known)
                    if found is None or found.tenant != known.tenant:
                        raise LookupError
                    if found.place > known.place:
                        return found
        except TimeoutError:
            return None

    @contextmanager
    def _watching(self, first: Standing) -> Iterator[None]:
        self._watched[first.id] += 1
        self._tenants[first.tenant] += 1
        if self._asking is None or self._asking.done():
            # It works for all who wait, so it belongs to the request and trace of none.
            self._asking = asyncio.create_task(self._keep_asking(), context=contextvars.Context())
        try:
            yield
        finally:
            self._watched[first.id] -= 1
            self._tenants[first.tenant] -= 1
            if not self._watched[first.id]:
                del self._watched[first.id]
                self._found.pop(first.id, None)

    async def _keep_asking(self) -> None:
        while ids := list(self._watched):
            try:
                found = {standing.id: standing for standing in await self._service().standings(ids)}
            except OrthoRayError as error:
                log.warning("standings not learnt", reason=error.detail)
            else:
                self._found.update({one: found.get(one) for one in ids if one in self._watched})
                asked, self._asked = self._asked, asyncio.Event()
                asked.set()
            await asyncio.sleep(self._every_s)


@dataclass(frozen=True)
class Watches:
    """One for each service that has something to wait for."""

    runs: Watch
    reports: Watch


async def _watches(request: Request) -> Watches:
    watches: Watches = request.app.state.watches
    return watches


Following = Annotated[Watches, Depends(_watches)]
