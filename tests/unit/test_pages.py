"""Cursors of listings."""

from __future__ import annotations

import base64
from datetime import UTC, datetime
from uuid import UUID, uuid4

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orthoray.errors import BadInput
from orthoray.pages import (
    MAX_LIMIT,
    MAX_ROWS,
    check_many,
    decode_cursor,
    encode_cursor,
    split_page,
    split_pages,
)


@settings(max_examples=30)
@given(st.datetimes(timezones=st.just(UTC)), st.uuids())
def test_a_cursor_comes_back_as_it_was(moment: datetime, row_id: UUID) -> None:
    token = encode_cursor(moment, row_id)
    assert token.isascii()
    assert not set(token) & set("=&?+/ ")
    found = decode_cursor(token)
    assert found["before"] == moment
    assert found["before_id"] == row_id


def test_without_a_token_everything_comes_after() -> None:
    assert decode_cursor(None) == {"before": "infinity", "before_id": UUID("f" * 32)}


@pytest.mark.parametrize(
    "token",
    ["", "x", "é", "....", "=", base64.b64encode(b"2026-01-01|x").decode(), base64.b64encode(b"\xff\xfe|x").decode(),
     base64.b64encode(b"soon|9f0d3c0e-3c55-4a2c-8f0a-7d2f1f0c9a11").decode(), base64.b64encode(b"|").decode()],
)  # fmt: skip
def test_what_is_no_token_is_refused(token: str) -> None:
    with pytest.raises(BadInput, match="next"):
        decode_cursor(token)


@settings(max_examples=100)
@given(st.datetimes(timezones=st.just(UTC)), st.uuids(), st.integers(0, 42), st.characters(codec="ascii"))
def test_a_token_that_was_changed_is_refused(moment: datetime, row_id: UUID, at: int, other: str) -> None:
    token = encode_cursor(moment, row_id)
    changed = token[:at] + other + token[at + 1 :]
    if changed != token:
        with pytest.raises(BadInput, match="changed on the way"):
            decode_cursor(changed)
    for cut in (token[:-1], token[1:], token + "A", token + "=", token + token):
        with pytest.raises(BadInput):
            decode_cursor(cut)


def test_the_shape_that_tokens_had_before_is_refused() -> None:
    before = base64.urlsafe_b64encode(f"2026-01-01T00:00:00+00:00|{UUID(int=7)}".encode()).decode()
    with pytest.raises(BadInput):
        decode_cursor(before.rstrip("="))


@settings(max_examples=30)
@given(st.text(max_size=80))
def test_any_text_is_a_token_or_refused(token: str) -> None:
    try:
        decode_cursor(token)
    except BadInput:
        return


@pytest.mark.parametrize(
    ("count", "shown", "more"), [(0, 0, False), (2, 2, False), (3, 3, False), (4, 3, True)]
)
def test_one_row_more_than_the_page_makes_a_next_one(count: int, shown: int, more: bool) -> None:
    rows = [{"created_at": datetime(2026, 1, 9 - n, tzinfo=UTC), "id": uuid4()} for n in range(count)]
    page, token = split_page(rows, 3)
    assert list(page) == rows[:shown]
    assert (token is not None) == more
    if token:
        assert decode_cursor(token)["before_id"] == rows[shown - 1]["id"]


def test_rows_of_several_parents_make_a_page_of_each() -> None:
    full, short, empty = uuid4(), uuid4(), uuid4()
    rows = [
        {"created_at": datetime(2026, 1, 9 - n, tzinfo=UTC), "id": uuid4(), "of": parent}
        for n, parent in enumerate([full, short, full, full])
    ]
    pages = split_pages(rows, "of", [full, short, empty], 2)
    assert {parent: list(page) for parent, (page, _) in pages.items()} == {
        full: [rows[0], rows[2]],
        short: [rows[1]],
        empty: [],
    }
    assert decode_cursor(pages[full][1])["before_id"] == rows[2]["id"]
    assert (pages[short][1], pages[empty][1]) == (None, None)


def test_one_call_asks_for_so_many_rows_at_most() -> None:
    check_many([])
    check_many([uuid4()] * MAX_LIMIT, MAX_ROWS // MAX_LIMIT)
    for count, limit in ((MAX_LIMIT + 1, 1), (MAX_LIMIT, MAX_ROWS // MAX_LIMIT + 1)):
        with pytest.raises(BadInput, match="at a time"):
            check_many([uuid4()] * count, limit)
