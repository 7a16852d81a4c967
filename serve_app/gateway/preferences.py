"""`Prefer` (RFC 7240): answer at once, or wait for the end for some seconds."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Depends, Header, Request

from orthoray.standings import Standing
from serve_app.gateway.watching import Watch

MAX_WAIT_S = 55
"""Proxies between client and gateway give up after a minute."""


AT_ONCE: dict[int | str, dict[str, Any]] = {200: {"description": "the same when it is done: `Prefer: wait`"}}


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

    async def waited(self, watch: Watch, standing: Standing) -> tuple[bool, dict[str, str]]:
        """Whether the end has come within the time that the client grants, and the headers that say what was honoured."""
        applied, is_over = [], False
        if self.wait_s and (standing.is_final or watch.has_room(standing.tenant)):
            is_over = await watch.ended(standing, self.wait_s)
            applied.append(f"wait={self.wait_s}")
        if self.is_async and not is_over:
            applied.insert(0, "respond-async")
        return is_over, {"Preference-Applied": ", ".join(applied)} if applied else {}


def _preferences(
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
