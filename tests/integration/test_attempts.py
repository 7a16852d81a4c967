"""Attempts, their ends and their traces, on a real PostgreSQL."""

from __future__ import annotations

from uuid import UUID

import psycopg
import pytest
from procrastinate.jobs import Status
from wired import Services

from actors.metrics import FAILURES
from orthoray.attempts import LOST, MAX_ATTEMPTS, MAX_OUTAGES, MAX_WAITS_FOR_NODES, Ending
from orthoray.contracts import ReportRequest
from orthoray.database import one, open_pool, transaction
from orthoray.errors import NoNode, Unavailable
from orthoray.keys import heatmap_key, index_key, report_key
from orthoray.queue import Queue, _finish, _put_back
from orthoray.tasks import CLEAN_UP_RUN

pytestmark = pytest.mark.anyio

AWAY = Ending(outcome="unavailable", reason="The storage is away.")
CRASHED = Ending(outcome="lost", reason=LOST)


def put(services: Services, run_id: UUID, attempt: int) -> None:
    for key in (heatmap_key("default", run_id, attempt), index_key("default", run_id, attempt)):
        services.storage.put_bytes("heatmaps", key, b"a picture")


def kept(services: Services, bucket: str = "heatmaps") -> list[str]:
    return [info.key for info in services.storage.list(bucket)]


async def test_the_history_of_a_run_is_told(services: Services) -> None:
    run = await services.run()
    for ending in (AWAY, CRASHED):
        order = await services.analysis.start_run(run.id)
        assert order is not None
        assert await services.analysis.report_progress(run.id, order.attempt, 0.5, "node-7")
        assert await services.analysis.end_attempt(run.id, order.attempt, ending)
        assert await services.analysis.end_attempt(run.id, order.attempt, ending), "a repeated call"
        waiting = await services.analysis.get("default", run.id)
        assert (waiting.status, waiting.progress, waiting.error, waiting.last_error) == (
            "queued",
            0.0,
            None,
            ending.reason,
        )
    await services.analysis.start_run(run.id)
    assert await services.complete(run.id, attempt=3)
    done = await services.analysis.get("default", run.id)
    assert (done.status, done.attempts, done.error) == ("completed", 3, None)
    assert [(a.number, a.outcome, a.reason, a.node) for a in done.history] == [
        (1, "unavailable", AWAY.reason, "node-7"),
        (2, "lost", LOST, "node-7"),
        (3, "completed", None, None),
    ]
    assert all(a.ended_at and a.started_at <= a.ended_at for a in done.history)
    (listed,) = (await services.analysis.search("default", 5, None, None, None)).items
    assert listed.history == done.history
    assert services.events("analysis", run.id).count("analysis.completed") == 1


async def test_an_image_that_kills_its_worker_is_given_up(services: Services) -> None:
    """Nobody tells how the attempts ended: they are counted when they begin."""
    run = await services.run()
    for number in range(1, MAX_ATTEMPTS + 1):
        order = await services.analysis.start_run(run.id)
        assert order is not None
        assert order.attempt == number
    assert await services.analysis.start_run(run.id) is None
    failed = await services.analysis.get("default", run.id)
    assert failed.status == "failed"
    assert failed.error is not None
    assert f"lost {MAX_ATTEMPTS} times" in failed.error
    assert failed.attempts == MAX_ATTEMPTS
    assert {a.outcome for a in failed.history[:-1]} == {"lost"}
    assert services.events("analysis", run.id)[-1] == "analysis.failed"


async def test_an_outage_is_not_held_against_an_image(services: Services) -> None:
    run = await services.run()
    for number in range(1, MAX_OUTAGES + 1):
        assert await services.analysis.start_run(run.id) is not None
        assert await services.analysis.end_attempt(run.id, number, AWAY)
    assert await services.analysis.start_run(run.id) is not None
    assert not await services.analysis.end_attempt(run.id, MAX_OUTAGES + 1, AWAY)
    failed = await services.analysis.get("default", run.id)
    assert failed.error is not None
    assert failed.error.endswith(AWAY.reason)


async def test_a_worker_may_tell_later_that_it_was_not_the_image(services: Services) -> None:
    run = await services.run()
    for _ in range(MAX_ATTEMPTS):
        await services.analysis.start_run(run.id)
    assert await services.analysis.end_attempt(run.id, 1, AWAY), "another attempt is under way"
    assert await services.analysis.start_run(run.id) is not None
    assert not await services.complete(run.id, attempt=1)
    told = await services.analysis.get("default", run.id)
    assert told.history[0].outcome == "unavailable"


async def test_a_run_that_no_node_can_take_is_given_up_after_three_waits(services: Services) -> None:
    run = await services.run()
    ending = Ending(outcome="unavailable", reason=NoNode().detail)
    for number in range(1, MAX_WAITS_FOR_NODES + 1):
        assert await services.analysis.start_run(run.id) is not None
        again = await services.analysis.end_attempt(run.id, number, ending)
        assert again == (number < MAX_WAITS_FOR_NODES)
    failed = await services.analysis.get("default", run.id)
    assert failed.status == "failed"
    assert "No node of the cluster" in (failed.error or "")


