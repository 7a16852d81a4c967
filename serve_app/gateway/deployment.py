"""api-gateway as a Serve deployment: an ASGI application made inside the replica, and beside it the methods of gRPC."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from ray import serve
from ray.serve.handle import DeploymentHandle

from orthoray.logs import configure_logs
from orthoray.ports import AnalysisPort, BatchPort, ImageryPort, ReportPort
from orthoray.remote import remote
from orthoray.storage.config import StorageConfig
from orthoray.telemetry import start_tracing
from serve_app.doorway import guard
from serve_app.gateway.admission import admission_of
from serve_app.gateway.api import create_api
from serve_app.gateway.context import GatewayConfig, Services
from serve_app.rpc.front import Front, offers_rpcs


@serve.ingress()
@offers_rpcs("_front")
class Gateway:
    """Stateless: it authenticates, validates, routes and aggregates."""

    def __init__(
        self,
        config: GatewayConfig,
        storage: StorageConfig,
        imagery: DeploymentHandle[Any],
        analysis: DeploymentHandle[Any],
        report: DeploymentHandle[Any],
    ) -> None:
        configure_logs()
        start_tracing("api-gateway")
        guard()
        self._config = config
        self._storage = storage.open()
        self._parts = storage.open_parts(self._storage)
        self._services = Services(
            imagery=remote(imagery, ImageryPort),
            analysis=remote(analysis, AnalysisPort),
            report=remote(report, ReportPort),
            batches=remote(analysis, BatchPort),
        )
        self._admission = admission_of(self._services.imagery, config)
        self._front = Front(self._services, self._storage, config, self._admission)

    def __serve_build_asgi_app__(self) -> FastAPI:
        return create_api(self._services, self._storage, self._config, self._parts, self._admission)
