"""Reports and their states, as a plain class: deployments and tests build it alike."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import datetime
from uuid import UUID

import structlog

from orthoray.contracts import Page, Report, ReportRequest, RunStatus
from orthoray.database import Connection, Pool, ping, transaction
from orthoray.errors import NotFound, OrthoRayError, Unavailable, WrongState
from orthoray.events import Outbox
from orthoray.keys import report_id, report_key
from orthoray.ports import AnalysisPort, ImageryPort, ReportOrder
from orthoray.queue import Queue
from orthoray.storage.base import Storage
from orthoray.tasks import CLEAN_UP_REPORT, RENDER_REPORT
from pipelines.wording import in_language
from serve_app.report.repository import ReportRepository

log = structlog.get_logger(__name__)


class ReportService:
    """See `orthoray.ports.ReportPort`."""

    def __init__(
        self,
        pool: Pool,
        queue: Queue,
        storage: Storage,
        bucket: str,
        *,
        imagery: ImageryPort,
        analysis: AnalysisPort,
    ) -> None:
        self._pool = pool
        self._queue = queue
        self._events = Outbox("report")
        self._rows = ReportRepository(pool)
        self._storage = storage
        self._bucket = bucket
        self._imagery = imagery
        self._analysis = analysis

    async def create(self, tenant: str, request: ReportRequest) -> Report:
        run = await self._analysis.get(tenant, request.analysis_run_id)
        if run.status != "completed":
            raise WrongState(
                f"The analysis run is {run.status}: a report can be written when it is completed.",
                run_status=run.status,
            )
        language = request.language or run.language
        async with transaction(self._pool) as connection:
            requested = await self._rows.request(connection, tenant, in_language(run, language), language)
            if requested:
                report, occasion = requested
                await RENDER_REPORT.defer(self._queue, connection, report_id=str(report.id))
                await self._tell(connection, "report.requested", report, tenant, occasion)
        try:
            await self._analysis.get(tenant, run.id)
        except NotFound:  # deleted in this moment; its clean-up may not have seen this report
            await self.delete_of_run(tenant, run.id)
            raise
        except Unavailable:
            pass  # the report is queued, and that is what the client asked for
        return requested[0] if requested else await self.get(tenant, report_id(run.id, language))

    async def get(self, tenant: str, report_id: UUID) -> Report:
        report = await self._rows.get(tenant, report_id)
        if report is None:
            raise NotFound(f"There is no report {report_id}: GET /reports lists what there is.")
        return report

    async def search(
        self, tenant: str, limit: int, token: str | None, run_id: UUID | None, status: RunStatus | None
    ) -> Page[Report]:
        return await self._rows.search(tenant, limit, token, run_id, status)

    async def delete(self, tenant: str, report_id: UUID) -> None:
        async with transaction(self._pool) as connection:
            if not await self._rows.delete(connection, tenant, report_id):
                raise NotFound(f"There is no report {report_id}: it may have been deleted before.")
            await CLEAN_UP_REPORT.defer(self._queue, connection, tenant=tenant, report_id=str(report_id))
        try:
            # The job above does this too, should this process die here or the storage be away.
            await self.clean_up(tenant, report_id)
        except OrthoRayError as error:
            log.warning("clean-up left to the queue", report_id=str(report_id), reason=error.detail)

    async def delete_of_run(self, tenant: str, run_id: UUID) -> None:
        async with transaction(self._pool) as connection:
            gone = await self._rows.delete_of_run(connection, tenant, run_id)
            for report in gone:
                await CLEAN_UP_REPORT.defer(self._queue, connection, tenant=tenant, report_id=str(report))
        for report in gone:
            await self.clean_up(tenant, report)

    async def clean_up(self, tenant: str, report_id: UUID) -> None:
        if await self._rows.get(tenant, report_id):
            return  # asked for anew since: the id of a run's report in a language is always the same
        await asyncio.to_thread(self._storage.delete, self._bucket, report_key(tenant, report_id))

    async def start_report(self, report_id: UUID) -> ReportOrder | None:
        async with transaction(self._pool) as connection:
            started = await self._rows.start(connection, report_id)
        if started is None:
            return None
        report, tenant = started
        run = await self._analysis.get(tenant, report.analysis_run_id)
        imagery = await self._imagery.get(tenant, run.imagery_id)
        return ReportOrder(report=report, run=run, imagery=imagery, tenant=tenant)

    async def complete_report(self, report_id: UUID, bucket: str, key: str) -> bool:
        async with transaction(self._pool) as connection:
            completed = await self._rows.complete(connection, report_id, bucket, key)
            if completed:
                report, tenant = completed
                await self._tell(
                    connection, "report.completed", report, tenant, report_bucket=bucket, report_key=key
                )
                log.info("report completed", report_id=str(report_id))
                return True
            wanted = await self._rows.exists(connection, report_id)
        if not wanted:
            await asyncio.to_thread(self._storage.delete, bucket, key)
        return False

    async def fail_report(self, report_id: UUID, reason: str) -> bool:
        async with transaction(self._pool) as connection:
            failed = await self._rows.fail(connection, report_id, reason)
            if failed:
                await self._tell(connection, "report.failed", *failed, reason=reason)
        log.warning("report failed", report_id=str(report_id), reason=reason)
        return failed is not None

    async def _tell(
        self,
        connection: Connection,
        kind: str,
        report: Report,
        tenant: str,
        occasion: datetime | None = None,
        **data: str,
    ) -> None:
        """Write an event, which bears what every event of a report does; the occasion of the last one is its end."""
        await self._events.emit(
            connection,
            kind,
            report.id,
            tenant,
            occasion=occasion or report.completed_at or "",
            analysis_run_id=str(report.analysis_run_id),
            language=report.language,
            **data,
        )

    async def census(self) -> Mapping[RunStatus, int]:
        return await self._rows.census()

    async def check(self) -> Mapping[str, str]:
        return await ping(self._pool, "report_db")
