"""The worker of the report-service: takes reports from the queue and hands the rendering to Ray tasks."""

from __future__ import annotations

from uuid import UUID

from actors.compute import Attempts, NotWanted, call_off, chore, insist
from actors.loop import QueueWorker
from actors.metrics import TURNAROUND, tell_open
from orthoray.moments import seconds_since
from orthoray.ports import ReportOrder, ReportPort
from orthoray.queue import RETRY, RETRY_COMPUTE, Queue
from orthoray.remote import remote_by_name
from orthoray.storage.config import StorageConfig
from orthoray.tasks import CLEAN_UP_REPORT, RENDER_REPORT
from orthoray.telemetry import carried
from pipelines.tasks import render_report


class ReportWorker(QueueWorker):
    """Jobs of report_db; at most `compute` reports are under way at once."""

    name = "report-worker"

    def __init__(
        self, dsn: str, storage: StorageConfig, redis_url: str | None = None, compute: int | None = None
    ) -> None:
        self._storage = storage
        self._report = remote_by_name("report-service", ReportPort)
        self._attempts = Attempts("report", self._report.end_attempt)
        super().__init__(dsn, redis_url, compute)

    def register(self, queue: Queue) -> None:
        @queue.app.task(name=RENDER_REPORT.name, queue=RENDER_REPORT.queue, retry=RETRY_COMPUTE)
        async def render(report_id: str) -> None:
            await self._render(UUID(report_id))

        @queue.app.task(name=CLEAN_UP_REPORT.name, queue=CLEAN_UP_REPORT.queue, retry=RETRY)
        async def clean_up(tenant: str, report_id: str) -> None:
            await chore(lambda: self._report.clean_up(tenant, UUID(report_id)), what=CLEAN_UP_REPORT.name)

    async def _render(self, report_id: UUID) -> None:
        await self._attempts.tell(report_id)
        order = await self._report.start_report(report_id)
        if order is not None:
            await self._attempts.make(report_id, order.attempt, lambda: self._carry_out(order))

    async def _carry_out(self, order: ReportOrder) -> None:
        reference = render_report.remote(self._storage, order, carried())
        try:
            key = await reference
        except BaseException:
            call_off(reference)
            raise
        bucket = self._storage.reports
        report_id, attempt = order.report.id, order.attempt
        if not await insist(lambda: self._report.complete_report(report_id, attempt, bucket, key)):
            raise NotWanted
        TURNAROUND.observe(seconds_since(order.report.created_at), {"kind": "report"})

    async def census(self) -> None:
        tell_open("report", await self._report.census())
