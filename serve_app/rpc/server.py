"""What Ray Serve's gRPC servers are told: which services there are, on which port, within which limits.

The functions run in the process that has the port: Serve's proxy or, behind HAProxy, the gateway's replica.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

from grpc_health.v1 import health_pb2_grpc

from serve_app.rpc import orthoray_pb2_grpc

if TYPE_CHECKING:
    from ray.serve.config import gRPCOptions

# As long as an upload over a slow line, or a run that is watched, may take.
TIMEOUT_S = 1800.0


def grpc_options(port: int) -> gRPCOptions:
    from ray.serve.config import gRPCOptions  # here: Serve's servers import this module and have their own

    return gRPCOptions(
        port=port,
        grpc_servicer_functions=["serve_app.rpc.server.add_services"],
        request_timeout_s=TIMEOUT_S,
        enable_reflection=True,
    )


def add_services(servicer: Any, server: Any) -> None:
    """Register all services at a grpc.aio server."""
    for add in (
        orthoray_pb2_grpc.add_ImageryServiceServicer_to_server,
        orthoray_pb2_grpc.add_AnalysisServiceServicer_to_server,
        orthoray_pb2_grpc.add_ReportServiceServicer_to_server,
        health_pb2_grpc.add_HealthServicer_to_server,
    ):
        add(servicer, _WithoutEmptyMessages(server))


class _WithoutEmptyMessages:
    """A server whose streams keep empty messages to themselves.

    A stream that is refused ends with an empty message, since Serve hands on what an error says only with one; no other
    message of a stream is empty. If Serve's server changed, clients would see that message, and nothing worse.
    """

    def __init__(self, server: Any) -> None:
        self._server = server

    def add_generic_rpc_handlers(self, handlers: Sequence[Any]) -> None:
        self._server.add_generic_rpc_handlers(handlers)
        for service in handlers:
            service._method_handlers = {
                path: handler._replace(unary_stream=_passing(handler.unary_stream))
                if handler.response_streaming and not handler.request_streaming
                else handler
                for path, handler in service._method_handlers.items()
            }

    def add_registered_method_handlers(self, service_name: str, handlers: Any) -> None:
        """Not done: the server would look here first, and these are the same again."""


def _passing(inner: Callable[[Any, Any], Any]) -> Callable[[Any, Any], AsyncIterator[Any]]:
    async def passing(request: Any, context: Any) -> AsyncIterator[Any]:
        async with aclosing(inner(request, context)) as messages:
            async for message in messages:
                if message not in (b"", type(message)()):
                    yield message

    return passing
