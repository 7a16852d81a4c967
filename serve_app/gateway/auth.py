"""Who is calling: an API key in `X-API-Key` or as a Bearer token, or a JSON Web Token of the identity provider as the latter.

Asked for before anything else happens.
"""

from __future__ import annotations

import hashlib
import time
from datetime import UTC, datetime
from typing import Annotated

from fastapi import Depends, Request
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from orthoray.contracts import DEFAULT_TENANT
from orthoray.errors import NotAuthenticated, OrthoRayError
from orthoray.ports import Caller, ImageryPort
from orthoray.scopes import ADMIN
from serve_app.gateway.problems import problem_of
from serve_app.gateway.scopes import PUBLIC_PATHS
from serve_app.gateway.tokens import TokenVerifier, looks_like_token

# A revoked key works for this much longer at most.
REMEMBER_S = 15.0
MAX_REMEMBERED = 10_000
MAX_KEY_LENGTH = 256


class Authenticator:
    """Turns credentials into a caller. Keeps digests of those that were right a moment ago, never them."""

    def __init__(self, imagery: ImageryPort, mode: str, tokens: TokenVerifier | None = None) -> None:
        """`tokens` None: API keys only."""
        self._imagery = imagery
        self._tokens = tokens
        self._open = mode == "none"
        self._known: dict[str, tuple[float, Caller]] = {}

    async def identify(self, key: str | None) -> Caller:
        """
        Raises:
            NotAuthenticated: no credentials, or some that are not valid.
            NotAllowed: a token that names no tenant.
            Unavailable: whether they are valid cannot be known now.
        """
        if self._open:
            return Caller(tenant=DEFAULT_TENANT, scopes=frozenset({ADMIN}))
        if not key:
            raise NotAuthenticated
        is_token = self._tokens is not None and looks_like_token(key)
        if not is_token and len(key) > MAX_KEY_LENGTH:
            raise NotAuthenticated("This is not an API key: it is too long.")
        digest = hashlib.sha256(key.encode()).hexdigest()
        seen_at, caller = self._known.get(digest, (0.0, None))
        if caller is None or time.monotonic() - seen_at > REMEMBER_S or _has_expired(caller):
            self._known.pop(digest, None)
            if self._tokens and is_token:
                caller = await self._tokens.identify(key)
            else:
                caller = await self._imagery.identify(key)
            if len(self._known) >= MAX_REMEMBERED:
                self._known.clear()
            self._known[digest] = (time.monotonic(), caller)
        return caller


def _has_expired(caller: Caller) -> bool:
    return caller.expires_at is not None and caller.expires_at <= datetime.now(UTC)


def key_in(headers: Headers) -> str | None:
    """The key or token that a request carries, if any."""
    if key := headers.get("x-api-key"):
        return key
    scheme, _, credentials = headers.get("authorization", "").partition(" ")
    return credentials.strip() or None if scheme.lower() == "bearer" else None


class Authentication:
    """Pure ASGI middleware: no body is read and no route is looked up for a caller without credentials."""

    def __init__(self, app: ASGIApp, *, authenticator: Authenticator) -> None:
        self._app = app
        self._authenticator = authenticator

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"] not in PUBLIC_PATHS:
            try:
                caller = await self._authenticator.identify(key_in(Headers(scope=scope)))
            except OrthoRayError as error:
                await problem_of(error, scope["path"])(scope, receive, send)
                return
            scope.setdefault("state", {})["caller"] = caller
        await self._app(scope, receive, send)


async def _caller(request: Request) -> Caller:
    caller: Caller = request.state.caller
    return caller


CurrentCaller = Annotated[Caller, Depends(_caller)]
