"""The worker of the report-service: takes reports from the queue and hands the rendering to Ray tasks."""

from __future__ import annotations

import asyncio
from typing import Any, ClassVar
from uuid import UUID

from actors.callbacks import AT_ONCE, CallbackRetry, Teller
from actors.compute import Attempts, NotWanted, attended, call_off, chore, ended, insist
from actors.loop import QueueWorker
from actors.metrics import TURNAROUND, tell_open
from actors.upkeep import Upkeep, look_after
from orthoray.callbacks import CallbackPolicy
from orthoray.errors import Unavailable
from orthoray.moments import seconds_since
from orthoray.ports import ReportOrder, ReportPort
from orthoray.queue import RETRY, RETRY_COMPUTE, Queue
from orthoray.remote import remote_by_name
from orthoray.storage.config import StorageConfig
from orthoray.tasks import CLEAN_UP_REPORT, RENDER_REPORT, TELL_CALLBACK_OF_REPORT
from orthoray.telemetry import carried
from pipelines.nodes import Patience, alive_nodes, placed
from pipelines.tasks import RENDERING, render_report


class ReportWorker(QueueWorker):
    """Jobs of report_db; at most `compute` reports are under way at once."""

    name = "report-worker"
    more_queues: ClassVar = {TELL_CALLBACK_OF_REPORT.queue: AT_ONCE}

    def __init__(
        self,
        dsn: str,
        storage: StorageConfig,
        redis_url: str | None = None,
        compute: int | None = None,
        reconcile: Upkeep = "off",
        *,
        callbacks: CallbackPolicy | None = None,
    ) -> None:
        self._callbacks = callbacks
        self._storage = storage
        self._report = remote_by_name("report-service", ReportPort)
        self._attempts = Attempts("report", self._report.end_attempt)
        super().__init__(dsn, redis_url, compute, reconcile)

    def register(self, queue: Queue) -> None:
        @queue.app.task(name=RENDER_REPORT.name, queue=RENDER_REPORT.queue, retry=RETRY_COMPUTE)
        async def render(report_id: str) -> None:
            await self._render(UUID(report_id))

        @queue.app.task(name=CLEAN_UP_REPORT.name, queue=CLEAN_UP_REPORT.queue, retry=RETRY)
        async def clean_up(tenant: str, report_id: str) -> None:
            await chore(lambda: self._report.clean_up(tenant, UUID(report_id)), what=CLEAN_UP_REPORT.name)

        teller = Teller(self._callbacks, self._report.start_callback, self._report.end_callback)
        task = TELL_CALLBACK_OF_REPORT

        @queue.app.task(name=task.name, queue=task.queue, retry=CallbackRetry())
        async def tell_callback(report_id: str, tenant: str = "", host: str = "") -> None:
            await teller.tell(UUID(report_id), tenant, host)

    async def _render(self, report_id: UUID) -> None:
        await self._attempts.tell(report_id)
        order = await self._report.start_report(report_id)
        if order is not None:
            await self._attempts.make(report_id, order.attempt, lambda: self._carry_out(order))

    async def _carry_out(self, order: ReportOrder) -> None:
        options = await asyncio.to_thread(lambda: placed(RENDERING, alive_nodes()))
        reference = render_report.options(**options).remote(self._storage, order, carried())
        step = asyncio.ensure_future(_result(reference))
        try:
            key = await attended(step, lambda: self._is_wanted(order), Patience(RENDERING))
        except NotWanted:
            call_off(reference)
            await ended(step)
            await chore(
                lambda: self._report.clean_up(order.tenant, order.report.id), what=CLEAN_UP_REPORT.name
            )
            raise
        except BaseException:
            call_off(reference)
            raise
        finally:
            step.cancel()
        bucket = self._storage.reports
        report_id, attempt = order.report.id, order.attempt
        if not await insist(lambda: self._report.complete_report(report_id, attempt, bucket, key)):
            raise NotWanted
        TURNAROUND.observe(seconds_since(order.report.created_at), {"kind": "report"})

    async def _is_wanted(self, order: ReportOrder) -> bool:
        try:
            return await self._report.is_wanted(order.report.id, order.attempt)
        except Unavailable:
            return True  # nobody said otherwise, and it is asked again

    async def census(self) -> None:
        tell_open("report", await self._report.census())

    async def tidy(self, mode: Upkeep) -> None:
        await look_after("report", self._report.reconcile, mode)


async def _result(reference: Any) -> str:
    """What `render_report` returns."""
    key: str = await reference
    return key
