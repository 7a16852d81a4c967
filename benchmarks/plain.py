"""The API of a running installation without Ray: the same application and services in one process under uvicorn.

`python -m benchmarks.plain HOME PORT`; the peer of `benchmarks.gateway`.
"""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import uvicorn
from starlette.types import Receive, Scope, Send

from orthoray.database import open_pool
from orthoray.logs import configure_logs
from orthoray.queue import Queue
from orthoray.settings import SERVICES, Settings
from serve_app.analysis.batches import BatchService
from serve_app.analysis.service import AnalysisService
from serve_app.config import service_configs
from serve_app.gateway.api import create_api
from serve_app.gateway.context import GatewayConfig, Services
from serve_app.imagery.service import ImageryService
from serve_app.local.postgres import EmbeddedPostgres
from serve_app.report.service import ReportService


class Later:
    """A service that others are given before it exists."""

    def __init__(self) -> None:
        self.target: Any = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self.target, name)


@asynccontextmanager
async def plain_services(home: Path) -> AsyncIterator[Services]:
    """The services on the databases of the home."""
    settings = Settings(orthoray_home=home)
    storage_config = settings.storage()
    storage = storage_config.open()
    postgres = EmbeddedPostgres(home)
    configs = service_configs(settings, {service: postgres.dsn(service) for service in SERVICES})
    imagery, analysis, report = Later(), Later(), Later()
    async with AsyncExitStack() as stack:
        pools = {name: await stack.enter_async_context(open_pool(configs[name].dsn)) for name in SERVICES}
        queues = {name: Queue(configs[name].dsn) for name in SERVICES}
        imagery.target = ImageryService(
            pools["imagery"],
            queues["imagery"],
            storage,
            storage_config.imagery,
            analysis=analysis,
            max_pixels=10**9,
        )
        analysis.target = AnalysisService(
            pools["analysis"],
            queues["analysis"],
            storage,
            storage_config.heatmaps,
            imagery=imagery,
            report=report,
            default_language=settings.default_language,
        )
        report.target = ReportService(
            pools["report"],
            queues["report"],
            storage,
            storage_config.reports,
            imagery=imagery,
            analysis=analysis,
        )
        yield Services(
            imagery.target, analysis.target, report.target, BatchService(pools["analysis"], storage_config)
        )


class PlainApi:
    """The API, opened with the lifespan of the server."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self._opened = AsyncExitStack()
        self._api: Any = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "lifespan":
            await self._api(scope, receive, send)
            return
        await receive()
        services = await self._opened.enter_async_context(plain_services(self._home))
        settings = Settings(orthoray_home=self._home)
        config = GatewayConfig("key", settings.max_upload_bytes, settings.storage().imagery)
        self._api = create_api(services, settings.storage().open(), config)
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await self._opened.aclose()
        await send({"type": "lifespan.shutdown.complete"})


if __name__ == "__main__":
    configure_logs()
    uvicorn.run(PlainApi(Path(sys.argv[1])), host="127.0.0.1", port=int(sys.argv[2]), access_log=False)
