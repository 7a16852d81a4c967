"""deploy/postgres/init.sql on a real PostgreSQL: what the roles may do, and that the dashboard's questions are answered."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, cast

import psycopg
import psycopg.conninfo
import pytest

from orthoray.database import migrate
from serve_app.local.binaries import installed_binaries
from serve_app.local.postgres import EmbeddedPostgres

ROOT = Path(__file__).parents[2]
DASHBOARD = json.loads((ROOT / "deploy/grafana/dashboards/orthoray.json").read_text(encoding="utf-8"))
TARGETS = [
    pytest.param(target["datasource"]["uid"], target["rawSql"], id=f"{panel['title']} {target['refId']}")
    for panel in DASHBOARD["panels"]
    for target in panel["targets"]
    if "rawSql" in target  # the others ask Prometheus
]
# What Grafana makes of its macros, for one fixed span of time.
MACROS = {
    "$__timeFilter(completed_at)": "completed_at between now() - interval '1 hour' and now()",
    "$__timeGroupAlias(completed_at, '1m')": "date_trunc('minute', completed_at) as time",
    "$__timeGroupAlias(completed_at, '5m')": "date_bin('5 minutes', completed_at, '2000-01-01') as time",
}


def dsn(server: EmbeddedPostgres, database: str, user: str, password: str) -> str:
    return psycopg.conninfo.make_conninfo(
        server.dsn("analysis"), dbname=database, user=user, password=password
    )


def superuser_password(server: EmbeddedPostgres) -> str:
    from serve_app.local.postgres import load

    return cast(str, load(server._passwords_file)["postgres"])


@pytest.fixture(scope="module")
def made(postgres: EmbeddedPostgres) -> Iterator[Mapping[str, str]]:
    """The watcher's connection strings, by service; in compose each of these databases is in an instance of its own."""
    psql = next(found.folder / "psql" for found in installed_binaries() if (found.folder / "psql").exists())
    parts = psycopg.conninfo.conninfo_to_dict(postgres.dsn("analysis"))
    admin = dsn(postgres, "postgres", "postgres", superuser_password(postgres))
    found = {}
    try:
        for service in ("analysis", "report"):
            subprocess.run(
                [psql, "--no-psqlrc", "--set=ON_ERROR_STOP=1", f"--file={ROOT / 'deploy/postgres/init.sql'}"],
                env={
                    "PGHOST": str(parts["host"]),
                    "PGPORT": str(parts["port"]),
                    "PGUSER": "postgres",
                    "PGDATABASE": "postgres",
                    "PGPASSWORD": superuser_password(postgres),
                    "SERVICE_ROLE": f"deployed_{service}",
                    "SERVICE_DATABASE": f"deployed_{service}_db",
                    "SERVICE_PASSWORD": 'it\'s; a "hard" one',
                    "WATCHER_PASSWORD": "w",
                },
                check=True,
                capture_output=True,
            )
            owner = dsn(postgres, f"deployed_{service}_db", f"deployed_{service}", 'it\'s; a "hard" one')
            migrate(owner, ROOT / "serve_app" / service / "migrations")
            found[f"{service}_db"] = dsn(postgres, f"deployed_{service}_db", "watcher", "w")
            with psycopg.connect(admin, autocommit=True) as connection:
                connection.execute(f"alter role watcher rename to watcher_{service}")  # type: ignore[arg-type]  # our own word
                connection.execute(f"alter role watcher_{service} password 'w'")  # type: ignore[arg-type]  # the same
            found[f"{service}_db"] = dsn(postgres, f"deployed_{service}_db", f"watcher_{service}", "w")
        yield found
    finally:
        with psycopg.connect(admin, autocommit=True) as connection:
            for service in ("analysis", "report"):
                statements: list[Any] = [
                    f"drop database if exists deployed_{service}_db with (force)",
                    f"drop role if exists deployed_{service}",
                    f"drop role if exists watcher_{service}",
                ]
                for statement in [*statements, "drop role if exists watcher"]:
                    connection.execute(statement)


@pytest.mark.parametrize(("source", "sql"), TARGETS)
def test_every_question_of_the_dashboard_is_answered(made: Mapping[str, str], source: str, sql: str) -> None:
    for macro, meaning in MACROS.items():
        sql = sql.replace(macro, meaning)
    assert "$__" not in sql
    with psycopg.connect(made[source]) as connection:
        answer = connection.execute(cast(Any, sql))
        assert answer.description


def test_the_watcher_reads_and_nothing_else(made: Mapping[str, str]) -> None:
    with (
        psycopg.connect(made["analysis_db"]) as connection,
        pytest.raises(psycopg.errors.ReadOnlySqlTransaction),
    ):
        connection.execute("delete from analysis_runs")
    with psycopg.connect(made["analysis_db"]) as connection:
        connection.execute("set transaction read write")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("delete from analysis_runs")


def test_no_role_reaches_the_other_database(made: Mapping[str, str]) -> None:
    parts = psycopg.conninfo.conninfo_to_dict(made["analysis_db"])
    with pytest.raises(psycopg.OperationalError, match="permission denied for database"):
        psycopg.connect(**{**parts, "dbname": "deployed_report_db"})
