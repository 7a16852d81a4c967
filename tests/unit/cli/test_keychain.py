"""`orthoray key`: what it takes, and what it shows."""

from __future__ import annotations

import io
from datetime import UTC, datetime, timedelta

import pytest
from rich.console import Console

from orthoray.errors import BadInput
from serve_app.local.keychain import read_scopes, read_span, table_of

THEN = datetime(2026, 5, 1, 12, 0, tzinfo=UTC)


def test_scopes_are_said_one_by_one_or_together() -> None:
    assert read_scopes(["reports:read", "imagery:read, analysis:run"]) == [
        "imagery:read",
        "analysis:run",
        "reports:read",
    ]


@pytest.mark.parametrize("words", [[], [""], [" , "], ["imagery"], ["imagery:read", "root"]])
def test_scopes_that_do_not_exist_are_refused_with_those_that_do(words: list[str]) -> None:
    with pytest.raises(BadInput, match=r"reports:write +ask for reports"):
        read_scopes(words)


@pytest.mark.parametrize(
    ("words", "span"),
    [
        ("90d", timedelta(days=90)),
        ("12h", timedelta(hours=12)),
        ("30m", timedelta(minutes=30)),
        ("8w", timedelta(weeks=8)),
        ("never", None),
        (None, None),
    ],
)
def test_spans(words: str | None, span: timedelta | None) -> None:
    assert read_span(words) == span


@pytest.mark.parametrize("words", ["0d", "-1d", "90", "d", "1y", "999999d", "1.5h", "90d "])
def test_other_words_are_no_span(words: str) -> None:
    with pytest.raises(BadInput, match="90d, 12h, 30m, 8w or never"):
        read_span(words)


def test_the_table_tells_what_a_key_allows_and_whether_it_still_does() -> None:
    row = {
        "prefix": "or_abcdefg",
        "name": "drone [1]",
        "tenant_id": "farm",
        "scopes": ["imagery:write"],
        "created_at": THEN,
        "expires_at": THEN,
        "last_used_at": THEN,
        "revoked_at": None,
        "is_expired": True,
    }
    fresh = {**row, "expires_at": None, "last_used_at": None, "is_expired": None}
    console = Console(width=160, record=True, file=io.StringIO())
    console.print(table_of([row, fresh, {**row, "revoked_at": THEN}]))
    lines = console.export_text().splitlines()[1:]
    assert [line.split()[-1] for line in lines if line.strip()] == ["expired", "valid", "revoked"]
    assert "or_abcdefg…" in lines[0]
    assert "drone [1]" in lines[0]
    assert lines[1].count("never") == 2
