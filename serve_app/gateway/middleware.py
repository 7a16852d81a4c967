"""Pure ASGI middleware around the whole API: a request id for every answer, and limits on bodies before they are read."""

from __future__ import annotations

import re
import time
from uuid import uuid4

import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from orthoray.errors import TooLarge
from orthoray.telemetry import TRACE, note, step
from serve_app.gateway.problems import internal_problem, problem_of

# Every body but an upload is a small JSON document.
MAX_JSON_BYTES = 1024**2
# Multipart boundaries, part headers and form fields around the file itself.
FORM_OVERHEAD_BYTES = 64 * 1024
_PART = re.compile(r"/imagery/uploads/[^/]+/parts/[^/]+/?")
# Asked every few seconds by those who watch.
PROBES = {"/api/ping", "/health", "/ready"}
_REQUEST_ID = re.compile(r"[A-Za-z0-9._:-]{1,128}")

log = structlog.get_logger("access")


class RequestId:
    """Every answer carries `X-Request-ID`: the client's own when it is a plain word, else a new one.

    Behind Serve's proxy (`by_proxy`) the proxy does that, and here the id only goes into the log lines.

    What no handler knows ends here as a plain 500, for outside of this middleware it would not carry the id.
    """

    def __init__(self, app: ASGIApp, *, by_proxy: bool = False) -> None:
        self._app = app
        self._by_proxy = by_proxy

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        given = Headers(scope=scope).get("x-request-id", "")
        request_id = given if _REQUEST_ID.fullmatch(given) else uuid4().hex
        structlog.contextvars.bind_contextvars(request_id=request_id)
        note({"orthoray.request_id": request_id})
        started = time.perf_counter()
        status: int | None = None

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                if not self._by_proxy:
                    MutableHeaders(scope=message)["X-Request-ID"] = request_id
            await send(message)

        try:
            await self._app(scope, receive, send_with_id)
        except Exception as error:
            log.exception("unexpected error", path=scope["path"], error=type(error).__name__)
            if status is not None:
                raise
            await internal_problem(scope["path"])(scope, receive, send_with_id)
        finally:
            elapsed = round((time.perf_counter() - started) * 1000, 1)
            log.info("request", method=scope["method"], path=scope["path"], status=status, ms=elapsed)
            structlog.contextvars.unbind_contextvars("request_id")


class Traced:
    """A span for every request but the probes, in the trace that its `traceparent` names; named after the route, not the path."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] in PROBES:
            await self._app(scope, receive, send)
            return
        headers, method = Headers(scope=scope), scope["method"]

        async def send_and_note(message: Message) -> None:
            if message["type"] == "http.response.start":
                status = message["status"]
                note({"http.response.status_code": status}, failed=status >= 500)
                if route := getattr(scope.get("route"), "path", None):
                    note({"http.route": route}, name=f"{method} {route}")
            await send(message)

        given = {name: headers[name] for name in TRACE if name in headers}
        described = {"http.request.method": method, "url.path": scope["path"]}
        with step(method, given, kind="server", root=True, attributes=described):
            await self._app(scope, receive, send_and_note)


class Head:
    """HEAD is GET without the body (RFC 9110, 9.3.2); routes that stream files see it in `scope["state"]["head"]`."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "HEAD":
            await self._app(scope, receive, send)
            return

        async def send_without_body(message: Message) -> None:
            if message["type"] == "http.response.body":
                message = {**message, "body": b""}
            await send(message)

        as_get = {**scope, "method": "GET", "state": {**scope.get("state", {}), "head": True}}
        await self._app(as_get, receive, send_without_body)


class BodyLimit:
    """Refuses a body that is too large: by Content-Length before any of it is read, else when the limit is passed."""

    def __init__(self, app: ASGIApp, *, max_upload_bytes: int, max_part_bytes: int = 0) -> None:
        self._app = app
        self._max_upload_bytes = max_upload_bytes
        self._max_part_bytes = max_part_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        limit, shown = self._limits(scope["path"])
        error = TooLarge(
            f"The body is larger than the limit of {shown:,} bytes.",
            max_bytes=shown,
        )
        length = Headers(scope=scope).get("content-length", "")
        if length.isdigit() and int(length) > limit:
            await problem_of(error, scope["path"])(scope, receive, send)
            return
        read = 0
        answered = False

        async def counted_receive() -> Message:
            nonlocal read
            message = await receive()
            read += len(message.get("body", b""))
            if read > limit:
                raise error
            return message

        async def send_within_limit(message: Message) -> None:
            """FastAPI takes an exception while it reads JSON for a malformed body: its answer is not sent."""
            nonlocal answered
            if read <= limit or answered:
                answered = True
                await send(message)

        await self._app(scope, counted_receive, send_within_limit)
        if not answered:
            await problem_of(error, scope["path"])(scope, receive, send)

    def _limits(self, path: str) -> tuple[int, int]:
        """Of the body at a path, in bytes, and what is said of it."""
        if path.rstrip("/") == "/imagery":
            return self._max_upload_bytes + FORM_OVERHEAD_BYTES, self._max_upload_bytes
        limit = self._max_part_bytes if _PART.fullmatch(path) else MAX_JSON_BYTES
        return limit, limit
