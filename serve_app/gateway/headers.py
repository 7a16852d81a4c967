"""What every answer tells browsers, and which other sites' pages may call the API."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Mapping
from typing import Any

from fastapi.openapi.docs import get_swagger_ui_html
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serve_app.gateway.scopes import PUBLIC_PATHS

DOCS = "/docs"
# Nothing of an answer that is data is ever to be run or framed.
_DATA_POLICY = "default-src 'none'; frame-ancestors 'none'"
_PAGE_POLICY = "base-uri 'none'; object-src 'none'; frame-ancestors 'none'"
_YEAR_S = 365 * 24 * 3600

# Keys travel in headers that a page must set itself, so no cookies are involved.
CORS: Mapping[str, Any] = {
    "allow_methods": ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"],
    "allow_headers": [
        "Authorization",
        "Content-Type",
        "Idempotency-Key",
        "If-None-Match",
        "If-Range",
        "Last-Event-ID",
        "Prefer",
        "Range",
        "X-API-Key",
        "X-Request-ID",
    ],
    "expose_headers": [
        "Content-Range",
        "ETag",
        "Idempotency-Replayed",
        "Link",
        "Location",
        "Preference-Applied",
        "RateLimit",
        "RateLimit-Policy",
        "Retry-After",
        "X-Request-ID",
    ],
    "allow_credentials": False,
    "max_age": 600,
}


class SecurityHeaders:
    """Pure ASGI middleware. JSON of a path that needs credentials is stored nowhere; what sets its own headers keeps them."""

    def __init__(self, app: ASGIApp, *, is_behind_https: bool) -> None:
        self._app = app
        self._is_behind_https = is_behind_https
        self._docs_policy = _policy_of_docs()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        path = scope["path"]

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                kind = headers.get("content-type", "").partition(";")[0]
                headers.setdefault("X-Content-Type-Options", "nosniff")
                headers.setdefault("Referrer-Policy", "no-referrer")
                headers.setdefault("Content-Security-Policy", self._policy(path, kind))
                # 304 is what was to be JSON; files say themselves what holds for them.
                if path not in PUBLIC_PATHS and (kind.endswith("json") or message["status"] == 304):
                    headers.setdefault("Cache-Control", "no-store")
                if self._is_behind_https:
                    headers.setdefault("Strict-Transport-Security", f"max-age={_YEAR_S}")
            await send(message)

        await self._app(scope, receive, send_with_headers)

    def _policy(self, path: str, kind: str) -> str:
        if path == DOCS:
            return self._docs_policy
        return _PAGE_POLICY if kind in {"text/html", "application/pdf"} else _DATA_POLICY


def _policy_of_docs() -> str:
    """Swagger UI comes from a CDN; of inline scripts only the one that FastAPI writes may run."""
    page = bytes(get_swagger_ui_html(openapi_url="/openapi.json", title="OrthoRay").body).decode()
    scripts = re.findall(r"<script>(.*?)</script>", page, re.DOTALL)
    hashes = " ".join(
        f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'"
        for script in scripts
    )
    return (
        f"default-src 'none'; script-src https://cdn.jsdelivr.net {hashes}; "
        "style-src https://cdn.jsdelivr.net 'unsafe-inline'; img-src 'self' data: https://fastapi.tiangolo.com; "
        "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
