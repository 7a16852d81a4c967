"""Callbacks as rows and jobs on a real PostgreSQL."""

from __future__ import annotations

import json
from typing import Any

import pytest
from wired import Services

from orthoray.callbacks import CallbackPolicy, new_secret
from orthoray.errors import Impossible

pytestmark = pytest.mark.anyio

URL = "https://farm.example/hook?token=1"


@pytest.fixture(autouse=True)
def policy(services: Services) -> None:
    services.analysis._callbacks = CallbackPolicy(new_secret())


def jobs(services: Services) -> list[Any]:
    return [job["args"] for job in services.jobs("analysis", "analysis.tell-callback")]


async def test_the_end_of_a_run_is_to_be_told_with_its_last_event(services: Services) -> None:
    run = await services.run(callback=URL)
    assert (run.callback, run.callback_status, run.callback_attempts) == (URL, "waiting", 0)
    await services.analysis.start_run(run.id)
    assert jobs(services) == []
    assert await services.analysis.start_callback(run.id) is None
    await services.complete(run.id)
    assert [job["run_id"] for job in jobs(services)] == [str(run.id)]
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
