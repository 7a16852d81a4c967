"""Runs and their states on a real PostgreSQL."""

from __future__ import annotations

import asyncio
import itertools
from typing import Any
from unittest.mock import Mock
from uuid import UUID, uuid4

import psycopg
import pytest
from fakes import an_outcome
from wired import Services

from orthoray.contracts import AnalysisRequest, Note, ReportRequest
from orthoray.errors import Impossible, MissingBands, NotFound, Unavailable, UnknownIndex
from orthoray.events import Outbox
from orthoray.options import AnalysisOptions
from orthoray.queue import Queue

pytestmark = pytest.mark.anyio

STEPS = ("start", "complete", "fail", "delete")
# What each step makes of each state; a pair that is not here changes nothing.
NEXT = {
    ("queued", "start"): "processing",
    ("queued", "delete"): "cancelled",
    ("processing", "start"): "processing",
    ("processing", "complete"): "completed",
    ("processing", "fail"): "failed",
    ("processing", "delete"): "cancelled",
    ("completed", "delete"): "gone",
    ("failed", "delete"): "gone",
    ("cancelled", "delete"): "gone",
}
EVENT = {"start": "analysis.started", "complete": "analysis.completed", "fail": "analysis.failed"}


async def take(services: Services, step: str, run_id: UUID) -> bool:
    """Whether the step changed anything."""
    if step == "start":
        return await services.analysis.start_run(run_id) is not None
    (made,) = services.query("analysis", "select count(*) from attempts where subject = %s", run_id)
    if step == "complete":
        return await services.complete(run_id, attempt=made["count"])
    if step == "fail":
        return await services.fail(run_id, attempt=made["count"])
    try:
        await services.analysis.delete("default", run_id)
    except NotFound:
        return False
    return True


async def state_of(services: Services, run_id: UUID) -> str:
    try:
        return (await services.analysis.get("default", run_id)).status
    except NotFound:
        return "gone"


async def test_every_order_of_steps_ends_where_it_must(services: Services) -> None:
    imagery = await services.register()
    own = set(services.objects())
    for steps in itertools.product(STEPS, repeat=3):
        run = await services.analysis.create(
            "default", AnalysisRequest(imagery_id=imagery.id, index_type="NDVI")
        )
        state, events = "queued", ["analysis.requested"]
        for step in steps:
            following = NEXT.get((state, step), state)
            changed = (state, step) in NEXT
            assert await take(services, step, run.id) == changed, (steps, step)
            if changed and following != "gone":
                events.append(EVENT.get(step, "analysis.cancelled"))
            state = following
            assert await state_of(services, run.id) == state, (steps, step)
            kept = {key for key in services.objects() if str(run.id) in key}
            assert len(kept) == (2 if state == "completed" else 0), (steps, step)
        assert services.events("analysis", run.id) == events, steps
        if state not in {"gone", "completed"}:
            found = await services.analysis.get("default", run.id)
            assert found.statistics is None
            assert (found.error is not None) == (state == "failed")
        if state == "completed":
            await services.analysis.delete("default", run.id)
    assert set(services.objects()) == own


async def test_a_run_its_job_and_its_event_are_written_together(services: Services) -> None:
    run = await services.run(crop="corn", language="ro", bands="R,G,B,N")
    assert (run.status, run.language, run.crop, run.bands) == ("queued", "ro", "corn", "R,G,B,N")
    (job,) = services.jobs("analysis", "analysis.analyse")
    assert job["args"] == {"run_id": str(run.id)}
    assert (job["queue_name"], job["status"]) == ("compute", "todo")
    assert services.events("analysis", run.id) == ["analysis.requested"]


async def test_a_run_keeps_what_it_was_asked(services: Services) -> None:
    wishes = {
        "expression": "(N-R)/(N+R+L)",
        "constants": {"L": 0.25},
        "thresholds": "jenks",
        "scale": 0.5,
        "soil_mask": {"above": 0.2},
        "stretch": [0.0, 1.0],
        "cmap": "viridis",
        "raster": "int16",
    }
    run = await services.run(index_type="EXPR", **wishes)
    assert (run.index_type, run.thresholds) == ("expr", "jenks")
    assert {**run.options.model_dump(exclude_unset=True), "thresholds": run.thresholds} == {
        **AnalysisOptions().model_dump(),
        **wishes,
        "soil_mask": {"index_type": "NDVI", "expression": None, "constants": None, "above": 0.2},
    }
    order = await services.analysis.start_run(run.id)
    assert order is not None
    assert order.run.wish.model_dump() == run.wish.model_dump()
    assert (await services.run(thresholds=[0.6, 0.4, 0.2])).thresholds == [0.6, 0.4, 0.2]


