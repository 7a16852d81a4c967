"""When there is no further attempt, and what that is called."""

from __future__ import annotations

from pathlib import Path

import pytest

from orthoray.attempts import (
    LOST,
    MAX_ATTEMPTS,
    MAX_OUTAGES,
    MAX_WAITS_FOR_NODES,
    Tally,
    code_of,
    given_up,
)
from orthoray.settings import Settings
from orthoray.turns import job_priority
from serve_app.config import ServiceConfig


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (Tally(0, 0), None),
        (Tally(4, MAX_OUTAGES), None),
        (Tally(5, 0), "lost 5 times"),
        (Tally(5, 99), "lost 5 times"),
        (Tally(4, 2, 2), None),
        (Tally(0, 3, MAX_WAITS_FOR_NODES), "half an hour. No node of the cluster"),
        (Tally(0, MAX_OUTAGES + 1), "because of this: The storage is away."),
    ],
)
def test_deaths_and_outages_are_counted_apart(found: Tally, words: str | None) -> None:
    reason = given_up("analysis", found, 5, "The storage is away.")
    assert (reason is None) == (words is None)
    assert (words or "") in (reason or "")


def test_each_way_of_giving_up_has_a_word_to_be_counted_by() -> None:
    found = [Tally(5, 99, 3), Tally(4, 3, 3), Tally(0, MAX_OUTAGES + 1)]
    assert [code_of(tally, 5) for tally in found] == ["process_lost", "no_node", "unavailable"]


def test_the_reason_does_not_say_the_same_twice() -> None:
    assert LOST not in (given_up("report", Tally(5, 0), 5, LOST) or "")


def test_the_setting_has_the_default_of_the_services() -> None:
    assert Settings(_env_file=None).max_attempts == MAX_ATTEMPTS
    assert ServiceConfig.max_attempts == MAX_ATTEMPTS


def test_jobs_go_by_turn_then_by_priority_and_low_ones_last() -> None:
    jobs = [("low", 0), ("normal", 1), ("high", 1), ("normal", 0), ("low", 7), ("normal", 10**8)]
    order = sorted(jobs, key=lambda job: -job_priority(*job))  # type: ignore[arg-type]  # words of Priority
    assert order == [
        *(("normal", 0), ("high", 1), ("normal", 1), ("normal", 10**8)),
        *(("low", 0), ("low", 7)),
    ]
    assert job_priority("low", 5 * 10**8) > -(2**31)


def test_statements_lie_beside_their_modules() -> None:
    """They belong to the wheel, which has whatever lies in the packages."""
    for module in ("attempts", "queue"):
        assert (Path(__file__).parents[2] / "orthoray" / f"{module}.sql").is_file()
