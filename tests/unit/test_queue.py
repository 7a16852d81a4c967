"""How long jobs wait before they are tried again, and when a worker stops."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import pytest
import structlog
from procrastinate.exceptions import ConnectorException
from procrastinate.jobs import Job
from procrastinate.testing import InMemoryConnector
from procrastinate.utils import utcnow
from procrastinate.worker import Worker
from structlog.testing import capture_logs

from orthoray.queue import (
    RETRY,
    RETRY_COMPUTE,
    RETRY_SOON,
    Pace,
    Queue,
    Retry,
    Slots,
    _in_its_context,
    _Worker,
)
from orthoray.tasks import CLEAN_UP_RUN
from orthoray.telemetry import step


def waits(retry: Retry, attempts: list[int]) -> list[float]:
    found = []
    for number in attempts:
        job = Job(id=1, queue="chores", lock=None, queueing_lock=None, task_name="a", attempts=number)
        at = retry.get_retry_decision(exception=asyncio.CancelledError(), job=job).retry_at
        assert at is not None
        found.append((at - utcnow()).total_seconds())
    return found


def test_waits_grow_up_to_an_end() -> None:
    for retry, meant in ((RETRY, [2, 4, 8, 16, 32, 60, 60]), (RETRY_SOON, [2, 4, 5, 5, 5, 5, 5])):
        for wait, middle in zip(waits(retry, [*range(6), 10**6]), meant, strict=True):
            assert 0.75 * middle - 1.5 <= wait <= 1.25 * middle
    job = Job(id=1, queue="compute", lock=None, queueing_lock=None, task_name="a", priority=-7, attempts=3)
    priorities = [
        retry.get_retry_decision(exception=Exception(), job=job).priority for retry in (RETRY, RETRY_COMPUTE)
    ]
    assert priorities == [None, -27], "what computes steps back"
    assert len({round(wait) for wait in waits(RETRY, [5] * 50)}) > 5, "not all at once"


def test_a_worker_gives_up_before_others_take_it_for_dead() -> None:
    pace = Pace()
    assert pace.heartbeat + pace.patience < pace.stalled_after


class Unreachable(InMemoryConnector):
    """A database that one statement does not reach."""

    def __init__(self, statement: str) -> None:
        super().__init__()
        self._statement = statement

    async def execute_query_async(self, query: str, **arguments: Any) -> None:
        if self._statement in query:
            raise ConnectorException
        await super().execute_query_async(query, **arguments)

    async def listen_notify(self, *_: Any, **__: Any) -> None:
        await asyncio.Event().wait()


@pytest.mark.parametrize("statement", ["update_heartbeat", "finish_job"])
def test_a_worker_stops_when_its_signs_of_life_or_its_results_are_lost(statement: str) -> None:
    async def work() -> None:
        queue = Queue("postgresql://", Pace(heartbeat=0.05))
        app = queue.app.with_connector(Unreachable(statement))
        queue.app = app

        @app.task(name="test", queue="chores")
        async def nothing() -> None:
            pass

        async with app.open_async():
            await nothing.defer_async()
            async with asyncio.timeout(5):
                await queue.work("chores", Slots(1))

    with pytest.raises(RuntimeError, match="queue chores stopped"):
        asyncio.run(work())


def test_a_job_takes_part_in_the_trace_that_it_was_written_in(spans: Any) -> None:
    """Also when it is tried again; and its log lines tell which request and run they are about."""
    connector = InMemoryConnector()
    queue = Queue("postgresql://")
    queue.app = queue.app.with_connector(connector)
    seen: list[dict[str, Any]] = []
    written: dict[str, Any] = {}

    async def work() -> None:
        @queue.app.task(name=CLEAN_UP_RUN.name, queue=CLEAN_UP_RUN.queue)
        async def clean_up(tenant: str, run_id: str) -> None:
            seen.append(structlog.contextvars.get_contextvars())
            if len(seen) == 1:
                raise ValueError("/secret/path")

        async with queue.app.open_async():
            with step("request", {"request_id": "r1"}, root=True):
                await CLEAN_UP_RUN.defer(queue, cast(Any, None), tenant="default", run_id="7")
            written.update(connector.jobs[1]["args"])
            for _ in range(2):
                worker = _Worker(
                    queue.app, Slots(1), wait=False, listen_notify=False, worker_middleware=[_in_its_context]
                )
                worker.install_signal_handlers = False
                await Worker.run(worker)  # type: ignore[no-untyped-call]  # procrastinate gives it no types
                connector.jobs[1] |= {"status": "todo", "args": {**written}}

    with capture_logs() as lines:
        asyncio.run(work())
    assert seen == [{"request_id": "r1", "run_id": "7"}] * 2
    request, job = spans()["request"], spans()["analysis.clean-up"]
    assert job.parent.span_id == request.context.span_id
    assert job.attributes["orthoray.run_id"] == "7"
    (line,) = lines
    assert (line["event"], line["attempt"], line["error"]) == ("job failed", 1, "ValueError")


def test_slots_follow_the_size_that_they_are_given() -> None:
    async def use() -> list[int]:
        slots, started, running = Slots(1), [], set()

        async def worker() -> None:
            while True:
                await slots.acquire()
                running.add(len(started))
                started.append(len(running))

        task = asyncio.create_task(worker())
        counts = []
        for size in (1, 3, 2):
            slots.resize(size)
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            counts.append(len(started))
        slots.release()  # three under way, of two: none may follow
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        counts.append(len(started))
        slots.release()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        counts.append(len(started))
        task.cancel()
        return counts

    assert asyncio.run(use()) == [1, 3, 3, 3, 4]
