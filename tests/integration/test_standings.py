"""How far runs and reports are, on a real PostgreSQL."""

from __future__ import annotations

from uuid import uuid4

import pytest
from wired import Services

from orthoray.contracts import ReportRequest
from orthoray.standings import Standing

pytestmark = pytest.mark.anyio


async def test_standings_are_those_of_the_records(services: Services) -> None:
    runs = [await services.completed("farm"), await services.run("coop"), await services.run("coop")]
    await services.analysis.start_run(runs[2].id)
    await services.analysis.report_progress(runs[2].id, 1, 0.4)
    runs[2] = await services.analysis.get("coop", runs[2].id)
    found = await services.analysis.standings([*(run.id for run in runs), uuid4()])
    expected = [Standing.of(tenant, run) for tenant, run in zip(("farm", "coop", "coop"), runs, strict=True)]
    assert sorted(found, key=lambda one: one.id) == sorted(expected, key=lambda one: one.id)
    assert found[[one.id for one in found].index(runs[2].id)].place == (1, 0, 400)
    report = await services.report.create("farm", ReportRequest(analysis_run_id=runs[0].id))
    assert await services.report.standings([report.id]) == [Standing.of("farm", report)]
    assert await services.report.standings([]) == []