async def test_a_row_of_the_time_before_options_is_still_read(services: Services) -> None:
    run = await services.run(thresholds=[0.6, 0.4, 0.2])
    services.query(
        "analysis", "update analysis_runs set options = '{}', imagery = imagery - 'assets' returning id"
    )
    old = await services.analysis.get("default", run.id)
    assert old.options == AnalysisOptions()
    assert old.warnings == []
    order = await services.analysis.start_run(run.id)
    assert order is not None
    assert len(order.imagery.assets) == 1


async def test_the_warnings_of_a_result_are_kept(services: Services) -> None:
    run = await services.run()
    await services.analysis.start_run(run.id)
    note = Note(code="uncalibrated", text="The values are digital numbers.")
    outcome = an_outcome(run.id).model_copy(update={"warnings": [note]})
    assert await services.analysis.complete_run(run.id, 1, outcome)
    assert (await services.analysis.get("default", run.id)).warnings == [note]


@pytest.mark.parametrize("missing", ["job", "event"])
async def test_without_its_job_and_its_event_there_is_no_run(
    services: Services, monkeypatch: pytest.MonkeyPatch, missing: str
) -> None:
    imagery = await services.register()
    if missing == "job":
        without(monkeypatch, "analysis.analyse")
    else:
        monkeypatch.setattr(Outbox, "emit", Mock(side_effect=ZeroDivisionError))
    with pytest.raises(ZeroDivisionError):
        await services.analysis.create("default", AnalysisRequest(imagery_id=imagery.id, index_type="NDVI"))
    assert services.query("analysis", "select id from analysis_runs") == []
    assert services.jobs("analysis") == []
    assert services.told("analysis") == []


def without(monkeypatch: pytest.MonkeyPatch, task: str) -> None:
    """Deferring `task` fails from now on."""
    defer = Queue.defer

    async def sometimes(self: Queue, connection: Any, name: str, **arguments: Any) -> None:
        if name == task:
            raise ZeroDivisionError
        await defer(self, connection, name, **arguments)

    monkeypatch.setattr(Queue, "defer", sometimes)


async def test_what_cannot_be_computed_is_refused_before_anything_is_written(services: Services) -> None:
    imagery = await services.register()
    refused: dict[type[Exception], dict[str, Any]] = {
        MissingBands: {"index_type": "NDRE"},
        UnknownIndex: {"index_type": "NDWTF"},
        Impossible: {"index_type": "expr", "expression": "N/Q"},
    }
    for kind, wishes in refused.items():
        with pytest.raises(kind):
            await services.analysis.create(
                "default", AnalysisRequest.model_validate({"imagery_id": imagery.id, **wishes})
            )
    assert services.jobs("analysis") == []


async def test_the_result_of_the_first_completion_stays(services: Services) -> None:
    run = await services.run()
    await services.analysis.start_run(run.id)
    done = await asyncio.gather(*(services.complete(run.id, conclusion=f"Verdict {n}.") for n in range(5)))
    assert sorted(done) == [False, False, False, False, True]
    kept = await services.analysis.get("default", run.id)
    assert kept.conclusion == f"Verdict {done.index(True)}."
    assert (kept.progress, kept.heatmap_key) == (1.0, f"heatmaps/{run.id}.png")
    assert list(kept.stats or {}) == ["Здоровые"]
    assert services.storage.exists("heatmaps", f"heatmaps/{run.id}.png")
    assert services.events("analysis", run.id).count("analysis.completed") == 1


async def test_a_started_order_has_all_that_a_worker_needs(services: Services) -> None:
    run = await services.run("farm")
    order = await services.analysis.start_run(run.id)
    assert order is not None
    assert (order.tenant, order.run.id, order.run.attempts) == ("farm", run.id, 1)
    assert order.imagery == await services.imagery.get("farm", run.imagery_id)
    again = await services.analysis.start_run(run.id)
    assert again is not None
    assert again.run.attempts == 2
    assert again.run.started_at == order.run.started_at


async def test_progress_never_goes_back_and_ends_with_the_run(services: Services) -> None:
    run = await services.run()
    assert not await services.analysis.report_progress(run.id, 1, 0.1), "it has not started"
    await services.analysis.start_run(run.id)
    for told, shown in ((0.5, 0.5), (0.2, 0.5), (0.75, 0.75)):
        assert await services.analysis.report_progress(run.id, 1, told)
        assert (await services.analysis.get("default", run.id)).progress == shown
    await services.analysis.delete("default", run.id)
    assert not await services.analysis.report_progress(run.id, 1, 0.9)
    assert not await services.analysis.report_progress(uuid4(), 1, 0.9)


