"""POST with an `Idempotency-Key`: carried out once, answered as often as it is sent.

free -> claimed -> answered            the answer is kept, and repeated for a day
          |-> refused (4xx)            nothing was made: the key is free again
          |-> failed (5xx), cut off    free for a repeat, which works under the same ids
          `-> the gateway dies         the same, when the lease has run out
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Annotated, Any
from uuid import UUID, uuid4

import structlog
from fastapi import Depends, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from orthoray.errors import BadInput, InFlight, KeyReused, OrthoRayError
from orthoray.idempotency import (
    LEASE,
    MAX_ANSWER_BYTES,
    Claim,
    Claimed,
    KeptAnswer,
    checked_key,
    fingerprint_of,
)
from orthoray.ports import ImageryPort
from serve_app.gateway.problems import status_of
from serve_app.gateway.scopes import NEEDED, check_scope

HEADER = "Idempotency-Key"
REPLAYED = "Idempotency-Replayed"
_KEPT_HEADERS = ("content-type", "location", "preference-applied")
# Its body is files, which are read once only; the route tells what they are: `Once.is_about`.
_TELL_THEMSELVES = frozenset({"/imagery"})
Handler = Callable[[Request], Awaitable[Response]]

log = structlog.get_logger(__name__)


class Repeat(Exception):
    """The request was answered before."""

    def __init__(self, answer: KeptAnswer) -> None:
        self.answer = answer
        super().__init__()


@dataclass(frozen=True)
class Once:
    """A request with its key: this attempt at it, and what was found under the key."""

    store: ImageryPort
    tenant: str
    claim: Claim
    found: Claimed

    def check(self, fingerprint: str | None) -> None:
        """
        Raises:
            KeyReused: the key is another request's.
            Repeat: this one was answered before.
            InFlight: it is under way.
        """
        known = self.found.fingerprint
        if known and fingerprint and known != fingerprint:
            raise KeyReused
        if self.found.answer and fingerprint:
            raise Repeat(self.found.answer)
        if not self.found.is_mine and not self.found.answer:
            raise InFlight(retry_after_s=self.found.wait_s)

    async def is_about(self, fingerprint: str) -> None:
        """For what is only known when the body has been read; raises what `check` does."""
        self.check(fingerprint)
        noted = await self.store.prolong_claim(self.tenant, self.claim.key, self.claim.holder, fingerprint)
        if noted is None:
            raise InFlight(retry_after_s=1)
        if noted != fingerprint:
            raise KeyReused

    @asynccontextmanager
    async def held(self) -> AsyncIterator[None]:
        """However long the request takes, nobody else takes the key over."""

        async def hold() -> None:
            while True:
                await asyncio.sleep(LEASE.total_seconds() / 3)
                try:
                    await self.store.prolong_claim(self.tenant, self.claim.key, self.claim.holder, None)
                except OrthoRayError as error:
                    log.warning("lease of a key not prolonged", reason=error.detail)

        holding = asyncio.create_task(hold())
        try:
            yield
        finally:
            holding.cancel()

    async def answered(self, answer: Response) -> None:
        """Keep an answer that was given; should that fail, a repeat finds what this request has made by its id."""
        status, body = answer.status_code, bytes(getattr(answer, "body", b""))
        if status >= 300 or not body or len(body) > MAX_ANSWER_BYTES:
            await self.ended(forget=300 <= status < 500)
            return
        if b'"errors"' in body and json.loads(body).get("errors"):
            await self.ended(forget=False)  # the graph says 200 and that something failed
            return
        headers = {name: answer.headers[name] for name in _KEPT_HEADERS if name in answer.headers}
        kept = KeptAnswer(status=status, headers=headers, body=body.decode())
        try:
            await self.store.keep_answer(self.tenant, self.claim.key, self.found.subject, kept)
        except OrthoRayError as error:
            log.warning("answer not kept for repeats", reason=error.detail)

    async def ended(self, *, forget: bool) -> None:
        try:
            await self.store.end_claim(self.tenant, self.claim.key, self.claim.holder, forget)
        except OrthoRayError as error:
            log.warning("key left to its lease", reason=error.detail)


class IdempotentRoute(APIRoute):
    """The class of routes where POST does something: it honours the key, after credentials and scope and before anything else."""

    def get_route_handler(self) -> Callable[[Request], Any]:
        handle = super().get_route_handler()

        async def handle_once(request: Request) -> Response:
            given = request.headers.getlist(HEADER)
            if request.method != "POST" or not given:
                return await handle(request)
            await check_scope(request)  # a repeat shows no more than the first answer did
            if len(given) > 1:
                raise BadInput(f"Send one {HEADER}.")
            return await _once(request, checked_key(given[0]), handle)

        return handle_once


async def _once(request: Request, key: str, handle: Handler) -> Response:
    store: ImageryPort = request.app.state.services.imagery
    tenant: str = request.state.caller.tenant
    fingerprint = None
    if request.scope["route"].path_format not in _TELL_THEMSELVES:
        try:
            body = await request.body()
        except ClientDisconnect:
            raise BadInput("The connection ended before the body did: send it again.") from None
        fingerprint = fingerprint_of("POST", _target(request), body + _allowed(request))
    claim = Claim(key=key, fingerprint=fingerprint, holder=uuid4(), subject=uuid4())
    once = Once(store, tenant, claim, await store.claim_request(tenant, claim))
    request.state.once = once
    try:
        once.check(fingerprint)
        async with once.held():
            answer = await handle(request)
        await asyncio.shield(once.answered(answer))
    except Repeat as repeat:
        await once.ended(forget=False)
        kept = repeat.answer
        return Response(kept.body, kept.status, {**kept.headers, REPLAYED: "true"})
    except BaseException as error:
        await asyncio.shield(once.ended(forget=_is_refusal(error)))
        raise
    return answer


def _is_refusal(error: BaseException) -> bool:
    """Whether nothing was done, so that the key is free for anything."""
    if isinstance(error, InFlight | KeyReused):
        return False
    if isinstance(error, OrthoRayError):
        found = status_of(error)
        return found is not None and found[0] < 500
    if isinstance(error, HTTPException):
        return error.status_code < 500
    return isinstance(error, RequestValidationError)


def _allowed(request: Request) -> bytes:
    """Where the route lets everybody in and looks at scopes itself, they are a part of the request: whoever may see less gets no
    answer that was given to another."""
    if NEEDED[f"POST {request.scope['route'].path_format}"]:
        return b""
    return ",".join(sorted(request.state.caller.scopes)).encode()


def _target(request: Request) -> str:
    query = request.url.query
    return f"{request.url.path}?{query}" if query else request.url.path


async def is_about(request: Request, content: Iterable[str]) -> None:
    """Of a request whose body the route has read itself: what stands for it. Raises what `Once.check` does."""
    once: Once | None = getattr(request.state, "once", None)
    if once is not None:
        await once.is_about(fingerprint_of("POST", _target(request), content))


async def _subject(request: Request) -> UUID | None:
    once: Once | None = getattr(request.state, "once", None)
    return once.found.subject if once else None


Subject = Annotated[UUID | None, Depends(_subject)]
"""The id of what the request makes, where it has an Idempotency-Key."""
