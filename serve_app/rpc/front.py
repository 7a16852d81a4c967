"""All RPCs as methods of one object, for Serve finds them by their names on the gateway's deployment."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from typing import Any, TypeVar

import grpc
from google.protobuf.message import Message

from orthoray.storage.base import Storage
from serve_app.gateway.admission import Admission
from serve_app.gateway.context import GatewayConfig, Services
from serve_app.rpc.analysis import AnalysisRpcs
from serve_app.rpc.gate import Context, Gate
from serve_app.rpc.health import Health
from serve_app.rpc.imagery import ImageryRpcs
from serve_app.rpc.operations import RPCS, Rpc
from serve_app.rpc.report import ReportRpcs

Deployed = TypeVar("Deployed", bound=type)


class Front:
    """The gate with all handlers behind it, and health beside it."""

    def __init__(
        self, services: Services, storage: Storage, config: GatewayConfig, admission: Admission
    ) -> None:
        groups = (
            ImageryRpcs(services, storage, config),
            AnalysisRpcs(services, storage),
            ReportRpcs(services, storage),
        )
        handlers = {
            rpc.name: handler
            for rpc in RPCS
            for group in groups
            if (handler := getattr(group, _snake(rpc.name), None)) is not None
        }
        self.gate = Gate(handlers, services.imagery, admission)
        self.health = Health(services)


def _snake(name: str) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()


def offers_rpcs(attribute: str) -> Callable[[Deployed], Deployed]:
    """Give a class a method for each RPC, carried out by the `Front` that is its attribute of that name."""

    def decorate(deployed: Deployed) -> Deployed:
        for rpc in RPCS:
            made = _streaming(rpc, attribute) if rpc.gives_stream else _answering(rpc, attribute)
            made.__name__ = rpc.name
            setattr(deployed, rpc.name, made)

        async def check(self: Any, request: Any, grpc_context: Context) -> Any:
            return await getattr(self, attribute).health.check(request, grpc_context)

        async def listed(self: Any, request: Any, grpc_context: Context) -> Any:
            return await getattr(self, attribute).health.list(request, grpc_context)

        async def watch(self: Any, request: Any, grpc_context: Context) -> AsyncIterator[Any]:
            """Needs no credentials, so it would let anybody hold all places: clients go by Check then, as the protocol says."""
            grpc_context.set_code(grpc.StatusCode.UNIMPLEMENTED)
            grpc_context.set_details("Ask with Check.")
            yield _Nothing()

        for name, method in {"Check": check, "List": listed, "Watch": watch}.items():
            setattr(deployed, name, method)
        return deployed

    return decorate


class _Nothing:
    """An empty message of any kind."""

    def SerializeToString(self) -> bytes:  # noqa: N802 - as protobuf's messages
        return b""


def _answering(rpc: Rpc, attribute: str) -> Callable[..., Any]:
    async def method(self: Any, request: Any, grpc_context: Context) -> Message:
        front: Front = getattr(self, attribute)
        return await front.gate.answer(rpc, request, grpc_context)

    return method


def _streaming(rpc: Rpc, attribute: str) -> Callable[..., Any]:
    async def method(self: Any, request: Any, grpc_context: Context) -> AsyncIterator[Message]:
        front: Front = getattr(self, attribute)
        async with aclosing(front.gate.answers(rpc, request, grpc_context)) as messages:
            async for message in messages:
                yield message

    return method
