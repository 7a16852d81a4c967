"""The catalogue's part of its bucket: files and thumbnails."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any
from uuid import UUID

from psycopg.rows import DictRow

from orthoray.database import Pool, fetch_all, fetch_one, read_queries
from orthoray.keys import UUID_PATTERN, thumbnail_key
from orthoray.reconciling import Claim

SQL = read_queries(Path(__file__).with_name("reconcile.sql"))
_OURS = re.compile(rf"(?:[^/]+/)?(?:imagery/({UUID_PATTERN})/.+|thumbnails/({UUID_PATTERN})\.png)")


class ImageryShelf:
    """See `orthoray.reconciling.Shelf`; `draw` makes the thumbnail of an imagery, by tenant and id."""

    def __init__(self, pool: Pool, bucket: str, draw: Callable[[str, UUID], Awaitable[bool]]) -> None:
        self.bucket = bucket
        self._pool = pool
        self._draw = draw

    def is_ours(self, key: str) -> bool:
        return _OURS.fullmatch(key) is not None

    async def known(self, keys: Sequence[str]) -> set[str]:
        rows = await fetch_all(self._pool, SQL["find_known_objects"], {"keys": list(keys)})
        found = {row["object_key"] for row in rows}
        ids = {UUID(match[1] or match[2]) for key in keys if (match := _OURS.fullmatch(key))}
        for row in await fetch_all(self._pool, SQL["find_imagery_of_ids"], {"ids": list(ids)}):
            found |= {*_files(row), thumbnail_key(row["tenant_id"], row["id"])}
        return found & set(keys)

    async def claims(self, after: UUID | None, limit: int) -> list[Claim]:
        rows = await fetch_all(self._pool, SQL["list_files"], {"after": after, "limit": limit})
        return [
            Claim(
                id=row["id"],
                keys=(*_files(row), thumbnail_key(row["tenant_id"], row["id"])),
                row=f"imagery {row['id']}",
                remedy="a thumbnail is drawn anew by --fix; a file has to be uploaded again, and this record deleted",
            )
            for row in rows
        ]

    async def make_anew(self, claim: Claim, key: str) -> bool:
        row = await fetch_one(self._pool, SQL["find_imagery_of_ids"], {"ids": [claim.id]})
        if row is None or key != thumbnail_key(row["tenant_id"], row["id"]):
            return False
        return await self._draw(row["tenant_id"], row["id"])


def _files(row: DictRow | dict[str, Any]) -> list[str]:
    """The keys of an imagery's files; an older row has no list of them."""
    return [asset["object_key"] for asset in row["assets"]] or [row["object_key"]]
