"""The ledger of batches on analysis_db: which images belong to a batch, and what was found in them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any
from uuid import UUID

from psycopg.rows import DictRow
from psycopg.types.json import Json, Jsonb

from orthoray.batches import Batch, BatchRequest, ItemRef, ItemResult, ItemRow
from orthoray.contracts import Page
from orthoray.database import Pool, fetch_all, fetch_one, one, read_queries, transaction
from orthoray.errors import NotFound
from orthoray.keys import batch_prefix
from orthoray.pages import decode_cursor, split_page
from orthoray.storage.config import StorageConfig

SQL = read_queries(Path(__file__).with_name("batches.sql"))


class BatchService:
    """See `orthoray.ports.BatchPort`. Every change of an item is conditional on its content and state."""

    def __init__(self, pool: Pool, storage: StorageConfig) -> None:
        self._pool = pool
        self._storage = storage

    async def storage_config(self) -> StorageConfig:
        return self._storage

    async def open_batch(self, tenant: str, request: BatchRequest) -> Batch:
        batch_id, bucket = request.batch_id(tenant), self._storage.heatmaps
        prefix = batch_prefix(tenant, batch_id)
        values = {
            "id": batch_id,
            "tenant": tenant,
            "request": Jsonb(request.model_dump(mode="json")),
            "bucket": bucket,
            "prefix": prefix,
            "place": self._storage.where(bucket, prefix),
        }
        async with transaction(self._pool) as connection:
            await connection.execute(SQL["open_batch"], values)
        return await self.get_batch(tenant, batch_id)

    async def enlist(self, batch_id: UUID, listing: UUID, parameters: str, items: Sequence[ItemRef]) -> None:
        values = {
            "batch": batch_id,
            "listing": listing,
            "parameters": parameters,
            "sources": [item.source for item in items],
            "versions": [item.version for item in items],
            "names": [item.name for item in items],
        }
        async with transaction(self._pool) as connection:
            await connection.execute(SQL["enlist"], values)
            await connection.execute(SQL["keep_completed"], values)

    async def end_listing(self, batch_id: UUID, listing: UUID) -> None:
        async with transaction(self._pool) as connection:
            await connection.execute(SQL["drop_others"], {"batch": batch_id, "listing": listing})

    async def waiting_items(self, batch_id: UUID) -> list[str]:
        return [
            row["source"] for row in await fetch_all(self._pool, SQL["waiting_items"], {"batch": batch_id})
        ]

    async def start_item(self, batch_id: UUID, item: ItemRef) -> int | None:
        async with transaction(self._pool) as connection:
            row = await one(connection, SQL["start_item"], {"batch": batch_id, **item.model_dump()})
        return row["attempts"] if row else None

    async def find_result(self, tenant: str, key: str) -> ItemResult | None:
        row = await fetch_one(self._pool, SQL["find_result"], {"tenant": tenant, "key": key})
        return ItemResult.model_validate(row["result"]) if row else None

    async def complete_item(self, batch_id: UUID, item: ItemRef, result: ItemResult) -> bool:
        found = {"key": result.key, "result": Json(result.model_dump(mode="json"))}
        return await self._changed("complete_item", batch_id, item, found)

    async def fail_item(self, batch_id: UUID, item: ItemRef, reason: str) -> bool:
        return await self._changed("fail_item", batch_id, item, {"reason": reason})

    async def _changed(self, query: str, batch_id: UUID, item: ItemRef, values: dict[str, Any]) -> bool:
        async with transaction(self._pool) as connection:
            row = await one(
                connection,
                SQL[query],
                {"batch": batch_id, "source": item.source, "version": item.version, **values},
            )
        return row is not None

    async def batch_items(self, batch_id: UUID, after: str, limit: int) -> list[ItemRow]:
        values = {"batch": batch_id, "after": after, "limit": limit}
        return [
            ItemRow.model_validate(row) for row in await fetch_all(self._pool, SQL["batch_items"], values)
        ]

    async def close_batch(self, batch_id: UUID, error: str | None) -> None:
        async with transaction(self._pool) as connection:
            await connection.execute(SQL["close_batch"], {"batch": batch_id, "error": error})

    async def get_batch(self, tenant: str, batch_id: UUID) -> Batch:
        row = await fetch_one(self._pool, SQL["get_batch"], {"tenant": tenant, "id": batch_id})
        if row is None:
            raise NotFound(f"There is no batch {batch_id}: GET /batches lists what there is.")
        return _batch(row)

    async def search_batches(self, tenant: str, limit: int, token: str | None) -> Page[Batch]:
        values = {"tenant": tenant, "limit": limit, **decode_cursor(token)}
        page, following = split_page(await fetch_all(self._pool, SQL["list_batches"], values), limit)
        return Page[Batch](items=[_batch(row) for row in page], next=following)


def _batch(row: DictRow) -> Batch:
    return Batch.model_validate(row)
