"""What can be asked: the same lists with the same filters as REST has, and records by their ids."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

import strawberry

from orthoray.errors import BadInput, NotFound
from orthoray.ports import ImageryQuery
from pipelines.planning import index_catalogue
from serve_app.gateway.bounds import checked_bounds
from serve_app.gateway.graph.connections import PAGE, Connection, checked_size, connection
from serve_app.gateway.graph.guard import guarded
from serve_app.gateway.graph.scalars import RunStatus, state_of
from serve_app.gateway.graph.types import AnalysisRun, Batch, Imagery, Info, Report, SpectralIndex

MAX_WORDS = 64


def _found(record: Any, what: str, record_id: UUID, listed_by: str) -> Any:
    """
    Raises:
        NotFound: there is none, or it is another tenant's.
    """
    if record is None:
        raise NotFound(f"There is no {what} {record_id}: {listed_by} lists what there is.")
    return record


def _short(**words: str | None) -> None:
    for name, text in words.items():
        if text is not None and len(text) > MAX_WORDS:
            raise BadInput(f"{name} has at most {MAX_WORDS} characters.")


@strawberry.type(description="What can be asked. A field that fails is null, and `errors` says why.")
class Query:
    @guarded("One upload of the catalogue.")
    async def imagery(self, info: Info, id: UUID) -> Imagery | None:
        found: Imagery = _found(await info.context.loaders.imagery.load(id), "imagery", id, "imageryList")
        return found

    @guarded("The catalogue of uploads.")
    async def imagery_list(
        self,
        info: Info,
        first: int = PAGE,
        after: str | None = None,
        bbox: list[float] | None = None,
        captured_after: datetime | None = None,
        captured_before: datetime | None = None,
    ) -> Connection[Imagery] | None:
        query = ImageryQuery(
            limit=checked_size(first),
            next=after,
            bbox=None if bbox is None else checked_bounds(bbox),
            captured_after=captured_after,
            captured_before=captured_before,
        )
        return connection(await info.context.services.imagery.search(info.context.tenant, query), after)

    @guarded("One analysis.")
    async def run(self, info: Info, id: UUID) -> AnalysisRun | None:
        found: AnalysisRun = _found(await info.context.loaders.runs.load(id), "analysis run", id, "runs")
        return found

    @guarded("Analyses.")
    async def runs(
        self,
        info: Info,
        first: int = PAGE,
        after: str | None = None,
        imagery_id: UUID | None = None,
        status: RunStatus | None = None,
    ) -> Connection[AnalysisRun] | None:
        search = info.context.services.analysis.search
        page = await search(info.context.tenant, checked_size(first), after, imagery_id, state_of(status))
        return connection(page, after)

    @guarded("One report.")
    async def report(self, info: Info, id: UUID) -> Report | None:
        found: Report = _found(await info.context.loaders.reports.load(id), "report", id, "reports")
        return found

    @guarded("Reports.")
    async def reports(
        self,
        info: Info,
        first: int = PAGE,
        after: str | None = None,
        analysis_run_id: UUID | None = None,
        status: RunStatus | None = None,
    ) -> Connection[Report] | None:
        search = info.context.services.report.search
        page = await search(
            info.context.tenant, checked_size(first), after, analysis_run_id, state_of(status)
        )
        return connection(page, after)

    @guarded("One batch.")
    async def batch(self, info: Info, id: UUID) -> Batch | None:
        record: Any = await info.context.services.batches.get_batch(info.context.tenant, id)
        found: Batch = record
        return found

    @guarded("Batches of many images.")
    async def batches(
        self, info: Info, first: int = PAGE, after: str | None = None
    ) -> Connection[Batch] | None:
        search = info.context.services.batches.search_batches
        return connection(await search(info.context.tenant, checked_size(first), after), after)

    @guarded("The catalogue of indices.")
    async def indices(
        self, info: Info, imagery_id: UUID | None = None, domain: str | None = None, q: str | None = None
    ) -> list[SpectralIndex] | None:
        """With `imageryId` each entry says whether it can be computed from that image, and which bands are missing."""
        _short(domain=domain, q=q)
        bands = None
        if imagery_id is not None:
            record = await info.context.loaders.imagery.load(imagery_id)
            bands = _found(record, "imagery", imagery_id, "imageryList").bands
        found: list[Any] = index_catalogue(bands, domain=domain, words=q)
        return found
