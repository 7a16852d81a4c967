"""The SQL behind `orthoray.items`: what images and results are compared with, whichever table they come from.

A service says what is `seen` of each of its rows, with the table and the conditions that are its own; see `item_rows.sql`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, LiteralString

from psycopg.rows import DictRow

from orthoray.database import Pool, fetch_all, read_queries
from orthoray.items import Extent, ItemQuery
from orthoray.pages import split_page

_SQL = read_queries(Path(__file__).with_name("item_rows.sql"))


async def matching(
    pool: Pool, columns: LiteralString, seen: LiteralString, own: Mapping[str, Any], query: ItemQuery
) -> tuple[Sequence[DictRow], str | None]:
    """A page of rows, and the token of the next. `own` are the parameters of `seen`.

    Raises:
        BadInput: `query.next` is not a token of an earlier page.
    """
    statement = "select " + columns + " " + seen + "\n" + _SQL["matching"]
    rows = await fetch_all(pool, statement, {**query.parameters(), **own})
    return split_page(rows, query.limit)


async def extents(
    pool: Pool, key: LiteralString, seen: LiteralString, own: Mapping[str, Any]
) -> dict[Any, Extent]:
    """The extents of the rows that have one value of `key` in common, by that value."""
    statement = (
        "select " + key + " as key, " + _SQL["extent"] + "\n" + seen + "\ngroup by " + key + " order by key"
    )
    return {row["key"]: _extent(row) for row in await fetch_all(pool, statement, own)}


def _extent(row: DictRow) -> Extent:
    west, east = (-180.0, 180.0) if row["crosses"] else (row["west"], row["east"])
    return Extent(
        count=row["items"],
        bbox=None if row["west"] is None else (west, row["south"], east, row["north"]),
        since=None if row["undated"] else row["since"],
        until=row["until"],
    )