async def test_auto_report_asks_for_one_report_in_the_runs_language(services: Services) -> None:
    run = await services.completed(auto_report=True, language="ro")
    await services.complete(run.id)
    (job,) = services.jobs("analysis", "analysis.request-report")
    assert job["args"] == {
        "tenant": "default",
        "run_id": str(run.id),
        "language": "ro",
        "run_priority": "normal",
    }
    report = await services.report.create("default", ReportRequest(analysis_run_id=run.id, language="ro"))
    assert report.id == run.report_id


async def test_without_auto_report_none_is_asked_for(services: Services) -> None:
    run = await services.completed()
    assert run.report_id is None
    assert services.jobs("analysis", "analysis.request-report") == []


async def test_a_completion_without_its_report_job_did_not_happen(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = await services.run(auto_report=True)
    await services.analysis.start_run(run.id)
    with monkeypatch.context() as patch:
        without(patch, "analysis.request-report")
        with pytest.raises(ZeroDivisionError):
            await services.complete(run.id)
    assert (await services.analysis.get("default", run.id)).status == "processing"
    assert services.events("analysis", run.id) == ["analysis.requested", "analysis.started"]
    assert await services.complete(run.id)
    assert len(services.jobs("analysis", "analysis.request-report")) == 1


async def test_lists(services: Services) -> None:
    first, second, third = await services.run(), await services.completed(), await services.run("farm")

    async def found(tenant: str, *filters: Any) -> list[UUID]:
        return [run.id for run in (await services.analysis.search(tenant, 10, None, *filters)).items]

    assert await found("default", None, None) == [second.id, first.id]
    assert await found("default", first.imagery_id, None) == [first.id]
    assert await found("default", None, "completed") == [second.id]
    assert await found("default", first.imagery_id, "completed") == []
    assert await found("farm", None, None) == [third.id]
    page = await services.analysis.search("default", 1, None, None, None)
    rest = await services.analysis.search("default", 1, page.next, None, None)
    assert [run.id for run in (*page.items, *rest.items)] == [second.id, first.id]
    assert rest.next is None


async def test_another_tenant_has_none_of_it(services: Services) -> None:
    run = await services.completed()
    for refused in (
        services.analysis.get("other", run.id),
        services.analysis.delete("other", run.id),
        services.report.create("other", ReportRequest(analysis_run_id=run.id)),
    ):
        with pytest.raises(NotFound):
            await refused
    await services.analysis.delete_of_imagery("other", run.imagery_id)
    await services.analysis.clean_up("other", run.id)
    assert await services.analysis.get("default", run.id) == run
    assert services.storage.exists("heatmaps", f"heatmaps/{run.id}.png")


async def test_a_deletion_does_not_wait_for_another_service(services: Services) -> None:
    run = await services.completed()
    report = await services.report.create("default", ReportRequest(analysis_run_id=run.id))
    services.away["report"].error = Unavailable()
    assert await services.analysis.delete("default", run.id) is None
    assert await state_of(services, run.id) == "gone"
    (job,) = services.jobs("analysis", "analysis.clean-up")
    assert job["args"] == {"tenant": "default", "run_id": str(run.id)}
    services.away["report"].error = None
    await services.analysis.clean_up("default", run.id)
    with pytest.raises(NotFound):
        await services.report.get("default", report.id)


async def test_the_service_checks_its_database(services: Services) -> None:
    assert await services.analysis.check() == {}
    assert await services.report.check() == {}


async def test_what_is_not_finished_is_counted_and_what_waits_too(services: Services) -> None:
    runs = [await services.run() for _ in range(3)]
    await services.analysis.start_run(runs[0].id)
    await services.completed()
    assert await services.analysis.census() == {"queued": 2, "processing": 1}
    with psycopg.connect(services.dsns["analysis"]) as connection:
        connection.execute(
            "update procrastinate_events set at = at - interval '1 hour'"
            " where job_id = (select min(job_id) from procrastinate_events)"
        )
        connection.execute(
            "update procrastinate_jobs set scheduled_at = now() + interval '1 hour'"
            " where queue_name = 'events'"
        )
    queue = Queue(services.dsns["analysis"])
    async with queue.app.open_async():
        waiting = await queue.backlog()
    assert {name: backlog.jobs for name, backlog in waiting.items()} == {"compute": 4}
    assert waiting["compute"].oldest_s == pytest.approx(3600, abs=60)
