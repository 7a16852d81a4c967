"""What the deployments of the three services have in common: a pool, storage, a queue and a worker beside them."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Mapping
from contextlib import AsyncExitStack
from typing import Any, ClassVar

from orthoray.database import Pool, open_pool
from orthoray.logs import configure_logs
from orthoray.queue import Queue
from orthoray.storage.base import Storage
from orthoray.telemetry import start_tracing
from serve_app.config import ServiceConfig
from serve_app.workers import worker_failures


class ServiceDeployment(ABC):
    """A shell around a plain service: opens what it needs, and closes it. `orthoray.remote.exposes` gives it its methods."""

    name: ClassVar[str]
    worker: ClassVar[str]
    """What `/ready` calls the worker."""

    async def __init__(self, config: ServiceConfig) -> None:  # type: ignore[misc]  # Serve awaits it
        configure_logs()
        start_tracing(self.name)
        self._stack = AsyncExitStack()
        pool = await self._stack.enter_async_context(open_pool(config.dsn))
        storage = config.storage.open()
        await asyncio.to_thread(storage.ensure_buckets, config.storage.buckets)
        self.service = self.make_service(config, pool, Queue(config.dsn), storage)

    @abstractmethod
    def make_service(self, config: ServiceConfig, pool: Pool, queue: Queue, storage: Storage) -> Any:
        """The plain service."""

    async def check(self) -> Mapping[str, str]:
        return {**await self.service.check(), **await worker_failures(self.worker)}

    async def __del__(self) -> None:
        await self._stack.aclose()
