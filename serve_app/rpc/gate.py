"""What stands between a gRPC server and the handlers: identity, scope, audit, limits, errors, log. The same as for HTTP."""

from __future__ import annotations

import asyncio
import re
import time
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Mapping
from contextlib import aclosing, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol
from uuid import uuid4

import structlog
from google.protobuf.message import Message
from starlette.datastructures import Headers

from orthoray.errors import TooLarge, Unavailable
from orthoray.ports import Caller, ImageryPort
from orthoray.telemetry import TRACE, note, step
from serve_app.gateway.admission import Admission
from serve_app.gateway.audit import MAX_TEXT, end_write, write_of
from serve_app.gateway.auth import key_in
from serve_app.gateway.middleware import MAX_JSON_BYTES
from serve_app.gateway.peers import address_of_peer
from serve_app.gateway.problems import full_disk
from serve_app.gateway.scopes import require
from serve_app.rpc.operations import RPCS, Rpc
from serve_app.rpc.statuses import DETAILS_KEY, Status, status_of_error

# A stream holds one of the gateway's places as long as it lasts, which HTTP requests need too.
MAX_STREAMS = 24
MAX_STREAMS_OF_TENANT = 12
_REQUEST_ID = re.compile(r"[A-Za-z0-9._:-]{1,128}")

log = structlog.get_logger("access")


class Context(Protocol):
    """What is used of a gRPC server's context of a call, be it grpc.aio's or Serve's copy of it."""

    def invocation_metadata(self) -> Any: ...

    def set_trailing_metadata(self, trailing_metadata: Any) -> None: ...

    def set_code(self, code: Any) -> None: ...

    def set_details(self, details: str) -> None: ...

    def peer(self) -> str: ...


@dataclass
class Call:
    """One call under way."""

    rpc: Rpc
    metadata: Mapping[str, str]
    request_id: str
    address: str
    """What failed attempts are counted under."""
    caller: Caller = field(default_factory=lambda: Caller(tenant=""))
    ids: dict[str, str] = field(default_factory=dict)
    """What the call is about, for the audit."""
    location: str | None = None
    """Where REST has what the call has made."""
    is_refused: bool = False

    @property
    def tenant(self) -> str:
        return self.caller.tenant


class Slots:
    """How many streams run at once, in all and of each tenant."""

    def __init__(self, most: int = MAX_STREAMS, most_of_tenant: int = MAX_STREAMS_OF_TENANT) -> None:
        self._most, self._most_of_tenant = most, most_of_tenant
        self._taken: Counter[str] = Counter()

    @contextmanager
    def taken(self, tenant: str) -> Iterator[None]:
        """
        Raises:
            Unavailable: there are too many.
        """
        if self._taken.total() >= self._most or self._taken[tenant] >= self._most_of_tenant:
            raise Unavailable(
                "Too many streams run at once: end others of yours, or try again in a few seconds."
            )
        self._taken[tenant] += 1
        try:
            yield
        finally:
            self._taken[tenant] -= 1
            if not self._taken[tenant]:
                del self._taken[tenant]


