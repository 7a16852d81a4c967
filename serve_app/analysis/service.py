"""Runs and their states, as a plain class: deployments and tests build it alike."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID, uuid4

import structlog

from actors.metrics import FAILURES
from orthoray import attempts
from orthoray.attempts import MAX_ATTEMPTS, Ending
from orthoray.callbacks import CallbackPolicy, callback_status, check_callback, host_of
from orthoray.contracts import (
    AnalysisRequest,
    AnalysisRun,
    Language,
    Outcome,
    Page,
    RunStatus,
)
from orthoray.database import Connection, Pool, ping, transaction
from orthoray.errors import NotFound, OrthoRayError, Unavailable
from orthoray.events import Outbox
from orthoray.items import Extent, ItemQuery, Result
from orthoray.keys import heatmap_key, index_key
from orthoray.pages import check_many
from orthoray.ports import CallbackOrder, ImageryPort, ReportPort, RunOrder
from orthoray.queue import Queue
from orthoray.reconciling import Reconciled, ReconcileOrder, reconcile
from orthoray.room import MAX_WAITING, hold_queue
from orthoray.standings import Standing
from orthoray.storage.base import Storage
from orthoray.tasks import ANALYSE, CLEAN_UP_RUN, REQUEST_REPORT, TELL_CALLBACK
from orthoray.tenants import ALL_TENANTS, per_tenant
from pipelines.planning import plan_of_record
from serve_app.analysis.reconcile import RunShelf
from serve_app.analysis.repository import RunRepository

FINAL = {"analysis.completed", "analysis.failed", "analysis.cancelled"}

log = structlog.get_logger(__name__)


_OF_WORKERS = {
    "start_run",
    "report_progress",
    "complete_run",
    "end_attempt",
    "start_callback",
    "end_callback",
    "standings",
    "census",
    "reconcile",
    "check",
}


@per_tenant(for_all=_OF_WORKERS)
class AnalysisService:
    """See `orthoray.ports.AnalysisPort`."""

    def __init__(
        self,
        pool: Pool,
        queue: Queue,
        storage: Storage,
        bucket: str,
        *,
        imagery: ImageryPort,
        report: ReportPort,
        default_language: Language,
        callbacks: CallbackPolicy | None = None,
        max_attempts: int = MAX_ATTEMPTS,
        max_waiting: int = MAX_WAITING,
    ) -> None:
        self._pool = pool
        self._queue = queue
        self._events = Outbox("analysis")
        self._rows = RunRepository(pool)
        self._storage = storage
        self._bucket = bucket
        self._imagery = imagery
        self._report = report
        self._default_language = default_language
        self._callbacks = callbacks
        self._max_attempts = max_attempts
        self._max_waiting = max_waiting

    async def create(self, tenant: str, request: AnalysisRequest, run_id: UUID | None = None) -> AnalysisRun:
        if run_id and (known := await self._rows.get(tenant, run_id)):
            return known
        check_callback(request.callback, self._callbacks)
        imagery = await self._imagery.get(tenant, request.imagery_id)
        language = request.language or self._default_language
        # Refuses here, before anything is written, what a worker could not do.
        plan = plan_of_record(imagery, request)
        values = {
            **request.model_dump(
                include={"imagery_id", "auto_report", "crop", "thresholds", "bands", "priority", "callback"}
            ),
            "options": request.options.model_dump(mode="json"),
            "index_type": plan.index_name,
            "id": run_id or uuid4(),
            "language": language,
            "imagery_bucket": imagery.bucket,
            "imagery_object_key": imagery.object_key,
        }
        # A run's turn depends on what waits of all tenants.
        async with transaction(self._pool, tenant=ALL_TENANTS) as connection:
            await hold_queue(connection, tenant)
            made = await self._rows.insert(connection, tenant, values, imagery)
            if made is None:  # somebody else has, at this moment
                return await self.get(tenant, values["id"])
            await self._rows.refuse_if_full(connection, tenant, self._max_waiting)
            run, priority = made
            await ANALYSE.defer(self._queue, connection, priority=priority, run_id=str(run.id))
            await self._tell(connection, "analysis.requested", run, tenant)
        try:
            await self._imagery.get(tenant, imagery.id)
        except NotFound:  # deleted in this moment; its clean-up may not have seen this run
            await self.delete_of_imagery(tenant, imagery.id)
            raise
        except Unavailable:
            pass  # the run is queued, and that is what the client asked for
        return run

    async def get(self, tenant: str, run_id: UUID) -> AnalysisRun:
        run = await self._rows.get(tenant, run_id)
        if run is None:
            raise NotFound(f"There is no analysis run {run_id}: GET /analysis-runs lists what there is.")
        return run

    async def search(
        self, tenant: str, limit: int, token: str | None, imagery_id: UUID | None, status: RunStatus | None
    ) -> Page[AnalysisRun]:
        return await self._rows.search(tenant, limit, token, imagery_id, status)

    async def search_results(
        self, tenant: str, query: ItemQuery, indices: Sequence[str] | None
    ) -> Page[Result]:
        return await self._rows.search_results(tenant, query, indices)

    async def result_extents(self, tenant: str, indices: Sequence[str] | None) -> dict[str, Extent]:
        return await self._rows.result_extents(tenant, indices)

    async def get_many(self, tenant: str, run_ids: Sequence[UUID]) -> list[AnalysisRun]:
        check_many(run_ids)
        return await self._rows.get_many(tenant, run_ids)

    async def search_of_imagery(
        self,
        tenant: str,
        imagery_ids: Sequence[UUID],
        limit: int,
        token: str | None,
        status: RunStatus | None,
    ) -> dict[UUID, Page[AnalysisRun]]:
        check_many(imagery_ids, limit)
        return await self._rows.search_of_imagery(tenant, imagery_ids, limit, token, status)

    async def delete(self, tenant: str, run_id: UUID) -> RunStatus | None:
        async with transaction(self._pool) as connection:
            cancelled = await self._rows.cancel(connection, tenant, run_id)
            if cancelled is not None:
                await attempts.cancel(connection, run_id)
                await self._tell(connection, "analysis.cancelled", cancelled, tenant)
                if cancelled.attempts:
                    await self._clean_up_later(connection, tenant, run_id)
                return "cancelled"
            if not await self._rows.delete(connection, tenant, run_id):
                raise NotFound(f"There is no analysis run {run_id}: it may have been deleted before.")
            await CLEAN_UP_RUN.defer(self._queue, connection, tenant=tenant, run_id=str(run_id))
        try:
            # The job above does this too, should this process die here or another service be away.
            await self.clean_up(tenant, run_id)
        except OrthoRayError as error:
            log.warning("clean-up left to the queue", run_id=str(run_id), reason=error.detail)
        return None

    async def delete_of_imagery(self, tenant: str, imagery_id: UUID) -> None:
        async with transaction(self._pool) as connection:
            gone = await self._rows.delete_of_imagery(connection, tenant, imagery_id)
            for run in gone:
                await CLEAN_UP_RUN.defer(self._queue, connection, tenant=tenant, run_id=str(run.id))
                if run.status in {"queued", "processing"}:
                    await attempts.cancel(connection, run.id)
                    await self._tell(connection, "analysis.cancelled", run, tenant)
        for run in gone:
            await self.clean_up(tenant, run.id)

    async def clean_up(self, tenant: str, run_id: UUID) -> None:
        # Whether it is there at all, whoever's it is: what belongs to it must stay.
        async with transaction(self._pool, tenant=ALL_TENANTS) as connection:
            found = await self._rows.keys(connection, run_id)
            last = await attempts.last_number(connection, run_id)
        kept, under_way = found or (set(), 0)
        for number in range(1, max(last, 1) + 1):
            for key in (heatmap_key(tenant, run_id, number), index_key(tenant, run_id, number)):
                if key not in kept and number != under_way:
                    await asyncio.to_thread(self._storage.delete, self._bucket, key)
        if found is None:
            await self._report.delete_of_run(tenant, run_id)
            async with transaction(self._pool) as connection:
                if await attempts.forget(connection, run_id):
                    await self._clean_up_later(connection, tenant, run_id)

    async def start_run(self, run_id: UUID) -> RunOrder | None:
        order, gave_up = await self._start(run_id)
        if gave_up:
            # The worker counts other failures; here it may be its own deaths that ended the run.
            FAILURES.inc(1, {"kind": "analysis", "reason": gave_up})
        return order

    async def _start(self, run_id: UUID) -> tuple[RunOrder | None, str | None]:
        """The order, or the word for why the run was given up, or neither."""
        async with transaction(self._pool) as connection:
            order = await self._rows.lock(connection, run_id)
            if order is None or order.run.status not in {"queued", "processing"}:
                return None, None
            found = await attempts.tally(connection, run_id)
            if reason := attempts.given_up("analysis", found, self._max_attempts, order.run.last_error):
                await self._fail(connection, order, reason)
                return None, attempts.code_of(found, self._max_attempts)
            order = await self._rows.start(connection, run_id)
            assert order is not None, "it is locked"
            await attempts.begin(connection, run_id, order.attempt)
            await self._tell(
                connection,
                "analysis.started",
                order.run,
                order.tenant,
                occasion=order.attempt,
                attempt=order.attempt,
            )
        return order, None

    async def report_progress(
        self, run_id: UUID, attempt: int, progress: float, node: str | None = None
    ) -> bool:
        async with transaction(self._pool) as connection:
            wanted = await self._rows.report_progress(connection, run_id, attempt, progress)
            if wanted and node:
                await attempts.place(connection, run_id, attempt, node)
            return wanted

    async def complete_run(self, run_id: UUID, attempt: int, outcome: Outcome) -> bool:
        async with transaction(self._pool) as connection:
            order = await self._rows.complete(connection, run_id, attempt, outcome)
            if order:
                await attempts.end(connection, run_id, attempt, "completed")
                await self._tell(
                    connection,
                    "analysis.completed",
                    order.run,
                    order.tenant,
                    heatmap_bucket=outcome.heatmap_bucket,
                    heatmap_key=outcome.heatmap_key,
                    index_key=outcome.index_key,
                    stats=outcome.stats,
                    conclusion=outcome.conclusion,
                )
                if order.run.auto_report:
                    await REQUEST_REPORT.defer(
                        self._queue,
                        connection,
                        tenant=order.tenant,
                        run_id=str(run_id),
                        language=order.run.language,
                        run_priority=order.run.priority,
                    )
                if attempt > 1:
                    await self._clean_up_after(connection, order)
                log.info("run completed", run_id=str(run_id), index_type=order.run.index_type)
                return True
            found = await self._rows.keys(connection, run_id)
        # Not these, when it is this call again that came too late.
        kept = found[0] if found else set()
        for key in (outcome.heatmap_key, outcome.index_key):
            if key not in kept:
                await asyncio.to_thread(self._storage.delete, outcome.heatmap_bucket, key)
        return False

    async def end_attempt(self, run_id: UUID, attempt: int, ending: Ending) -> bool:
        async with transaction(self._pool) as connection:
            order = await self._rows.lock(connection, run_id)
            await attempts.end(connection, run_id, attempt, ending.outcome, ending.reason)
            if order is None or order.attempt != attempt or order.run.status != "processing":
                return order is not None and order.run.status in {"queued", "processing"}
            reason = await attempts.final_reason(connection, run_id, "analysis", ending, self._max_attempts)
            if reason is None:
                await self._rows.put_back(connection, run_id, attempt, ending.reason)
                return True
            await self._fail(connection, order, reason, clean=attempt == 1 and ending.outcome == "failed")
        return False

    async def _fail(
        self, connection: Connection, order: RunOrder, reason: str, *, clean: bool = False
    ) -> None:
        """Of a run that is locked and not finished; `clean`: no attempt can have left anything."""
        failed = await self._rows.fail(connection, order.run.id, order.attempt, reason)
        assert failed is not None, "it is locked"
        await self._tell(connection, "analysis.failed", failed.run, order.tenant, reason=reason)
        if not clean:
            await self._clean_up_after(connection, order)
        log.warning("run failed", run_id=str(order.run.id), reason=reason)

    async def _clean_up_after(self, connection: Connection, order: RunOrder) -> None:
        """What attempts in vain have left, now and when none of them can be alive."""
        run_id = order.run.id
        await CLEAN_UP_RUN.defer(self._queue, connection, tenant=order.tenant, run_id=str(run_id))
        await self._clean_up_later(connection, order.tenant, run_id)

    async def _clean_up_later(self, connection: Connection, tenant: str, run_id: UUID) -> None:
        await CLEAN_UP_RUN.defer(
            self._queue, connection, delay_s=attempts.LATE_S, tenant=tenant, run_id=str(run_id)
        )

    async def _tell(
        self,
        connection: Connection,
        kind: str,
        run: AnalysisRun,
        tenant: str,
        *,
        occasion: int | None = None,
        **data: Any,
    ) -> None:
        """Write an event, which bears what every event of a run does. Without an `occasion` it happens once: the run begins
        or ends."""
        event = await self._events.emit(
            connection,
            kind,
            run.id,
            tenant,
            occasion=occasion or run.completed_at or "",
            imagery_id=str(run.imagery_id),
            index_type=run.index_type,
            **data,
        )
        if run.callback and kind in FINAL:
            await self._rows.set_callback_event(connection, run.id, event)
            host = host_of(run.callback)
            await TELL_CALLBACK.defer(self._queue, connection, run_id=str(run.id), tenant=tenant, host=host)

    async def start_callback(self, run_id: UUID) -> CallbackOrder | None:
        async with transaction(self._pool) as connection:
            return await self._rows.start_callback(connection, run_id)

    async def end_callback(self, run_id: UUID, error: str | None, given_up: bool) -> None:
        async with transaction(self._pool) as connection:
            await self._rows.end_callback(connection, run_id, callback_status(error, given_up), error)

    async def standings(self, run_ids: Sequence[UUID]) -> Sequence[Standing]:
        return await self._rows.standings(run_ids)

    async def census(self) -> Mapping[RunStatus, int]:
        return await self._rows.census()

    async def reconcile(self, order: ReconcileOrder) -> Reconciled:
        return await reconcile(RunShelf(self._pool, self._bucket), self._storage, order)

    async def check(self) -> Mapping[str, str]:
        return await ping(self._pool, "analysis_db")
