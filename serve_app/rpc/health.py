"""grpc.health.v1: the one service that needs no credentials. It tells of nobody's data, and asks the services seldom."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import grpc
from grpc_health.v1 import health_pb2

from orthoray.errors import OrthoRayError
from orthoray.ports import AnalysisPort, ImageryPort, ReportPort
from serve_app.gateway.context import Services
from serve_app.rpc import orthoray_pb2
from serve_app.rpc.gate import Context

# However often anybody asks, the services are asked no more often than this.
REMEMBER_S = 5.0
SERVING: int = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING: int = health_pb2.HealthCheckResponse.NOT_SERVING

Check = Callable[[], Awaitable[Mapping[str, str]]]


class Health:
    """The empty name is the gateway itself, which serves if it answers; a service's name is that service with what it needs."""

    def __init__(self, services: Services, *, clock: Callable[[], float] = time.monotonic) -> None:
        in_order: tuple[ImageryPort | AnalysisPort | ReportPort, ...] = (
            services.imagery,
            services.analysis,
            services.report,
        )
        names = [service.full_name for service in orthoray_pb2.DESCRIPTOR.services_by_name.values()]
        self._checks: dict[str, Check] = {
            name: service.check for name, service in zip(names, in_order, strict=True)
        }
        self._clock = clock
        self._known: dict[str, tuple[float, int]] = {}
        self._lock = asyncio.Lock()

    async def check(self, request: Any, context: Context) -> Any:
        if request.service and request.service not in self._checks:
            context.set_code(grpc.StatusCode.NOT_FOUND)
            context.set_details(f"Services are {', '.join(self._checks)}, and the empty name.")
            return health_pb2.HealthCheckResponse()
        return health_pb2.HealthCheckResponse(status=await self._status(request.service))

    async def list(self, request: Any, context: Context) -> Any:
        return health_pb2.HealthListResponse(
            statuses={
                name: health_pb2.HealthCheckResponse(status=await self._status(name))
                for name in ("", *self._checks)
            }
        )

    async def _status(self, name: str) -> int:
        if not name:
            return SERVING
        async with self._lock:
            asked_at, status = self._known.get(name, (float("-inf"), NOT_SERVING))
            if self._clock() - asked_at > REMEMBER_S:
                try:
                    status = NOT_SERVING if await self._checks[name]() else SERVING
                except OrthoRayError:
                    status = NOT_SERVING
                self._known[name] = self._clock(), status
            return status
