"""Runs and their states, as a plain class: deployments and tests build it alike."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any
from uuid import UUID, uuid4

import structlog

from orthoray.callbacks import CallbackPolicy, check_url
from orthoray.contracts import (
    AnalysisRequest,
    AnalysisRun,
    CallbackStatus,
    Language,
    Outcome,
    Page,
    RunStatus,
)
from orthoray.database import Connection, Pool, ping, transaction
from orthoray.errors import Impossible, NotFound, OrthoRayError, Unavailable
from orthoray.events import Outbox
from orthoray.keys import heatmap_key, index_key
from orthoray.ports import CallbackOrder, ImageryPort, ReportPort, RunOrder
from orthoray.queue import Queue
from orthoray.storage.base import Storage
from orthoray.tasks import ANALYSE, CLEAN_UP_RUN, REQUEST_REPORT, TELL_CALLBACK
from pipelines.planning import plan_of_record
from serve_app.analysis.repository import RunRepository

FINAL = {"analysis.completed", "analysis.failed", "analysis.cancelled"}
NO_CALLBACKS = "This installation sends no callbacks: its operator has to set WEBHOOK_SECRET."

log = structlog.get_logger(__name__)


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

    async def create(self, tenant: str, request: AnalysisRequest) -> AnalysisRun:
        if request.callback is not None:
            if self._callbacks is None:
                raise Impossible(NO_CALLBACKS, parameter="callback")
            check_url(request.callback, self._callbacks)
        imagery = await self._imagery.get(tenant, request.imagery_id)
        language = request.language or self._default_language
        # Refuses here, before anything is written, what a worker could not do.
        plan = plan_of_record(imagery, request)
        values = {
            **request.model_dump(
                include={"imagery_id", "auto_report", "crop", "thresholds", "bands", "callback"}
            ),
            "options": request.options.model_dump(mode="json"),
            "index_type": plan.index_name,
            "id": uuid4(),
            "language": language,
            "imagery_bucket": imagery.bucket,
            "imagery_object_key": imagery.object_key,
        }
        async with transaction(self._pool) as connection:
            run = await self._rows.insert(connection, tenant, values, imagery)
            await ANALYSE.defer(self._queue, connection, run_id=str(run.id))
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

    async def delete(self, tenant: str, run_id: UUID) -> RunStatus | None:
        async with transaction(self._pool) as connection:
            if cancelled := await self._rows.cancel(connection, tenant, run_id):
                await self._tell(connection, "analysis.cancelled", cancelled, tenant)
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
                if run.status in ("queued", "processing"):
                    await self._tell(connection, "analysis.cancelled", run, tenant)
                await CLEAN_UP_RUN.defer(self._queue, connection, tenant=tenant, run_id=str(run.id))
        for run in gone:
            await self.clean_up(tenant, run.id)

    async def clean_up(self, tenant: str, run_id: UUID) -> None:
        for key in (heatmap_key(tenant, run_id), index_key(tenant, run_id)):
            await asyncio.to_thread(self._storage.delete, self._bucket, key)
        await self._report.delete_of_run(tenant, run_id)

    async def start_run(self, run_id: UUID) -> RunOrder | None:
        async with transaction(self._pool) as connection:
            order = await self._rows.start(connection, run_id)
            if order:
                await self._tell(
                    connection,
                    "analysis.started",
                    order.run,
                    order.tenant,
                    occasion=order.run.attempts,
                    attempt=order.run.attempts,
                )
        return order

    async def report_progress(self, run_id: UUID, progress: float) -> bool:
        async with transaction(self._pool) as connection:
            return await self._rows.report_progress(connection, run_id, progress)

    async def complete_run(self, run_id: UUID, outcome: Outcome) -> bool:
        async with transaction(self._pool) as connection:
            order = await self._rows.complete(connection, run_id, outcome)
            if order:
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
                    )
                log.info("run completed", run_id=str(run_id), index_type=order.run.index_type)
                return True
            wanted = await self._rows.has_result(connection, run_id)
        if not wanted:  # cancelled or deleted while it was computed
            for key in (outcome.heatmap_key, outcome.index_key):
                await asyncio.to_thread(self._storage.delete, outcome.heatmap_bucket, key)
        return False

    async def fail_run(self, run_id: UUID, reason: str) -> bool:
        async with transaction(self._pool) as connection:
            order = await self._rows.fail(connection, run_id, reason)
            if order:
                await self._tell(connection, "analysis.failed", order.run, order.tenant, reason=reason)
        log.warning("run failed", run_id=str(run_id), reason=reason)
        return order is not None

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
            await TELL_CALLBACK.defer(self._queue, connection, run_id=str(run.id))

    async def start_callback(self, run_id: UUID) -> CallbackOrder | None:
        async with transaction(self._pool) as connection:
            return await self._rows.start_callback(connection, run_id)

    async def end_callback(self, run_id: UUID, error: str | None, given_up: bool) -> None:
        status: CallbackStatus = "given_up" if given_up else "waiting" if error else "delivered"
        async with transaction(self._pool) as connection:
            await self._rows.end_callback(connection, run_id, status, error)

    async def census(self) -> Mapping[RunStatus, int]:
        return await self._rows.census()

    async def check(self) -> Mapping[str, str]:
        return await ping(self._pool, "analysis_db")
