"""Cursor pagination over rows ordered newest first by (created_at, id)."""

from __future__ import annotations

import base64
import binascii
import hashlib
import struct
from collections.abc import Collection, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from orthoray.errors import BadInput

MAX_LIMIT = 200
MAX_ROWS = 4000
"""The most rows that one call answers with, whatever it asks."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_PLACE_BYTES = 24


def encode_cursor(created_at: datetime, row_id: UUID) -> str:
    """A token that means nothing to clients, and that shows when somebody has changed it.

    It is not secret and opens nothing: whose rows a page has is decided by the credentials.
    """
    since = created_at.astimezone(UTC) - _EPOCH
    place = struct.pack(">q16s", since // _MICROSECOND, row_id.bytes)
    return base64.urlsafe_b64encode(place + _check_of(place)).decode().rstrip("=")


def decode_cursor(token: str | None) -> dict[str, Any]:
    """Query parameters `before` and `before_id` for the page that a token asks for.

    Raises:
        BadInput: the token is not one of ours, or was changed.
    """
    if token is None:
        return {"before": "infinity", "before_id": UUID(int=2**128 - 1)}
    try:
        found = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
        place, check = found[:_PLACE_BYTES], found[_PLACE_BYTES:]
        since, row_id = struct.unpack(">q16s", place)
        moment = _EPOCH + since * _MICROSECOND
    except (binascii.Error, ValueError, struct.error, OverflowError):
        raise _strange() from None
    # The last character has bits that no byte needs: there is one spelling only.
    if check != _check_of(place) or encode_cursor(moment, UUID(bytes=row_id)) != token:
        raise _strange()
    return {"before": moment, "before_id": UUID(bytes=row_id)}


def _check_of(place: bytes) -> bytes:
    return hashlib.blake2b(place, digest_size=8, person=b"orthoray.next").digest()


def _strange() -> BadInput:
    return BadInput(
        "`next` is not a token of an earlier page, or was changed on the way: leave it out to begin anew."
    )


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
