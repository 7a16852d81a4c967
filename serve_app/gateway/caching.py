"""What clients may keep, and for how long it is fresh."""

from __future__ import annotations

import hashlib

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

IMMUTABLE = "private, max-age=604800, immutable"
"""Of what never changes under its address: files of the catalogue, results of a run. A week, for they may be deleted."""
REVALIDATED = "private, max-age=0, must-revalidate"
"""Of files that may be made anew under the same address."""
BY_CALLER = "Authorization, X-API-Key"
"""What somebody has fetched is not shown to the next one at the same browser who has another key."""


def is_known(if_none_match: str, etag: str) -> bool:
    """Whether the client has this version (RFC 9110, 13.1.2)."""
    given = {one.strip().removeprefix("W/") for one in if_none_match.split(",")}
    return etag in given or if_none_match.strip() == "*"


class Validators:
    """Pure ASGI middleware: JSON that was read carries a strong ETag, and is 304 for those who have it already."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "GET":
            await self._app(scope, receive, send)
            return
        held: Message | None = None

        async def send_with_etag(message: Message) -> None:
            nonlocal held
            if message["type"] == "http.response.start" and _is_json(message):
                held = message
                return
            if held is not None:
                if not message.get("more_body"):
                    message = _validated(scope, held, message)
                start, held = held, None
                await send(start)
            await send(message)

        await self._app(scope, receive, send_with_etag)


def _is_json(start: Message) -> bool:
    headers = Headers(raw=start["headers"])
    kind = headers.get("content-type", "").partition(";")[0]
    return start["status"] == 200 and kind.endswith("json") and "etag" not in headers


def _validated(scope: Scope, start: Message, body: Message) -> Message:
    """The body that is sent; its start is changed in place."""
    headers = MutableHeaders(scope=start)
    etag = f'"{hashlib.blake2b(body.get("body", b""), digest_size=16).hexdigest()}"'
    headers["ETag"] = etag
    headers.add_vary_header(BY_CALLER)
    if not is_known(Headers(scope=scope).get("if-none-match", ""), etag):
        return body
    start["status"] = 304
    for name in ("content-length", "content-type"):
        if name in headers:
            del headers[name]
    return {**body, "body": b""}
