"""Bodies that come too slowly are not waited for: each would hold a place of the gateway's for as long as its sender likes."""

from __future__ import annotations

import asyncio
import time

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from orthoray.errors import TooSlow
from serve_app.gateway.problems import problem_of

# Without a single byte.
IDLE_S = 30.0
# What is slower than this on the whole, once it has been waited for so long, is no connection that anybody could work with.
MIN_BYTES_PER_S = 1024
GRACE_S = 60.0


class BodyPace:
    """Pure ASGI middleware around what reads bodies; only the time counts in which they are waited for."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        idle_s: float = IDLE_S,
        min_bytes_per_s: float = MIN_BYTES_PER_S,
        grace_s: float = GRACE_S,
    ) -> None:
        self._app = app
        self._idle_s = idle_s
        self._min_bytes_per_s = min_bytes_per_s
        self._grace_s = grace_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        error = TooSlow()
        read, waited, is_over, is_late, has_answered = 0, 0.0, False, False, False

        async def paced_receive() -> Message:
            nonlocal read, waited, is_over, is_late
            if is_over:  # only the client's leaving is waited for, which may take as long as it likes
                return await receive()
            began = time.monotonic()
            try:
                async with asyncio.timeout(self._idle_s):
                    message = await receive()
            except TimeoutError:
                is_late = True
                raise error from None
            waited += time.monotonic() - began
            read += len(message.get("body", b""))
            is_over = message["type"] != "http.request" or not message.get("more_body", False)
            if not is_over and waited > self._grace_s and read < waited * self._min_bytes_per_s:
                is_late = True
                raise error
            return message

        async def send_in_time(message: Message) -> None:
            """FastAPI takes an exception while it reads JSON for a malformed body: its answer is not sent."""
            nonlocal has_answered
            if has_answered or not is_late:
                has_answered = True
                await send(message)

        try:
            await self._app(scope, paced_receive, send_in_time)
        except TooSlow:
            if has_answered:
                raise
        if is_late and not has_answered:
            await problem_of(error, scope["path"])(scope, receive, send)
