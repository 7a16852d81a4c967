"""The ledger of batches on analysis_db: which images belong to a batch, and what was found in them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

from psycopg.rows import DictRow
from psycopg.types.json import Json, Jsonb

from actors.metrics import COMPUTE_SECONDS, FAILURES, PIXELS
from orthoray.batches import (
    BEAT_S,
    SUPERSEDED,
    Batch,
    BatchRequest,
    BatchWish,
    ItemRef,
    ItemResult,
    ItemRow,
    Listing,
)
from orthoray.contracts import Page
from orthoray.database import Connection, Pool, fetch_all, fetch_one, one, read_queries, transaction
from orthoray.errors import NotFound, WrongState
from orthoray.keys import batch_prefix
from orthoray.pages import decode_cursor, split_page
from orthoray.storage.config import StorageConfig
from orthoray.tenants import per_tenant

SQL = read_queries(Path(__file__).with_name("batches.sql"))
# Six missed signs of life: a node or this service may have been lost meanwhile, and the job goes on.
SILENCE = timedelta(seconds=6 * BEAT_S)
INTERRUPTED = "The job gives no sign of life: it may have been killed. The same command does the rest."
KIND = "batch"
"""What metrics call the images of batches."""


# What a batch's own job does with its id, which it got for its tenant.
_OF_JOBS = {
    "storage_config",
    "enlist",
    "end_listing",
    "beat",
    "waiting_items",
    "start_item",
    "complete_item",
    "fail_item",
    "batch_items",
    "close_batch",
}


@per_tenant(for_all=_OF_JOBS)
class BatchService:
    """See `orthoray.ports.BatchPort`. Every change of an item is conditional on its content and state."""

    def __init__(self, pool: Pool, storage: StorageConfig) -> None:
        self._pool = pool
        self._storage = storage

    async def storage_config(self) -> StorageConfig:
        return self._storage

    async def open_batch(self, tenant: str, request: BatchRequest, listing: Listing) -> Batch:
        values = {
            "id": listing.batch_id,
            "tenant": tenant,
            "request": Jsonb(request.model_dump(mode="json")),
            "bucket": self._storage.heatmaps,
            "prefix": batch_prefix(tenant, listing.batch_id),
            "listing": listing.id,
        }
        async with transaction(self._pool) as connection:
            await connection.execute(SQL["open_batch"], values)
        return await self.get_batch(tenant, listing.batch_id)

    async def enlist(self, listing: Listing, items: Sequence[ItemRef]) -> None:
        values = {
            **_of(listing),
            "sources": [item.source for item in items],
            "versions": [item.version for item in items],
            "names": [item.name for item in items],
        }
        async with self._held(listing) as connection:
            await connection.execute(SQL["enlist"], values)
            await connection.execute(SQL["keep_completed"], values)

    async def end_listing(self, listing: Listing) -> None:
        async with self._held(listing) as connection:
            await connection.execute(SQL["drop_others"], _of(listing))

    async def beat(self, listing: Listing) -> bool:
        async with transaction(self._pool) as connection:
            return await one(connection, SQL["hold_batch"], _of(listing)) is not None

    @asynccontextmanager
    async def _held(self, listing: Listing) -> AsyncIterator[Connection]:
        """A transaction in which no other job takes the batch over.

        Raises:
            WrongState: one has.
        """
        async with transaction(self._pool) as connection:
            if await one(connection, SQL["hold_batch"], _of(listing)) is None:
                raise WrongState(SUPERSEDED)
            yield connection

    async def waiting_items(self, batch_id: UUID) -> list[str]:
        return [
            row["source"] for row in await fetch_all(self._pool, SQL["waiting_items"], {"batch": batch_id})
        ]

    async def start_item(self, listing: Listing, item: ItemRef) -> int | None:
        row = await self._changed("start_item", listing, item, {})
        return row["attempts"] if row else None

    async def find_result(self, tenant: str, key: str) -> ItemResult | None:
        row = await fetch_one(self._pool, SQL["find_result"], {"tenant": tenant, "key": key})
        return ItemResult.model_validate(row["result"]) if row else None

    async def complete_item(self, listing: Listing, item: ItemRef, result: ItemResult) -> bool:
        found = {"key": result.key, "result": Json(result.model_dump(mode="json"))}
        if await self._changed("complete_item", listing, item, found) is None:
            return False
        if result.seconds:
            PIXELS.inc(result.pixels)
            COMPUTE_SECONDS.inc(result.seconds)
        return True

    async def fail_item(self, listing: Listing, item: ItemRef, reason: str, code: str) -> bool:
        if await self._changed("fail_item", listing, item, {"reason": reason}) is None:
            return False
        FAILURES.inc(1, {"kind": KIND, "reason": code})
        return True

    async def _changed(
        self, query: str, listing: Listing, item: ItemRef, values: dict[str, Any]
    ) -> DictRow | None:
        async with transaction(self._pool) as connection:
            return await one(
                connection,
                SQL[query],
                {**_of(listing), "source": item.source, "version": item.version, **values},
            )

    async def batch_items(self, batch_id: UUID, after: str, limit: int) -> list[ItemRow]:
        values = {"batch": batch_id, "after": after, "limit": limit}
        return [
            ItemRow.model_validate(row) for row in await fetch_all(self._pool, SQL["batch_items"], values)
        ]

    async def close_batch(self, listing: Listing, error: str | None) -> None:
        async with self._held(listing) as connection:
            await connection.execute(SQL["close_batch"], {**_of(listing), "error": error})

    async def get_batch(self, tenant: str, batch_id: UUID) -> Batch:
        values = {"tenant": tenant, "id": batch_id, "silence": SILENCE}
        row = await fetch_one(self._pool, SQL["get_batch"], values)
        if row is None:
            raise NotFound(f"There is no batch {batch_id}: GET /batches lists what there is.")
        return _batch(row)

    async def search_batches(self, tenant: str, limit: int, token: str | None) -> Page[Batch]:
        values = {"tenant": tenant, "limit": limit, "silence": SILENCE, **decode_cursor(token)}
        page, following = split_page(await fetch_all(self._pool, SQL["list_batches"], values), limit)
        return Page[Batch](items=[_batch(row) for row in page], next=following)


def _of(listing: Listing) -> dict[str, Any]:
    return {"batch": listing.batch_id, "listing": listing.id, "parameters": listing.parameters}


def _batch(row: DictRow) -> Batch:
    """A batch as people may see it."""
    shown = {**row, "request": BatchWish.model_validate(row["request"]).shown()}
    if row["status"] == "running" and row["is_silent"]:
        shown |= {"status": "interrupted", "error": INTERRUPTED}
    return Batch.model_validate(shown)
