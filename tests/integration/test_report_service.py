"""Reports and their states on a real PostgreSQL."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import UUID, uuid4

import pytest
from wired import Services

from orthoray.attempts import Ending
from orthoray.contracts import ReportRequest
from orthoray.errors import NotFound, Unavailable, WrongState
from orthoray.keys import report_key

pytestmark = pytest.mark.anyio


async def finish(services: Services, report_id: UUID, tenant: str = "default", attempt: int = 1) -> bool:
    """What a worker does at the end."""
    key = report_key(tenant, report_id, attempt)
    services.storage.put_bytes("reports", key, b"%PDF")
    return await services.report.complete_report(report_id, attempt, "reports", key)


async def fail(services: Services, report_id: UUID, reason: str, attempt: int = 1) -> bool:
    """What a worker does when an attempt failed for good; whether the report has failed by it."""
    await services.report.end_attempt(report_id, attempt, Ending(outcome="failed", reason=reason))
    (row,) = services.query("report", "select error from reports where id = %s", report_id)
    return bool(row["error"] == reason)


def pdfs(services: Services) -> list[str]:
    return [info.key for info in services.storage.list("reports")]


async def test_a_report_its_job_and_its_event(services: Services) -> None:
    run = await services.completed(language="ro")
    report = await services.report.create("default", ReportRequest(analysis_run_id=run.id))
    assert (report.status, report.language, report.stats) == ("queued", "ro", run.stats)
    assert (report.heatmap_key, report.imagery_key) == (run.heatmap_key, run.imagery_object_key)
    (job,) = services.jobs("report", "report.render")
    assert (job["args"], job["queue_name"]) == ({"report_id": str(report.id)}, "compute")
    order = await services.report.start_report(report.id)
    assert order is not None
    assert (order.run.id, order.imagery.id, order.tenant) == (run.id, run.imagery_id, "default")
    assert await finish(services, report.id)
    done = await services.report.get("default", report.id)
    assert (done.status, done.report_key) == ("completed", f"reports/{report.id}.pdf")
    assert services.events("report", report.id) == ["report.requested", "report.completed"]


async def test_there_is_one_report_for_a_run_and_language(services: Services) -> None:
    run = await services.completed()
    asked = [ReportRequest(analysis_run_id=run.id, language="en")] * 5
    made = await asyncio.gather(*(services.report.create("default", request) for request in asked))
    other = await services.report.create("default", ReportRequest(analysis_run_id=run.id, language="ru"))
    assert len({report.id for report in made}) == 1
    assert other.id != made[0].id
    assert len(services.jobs("report", "report.render")) == 2


async def test_a_run_that_is_not_completed_has_no_report(services: Services) -> None:
    run = await services.run()
    with pytest.raises(WrongState) as caught:
        await services.report.create("default", ReportRequest(analysis_run_id=run.id))
    assert caught.value.fields == {"run_status": "queued"}
    with pytest.raises(NotFound):
        await services.report.create("default", ReportRequest(analysis_run_id=uuid4()))
    assert services.jobs("report") == []


async def test_a_failed_report_is_queued_again_by_a_new_request(services: Services) -> None:
    run = await services.completed()
    request = ReportRequest(analysis_run_id=run.id)
    report = await services.report.create("default", request)
    await services.report.start_report(report.id)
    assert await fail(services, report.id, "The fonts are gone.")
    assert (await services.report.get("default", report.id)).error == "The fonts are gone."
    again = await services.report.create("default", request)
    assert (again.id, again.status, again.error, again.completed_at) == (report.id, "queued", None, None)
    assert len(services.jobs("report", "report.render")) == 2
    await services.report.start_report(report.id)
    assert await finish(services, report.id, attempt=2)
    assert (await services.report.create("default", request)).status == "completed"
    assert len(services.jobs("report", "report.render")) == 2


async def test_late_answers_change_nothing(services: Services) -> None:
    run = await services.completed()
    report = await services.report.create("default", ReportRequest(analysis_run_id=run.id))
    await services.report.start_report(report.id)
    assert await finish(services, report.id)
    assert not await finish(services, report.id)
    assert not await fail(services, report.id, "too late")
    assert await services.report.start_report(report.id) is None
    assert (await services.report.get("default", report.id)).status == "completed"
    assert pdfs(services) == [f"reports/{report.id}.pdf"]
    await services.report.delete("default", report.id)
    assert not await finish(services, report.id)
    assert pdfs(services) == []


async def test_a_deletion_leaves_neither_row_nor_file(services: Services) -> None:
    run = await services.completed()
    report = await services.report.create("default", ReportRequest(analysis_run_id=run.id))
    await services.report.start_report(report.id)
    await finish(services, report.id)
    await services.report.delete("default", report.id)
    assert pdfs(services) == []
    with pytest.raises(NotFound):
        await services.report.delete("default", report.id)
    assert [job["args"]["report_id"] for job in services.jobs("report", "report.clean-up")] == [
        str(report.id)
    ]


async def test_a_late_clean_up_spares_a_report_that_was_asked_for_anew(services: Services) -> None:
    run = await services.completed()
    request = ReportRequest(analysis_run_id=run.id)
    report = await services.report.create("default", request)
    await services.report.start_report(report.id)
    await services.report.delete("default", report.id)
    await services.report.create("default", request)
    order = await services.report.start_report(report.id)
    assert order is not None
    assert (order.attempt, order.report.attempts) == (2, 1)
    assert await finish(services, report.id, attempt=2)
    assert not await finish(services, report.id, attempt=1), "of the one that was deleted"
    await services.report.clean_up("default", report.id)
    assert pdfs(services) == [f"reports/{report.id}-2.pdf"]
    (attempt,) = (await services.report.get("default", report.id)).history
    assert (attempt.number, attempt.outcome) == (1, "completed")


async def test_a_deletion_does_not_wait_for_the_storage(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = await services.completed()
    report = await services.report.create("default", ReportRequest(analysis_run_id=run.id))

    def away(bucket: str, key: str) -> None:
        raise Unavailable

    monkeypatch.setattr(services.storage, "delete", away)
    await services.report.delete("default", report.id)
    with pytest.raises(NotFound):
        await services.report.get("default", report.id)
    assert len(services.jobs("report", "report.clean-up")) == 1


async def test_a_report_of_a_run_that_is_gone_fails(services: Services) -> None:
    run = await services.completed()
    report = await services.report.create("default", ReportRequest(analysis_run_id=run.id))
    services.query("analysis", "delete from analysis_runs returning id")
    assert await services.report.start_report(report.id) is None
    failed = await services.report.get("default", report.id)
    assert (failed.status, failed.error) == ("failed", "The analysis run has been deleted.")


async def test_lists(services: Services) -> None:
    run, other = await services.completed(), await services.completed()
    made = [
        await services.report.create(
            "default", ReportRequest.model_validate({"analysis_run_id": one.id, "language": code})
        )
        for one, code in ((run, "ru"), (run, "en"), (other, "ru"))
    ]
    await services.report.start_report(made[0].id)
    await fail(services, made[0].id, "no")

    async def found(*filters: Any) -> list[UUID]:
        return [report.id for report in (await services.report.search("default", 10, None, *filters)).items]

    assert await found(None, None) == [report.id for report in reversed(made)]
    assert await found(run.id, None) == [made[1].id, made[0].id]
    assert await found(None, "failed") == [made[0].id]
    page = await services.report.search("default", 2, None, None, None)
    assert [one.id for one in (await services.report.search("default", 2, page.next, None, None)).items] == [
        made[0].id
    ]


async def test_another_tenant_has_none_of_it(services: Services) -> None:
    run = await services.completed()
    report = await services.report.create("default", ReportRequest(analysis_run_id=run.id))
    await services.report.start_report(report.id)
    await finish(services, report.id)
    for refused in (services.report.get("other", report.id), services.report.delete("other", report.id)):
        with pytest.raises(NotFound):
            await refused
    assert (await services.report.search("other", 10, None, None, None)).items == []
    await services.report.delete_of_run("other", run.id)
    await services.report.clean_up("other", report.id)
    assert (await services.report.get("default", report.id)).status == "completed"
    assert pdfs(services) == [f"reports/{report.id}.pdf"]
