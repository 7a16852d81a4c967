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
        writes = scope["type"] == "http" and scope["method"] in WRITES and scope["path"] not in READ_BY_POST
        if not writes or caller is None:
            await self._app(scope, receive, send)
            return
        write = Write(
            id=uuid4(),
            caller=caller.name,
            method=scope["method"],
            path=scope["path"][:MAX_TEXT],
            request_id=structlog.contextvars.get_contextvars().get("request_id"),
        )
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
                await asyncio.shield(self._end(caller.tenant, write))

    async def _end(self, tenant: str, write: Write) -> None:
        try:
            await self._imagery.record_write(tenant, write)
        except OrthoRayError as error:
            log.warning(
                "outcome of a write not recorded",
                write=str(write.id),
                status=write.status,
                reason=error.detail,
            )
