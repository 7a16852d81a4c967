"""How long jobs wait before they are tried again, and when a worker stops."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from procrastinate.exceptions import ConnectorException
from procrastinate.jobs import Job
from procrastinate.testing import InMemoryConnector
from procrastinate.utils import utcnow

from orthoray.queue import RETRY, RETRY_SOON, Pace, Queue, Retry


def waits(retry: Retry, attempts: list[int]) -> list[int]:
    found = []
    for number in attempts:
        job = Job(id=1, queue="chores", lock=None, queueing_lock=None, task_name="a", attempts=number)
        at = retry.get_retry_decision(exception=asyncio.CancelledError(), job=job).retry_at
        assert at is not None
        found.append(round((at - utcnow()).total_seconds()))
    return found


def test_waits_grow_up_to_an_end() -> None:
    assert waits(RETRY, [0, 1, 2, 19, 20, 10**6]) == [1, 4, 7, 58, 60, 60]
    assert waits(RETRY_SOON, [0, 1, 2, 10**6]) == [1, 4, 5, 5]


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
                await queue.work("chores", 1)

    with pytest.raises(RuntimeError, match="queue chores stopped"):
        asyncio.run(work())
