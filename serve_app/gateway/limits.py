"""How much one caller may ask for: requests in a minute, and requests at once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from orthoray.errors import TooMany
from orthoray.ports import Caller
from serve_app.gateway.middleware import PROBES
from serve_app.gateway.problems import problem_of
from serve_app.gateway.rates import WINDOW_S, Rates, Standing


class Limiter:
    """Counts the requests of each caller to this replica."""

    def __init__(self, rates: Rates, at_once: int) -> None:
        self._rates = rates
        self._at_once = at_once
        self._under_way: Counter[tuple[str, str]] = Counter()
        self.policy = f'"requests";q={rates.per_minute};w={WINDOW_S}'

    @contextmanager
    def admitted(self, caller: Caller) -> Iterator[Standing]:
        """
        Raises:
            TooMany: the caller has asked too often in the last minute, or has too many requests under way.
        """
        key = caller.tenant, caller.name
        standing = self._rates.take(key)
        if not standing.allowed:
            raise TooMany(
                f"These credentials allow {self._rates.per_minute:,} requests a minute, and no more are left: "
                f"try again in {standing.retry_after_s} s.",
                retry_after_s=standing.retry_after_s,
                requests_per_minute=self._rates.per_minute,
            )
        if self._under_way[key] >= self._at_once:
            raise TooMany(
                f"These credentials allow {self._at_once} requests at once: wait until some of yours are answered.",
                retry_after_s=1,
                requests_at_once=self._at_once,
            )
        self._under_way[key] += 1
        try:
            yield standing
        finally:
            self._under_way[key] -= 1
            if not self._under_way[key]:
                del self._under_way[key]


class RateLimit:
    """Pure ASGI middleware, right inside of `Authentication`: before the audit, the body and the route.

    Tells callers how they stand, in the fields of draft-ietf-httpapi-ratelimit-headers.
    """

    def __init__(self, app: ASGIApp, *, limiter: Limiter) -> None:
        self._app = app
        self._limiter = limiter

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        caller: Caller | None = scope.get("state", {}).get("caller")
        if scope["type"] != "http" or caller is None or scope["path"] in PROBES:
            await self._app(scope, receive, send)
            return
        told = ""

        async def send_with_standing(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers["RateLimit-Policy"] = self._limiter.policy
                headers["RateLimit"] = told
            await send(message)

        with ExitStack() as stack:
            try:
                standing = stack.enter_context(self._limiter.admitted(caller))
            except TooMany as error:
                told = f'"requests";r=0;t={error.fields["retry_after_s"]}'
                await problem_of(error, scope["path"])(scope, receive, send_with_standing)
                return
            told = f'"requests";r={standing.left};t={standing.full_in_s}'
            await self._app(scope, receive, send_with_standing)
