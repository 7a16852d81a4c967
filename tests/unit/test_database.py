from __future__ import annotations

from importlib.metadata import version
from pathlib import Path

import pytest

from orthoray.database import read_queries


def test_queries_stand_below_their_names(tmp_path: Path) -> None:
    file = tmp_path / "queries.sql"
    file.write_text("-- name: first\nselect 1\n\n-- name: second\n-- a word\nselect 2\n")
    assert read_queries(file) == {"first": "select 1", "second": "-- a word\nselect 2"}


@pytest.mark.parametrize("service", ["imagery", "analysis", "report"])
def test_every_service_has_queries_and_migrations(service: str) -> None:
    folder = Path(__file__).parents[2] / "serve_app" / service
    assert read_queries(folder / "queries.sql")
    assert sorted(path.name[:4] for path in (folder / "migrations").glob("*.sql"))[0] == "0001"


def test_the_queue_is_of_the_version_whose_schema_the_databases_have() -> None:
    """Databases get procrastinate's schema once: whoever raises its version adds its migrations as steps of ours."""
    assert version("procrastinate") == "3.10.0"
