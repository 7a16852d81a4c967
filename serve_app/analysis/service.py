"""Runs and their states, as a plain class: deployments and tests build it alike."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from uuid import UUID, uuid4

import structlog

from orthoray.contracts import AnalysisRequest, AnalysisRun, Language, Outcome, Page, RunStatus
from orthoray.database import Pool, ping, transaction
from orthoray.errors import NotFound, OrthoRayError, Unavailable
from orthoray.events import Outbox
from orthoray.keys import heatmap_key, index_key
from orthoray.ports import ImageryPort, ReportPort, RunOrder
from orthoray.queue import Queue
from orthoray.reconciling import Reconciled, ReconcileOrder, reconcile
from orthoray.storage.base import Storage
from orthoray.tasks import ANALYSE, CLEAN_UP_RUN, REQUEST_REPORT
from pipelines.planning import plan_of_record
from serve_app.analysis.reconcile import RunShelf
from serve_app.analysis.repository import RunRepository

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
    ) -> None:
        self._pool = pool
        self._queue = queue
        self._events = Outbox("analysis", queue)
        self._rows = RunRepository(pool)
        self._storage = storage
        self._bucket = bucket
        self._imagery = imagery
        self._report = report
        self._default_language = default_language

    async def create(self, tenant: str, request: AnalysisRequest) -> AnalysisRun:
        imagery = await self._imagery.get(tenant, request.imagery_id)
        language = request.language or self._default_language
        # Refuses here, before anything is written, what a worker could not do.
        plan = plan_of_record(imagery, request)
        values = {
            **request.model_dump(include={"imagery_id", "auto_report", "crop", "thresholds", "bands"}),
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
            await self._events.emit(
                connection,
                "analysis.requested",
                run.id,
                tenant,
                imagery_id=str(imagery.id),
                index_type=run.index_type,
            )
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
            if await self._rows.cancel(connection, tenant, run_id):
                await self._events.emit(connection, "analysis.cancelled", run_id, tenant)
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
            for run_id in gone:
                await CLEAN_UP_RUN.defer(self._queue, connection, tenant=tenant, run_id=str(run_id))
        for run_id in gone:
            await self.clean_up(tenant, run_id)

    async def clean_up(self, tenant: str, run_id: UUID) -> None:
        for key in (heatmap_key(tenant, run_id), index_key(tenant, run_id)):
            await asyncio.to_thread(self._storage.delete, self._bucket, key)
        await self._report.delete_of_run(tenant, run_id)

    async def start_run(self, run_id: UUID) -> RunOrder | None:
        async with transaction(self._pool) as connection:
            order = await self._rows.start(connection, run_id)
            if order:
                await self._events.emit(connection, "analysis.started", run_id, order.tenant)
        return order

    async def report_progress(self, run_id: UUID, progress: float) -> bool:
        async with transaction(self._pool) as connection:
            return await self._rows.report_progress(connection, run_id, progress)

    async def complete_run(self, run_id: UUID, outcome: Outcome) -> bool:
        async with transaction(self._pool) as connection:
            order = await self._rows.complete(connection, run_id, outcome)
            if order:
                await self._events.emit(connection, "analysis.completed", run_id, order.tenant)
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
                await self._events.emit(connection, "analysis.failed", run_id, order.tenant, reason=reason)
        log.warning("run failed", run_id=str(run_id), reason=reason)
        return order is not None

    async def census(self) -> Mapping[RunStatus, int]:
        return await self._rows.census()

    async def reconcile(self, order: ReconcileOrder) -> Reconciled:
        return await reconcile(RunShelf(self._pool, self._bucket), self._storage, order)

    async def check(self) -> Mapping[str, str]:
        return await ping(self._pool, "analysis_db")
