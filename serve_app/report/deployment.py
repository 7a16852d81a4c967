"""report-service as a Serve deployment: opens the pool, answers the port; all else is `ReportService`."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import AsyncExitStack

from orthoray.database import open_pool
from orthoray.logs import configure_logs
from orthoray.ports import AnalysisPort, ImageryPort, ReportPort
from orthoray.queue import Queue
from orthoray.remote import exposes, remote_by_name
from serve_app.config import ServiceConfig
from serve_app.report.service import ReportService
from serve_app.workers import worker_failures


@exposes(ReportPort)
class ReportDeployment:
    """See `orthoray.ports.ReportPort`."""

    async def __init__(self, config: ServiceConfig) -> None:  # type: ignore[misc]  # Serve awaits it
        configure_logs()
        self._stack = AsyncExitStack()
        pool = await self._stack.enter_async_context(open_pool(config.dsn))
        storage = config.storage.open()
        await asyncio.to_thread(storage.ensure_buckets, [config.storage.reports])
        self.service = ReportService(
            pool,
            Queue(config.dsn),
            storage,
            config.storage.reports,
            imagery=remote_by_name("imagery-service", ImageryPort),
            analysis=remote_by_name("analysis-service", AnalysisPort),
        )

    async def check(self) -> Mapping[str, str]:
        return {**await self.service.check(), **await worker_failures("report worker")}

    async def __del__(self) -> None:
        await self._stack.aclose()
