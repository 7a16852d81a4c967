"""What the worker loops tell of their queues, and how many jobs they take."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from structlog.testing import capture_logs

from actors import loop, metrics
from actors.loop import SPARE, QueueWorker
from orthoray.queue import Backlog, Slots


class Watching(QueueWorker):
    """A worker without its loop."""

    name = "test-worker"

    def __init__(self, compute: int | None) -> None:
        self._compute = compute

    def register(self, queue: Any) -> None: ...


class Waiting:
    """A queue in which this waits."""

    def __init__(self, backlog: dict[str, Backlog], error: Exception | None = None) -> None:
        self._backlog, self._error = backlog, error

    async def backlog(self) -> dict[str, Backlog]:
        if self._error:
            raise self._error
        return self._backlog


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> dict[tuple[str, ...], float]:
    """What the gauges were set to last, by name and labels."""
    found: dict[tuple[str, ...], float] = {}
    for gauge in (metrics.JOBS_WAITING, metrics.OLDEST_JOB, metrics.RUNS_OPEN, metrics.SLOTS):
        name = gauge.info["name"]
        monkeypatch.setattr(
            gauge, "set", lambda value, tags, name=name: found.update({(name, *tags.values()): value})
        )

    async def events(_queue: object) -> Backlog:
        return Backlog(2, 0.5)

    monkeypatch.setattr(loop, "waiting_events", events)
    return found


def watch(worker: Watching, queue: Any, slots: Slots, looks: int = 1) -> None:
    async def for_a_while() -> None:
        task = asyncio.create_task(worker._watch(queue, slots))
        await asyncio.sleep(0.05 * looks)
        task.cancel()

    asyncio.run(for_a_while())


def test_slots_follow_the_cpus_of_the_cluster(
    monkeypatch: pytest.MonkeyPatch, told: dict[tuple[str, ...], float]
) -> None:
    cpus = iter([3, 40, *[8] * 99])
    monkeypatch.setattr(loop, "_cluster_cpus", lambda: next(cpus))
    monkeypatch.setattr(loop, "WATCH_S", 0.0)
    slots = Slots(SPARE)
    watch(Watching(None), Waiting({}), slots, looks=3)
    assert slots.size == 8 + SPARE
    assert told["orthoray_slots", "test-worker"] == 8 + SPARE


def test_a_number_that_is_set_stays(told: dict[tuple[str, ...], float]) -> None:
    slots = Slots(80)
    watch(Watching(80), Waiting({}), slots)
    assert slots.size == 80


def test_what_waits_is_told_and_what_does_not_wait_any_more_too(told: dict[tuple[str, ...], float]) -> None:
    watch(Watching(1), Waiting({"compute": Backlog(7, 12.5)}), Slots(1))
    assert told["orthoray_jobs_waiting", "test-worker", "compute"] == 7
    assert told["orthoray_oldest_job_seconds", "test-worker", "compute"] == 12.5
    assert told["orthoray_jobs_waiting", "test-worker", "chores"] == 0
    assert told["orthoray_jobs_waiting", "test-worker", "events"] == 2
    metrics.tell_open("analysis", {"queued": 3})
    assert told["orthoray_runs_open", "analysis", "queued"] == 3
    assert told["orthoray_runs_open", "analysis", "processing"] == 0


def test_a_look_that_fails_ends_nothing(told: dict[tuple[str, ...], float]) -> None:
    with capture_logs() as lines:
        watch(Watching(1), Waiting({}, ConnectionError("away")), Slots(1))
    assert [line["event"] for line in lines] == ["not measured"]
