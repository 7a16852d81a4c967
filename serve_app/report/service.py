"""Reports and their states, as a plain class: deployments and tests build it alike."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from datetime import datetime
from uuid import UUID

import structlog

from actors.metrics import FAILURES
from orthoray import attempts
from orthoray.attempts import MAX_ATTEMPTS, Ending
from orthoray.callbacks import CallbackPolicy, callback_status, check_callback, host_of
from orthoray.contracts import Page, Priority, Report, ReportRequest, RunStatus
from orthoray.database import Connection, Pool, ping, transaction
from orthoray.errors import REASONS, NotFound, OrthoRayError, Unavailable, WrongState
from orthoray.events import Outbox
from orthoray.keys import report_id, report_key
from orthoray.pages import check_many
from orthoray.ports import AnalysisPort, CallbackOrder, ImageryPort, ReportOrder
from orthoray.queue import Queue
from orthoray.reconciling import Reconciled, ReconcileOrder, reconcile
from orthoray.room import MAX_WAITING, hold_queue
from orthoray.standings import Standing
from orthoray.storage.base import Storage
from orthoray.tasks import CLEAN_UP_REPORT, RENDER_REPORT, TELL_CALLBACK_OF_REPORT
from orthoray.tenants import ALL_TENANTS, per_tenant
from pipelines.wording import in_language
from serve_app.report.reconcile import ReportShelf
from serve_app.report.repository import ReportRepository, Started

FINAL = {"report.completed", "report.failed"}

log = structlog.get_logger(__name__)


_OF_WORKERS = {
    "start_report",
    "is_wanted",
    "complete_report",
    "end_attempt",
    "start_callback",
    "end_callback",
    "standings",
    "census",
    "reconcile",
    "check",
}


@per_tenant(for_all=_OF_WORKERS)
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
        callbacks: CallbackPolicy | None = None,
        max_attempts: int = MAX_ATTEMPTS,
        max_waiting: int = MAX_WAITING,
    ) -> None:
        self._pool = pool
        self._queue = queue
        self._events = Outbox("report")
        self._rows = ReportRepository(pool)
        self._storage = storage
        self._bucket = bucket
        self._imagery = imagery
        self._analysis = analysis
        self._callbacks = callbacks
        self._max_attempts = max_attempts
        self._max_waiting = max_waiting

    async def create(self, tenant: str, request: ReportRequest, priority: Priority = "high") -> Report:
        check_callback(request.callback, self._callbacks)
        run = await self._analysis.get(tenant, request.analysis_run_id)
        if run.status != "completed":
            raise WrongState(
                f"The analysis run is {run.status}: a report can be written when it is completed.",
                run_status=run.status,
            )
        language = request.language or run.language
        async with transaction(self._pool) as connection:
            report = None
            await hold_queue(connection, tenant)
            made = await self._rows.request(
                connection, tenant, in_language(run, language), language, priority, request.callback
            )
            if made:
                await self._rows.refuse_if_full(connection, tenant, self._max_waiting)
                report, place, since = made
                await RENDER_REPORT.defer(self._queue, connection, priority=place, report_id=str(report.id))
                await self._tell(connection, "report.requested", report, tenant, since)
            elif request.callback:
                known = report_id(run.id, language)
                await self._rows.set_callback(connection, tenant, known, request.callback)
        try:
            await self._analysis.get(tenant, run.id)
        except NotFound:  # deleted in this moment; its clean-up may not have seen this report
            await self.delete_of_run(tenant, run.id)
            raise
        except Unavailable:
            pass  # the report is queued, and that is what the client asked for
        report = report or await self.get(tenant, report_id(run.id, language))
        if request.callback and report.callback not in {None, request.callback}:
            raise WrongState(
                "The end of this report is told to another URL already, and to one only: GET the report until it is "
                "completed, or DELETE it and ask for it again.",
                report_id=str(report.id),
            )
        return report

    async def get(self, tenant: str, report_id: UUID) -> Report:
        report = await self._rows.get(tenant, report_id)
        if report is None:
            raise NotFound(f"There is no report {report_id}: GET /reports lists what there is.")
        return report

    async def search(
        self, tenant: str, limit: int, token: str | None, run_id: UUID | None, status: RunStatus | None
    ) -> Page[Report]:
        return await self._rows.search(tenant, limit, token, run_id, status)

    async def get_many(self, tenant: str, report_ids: Sequence[UUID]) -> list[Report]:
        check_many(report_ids)
        return await self._rows.get_many(tenant, report_ids)

    async def search_of_runs(
        self, tenant: str, run_ids: Sequence[UUID], limit: int, token: str | None, status: RunStatus | None
    ) -> dict[UUID, Page[Report]]:
        check_many(run_ids, limit)
        return await self._rows.search_of_runs(tenant, run_ids, limit, token, status)

    async def delete(self, tenant: str, report_id: UUID) -> None:
        async with transaction(self._pool) as connection:
            if not await self._rows.delete(connection, tenant, report_id):
                raise NotFound(f"There is no report {report_id}: it may have been deleted before.")
            await attempts.cancel(connection, report_id)
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
                await attempts.cancel(connection, report)
                await CLEAN_UP_REPORT.defer(self._queue, connection, tenant=tenant, report_id=str(report))
        for report in gone:
            await self.clean_up(tenant, report)

    async def clean_up(self, tenant: str, report_id: UUID) -> None:
        # Whether it is there at all, whoever's it is: what belongs to it must stay.
        async with transaction(self._pool, tenant=ALL_TENANTS) as connection:
            found = await self._rows.keys(connection, report_id)
            last = await attempts.last_number(connection, report_id)
        kept, under_way = found or (set(), 0)
        for number in range(1, max(last, 1) + 1):
            key = report_key(tenant, report_id, number)
            if key not in kept and number != under_way:
                await asyncio.to_thread(self._storage.delete, self._bucket, key)
        if found is None:
            async with transaction(self._pool) as connection:
                if await attempts.forget(connection, report_id):
                    await self._clean_up_later(connection, tenant, report_id)

    async def start_report(self, report_id: UUID) -> ReportOrder | None:
        order, gave_up = await self._start(report_id)
        if gave_up:
            # The worker counts other failures; here it may be its own deaths that ended the report.
            FAILURES.inc(1, {"kind": "report", "reason": gave_up})
        return order

    async def _start(self, report_id: UUID) -> tuple[ReportOrder | None, str | None]:
        """The order, or the word for why the report was given up, or neither."""
        known = await self._rows.find(report_id)
        if known is None:
            return None, None
        try:
            run = await self._analysis.get(known.tenant, known.report.analysis_run_id)
            imagery = await self._imagery.get(known.tenant, run.imagery_id)
        except NotFound:
            await self._fail_without_run(report_id)
            return None, REASONS[NotFound]
        async with transaction(self._pool) as connection:
            known = await self._rows.lock(connection, report_id)
            if known is None or known.report.status not in {"queued", "processing"}:
                return None, None
            found = await attempts.tally(connection, report_id, known.numbered_from)
            if reason := attempts.given_up("report", found, self._max_attempts, known.report.last_error):
                await self._fail(connection, known, reason)
                return None, attempts.code_of(found, self._max_attempts)
            started = await self._rows.start(connection, report_id)
            assert started is not None, "it is locked"
            await attempts.begin(connection, report_id, started.attempt)
        order = ReportOrder(
            report=started.report, run=run, imagery=imagery, tenant=started.tenant, attempt=started.attempt
        )
        return order, None

    async def _fail_without_run(self, report_id: UUID) -> None:
        async with transaction(self._pool) as connection:
            known = await self._rows.lock(connection, report_id)
            if known and known.report.status in {"queued", "processing"}:
                await self._fail(connection, known, "The analysis run has been deleted.")

    async def is_wanted(self, report_id: UUID, attempt: int) -> bool:
        known = await self._rows.find(report_id)
        return known is not None and known.report.status == "processing" and known.attempt == attempt

    async def complete_report(self, report_id: UUID, attempt: int, bucket: str, key: str) -> bool:
        async with transaction(self._pool) as connection:
            done = await self._rows.complete(connection, report_id, attempt, bucket, key)
            if done:
                await attempts.end(connection, report_id, attempt, "completed")
                await self._tell(
                    connection,
                    "report.completed",
                    done.report,
                    done.tenant,
                    report_bucket=bucket,
                    report_key=key,
                )
                if attempt > 1:
                    await self._clean_up_after(connection, done.tenant, report_id)
                log.info("report completed", report_id=str(report_id))
                return True
            found = await self._rows.keys(connection, report_id)
        if not found or key not in found[0]:
            await asyncio.to_thread(self._storage.delete, bucket, key)
        return False

    async def end_attempt(self, report_id: UUID, attempt: int, ending: Ending) -> bool:
        async with transaction(self._pool) as connection:
            known = await self._rows.lock(connection, report_id)
            await attempts.end(connection, report_id, attempt, ending.outcome, ending.reason)
            if known is None or known.attempt != attempt or known.report.status != "processing":
                return known is not None and known.report.status in {"queued", "processing"}
            reason = await attempts.final_reason(
                connection, report_id, "report", ending, self._max_attempts, known.numbered_from
            )
            if reason is None:
                await self._rows.put_back(connection, report_id, attempt, ending.reason)
                return True
            await self._fail(connection, known, reason)
        return False

    async def _fail(self, connection: Connection, known: Started, reason: str) -> None:
        """Of a report that is locked and not finished."""
        report_id = known.report.id
        failed = await self._rows.fail(connection, report_id, known.attempt, reason)
        assert failed is not None, "it is locked"
        await self._tell(connection, "report.failed", failed.report, known.tenant, reason=reason)
        await self._clean_up_after(connection, known.tenant, report_id)
        log.warning("report failed", report_id=str(report_id), reason=reason)

    async def _clean_up_after(self, connection: Connection, tenant: str, report_id: UUID) -> None:
        """What attempts in vain have left, now and when none of them can be alive."""
        await CLEAN_UP_REPORT.defer(self._queue, connection, tenant=tenant, report_id=str(report_id))
        await self._clean_up_later(connection, tenant, report_id)

    async def _clean_up_later(self, connection: Connection, tenant: str, report_id: UUID) -> None:
        await CLEAN_UP_REPORT.defer(
            self._queue, connection, delay_s=attempts.LATE_S, tenant=tenant, report_id=str(report_id)
        )

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
        event = await self._events.emit(
            connection,
            kind,
            report.id,
            tenant,
            occasion=occasion or report.completed_at or "",
            analysis_run_id=str(report.analysis_run_id),
            language=report.language,
            **data,
        )
        if report.callback and kind in FINAL:
            await self._rows.set_callback_event(connection, report.id, event)
            host = host_of(report.callback)
            await TELL_CALLBACK_OF_REPORT.defer(
                self._queue, connection, report_id=str(report.id), tenant=tenant, host=host
            )

    async def start_callback(self, report_id: UUID) -> CallbackOrder | None:
        async with transaction(self._pool) as connection:
            return await self._rows.start_callback(connection, report_id)

    async def end_callback(self, report_id: UUID, error: str | None, given_up: bool) -> None:
        async with transaction(self._pool) as connection:
            await self._rows.end_callback(connection, report_id, callback_status(error, given_up), error)

    async def standings(self, report_ids: Sequence[UUID]) -> Sequence[Standing]:
        return await self._rows.standings(report_ids)

    async def census(self) -> Mapping[RunStatus, int]:
        return await self._rows.census()

    async def reconcile(self, order: ReconcileOrder) -> Reconciled:
        return await reconcile(ReportShelf(self._pool, self._bucket), self._storage, order)

    async def check(self) -> Mapping[str, str]:
        return await ping(self._pool, "report_db")