async def test_what_was_given_up_for_its_worker_died_is_counted(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    counted: list[dict[str, str]] = []
    monkeypatch.setattr(FAILURES, "inc", lambda _count, tags: counted.append(tags))
    run, done = await services.run(), await services.completed()
    report = await services.report.create("default", ReportRequest(analysis_run_id=done.id))
    for _ in range(MAX_ATTEMPTS + 2):
        await services.analysis.start_run(run.id)
        await services.report.start_report(report.id)
    assert counted == [
        {"kind": "analysis", "reason": "process_lost"},
        {"kind": "report", "reason": "process_lost"},
    ]


async def test_a_report_knows_which_of_its_attempts_is_wanted(services: Services) -> None:
    run = await services.completed()
    report = await services.report.create("default", ReportRequest(analysis_run_id=run.id))
    assert not await services.report.is_wanted(report.id, 1)
    for number in (1, 2):
        await services.report.start_report(report.id)
        assert await services.report.is_wanted(report.id, number)
    assert not await services.report.is_wanted(report.id, 1)
    await services.report.delete("default", report.id)
    assert not await services.report.is_wanted(report.id, 2)


async def test_a_late_result_changes_nothing_of_its_successor(services: Services) -> None:
    run = await services.run()
    await services.analysis.start_run(run.id)
    await services.analysis.start_run(run.id)
    put(services, run.id, 2)
    assert not await services.analysis.report_progress(run.id, 1, 0.9)
    assert not await services.complete(run.id, attempt=1)
    assert not await services.fail(run.id, attempt=1)
    assert kept(services) == [heatmap_key("default", run.id, 2), index_key("default", run.id, 2)]
    assert await services.complete(run.id, attempt=2)
    put(services, run.id, 1)  # a write that outlasts the whole next attempt
    assert not await services.complete(run.id, attempt=1)
    done = await services.analysis.get("default", run.id)
    assert done.heatmap_key == heatmap_key("default", run.id, 2)
    put(services, run.id, 1)
    await services.analysis.clean_up("default", run.id)
    assert kept(services) == [done.heatmap_key, done.index_key]


@pytest.mark.parametrize("way", ["cancel", "imagery"])
async def test_what_a_writer_leaves_after_a_deletion_is_removed(services: Services, way: str) -> None:
    run = await services.run()
    await services.analysis.start_run(run.id)
    put(services, run.id, 1)
    await services.analysis.start_run(run.id)
    if way == "cancel":
        await services.analysis.delete("default", run.id)
    else:
        await services.imagery.delete("default", run.imagery_id)
    put(services, run.id, 1)
    put(services, run.id, 2)
    late = services.jobs("analysis", "analysis.clean-up")[-1]
    assert late["scheduled_at"] is not None
    await services.analysis.clean_up(**{**late["args"], "run_id": run.id})
    assert kept(services) == []
    assert services.events("analysis", run.id)[-1] == "analysis.cancelled"


async def test_attempts_are_forgotten_when_nobody_can_be_at_them(services: Services) -> None:
    run = await services.run()
    await services.analysis.start_run(run.id)
    await services.imagery.delete("default", run.imagery_id)
    assert services.query("analysis", "select number from attempts") != []
    services.query("analysis", "update attempts set ended_at = ended_at - interval '1 hour' returning number")
    await services.analysis.clean_up("default", run.id)
    assert services.query("analysis", "select number from attempts") == []


async def test_a_report_that_is_asked_for_again_has_all_attempts_again(services: Services) -> None:
    run = await services.completed()
    request = ReportRequest(analysis_run_id=run.id)
    report = await services.report.create("default", request)
    for _ in range(MAX_ATTEMPTS):
        assert await services.report.start_report(report.id) is not None
    assert await services.report.start_report(report.id) is None
    assert (await services.report.get("default", report.id)).status == "failed"
    again = await services.report.create("default", request)
    assert (again.status, again.attempts, again.last_error) == ("queued", 0, None)
    order = await services.report.start_report(report.id)
    assert order is not None
    assert order.attempt == MAX_ATTEMPTS + 1
    key = report_key("default", report.id, order.attempt)
    services.storage.put_bytes("reports", key, b"%PDF")
    services.storage.put_bytes("reports", report_key("default", report.id), b"%PDF late")
    assert await services.report.complete_report(report.id, order.attempt, "reports", key)
    await services.report.clean_up("default", report.id)
    assert kept(services, "reports") == [key]
    done = await services.report.get("default", report.id)
    assert [(a.number, a.outcome) for a in done.history] == [(1, "completed")]


async def test_a_worker_that_was_taken_for_dead_leaves_its_successors_job_alone(services: Services) -> None:
    await services.run()
    queue = Queue(services.dsns["analysis"])
    async with queue.app.open_async():
        manager = queue.app.job_manager
        first, second = [await manager.register_worker() for _ in range(2)]
        job = await manager.fetch_job(["compute"], first)
        assert job is not None
        assert await _put_back(queue.app, job, first)
        taken = await manager.fetch_job(["compute"], second)
        assert taken is not None
        assert taken.id == job.id
        assert not await _put_back(queue.app, job, first)
        assert not await _finish(queue.app, job, first, Status.SUCCEEDED)
        (row,) = services.jobs("analysis", "analysis.analyse")
        assert (row["status"], row["worker_id"], row["attempts"]) == ("doing", second, 1)
        assert await _finish(queue.app, job, second, Status.SUCCEEDED)
    assert services.jobs("analysis", "analysis.analyse") == []


async def test_a_cut_connection_while_a_job_is_written_is_an_outage(services: Services) -> None:
    """procrastinate gives the driver's error another name."""
    dsn = services.dsns["analysis"]

    async def write() -> None:
        async with open_pool(dsn) as pool, transaction(pool) as connection:
            row = await one(connection, "select pg_backend_pid() as pid", {})
            assert row is not None
            with psycopg.connect(dsn, autocommit=True) as other:
                other.execute("select pg_terminate_backend(%s)", [row["pid"]])
            await CLEAN_UP_RUN.defer(Queue(dsn), connection, tenant="default", run_id="x")

    with pytest.raises(Unavailable):
        await write()
