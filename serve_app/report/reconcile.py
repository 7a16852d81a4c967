"""The reports' part of their bucket: PDFs."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from uuid import UUID

from orthoray.database import Pool, fetch_all, read_queries
from orthoray.keys import UUID_PATTERN
from orthoray.reconciling import Claim, known_of

SQL = read_queries(Path(__file__).with_name("reconcile.sql"))
_OURS = re.compile(rf"(?:[^/]+/)?reports/({UUID_PATTERN})(?:-\d+)?\.pdf")


class ReportShelf:
    """See `orthoray.reconciling.Shelf`."""

    def __init__(self, pool: Pool, bucket: str) -> None:
        self.bucket = bucket
        self._pool = pool

    def is_ours(self, key: str) -> bool:
        return _OURS.fullmatch(key) is not None

    async def known(self, keys: Sequence[str]) -> set[str]:
        ids = {key: UUID(match[1]) for key in keys if (match := _OURS.fullmatch(key))}
        rows = await fetch_all(self._pool, SQL["find_known_reports"], {"ids": list({*ids.values()})})
        return known_of(ids, rows)

    async def claims(self, after: UUID | None, limit: int) -> list[Claim]:
        rows = await fetch_all(self._pool, SQL["list_documents"], {"after": after, "limit": limit})
        return [
            Claim(
                id=row["id"],
                keys=(row["report_key"],),
                row=f"report {row['id']}",
                remedy="delete the report and ask for it again",
            )
            for row in rows
        ]

    async def make_anew(self, claim: Claim, key: str) -> bool:
        return False
