"""`orthoray migrate` on a real PostgreSQL."""

from __future__ import annotations

import hashlib
import stat
from collections.abc import Mapping
from pathlib import Path

import psycopg
import psycopg.conninfo
import pytest
from typer.testing import CliRunner

from orthoray.database import ALL_ROWS
from orthoray.errors import ConfigurationError
from orthoray.settings import SERVICES
from serve_app.cli import app
from serve_app.local.postgres import EmbeddedPostgres


@pytest.fixture
def environment(
    postgres: EmbeddedPostgres, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Mapping[str, str]:
    """The settings of a cluster whose databases are those of the tests' server."""
    values = {"ORTHORAY_HOME": str(tmp_path / "home")}
    for service in SERVICES:
        parts = psycopg.conninfo.conninfo_to_dict(postgres.dsn(service))
        names = {"HOST": "host", "PORT": "port", "NAME": "dbname", "USER": "user", "PASSWORD": "password"}
        values |= {f"{service.upper()}_DB_{name}": str(parts[part]) for name, part in names.items()}
    for name, value in values.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)
    return values


def test_it_may_be_repeated_and_keeps_the_key(
    environment: Mapping[str, str], postgres: EmbeddedPostgres
) -> None:
    path = Path(environment["ORTHORAY_HOME"]) / "api-key"
    keys = set()
    for _ in range(2):
        result = CliRunner().invoke(app, ["migrate", "--wait", "10", "--first-key"], catch_exceptions=False)
        assert result.exit_code == 0
        keys.add(path.read_text().strip())
    assert len(keys) == 1
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with psycopg.connect(postgres.dsn("imagery"), options=ALL_ROWS) as connection:
        digest = hashlib.sha256(keys.pop().encode()).hexdigest()
        rows = connection.execute("select * from api_keys").fetchall()
    assert any(digest in map(str, row) or bytes.fromhex(digest) in row for row in rows)
    for service in SERVICES:
        with psycopg.connect(postgres.dsn(service)) as connection:
            assert connection.execute("select count(*) from schema_migrations").fetchone() != (0,)


def test_without_the_option_no_key_is_made(environment: Mapping[str, str]) -> None:
    assert CliRunner().invoke(app, ["migrate"], catch_exceptions=False).exit_code == 0
    assert not Path(environment["ORTHORAY_HOME"]).exists()


def test_a_server_that_does_not_come_is_named(
    environment: Mapping[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REPORT_DB_PORT", "1")
    result = CliRunner().invoke(app, ["migrate", "--wait", "1.5"])
    assert isinstance(result.exception, ConfigurationError)
    assert result.exception.detail.startswith("report_db: no connection within 1.5 s")
