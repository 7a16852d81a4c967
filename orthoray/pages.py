"""Cursor pagination over rows ordered newest first by (created_at, id)."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from orthoray.errors import BadInput

MAX_LIMIT = 200
MAX_ROWS = 4000
"""The most rows that one call answers with, whatever it asks."""


def encode_cursor(created_at: datetime, row_id: UUID) -> str:
    return base64.urlsafe_b64encode(f"{created_at.isoformat()}|{row_id}".encode()).decode().rstrip("=")


def decode_cursor(token: str | None) -> dict[str, Any]:
    """Query parameters `before` and `before_id` for the page that a token asks for.

    Raises:
        BadInput: the token is not one of ours.
    """
    if token is None:
        return {"before": "infinity", "before_id": UUID(int=2**128 - 1)}
    try:
        text = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)).decode()
        created_at, _, row_id = text.partition("|")
        return {"before": datetime.fromisoformat(created_at), "before_id": UUID(row_id)}
    except (binascii.Error, ValueError):
        raise BadInput("`next` is not a token of an earlier page: leave it out to begin anew.") from None


def check_many(ids: Collection[UUID], limit: int = 1) -> None:
    """Of a call that asks for `limit` rows of each of several ids.

    Raises:
        BadInput: it asks for more than one answer may hold.
    """
    if len(ids) > MAX_LIMIT or len(ids) * limit > MAX_ROWS:
        raise BadInput(f"Ask for at most {MAX_LIMIT} ids and {MAX_ROWS:,} rows at a time.")


def split_page(rows: Sequence[dict[str, Any]], limit: int) -> tuple[Sequence[dict[str, Any]], str | None]:
    """Rows of a query with `limit + 1` -> those of the page, and the token of the next one, if there is one."""
    if len(rows) <= limit:
        return rows, None
    last = rows[limit - 1]
    return rows[:limit], encode_cursor(last["created_at"], last["id"])


def split_pages(
    rows: Sequence[dict[str, Any]], column: str, parents: Iterable[UUID], limit: int
) -> dict[UUID, tuple[Sequence[dict[str, Any]], str | None]]:
    """As `split_page`, of a query that gave up to `limit + 1` rows for each of several parents, whose id is in `column`."""
    found: dict[UUID, list[dict[str, Any]]] = {parent: [] for parent in parents}
    for row in rows:
        found[row[column]].append(row)
    return {parent: split_page(own, limit) for parent, own in found.items()}
