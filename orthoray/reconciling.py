"""Objects that no row knows, and rows whose objects are gone: how a service finds them in its own tables and bucket.

Objects and rows are looked at page by page, so nothing is held whole. An object is taken for an orphan only when it is named as
ours are, no row and no work in flight has to do with it, and it is older than the grace period; what is being written at this
moment is younger.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any, Protocol
from uuid import UUID

from pydantic import BaseModel

from orthoray.errors import NotFound
from orthoray.storage.base import ObjectInfo, Storage

GRACE = timedelta(hours=24)
PAGE = 500
# Orphans that one look removes at most, and lost rows that it names at most.
MOST_AT_ONCE = 10_000
# Beyond this share of the objects they may be what a database from an old backup does not know, or another installation's.
CAREFUL_SHARE = 0.1
CAREFUL_COUNT = 20


class ReconcileOrder(BaseModel):
    """What to do beside looking: with `fix`, remove orphans and make anew what can be made; but with `careful` nothing where
    orphans are suspiciously many."""

    fix: bool = False
    grace: timedelta = GRACE
    careful: bool = False


class Reconciled(BaseModel):
    """What a look has found; `orphan_bytes` in bytes. `fixed` counts orphans and lost objects together."""

    bucket: str
    objects: int = 0
    rows: int = 0
    young: int = 0
    orphans: list[str] = []
    orphan_bytes: int = 0
    lost: list[str] = []
    fixed: int = 0
    held_back: bool = False

    @property
    def open(self) -> int:
        """How much is wrong and not fixed."""
        return len(self.orphans) + len(self.lost) - self.fixed


@dataclass(frozen=True)
class Claim:
    """A row and the objects that have to be there for it; `row` is how a person finds it, `remedy` what to do without them."""

    id: UUID
    keys: tuple[str, ...]
    row: str
    remedy: str


def known_of(ids: Mapping[str, UUID], rows: Sequence[Mapping[str, Any]]) -> set[str]:
    """Those of the keys `ids`, each with the id in its name, that one of `rows` (`id`, `keys`) may want: its result, or without
    one everything."""
    wanted = {row["id"]: row["keys"] for row in rows}
    return {key for key, of in ids.items() if of in wanted and (wanted[of] is None or key in wanted[of])}


class Shelf(Protocol):
    """A service's part of a bucket."""

    bucket: str

    def is_ours(self, key: str) -> bool:
        """Whether a key looks like one that this service writes."""

    async def known(self, keys: Sequence[str]) -> set[str]:
        """Those that a row, or work in flight, has to do with."""

    async def claims(self, after: UUID | None, limit: int) -> list[Claim]:
        """What rows need, in the order of their ids."""

    async def make_anew(self, claim: Claim, key: str) -> bool:
        """Make a lost object again; False where nobody can."""


async def reconcile(shelf: Shelf, storage: Storage, order: ReconcileOrder) -> Reconciled:
    """Look at everything, and fix what the order says. Raises what the storage and the database raise."""
    found = Reconciled(bucket=shelf.bucket)
    await _find_orphans(shelf, storage, order, found)
    suspicious = len(found.orphans) > max(CAREFUL_COUNT, CAREFUL_SHARE * found.objects)
    found.held_back = order.fix and order.careful and suspicious
    if order.fix and not found.held_back:
        await _remove_orphans(shelf, storage, found)
    await _find_lost(shelf, storage, order, found)
    return found


async def _find_orphans(shelf: Shelf, storage: Storage, order: ReconcileOrder, found: Reconciled) -> None:
    oldest = datetime.now(UTC) - order.grace
    listing = await asyncio.to_thread(storage.scan, shelf.bucket)
    async for page in _pages(listing):
        ours = [info for info in page if shelf.is_ours(info.key)]
        known = await shelf.known([info.key for info in ours])
        found.objects += len(ours)
        for info in ours:
            if info.key in known or len(found.orphans) >= MOST_AT_ONCE:
                continue
            with suppress(NotFound):  # deleted in this moment
                facts = await asyncio.to_thread(storage.stat, shelf.bucket, info.key)
                if facts.modified > oldest:
                    found.young += 1
                else:
                    found.orphans.append(info.key)
                    found.orphan_bytes += info.size


async def _remove_orphans(shelf: Shelf, storage: Storage, found: Reconciled) -> None:
    for start in range(0, len(found.orphans), PAGE):
        keys = found.orphans[start : start + PAGE]
        known = await shelf.known(keys)
        for key in keys:
            if key not in known:
                await asyncio.to_thread(storage.delete, shelf.bucket, key)
            found.fixed += 1


async def _find_lost(shelf: Shelf, storage: Storage, order: ReconcileOrder, found: Reconciled) -> None:
    after: UUID | None = None
    while claims := await shelf.claims(after, PAGE):
        after = claims[-1].id
        found.rows += len(claims)
        for claim in claims:
            for key in claim.keys:
                if await asyncio.to_thread(storage.exists, shelf.bucket, key):
                    continue
                if not await _is_still(shelf, claim, key) or len(found.lost) >= MOST_AT_ONCE:
                    continue
                found.lost.append(f"{claim.row} lacks {key}: {claim.remedy}")
                if order.fix and await shelf.make_anew(claim, key):
                    found.fixed += 1


async def _is_still(shelf: Shelf, claim: Claim, key: str) -> bool:
    """Whether the row needs the object now: it may have been deleted with it since it was read."""
    page = await shelf.claims(UUID(int=claim.id.int - 1), 1)
    again = next((one for one in page if one.id == claim.id), None)
    return again is not None and key in again.keys


async def _pages(listing: Iterator[ObjectInfo]) -> AsyncIterator[list[ObjectInfo]]:
    while page := await asyncio.to_thread(lambda: list(islice(listing, PAGE))):
        yield page
