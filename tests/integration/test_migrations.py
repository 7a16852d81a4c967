"""Schemas on a real PostgreSQL."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import psycopg
import pytest
from psycopg.types.json import Json

from orthoray.database import _MIGRATION_LOCK, ALL_ROWS, migrate
from orthoray.errors import ConfigurationError
from orthoray.events import cloud_event
from orthoray.settings import SERVICES
from serve_app.local.postgres import EmbeddedPostgres

SERVE_APP = Path(__file__).parents[2] / "serve_app"
STEPS = {service: SERVE_APP / service / "migrations" for service in SERVICES}


def superuser(postgres: EmbeddedPostgres) -> psycopg.Connection[Any]:
    """To make databases with; the services' roles may not."""
    from serve_app.local.postgres import _connect, load

    port, passwords = load(postgres._port_file)["port"], load(postgres._passwords_file)
    return _connect(port, passwords["postgres"])


@pytest.fixture
def empty(postgres: EmbeddedPostgres) -> Iterator[str]:
    """An empty database that belongs to the analysis role."""
    with superuser(postgres) as connection:
        connection.execute("create database empty_db owner analysis")
    yield postgres.dsn("analysis").replace("/analysis_db", "/empty_db")
    with superuser(postgres) as connection:
        connection.execute("drop database empty_db with (force)")


@pytest.mark.parametrize("service", SERVICES)
def test_every_step_is_applied_once(empty: str, service: str) -> None:
    expected = ["0000_queue", *sorted(path.stem for path in STEPS[service].glob("*.sql"))]
    assert migrate(empty, STEPS[service]) == expected
    assert migrate(empty, STEPS[service]) == []


def test_two_at_once_apply_every_step_once(empty: str) -> None:
    applied: list[list[str]] = []
    start = threading.Barrier(2)

    def work() -> None:
        start.wait()
        applied.append(migrate(empty, STEPS["imagery"]))

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(map(len, applied)) == [0, 1 + len(list(STEPS["imagery"].glob("*.sql")))]


@pytest.mark.parametrize("statement", ["select pg_advisory_lock(%s)", "lock table jobs -- %s"])
def test_a_lock_that_is_not_given_back_is_told(empty: str, tmp_path: Path, statement: str) -> None:
    (tmp_path / "0001_jobs.sql").write_text("create table jobs (id integer)")
    migrate(empty, tmp_path)
    (tmp_path / "0002_more.sql").write_text("alter table jobs add column name text")
    with psycopg.connect(empty) as other:
        other.execute(statement.replace("%s", str(_MIGRATION_LOCK)))  # type: ignore[arg-type]  # one of ours
        with pytest.raises(ConfigurationError, match="pg_stat_activity"):
            migrate(empty, tmp_path, lock_timeout_s=0.3)
    assert migrate(empty, tmp_path) == ["0002_more"]


def test_a_newer_database_is_left_alone(empty: str) -> None:
    migrate(empty, STEPS["report"])
    with psycopg.connect(empty) as connection:
        connection.execute("insert into schema_migrations (name) values ('9999_future')")
    with pytest.raises(ConfigurationError, match=r"newer OrthoRay.*9999_future"):
        migrate(empty, STEPS["report"])


def test_a_step_that_fails_leaves_nothing_and_the_steps_before_it_stay(empty: str, tmp_path: Path) -> None:
    (tmp_path / "0001_good.sql").write_text("create table good (id integer)")
    broken = tmp_path / "0002_broken.sql"
    broken.write_text("create table half (id integer); select no_such_function()")
    with pytest.raises(psycopg.errors.UndefinedFunction):
        migrate(empty, tmp_path)
    broken.write_text("create table whole (id integer)")
    assert migrate(empty, tmp_path) == ["0002_broken"]
    with psycopg.connect(empty) as connection:
        tables = connection.execute("select to_regclass('good'), to_regclass('half'), to_regclass('whole')")
        assert cast(tuple[Any, ...], tables.fetchone()) == ("good", None, "whole")


def test_a_database_that_is_not_there_is_one_line(empty: str) -> None:
    with pytest.raises(ConfigurationError, match="cannot be reached") as caught:
        migrate(empty.replace("/empty_db", "/no_such_db"), STEPS["report"])
    assert "\n" not in caught.value.detail


def first_steps(service: str, count: int, folder: Path) -> Path:
    """A folder with the first migrations of a service alone."""
    for path in sorted(STEPS[service].glob("*.sql"))[:count]:
        shutil.copy(path, folder)
    return folder


def test_runs_of_the_first_version_keep_their_thresholds(empty: str, tmp_path: Path) -> None:
    migrate(empty, first_steps("analysis", 1, tmp_path))
    with psycopg.connect(empty, options=ALL_ROWS) as connection:
        for cuts in ([0.6, 0.4, 0.2], None):
            connection.execute(
                "insert into analysis_runs (id, imagery_id, index_type, auto_report, language, thresholds, imagery_bucket,"
                " imagery_object_key, imagery)"
                " values (gen_random_uuid(), gen_random_uuid(), 'NDVI', false, 'ru', %s, 'b', 'k', '{}')",
                [cuts],
            )
    assert migrate(empty, STEPS["analysis"])[0] == "0002_options"
    with psycopg.connect(empty, options=ALL_ROWS) as connection:
        rows = connection.execute(
            "select thresholds, options, warnings from analysis_runs order by created_at"
        ).fetchall()
    assert rows == [([0.6, 0.4, 0.2], {}, []), (None, {}, [])]


@pytest.mark.parametrize("service", SERVICES)
def test_events_that_waited_as_jobs_wait_in_the_outbox(empty: str, service: str, tmp_path: Path) -> None:
    (step,) = STEPS[service].glob("*_outbox.sql")
    for earlier in STEPS[service].glob("*.sql"):
        if earlier != step:
            shutil.copy(earlier, tmp_path)
    migrate(empty, tmp_path)
    events = [cloud_event(service, "tested", "a", {"n": n}, "default", occasion=n) for n in range(3)]
    with psycopg.connect(empty) as connection:
        for event in events:
            connection.execute(
                "insert into procrastinate_jobs (queue_name, task_name, lock, args)"
                " values ('events', 'events.publish', 'a', %s)",
                [Json({"event": event})],
            )
    assert migrate(empty, STEPS[service]) == [step.stem]
    with psycopg.connect(empty) as connection:
        rows = connection.execute("select id::text, type, subject, event from outbox order by position")
        assert rows.fetchall() == [(event["id"], event["type"], event["subject"], event) for event in events]
        assert connection.execute("select count(*) from procrastinate_jobs").fetchall() == [(0,)]
