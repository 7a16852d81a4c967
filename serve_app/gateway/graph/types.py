"""The types of the graph: those of the contracts, and the ways from one to the next.

Resolvers hand over records of the contracts, from which the types' fields are read.
"""

from __future__ import annotations

import strawberry
from strawberry import Parent
from strawberry.scalars import JSON

from orthoray import batches, contracts
from serve_app.gateway.graph.connections import PAGE, Connection, checked_size, connection
from serve_app.gateway.graph.guard import GUARD
from serve_app.gateway.graph.loaders import GraphContext
from serve_app.gateway.graph.mirror import Mirrors
from serve_app.gateway.graph.scalars import RunStatus, state_of

Info = strawberry.Info[GraphContext, None]
mirrors = Mirrors()
# More than there are languages, so these are all of them.
_REPORTS_LOOKED_AT = 10


async def _runs_of_imagery(
    parent: Parent[contracts.Imagery],
    info: Info,
    first: int = PAGE,
    after: str | None = None,
    status: RunStatus | None = None,
) -> Connection[AnalysisRun] | None:
    loader = info.context.loaders.runs_of_imagery(checked_size(first), after, state_of(status))
    return connection(await loader.load(parent.id), after)


async def _imagery_of_run(parent: Parent[contracts.AnalysisRun], info: Info) -> Imagery | None:
    found: Imagery | None = await info.context.loaders.imagery.load(parent.imagery_id)
    return found


async def _report_of_run(parent: Parent[contracts.AnalysisRun], info: Info) -> Report | None:
    loader = info.context.loaders.reports_of_run(_REPORTS_LOOKED_AT, None, None)
    reports = (await loader.load(parent.id)).items
    in_its_language = [report for report in reports if report.language == parent.language]
    found: Report | None = next(iter(in_its_language or reports), None)
    return found


async def _reports_of_run(
    parent: Parent[contracts.AnalysisRun],
    info: Info,
    first: int = PAGE,
    after: str | None = None,
    status: RunStatus | None = None,
) -> Connection[Report] | None:
    loader = info.context.loaders.reports_of_run(checked_size(first), after, state_of(status))
    return connection(await loader.load(parent.id), after)


async def _run_of_report(parent: Parent[contracts.Report], info: Info) -> AnalysisRun | None:
    found: AnalysisRun | None = await info.context.loaders.runs.load(parent.analysis_run_id)
    return found


@mirrors.output(contracts.Imagery)
class Imagery:
    runs: Connection[AnalysisRun] | None = strawberry.field(
        resolver=_runs_of_imagery, description="its analyses, newest first", extensions=[GUARD]
    )


@mirrors.output(contracts.AnalysisRun)
class AnalysisRun:
    imagery: Imagery | None = strawberry.field(
        resolver=_imagery_of_run, description="null when it was deleted just now", extensions=[GUARD]
    )
    report: Report | None = strawberry.field(
        resolver=_report_of_run,
        description="the newest in the run's language, else in any",
        extensions=[GUARD],
    )
    reports: Connection[Report] | None = strawberry.field(
        resolver=_reports_of_run, description="one for each language", extensions=[GUARD]
    )


@mirrors.output(contracts.Report)
class Report:
    run: AnalysisRun | None = strawberry.field(
        resolver=_run_of_report, description="null when it was deleted just now", extensions=[GUARD]
    )


@mirrors.output(batches.Batch)
class Batch: ...


@strawberry.type(description="An entry of the catalogue of indices.")
class SpectralIndex:
    name: str
    long_name: str | None
    common_name: str | None
    formula: str | None
    bands: list[str]
    constants: JSON | None
    value_range: list[float] | None
    reference: str | None
    needs_reflectance: bool | None
    legacy: bool | None
    domain: str
    high_is_good: bool | None
    other_inputs: list[str] | None
    computable: bool = strawberry.field(description="of the imagery that was named, else at all")
    missing_bands: list[str] | None = strawberry.field(description="of the imagery that was named; else null")
    note: str | None


ENTITIES = frozenset({"Imagery", "AnalysisRun", "Report", "Batch"})
"""Rows of tenants: each is fetched, and seen only by way of a field that has a scope."""
