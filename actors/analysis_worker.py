"""The worker of the analysis-service: takes runs from the queue and hands the compute to Ray tasks."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, nullcontext
from typing import Any, ClassVar, cast
from uuid import UUID

from ray import ObjectRefGenerator

from actors.callbacks import AT_ONCE, CallbackRetry, Teller
from actors.compute import Attempts, NotWanted, attended, call_off, check_wanted, chore, ended, insist
from actors.loop import QueueWorker
from actors.metrics import COMPUTE_SECONDS, PIXELS, TURNAROUND, tell_open
from actors.upkeep import Upkeep, look_after
from orthoray.callbacks import CallbackPolicy
from orthoray.contracts import Outcome, Priority, ReportRequest
from orthoray.errors import Unavailable
from orthoray.moments import seconds_since
from orthoray.ports import AnalysisPort, ReportPort, RunOrder
from orthoray.queue import RETRY, RETRY_COMPUTE, Queue
from orthoray.remote import remote_by_name
from orthoray.storage.config import StorageConfig
from orthoray.tasks import ANALYSE, CLEAN_UP_RUN, REQUEST_REPORT, TELL_CALLBACK
from orthoray.telemetry import carried
from pipelines.large import LARGE_AT_ONCE, analyse_large_object, task_for
from pipelines.nodes import Demand, Patience, alive_nodes, placed


class AnalysisWorker(QueueWorker):
    """Jobs of analysis_db; at most `compute` runs are under way at once, of which `LARGE_AT_ONCE` are spread over the
    cluster: rasters from `large_pixels` on."""

    name = "analysis-worker"
    more_queues: ClassVar = {TELL_CALLBACK.queue: AT_ONCE}

    def __init__(
        self,
        dsn: str,
        storage: StorageConfig,
        redis_url: str | None = None,
        compute: int | None = None,
        reconcile: Upkeep = "off",
        *,
        large_pixels: int,
        callbacks: CallbackPolicy | None = None,
    ) -> None:
        self._storage = storage
        self._large_pixels = large_pixels
        self._few = asyncio.Semaphore(LARGE_AT_ONCE)
        self._callbacks = callbacks
        self._analysis = remote_by_name("analysis-service", AnalysisPort)
        self._report = remote_by_name("report-service", ReportPort)
        self._attempts = Attempts("analysis", self._analysis.end_attempt)
        super().__init__(dsn, redis_url, compute, reconcile)

    def register(self, queue: Queue) -> None:
        @queue.app.task(name=ANALYSE.name, queue=ANALYSE.queue, retry=RETRY_COMPUTE)
        async def analyse(run_id: str) -> None:
            await self._analyse(UUID(run_id))

        @queue.app.task(name=REQUEST_REPORT.name, queue=REQUEST_REPORT.queue, retry=RETRY)
        async def request_report(
            tenant: str, run_id: str, language: str, run_priority: Priority = "normal"
        ) -> None:
            request = ReportRequest.model_validate({"analysis_run_id": run_id, "language": language})
            await chore(lambda: self._report.create(tenant, request, run_priority), what=REQUEST_REPORT.name)

        @queue.app.task(name=CLEAN_UP_RUN.name, queue=CLEAN_UP_RUN.queue, retry=RETRY)
        async def clean_up(tenant: str, run_id: str) -> None:
            await chore(lambda: self._analysis.clean_up(tenant, UUID(run_id)), what=CLEAN_UP_RUN.name)

        teller = Teller(self._callbacks, self._analysis.start_callback, self._analysis.end_callback)

        @queue.app.task(name=TELL_CALLBACK.name, queue=TELL_CALLBACK.queue, retry=CallbackRetry())
        async def tell_callback(run_id: str, tenant: str = "", host: str = "") -> None:
            await teller.tell(UUID(run_id), tenant, host)

    async def _analyse(self, run_id: UUID) -> None:
        await self._attempts.tell(run_id)
        order = await self._analysis.start_run(run_id)
        if order is not None:
            await self._attempts.make(run_id, order.attempt, lambda: self._carry_out(order))

    async def _carry_out(self, order: RunOrder) -> None:
        task, demand = task_for(order, self._large_pixels)
        async with self._place_of(order) if task is analyse_large_object else nullcontext():
            await self._compute_run(order, task, demand)

    @asynccontextmanager
    async def _place_of(self, order: RunOrder) -> AsyncIterator[None]:
        """One of the few places of large runs, for which it may have to wait for minutes."""
        place = asyncio.ensure_future(self._few.acquire())
        try:
            await attended(place, lambda: self._is_wanted(order, 0.0, None))
            yield
        finally:
            place.cancel()
            if place.done() and not place.cancelled():
                self._few.release()

    async def _compute_run(self, order: RunOrder, task: Any, demand: Demand) -> None:
        options = await asyncio.to_thread(lambda: placed(demand, alive_nodes()))
        # Ray's types do not know that the reference to a generator's result is itself a generator of references.
        stream = cast(ObjectRefGenerator, task.options(**options).remote(self._storage, order, carried()))
        try:
            await self._follow(stream, order, Patience(demand))
        except NotWanted:
            raise
        except BaseException:
            # The next attempt, or none, takes its place: it must not go on beside it.
            call_off(stream)
            raise

    async def _follow(self, stream: ObjectRefGenerator, order: RunOrder, patience: Patience) -> None:
        """Pass on what the task tells, until its end; call it off as soon as nobody wants that."""
        node, progress = None, 0.0

        async def is_wanted() -> bool:
            return await self._is_wanted(order, progress, node)

        while True:
            step = asyncio.ensure_future(_next_step(stream))
            try:
                told = await attended(step, is_wanted, patience if node is None else None)
                if isinstance(told, str):
                    node = told
                elif isinstance(told, float):
                    progress = told
                if isinstance(told, str | float):
                    await check_wanted(is_wanted)
            except NotWanted:
                await self._stop(stream, step, order)
                raise
            finally:
                step.cancel()
            if told is None:
                return
            if isinstance(told, Outcome):
                await self._complete(order, told)

    async def _stop(self, stream: ObjectRefGenerator, step: asyncio.Future[Any], order: RunOrder) -> None:
        """End a task, and remove what it may have written in that moment."""
        call_off(stream)
        await ended(asyncio.ensure_future(_next_step(stream)) if step.done() else step)
        await chore(lambda: self._analysis.clean_up(order.tenant, order.run.id), what=CLEAN_UP_RUN.name)

    async def _complete(self, order: RunOrder, outcome: Outcome) -> None:
        if not await insist(lambda: self._analysis.complete_run(order.run.id, order.attempt, outcome)):
            raise NotWanted
        _tell_speed(order, outcome)

    async def _is_wanted(self, order: RunOrder, progress: float, node: str | None) -> bool:
        try:
            return await self._analysis.report_progress(order.run.id, order.attempt, progress, node)
        except Unavailable:
            return True  # nobody said otherwise, and the next step asks again

    async def census(self) -> None:
        tell_open("analysis", await self._analysis.census())

    async def tidy(self, mode: Upkeep) -> None:
        await look_after("analysis", self._analysis.reconcile, mode)


async def _next_step(stream: ObjectRefGenerator) -> str | float | Outcome | None:
    """What `analyse_object` yields; None at the end."""
    reference = await anext(stream, None)
    return None if reference is None else await reference


def _tell_speed(order: RunOrder, outcome: Outcome) -> None:
    found = outcome.statistics
    pixels = found.valid_pixels + found.nodata_pixels + found.invalid_pixels + found.background_pixels
    PIXELS.inc(pixels)
    if outcome.seconds:
        COMPUTE_SECONDS.inc(outcome.seconds)
    TURNAROUND.observe(seconds_since(order.run.created_at), {"kind": "analysis"})
