"""A tenant's queue has room for so many runs, and for so many reports."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from wired import Services

from orthoray.contracts import AnalysisRequest, ReportRequest
from orthoray.errors import TooMany

pytestmark = pytest.mark.anyio


@pytest.fixture
def few(services: Services) -> Services:
    services.analysis._max_waiting = services.report._max_waiting = 3
    return services


def traces(services: Services, service: str) -> tuple[int, int, int]:
    """How many rows, jobs and events there are."""
    table = {"analysis": "select from analysis_runs", "report": "select from reports"}[service]
    return len(services.query(service, table)), len(services.jobs(service)), len(services.told(service))


async def ask(services: Services, count: int, tenant: str = "default") -> list[Any]:
    """Runs of one image, all asked for at once."""
    imagery = await services.register(tenant)
    request = AnalysisRequest(imagery_id=imagery.id, index_type="NDVI")
    asked = (services.analysis.create(tenant, request) for _ in range(count))
    return await asyncio.gather(*asked, return_exceptions=True)


async def test_of_many_requests_at_once_as_many_are_taken_as_there_is_room_for(few: Services) -> None:
    answers = await ask(few, 20)
    refused = [answer for answer in answers if isinstance(answer, TooMany)]
    assert len(refused) == 17, answers
    assert refused[0].fields == {"max_waiting": 3, "retry_after_s": 30}
    assert traces(few, "analysis") == (3, 3, 3)
    assert len(await ask(few, 1, "other")) == 1, "another tenant has room of its own"
    assert traces(few, "analysis") == (4, 4, 4)


async def test_there_is_room_again_when_a_run_has_begun_or_is_cancelled(few: Services) -> None:
    first, second, _ = await ask(few, 3)
    await few.analysis.start_run(first.id)
    (taken,) = await ask(few, 1)
    assert taken.status == "queued"
    await few.analysis.delete("default", second.id)
    assert [type(answer).__name__ for answer in await ask(few, 2)] in (
        ["AnalysisRun", "TooMany"],
        ["TooMany", "AnalysisRun"],
    )


async def test_reports_have_room_of_their_own(few: Services) -> None:
    runs = [await few.completed() for _ in range(5)]
    asked = (few.report.create("default", ReportRequest(analysis_run_id=run.id)) for run in runs)
    answers = await asyncio.gather(*asked, return_exceptions=True)
    assert sum(isinstance(answer, TooMany) for answer in answers) == 2, answers
    assert traces(few, "report") == (3, 3, 3)
    # One that is there is given however full the queue is.
    there = next(answer for answer in answers if not isinstance(answer, BaseException))
    again = await few.report.create("default", ReportRequest(analysis_run_id=there.analysis_run_id))
    assert again.id == there.id
