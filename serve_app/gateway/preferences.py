"""`Prefer` (RFC 7240): answer at once, or wait for the end for some seconds."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Annotated, Any, TypeVar
from uuid import UUID

from fastapi import Depends, Header, Request, Response

from orthoray.contracts import AnalysisRun, Report
from orthoray.standings import Standing
from serve_app.gateway.watching import Watch

MAX_WAIT_S = 55
"""Proxies between client and gateway give up after a minute."""


AT_ONCE: dict[int | str, dict[str, Any]] = {200: {"description": "the same when it is done: `Prefer: wait`"}}


Record = TypeVar("Record", AnalysisRun, Report)


class Preferences:
    """What a request prefers; `wait_s` is bounded. What is not understood is not a preference, as the RFC has it."""

    def __init__(self, text: str) -> None:
        given: dict[str, str] = {}
        for part in text.split(","):
            name, _, value = part.partition(";")[0].partition("=")
            given.setdefault(name.strip().lower(), value.strip().strip('"'))
        self.is_async = "respond-async" in given
        wait = given.get("wait", "")
        self.wait_s = (
            min(int(wait), MAX_WAIT_S) if wait.isascii() and wait.isdigit() and len(wait) < 10 else 0
        )

    async def awaited(
        self,
        response: Response,
        watch: Watch,
        tenant: str,
        record: Record,
        get: Callable[[str, UUID], Awaitable[Record]],
    ) -> Record:
        """The record as it is when its end has come (200) or the time that the client grants is over; `response` says what was
        honoured.

        Raises:
            NotFound: it was deleted meanwhile.
        """
        standing, applied = Standing.of(tenant, record), []
        if self.wait_s and (standing.is_final or watch.has_room(tenant)):
            if await watch.ended(standing, self.wait_s):
                response.status_code = 200
            record = await get(tenant, record.id)
            applied.append(f"wait={self.wait_s}")
        if self.is_async and response.status_code != 200:
            applied.insert(0, "respond-async")
        if applied:
            response.headers["Preference-Applied"] = ", ".join(applied)
        return record


async def _preferences(
    request: Request,
    prefer: Annotated[
        str | None,
        Header(
            description=f"`wait=N`: the answer may take N seconds (up to {MAX_WAIT_S}), and is 200 when all is done by then; "
            "`respond-async`: 202 at once, as without it"
        ),
    ] = None,
) -> Preferences:
    return Preferences(",".join(request.headers.getlist("prefer")))


Preferred = Annotated[Preferences, Depends(_preferences)]