class Gate:
    """Calls come in as `answer` (one message) and `answers` (a stream), and reach the handlers by name: GetRun is `get_run`."""

    def __init__(self, handlers: Mapping[str, Any], imagery: ImageryPort, admission: Admission) -> None:
        """
        Raises:
            RuntimeError: an RPC has no handler.
        """
        if missing := sorted({rpc.name for rpc in RPCS} - set(handlers)):
            raise RuntimeError(f"These RPCs have no handler: {', '.join(missing)}")
        self._handlers = handlers
        self._imagery = imagery
        self._admission = admission
        self._slots = Slots()

    async def answer(self, rpc: Rpc, request: Any, context: Context) -> Message:
        """Empty where the status of `context` says why."""
        message = rpc.response()
        with self._told(rpc, context) as call:
            async with self._admitted(call, request):
                message = await self._handlers[rpc.name](call, request)
        return message

    async def answers(self, rpc: Rpc, request: Any, context: Context) -> AsyncGenerator[Message, None]:
        """Ends with an empty message where the status of `context` says why: Serve hands on metadata with messages only."""
        with self._told(rpc, context) as call:
            async with self._admitted(call, request):
                found = await self._handlers[rpc.name](call, request)
                is_first = True
                async with aclosing(found):
                    async for message in found:
                        if not is_first:  # of those who watch for long: their key may have been revoked
                            await self._identified(call)
                        yield message
                        is_first = False
        if call.is_refused:
            yield rpc.response()

    @contextmanager
    def _told(self, rpc: Rpc, context: Context) -> Iterator[Call]:
        """Names the call in log and trace; an exception becomes the status of `context` and goes no further."""
        metadata = _texts(context)
        given = metadata.get("x-request-id") or metadata.get("request_id") or ""
        request_id = given if _REQUEST_ID.fullmatch(given) else uuid4().hex
        trace = {name: metadata[name] for name in TRACE if name in metadata}
        described = {"rpc.system": "grpc", "rpc.service": rpc.service, "rpc.method": rpc.name}
        structlog.contextvars.bind_contextvars(request_id=request_id)
        started, code = time.perf_counter(), "CANCELLED"
        trailing: list[tuple[str, str | bytes]] = [("x-request-id", request_id)]
        # Now, since Serve takes a stream's metadata along with its last message, before the end.
        context.set_trailing_metadata(trailing)
        call = Call(rpc, metadata, request_id, address_of_peer(context.peer()))
        try:
            with step(rpc.path[1:], trace, kind="server", root=True, attributes=described):
                refused = None
                try:
                    yield call
                except Exception as error:
                    refused = self._refused(rpc, error, request_id)
                code = refused.code.name if refused else "OK"
                note({"rpc.grpc.status_code": code}, failed=refused is not None and refused.http >= 500)
            if refused:
                call.is_refused = True
                context.set_code(refused.code)
                context.set_details(refused.sentence)
                context.set_trailing_metadata([*trailing, (DETAILS_KEY, refused.details)])
        finally:
            elapsed = round((time.perf_counter() - started) * 1000, 1)
            log.info("rpc", rpc=rpc.path, code=code, ms=elapsed)
            structlog.contextvars.unbind_contextvars("request_id")

    def _refused(self, rpc: Rpc, error: Exception, request_id: str) -> Status:
        told = full_disk(error) or error if isinstance(error, OSError) else error
        status = status_of_error(told, request_id)
        if status.http == 500:
            log.exception("unexpected error", rpc=rpc.path, error=type(error).__name__)
        return status

    @asynccontextmanager
    async def _admitted(self, call: Call, request: Any) -> AsyncIterator[None]:
        """Who is calling, may they, and what becomes of it: in the order that HTTP requests take.

        Raises:
            NotAuthenticated, NotAllowed, TooLarge, TooMany, Unavailable: they may not, or not now.
        """
        call.caller = await self._identified(call)
        with self._admission.limiter.admitted(call.caller):
            async with self._audited(call, request):
                yield

    async def _identified(self, call: Call) -> Caller:
        return await self._admission.authenticator.identify(_credentials(call), call.address)

    @asynccontextmanager
    async def _audited(self, call: Call, request: Any) -> AsyncIterator[None]:
        rpc = call.rpc
        if not rpc.takes_stream:
            call.ids = _ids(request)
        if not rpc.writes:
            require(call.caller, rpc.scopes)
            with self._limited(call, request):
                yield
            return
        write = write_of(call.caller, "RPC", rpc.path)
        await self._imagery.record_write(call.tenant, write)
        try:
            require(call.caller, rpc.scopes)
            with self._limited(call, request):
                yield
            write.status = 200
        except Exception as error:
            write.status = status_of_error(error, call.request_id).http
            raise
        finally:
            if write.status is not None:
                write.route, write.ids, write.location = rpc.path, call.ids, call.location
                await asyncio.shield(end_write(self._imagery, call.tenant, write))

    @contextmanager
    def _limited(self, call: Call, request: Any) -> Iterator[None]:
        if not call.rpc.takes_stream and request.ByteSize() > MAX_JSON_BYTES:
            raise TooLarge(
                f"The message is larger than the limit of {MAX_JSON_BYTES:,} bytes.", max_bytes=MAX_JSON_BYTES
            )
        if not (call.rpc.takes_stream or call.rpc.gives_stream):
            yield
            return
        with self._slots.taken(call.tenant):
            yield


def _texts(context: Context) -> dict[str, str]:
    """The metadata that is text; of several of one name the first."""
    found: dict[str, str] = {}
    for name, value in context.invocation_metadata() or ():
        if isinstance(value, str) and value.isascii():
            found.setdefault(name, value)
    return found


def _credentials(call: Call) -> str | None:
    return key_in(Headers(dict(call.metadata)))


def _ids(request: Message) -> dict[str, str]:
    fields = ((described.name, value) for described, value in request.ListFields())
    return {name: str(value)[:MAX_TEXT] for name, value in fields if name == "id" or name.endswith("_id")}
