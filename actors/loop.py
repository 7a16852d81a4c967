"""The worker loop of a queue, in a thread of its own: an actor that lives is a worker that works."""

from __future__ import annotations

import asyncio
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import ClassVar

import structlog

from actors.metrics import SLOTS, tell_backlog
from actors.upkeep import Upkeep, keep_up
from orthoray.logs import configure_logs
from orthoray.queue import Pace, Queue, Slots
from orthoray.relay import relay_for_ever, waiting_events
from orthoray.telemetry import start_tracing
from pipelines.nodes import cluster_resources

# Runs or reports under way beyond the CPUs of the cluster: their tasks wait in Ray, so that no CPU waits for the queue.
SPARE = 2
WATCH_S = 10.0
# Jobs that only talk to databases and storage: they wait for others most of the time.
CHORES = 8
RESTART_DELAY_S = 2.0

log = structlog.get_logger(__name__)


class QueueWorker(ABC):
    """Base of the worker actors: carries out the jobs of one service's database.

    The loop starts with the actor, for Serve makes a new actor when one dies, and begins again by itself when the database was
    away. `compute` is how many jobs of the queue `compute` may be under way at once; they wait for Ray tasks. None: as many as
    the cluster has CPUs, and some more, as nodes come and go. With 0 there is no such queue.
    """

    name: ClassVar[str] = "worker"
    """What traces and metrics call it."""
    more_queues: ClassVar[Mapping[str, int]] = {}
    """Queues beside the usual ones, and how many of their jobs may be under way at once."""
    pace = Pace()

    def __init__(
        self, dsn: str, redis_url: str | None = None, compute: int | None = 0, reconcile: Upkeep = "off"
    ) -> None:
        configure_logs()
        start_tracing(self.name)
        self._dsn = dsn
        self._redis_url = redis_url
        self._compute = compute
        self._reconcile = reconcile
        self._seen_alive = time.monotonic()
        threading.Thread(target=lambda: asyncio.run(self._work_for_ever()), name="queue", daemon=True).start()

    @abstractmethod
    def register(self, queue: Queue) -> None:
        """Tell the queue how each kind of job is carried out."""

    async def census(self) -> None:  # noqa: B027 - not all workers have something to count
        """Tell how many rows are in which state."""

    async def tidy(self, mode: Upkeep) -> None:  # noqa: B027 - as above
        """What is done once in a while: see `actors.upkeep`."""

    def is_working(self) -> bool:
        """Whether the loop has talked to its database lately."""
        return time.monotonic() - self._seen_alive < self.pace.stalled_after

    async def _work_for_ever(self) -> None:
        while True:
            try:
                await self._work()
            except Exception as error:
                log.warning("queue interrupted", reasons=_reasons(error))
            await asyncio.sleep(RESTART_DELAY_S)

    async def _work(self) -> None:
        queue = Queue(self._dsn, self.pace)
        async with queue.app.open_async():
            self.register(queue)
            # When one of them ends, all end and begin again: half a worker would go unnoticed.
            async with asyncio.TaskGroup() as group:
                group.create_task(self._put_back_stalled(queue))
                group.create_task(keep_up(lambda: self.tidy(self._reconcile)))
                group.create_task(queue.work("chores", Slots(CHORES)))
                for name, size in self.more_queues.items():
                    group.create_task(queue.work(name, Slots(size)))
                group.create_task(relay_for_ever(self._dsn, self._redis_url))
                slots = Slots(SPARE if self._compute is None else self._compute)
                group.create_task(self._watch(queue, slots))
                if self._compute != 0:
                    group.create_task(queue.work("compute", slots))

    async def _watch(self, queue: Queue, slots: Slots) -> None:
        """Tell what waits, and follow the size of the cluster."""
        while True:
            try:
                if self._compute is None:
                    slots.resize(SPARE + await asyncio.to_thread(_cluster_cpus))
                SLOTS.set(slots.size, {"service": self.name})
                tell_backlog(self.name, {**await queue.backlog(), "events": await waiting_events(queue)})
                await self.census()
            except Exception as error:  # a look that fails must not end the jobs under way
                log.warning("not measured", reasons=_reasons(error))
            await asyncio.sleep(WATCH_S)

    async def _put_back_stalled(self, queue: Queue) -> None:
        while True:
            if count := await queue.put_back_stalled():
                log.warning("jobs of a dead worker put back", count=count)
            self._seen_alive = time.monotonic()
            await asyncio.sleep(self.pace.heartbeat)


def _cluster_cpus() -> int:
    return int(cluster_resources().get("CPU", 0))


def _reasons(error: BaseException) -> list[str]:
    """What the exceptions of a group say, in short."""
    if isinstance(error, BaseExceptionGroup):
        return [reason for inner in error.exceptions for reason in _reasons(inner)]
    return [f"{type(error).__name__}: {error}"[:200]]
