"""imagery-service as a Serve deployment: opens the pool, answers the port; all else is `ImageryService`."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import AsyncExitStack

from orthoray.database import open_pool
from orthoray.logs import configure_logs
from orthoray.ports import AnalysisPort, ImageryPort
from orthoray.queue import Queue
from orthoray.remote import exposes, remote_by_name
from serve_app.config import ServiceConfig
from serve_app.imagery.service import ImageryService
from serve_app.workers import worker_failures


@exposes(ImageryPort)
class ImageryDeployment:
    """See `orthoray.ports.ImageryPort`."""

    async def __init__(self, config: ServiceConfig) -> None:  # type: ignore[misc]  # Serve awaits it
        configure_logs()
        self._stack = AsyncExitStack()
        pool = await self._stack.enter_async_context(open_pool(config.dsn))
        storage = config.storage.open()
        await asyncio.to_thread(storage.ensure_buckets, [config.storage.imagery])
        self.service = ImageryService(
            pool,
            Queue(config.dsn),
            storage,
            config.storage.imagery,
            analysis=remote_by_name("analysis-service", AnalysisPort),
            max_pixels=config.max_pixels,
        )

    async def check(self) -> Mapping[str, str]:
        return {**await self.service.check(), **await worker_failures("event relay")}

    async def __del__(self) -> None:
        await self._stack.aclose()
