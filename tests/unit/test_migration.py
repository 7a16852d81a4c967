"""Waiting for databases, without any."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from orthoray.errors import ConfigurationError
from orthoray.settings import Settings
from serve_app.migration import external_dsns, wait_for_databases

DSNS = {"imagery": "i", "analysis": "a", "report": "r"}


def away(times: dict[str, int]) -> Callable[[str], str | None]:
    """A database that answers from the given number of questions on."""
    asked = dict.fromkeys(DSNS.values(), 0)

    def trouble(dsn: str) -> str | None:
        asked[dsn] += 1
        return f"{dsn} is away" if asked[dsn] <= times.get(dsn, 0) else None

    return trouble


def test_databases_that_answer_are_not_waited_for() -> None:
    told: list[str] = []
    wait_for_databases(DSNS, 0, told.append, trouble=away({}), pause_s=0)
    assert told == []


def test_it_waits_until_the_last_one_answers_and_says_so_once() -> None:
    told: list[str] = []
    wait_for_databases(DSNS, 5, told.append, trouble=away({"a": 3, "r": 1}), pause_s=0)
    assert told == ["Waiting for analysis_db, report_db ..."]


def test_patience_ends_with_the_names_and_a_remedy() -> None:
    with pytest.raises(ConfigurationError) as caught:
        wait_for_databases(DSNS, 0.01, lambda _: None, trouble=away({"a": 10**9, "r": 10**9}), pause_s=0.005)
    assert caught.value.detail.startswith("analysis_db, report_db: no connection within 0.01 s (a is away).")
    assert "ANALYSIS_DB_HOST" in caught.value.detail


def test_without_patience_each_is_asked_once() -> None:
    with pytest.raises(ConfigurationError, match=r"report_db: no connection \(r is away\)"):
        wait_for_databases(DSNS, 0, lambda _: None, trouble=away({"r": 1}))


def test_the_built_in_server_is_not_its_business(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="orthoray up"):
        external_dsns(Settings(_env_file=None, orthoray_home=tmp_path))
