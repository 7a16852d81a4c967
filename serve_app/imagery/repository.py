"""The rows of imagery_db."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

from psycopg.rows import DictRow
from psycopg.types.json import Jsonb

from orthoray.contracts import Imagery, Page
from orthoray.database import Connection, Pool, fetch_all, fetch_one, one, read_queries, transaction
from orthoray.item_rows import extents, matching
from orthoray.items import Extent, ItemQuery
from orthoray.pages import decode_cursor, split_page
from orthoray.ports import ImageryQuery, Write

SQL = read_queries(Path(__file__).with_name("queries.sql"))
SHOWN_CHARACTERS = 10
_JSON_COLUMNS = (
    "assets", "bands", "calibration", "nodata", "crs", "transform", "footprint", "gps", "camera",
)  # fmt: skip


class ImageryRepository:
    """Every query names the tenant."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def insert(self, connection: Connection, tenant: str, record: dict[str, Any]) -> Imagery | None:
        """None when the id is there already."""
        values = {**record, "tenant_id": tenant}
        for column in _JSON_COLUMNS:
            values[column] = None if values[column] is None else Jsonb(values[column])
        row = await (await connection.execute(SQL["insert_imagery"], values)).fetchone()
        return _imagery(row) if row else None

    async def get(self, tenant: str, imagery_id: UUID) -> Imagery | None:
        row = await fetch_one(self._pool, SQL["get_imagery"], {"tenant": tenant, "id": imagery_id})
        return _imagery(row) if row else None

    async def get_many(self, tenant: str, imagery_ids: Sequence[UUID]) -> list[Imagery]:
        values = {"tenant": tenant, "ids": list(imagery_ids)}
        return [_imagery(row) for row in await fetch_all(self._pool, SQL["get_many_imagery"], values)]

    async def get_in(self, connection: Connection, tenant: str, imagery_id: UUID) -> Imagery | None:
        """The same in the caller's transaction."""
        row = await one(connection, SQL["get_imagery"], {"tenant": tenant, "id": imagery_id})
        return _imagery(row) if row else None

    async def search(self, tenant: str, query: ImageryQuery) -> Page[Imagery]:
        west, south, east, north = query.bbox or (None, None, None, None)
        rows = await fetch_all(
            self._pool,
            SQL["list_imagery"],
            {
                "tenant": tenant,
                "limit": query.limit,
                "captured_after": query.captured_after,
                "captured_before": query.captured_before,
                "west": west,
                "south": south,
                "east": east,
                "north": north,
                **decode_cursor(query.next),
            },
        )
        page, following = split_page(rows, query.limit)
        return Page[Imagery](items=[_imagery(row) for row in page], next=following)

    async def search_items(self, tenant: str, query: ItemQuery) -> Page[Imagery]:
        rows, following = await matching(
            self._pool, "imagery.*", SQL["seen_imagery"], {"tenant": tenant}, query
        )
        return Page[Imagery](items=[_imagery(row) for row in rows], next=following)

    async def extent(self, tenant: str) -> Extent:
        found = await extents(self._pool, "tenant_id", SQL["seen_imagery"], {"tenant": tenant})
        return found.get(tenant) or Extent(count=0)

    async def delete(self, connection: Connection, tenant: str, imagery_id: UUID) -> Imagery | None:
        """The record as it was; None when there is none."""
        cursor = await connection.execute(SQL["delete_imagery"], {"tenant": tenant, "id": imagery_id})
        row = await cursor.fetchone()
        return _imagery(row) if row else None

    async def find_key(self, key: str) -> DictRow | None:
        return await fetch_one(self._pool, SQL["find_key"], {"sha256": digest_of(key)})

    async def record_write(self, tenant: str, write: Write) -> None:
        values = {**write.model_dump(), "ids": Jsonb(write.ids), "tenant": tenant}
        async with transaction(self._pool) as connection:
            await connection.execute(SQL["record_write"], values)

    async def note_use(self, key_id: UUID) -> None:
        async with transaction(self._pool) as connection:
            await connection.execute(SQL["note_use"], {"id": key_id})


def digest_of(key: str) -> str:
    """What is kept of an API key: it is long and random, so a plain SHA-256 cannot be reversed."""
    return hashlib.sha256(key.encode()).hexdigest()


def key_row(
    tenant: str, name: str, key: str, scopes: Sequence[str], expires_at: datetime | None = None
) -> dict[str, Any]:
    """The row of an API key: its digest, and as much of it as lets its owner recognise it."""
    return {
        "id": uuid4(),
        "tenant": tenant,
        "name": name,
        "prefix": key[:SHOWN_CHARACTERS],
        "sha256": digest_of(key),
        "scopes": list(scopes),
        "expires_at": expires_at,
    }


def _imagery(row: DictRow) -> Imagery:
    return Imagery.model_validate(row)
