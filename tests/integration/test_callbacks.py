"""Callbacks as rows and jobs on a real PostgreSQL."""

from __future__ import annotations

import json
from typing import Any

import pytest
from wired import Services

from orthoray.attempts import Ending
from orthoray.callbacks import CallbackPolicy, new_secret
from orthoray.contracts import ReportRequest
from orthoray.errors import Impossible, WrongState
from orthoray.keys import report_key

pytestmark = pytest.mark.anyio

URL = "https://farm.example/hook?token=1"


@pytest.fixture(autouse=True)
def policy(services: Services) -> None:
    services.analysis._callbacks = services.report._callbacks = CallbackPolicy(new_secret())


def jobs(services: Services, service: str = "analysis") -> list[Any]:
    return [job["args"] for job in services.jobs(service, f"{service}.tell-callback")]


async def test_the_end_of_a_run_is_to_be_told_with_its_last_event(services: Services) -> None:
    run = await services.run(callback=URL)
    assert (run.callback, run.callback_status, run.callback_attempts) == (URL, "waiting", 0)
    await services.analysis.start_run(run.id)
    assert jobs(services) == []
    assert await services.analysis.start_callback(run.id) is None
    await services.complete(run.id)
    (job,) = jobs(services)
    assert (job["run_id"], job["tenant"], job["host"]) == (str(run.id), "default", "farm.example")
    order = await services.analysis.start_callback(run.id)
    assert order is not None
    assert (order.url, order.tenant, order.attempts) == (URL, "default", 1)
    assert URL not in repr(order)
    last = services.told("analysis")[-1]
    assert last["type"] == "analysis.completed"
    assert json.loads(order.body) == last
    assert order.event_id == last["id"]
    again = await services.analysis.start_callback(run.id)
    assert again is not None
    assert (again.body, again.attempts) == (order.body, 2)


async def test_how_a_delivery_stands_is_told(services: Services) -> None:
    run = await services.completed(callback=URL)
    await services.analysis.start_callback(run.id)
    await services.analysis.end_callback(run.id, "the receiver answered 503", False)
    found = await services.analysis.get("default", run.id)
    assert (found.callback_status, found.callback_attempts) == ("waiting", 1)
    assert found.callback_error == "the receiver answered 503"
    await services.analysis.start_callback(run.id)
    await services.analysis.end_callback(run.id, None, False)
    await services.analysis.end_callback(run.id, "late", True)  # an attempt thought dead
    found = await services.analysis.get("default", run.id)
    assert (found.callback_status, found.callback_attempts, found.callback_error) == ("delivered", 2, None)
    assert await services.analysis.start_callback(run.id) is None


async def test_failures_and_cancellations_are_told_too(services: Services) -> None:
    failed, cancelled, plain = [await services.run(callback=url) for url in (URL, URL, None)]
    await services.analysis.start_run(failed.id)
    await services.fail(failed.id)
    await services.analysis.delete("default", cancelled.id)
    await services.analysis.delete("default", plain.id)
    assert [job["run_id"] for job in jobs(services)] == [str(failed.id), str(cancelled.id)]
    order = await services.analysis.start_callback(cancelled.id)
    assert order is not None
    assert json.loads(order.body)["type"] == "analysis.cancelled"
    found = await services.analysis.get("default", plain.id)
    assert (found.callback, found.callback_status) == (None, None)


async def test_a_deleted_run_tells_nobody(services: Services) -> None:
    run = await services.completed(callback=URL)
    await services.analysis.delete("default", run.id)
    assert await services.analysis.start_callback(run.id) is None
    await services.analysis.end_callback(run.id, "gone", True)


async def test_what_may_not_be_called_is_refused_before_anything_is_written(services: Services) -> None:
    with pytest.raises(Impossible, match="private address"):
        await services.run(callback="http://169.254.169.254/latest/")
    services.analysis._callbacks = None
    with pytest.raises(Impossible, match="WEBHOOK_SECRET"):
        await services.run(callback=URL)
    assert services.query("analysis", "select id from analysis_runs") == []


async def test_the_end_of_a_report_is_told_to_whoever_asked_first(services: Services) -> None:
    run = await services.completed()
    plain, named, other = [
        ReportRequest(analysis_run_id=run.id, callback=url) for url in (None, URL, "https://other.example/")
    ]
    report = await services.report.create("default", plain)
    assert (report.callback, report.callback_status) == (None, None)
    for _ in range(2):
        told = await services.report.create("default", named)
        assert (told.id, told.callback, told.callback_status) == (report.id, URL, "waiting")
    with pytest.raises(WrongState, match="another URL"):
        await services.report.create("default", other)
    assert (await services.report.create("default", plain)).callback == URL
    order = await services.report.start_report(report.id)
    assert order is not None
    assert jobs(services, "report") == []
    key = report_key("default", report.id)
    services.storage.put_bytes("reports", key, b"%PDF")
    assert await services.report.complete_report(report.id, 1, "reports", key)
    (job,) = jobs(services, "report")
    assert (job["report_id"], job["tenant"], job["host"]) == (str(report.id), "default", "farm.example")
    message = await services.report.start_callback(report.id)
    assert message is not None
    assert json.loads(message.body) == services.told("report")[-1]
    assert (message.url, message.attempts) == (URL, 1)
    await services.report.end_callback(report.id, None, False)
    done = await services.report.get("default", report.id)
    assert (done.callback_status, done.callback_attempts) == ("delivered", 1)
    assert await services.report.start_callback(report.id) is None


async def test_a_report_that_ended_before_tells_nobody_and_a_failed_one_its_next_end(
    services: Services,
) -> None:
    run = await services.completed()
    request = ReportRequest(analysis_run_id=run.id, callback=URL)
    report = await services.report.create("default", request)
    await services.report.start_report(report.id)
    ending = Ending(outcome="failed", reason="No.")
    assert not await services.report.end_attempt(report.id, 1, ending)
    message = await services.report.start_callback(report.id)
    assert message is not None
    assert json.loads(message.body)["type"] == "report.failed"
    again = await services.report.create("default", ReportRequest(analysis_run_id=run.id))
    assert (again.callback, again.callback_status, again.callback_attempts) == (URL, "waiting", 0)
    assert await services.report.start_callback(report.id) is None, "the end to tell of is the next one"
    order = await services.report.start_report(report.id)
    assert order is not None
    assert await services.report.complete_report(report.id, order.attempt, "reports", "reports/a.pdf")
    message = await services.report.start_callback(report.id)
    assert message is not None
    assert json.loads(message.body)["type"] == "report.completed"

    other = await services.completed()
    done = await services.report.create("default", ReportRequest(analysis_run_id=other.id))
    await services.report.start_report(done.id)
    assert await services.report.complete_report(done.id, 1, "reports", "reports/b.pdf")
    asked = ReportRequest(analysis_run_id=other.id, callback=URL)
    late = await services.report.create("default", asked)
    assert (late.status, late.callback) == ("completed", None)


async def test_a_report_may_not_be_told_to_a_private_address(services: Services) -> None:
    run = await services.completed()
    with pytest.raises(Impossible, match="private address"):
        await services.report.create(
            "default", ReportRequest(analysis_run_id=run.id, callback="http://10.0.0.1/")
        )
    assert services.query("report", "select id from reports") == []
