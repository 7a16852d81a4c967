"""The worker of the analysis-service: takes runs from the queue and hands the compute to Ray tasks."""

from __future__ import annotations

from typing import ClassVar, cast
from uuid import UUID

import ray
from ray import ObjectRefGenerator

from actors.callbacks import CallbackRetry, Sender, deliver
from actors.compute import attempt, chore, insist
from actors.loop import QueueWorker
from actors.metrics import COMPUTE_SECONDS, PIXELS, TURNAROUND, tell_open
from orthoray.callbacks import CallbackPolicy
from orthoray.contracts import Outcome, ReportRequest
from orthoray.errors import Unavailable
from orthoray.moments import seconds_since
from orthoray.ports import AnalysisPort, ReportPort, RunOrder
from orthoray.queue import RETRY, JobContext, Queue
from orthoray.remote import remote_by_name
from orthoray.storage.config import StorageConfig
from orthoray.tasks import ANALYSE, CLEAN_UP_RUN, REQUEST_REPORT, TELL_CALLBACK
from orthoray.telemetry import carried
from pipelines.large import LARGE_PIXELS, task_for

# Callbacks under way at once: each holds its place for up to 15 seconds when a receiver does not answer.
CALLBACKS = 32


class AnalysisWorker(QueueWorker):
    """Jobs of analysis_db; at most `compute` runs are under way at once. Rasters from `large_pixels` on are spread over
    the cluster."""

    name = "analysis-worker"
    more_queues: ClassVar = {TELL_CALLBACK.queue: CALLBACKS}

    def __init__(
        self,
        dsn: str,
        storage: StorageConfig,
        redis_url: str | None = None,
        compute: int | None = None,
        large_pixels: int = LARGE_PIXELS,
        callbacks: CallbackPolicy | None = None,
    ) -> None:
        self._storage = storage
        self._large_pixels = large_pixels
        self._callbacks = callbacks
        self._analysis = remote_by_name("analysis-service", AnalysisPort)
        self._report = remote_by_name("report-service", ReportPort)
        super().__init__(dsn, redis_url, compute)

    def register(self, queue: Queue) -> None:
        @queue.app.task(name=ANALYSE.name, queue=ANALYSE.queue, retry=RETRY, pass_context=True)
        async def analyse(context: JobContext, run_id: str) -> None:
            run = UUID(run_id)
            await attempt(
                lambda: self._analyse(run),
                lambda reason: self._analysis.fail_run(run, reason),
                attempts=context.job.attempts,
                what="analysis",
            )

        @queue.app.task(name=REQUEST_REPORT.name, queue=REQUEST_REPORT.queue, retry=RETRY)
        async def request_report(tenant: str, run_id: str, language: str) -> None:
            request = ReportRequest.model_validate({"analysis_run_id": run_id, "language": language})
            await chore(lambda: self._report.create(tenant, request), what=REQUEST_REPORT.name)

        @queue.app.task(name=CLEAN_UP_RUN.name, queue=CLEAN_UP_RUN.queue, retry=RETRY)
        async def clean_up(tenant: str, run_id: str) -> None:
            await chore(lambda: self._analysis.clean_up(tenant, UUID(run_id)), what=CLEAN_UP_RUN.name)

        sender = Sender(self._callbacks) if self._callbacks else None

        @queue.app.task(name=TELL_CALLBACK.name, queue=TELL_CALLBACK.queue, retry=CallbackRetry())
        async def tell_callback(run_id: str) -> None:
            run = UUID(run_id)
            order = await self._analysis.start_callback(run)
            await deliver(
                order, sender, lambda error, given_up: self._analysis.end_callback(run, error, given_up)
            )

    async def _analyse(self, run_id: UUID) -> None:
        order = await self._analysis.start_run(run_id)
        if order is None:
            return
        # Ray's types do not know that the reference to a generator's result is itself a generator of references.
        task = task_for(order, self._large_pixels)
        stream = cast(ObjectRefGenerator, task.remote(self._storage, order, carried()))
        try:
            async for reference in stream:
                step = await reference
                if isinstance(step, Outcome):
                    await self._complete(run_id, step)
                    _tell_speed(order, step)
                elif not await self._is_wanted(run_id, step):
                    ray.cancel(stream)
                    return
        except BaseException:
            # The next attempt, or none, takes its place: it must not go on beside it.
            ray.cancel(stream)
            raise

    async def _complete(self, run_id: UUID, outcome: Outcome) -> None:
        await insist(lambda: self._analysis.complete_run(run_id, outcome))

    async def census(self) -> None:
        tell_open("analysis", await self._analysis.census())

    async def _is_wanted(self, run_id: UUID, progress: float) -> bool:
        try:
            return await self._analysis.report_progress(run_id, progress)
        except Unavailable:
            return True  # nobody said otherwise, and the next step asks again


def _tell_speed(order: RunOrder, outcome: Outcome) -> None:
    found = outcome.statistics
    pixels = found.valid_pixels + found.nodata_pixels + found.invalid_pixels + found.background_pixels
    PIXELS.inc(pixels)
    if outcome.seconds:
        COMPUTE_SECONDS.inc(outcome.seconds)
    TURNAROUND.observe(seconds_since(order.run.created_at), {"kind": "analysis"})
