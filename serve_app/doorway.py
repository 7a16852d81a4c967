"""What Ray Serve's proxies need besides: bounds on what comes before a request is one.

uvicorn's parser keeps a header however long it is, copies it with each piece that comes, and waits for its end for ever; so a
stranger could fill the proxy's memory and time. Ray calls `guard` in each proxy (RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH), and
the gateway in each of its replicas, to which HAProxy speaks.
"""

from __future__ import annotations

import asyncio

from starlette.middleware import Middleware
from uvicorn.protocols.http import auto
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

# Request line and headers; also a chunk's head, and what follows the last chunk.
MAX_HEAD_BYTES = 64 * 1024
HEAD_S = 30.0


class BoundedProtocol(HttpToolsProtocol):
    """Closes a connection that brings more than `max_head_bytes` without completing anything, or no head within `head_s`."""

    max_head_bytes = MAX_HEAD_BYTES
    head_s = HEAD_S
    _unfinished = 0
    _deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        super().connection_made(transport)
        self._expect_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._end_deadline()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        self._unfinished += len(data)
        super().data_received(data)
        if self._unfinished > self.max_head_bytes and not self.transport.is_closing():
            if self._deadline is None:  # an answer may be under way
                self.transport.close()
            else:
                self.send_400_response(f"The request's head is larger than {self.max_head_bytes} bytes.")

    def on_message_begin(self) -> None:
        super().on_message_begin()
        if self._deadline is None:
            self._expect_head()

    def on_headers_complete(self) -> None:
        self._unfinished = 0
        self._end_deadline()
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        self._unfinished = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._unfinished = 0
        super().on_message_complete()

    def _expect_head(self) -> None:
        self._deadline = self.loop.call_later(self.head_s, self.transport.close)

    def _end_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None


def guard() -> list[Middleware]:
    """Let the servers that uvicorn starts in this process use it."""
    auto.AutoHTTPProtocol = BoundedProtocol
    return []
