"""`orthoray audit`: who changed what."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from orthoray.errors import BadInput
from orthoray.settings import Settings
from serve_app.imagery.repository import SQL
from serve_app.local.keychain import opened, read_span


def list_writes(settings: Settings, *, tenant: str | None, since: str, limit: int) -> Table:
    """The newest first.

    Raises:
        BadInput: `since` is no span of time.
    """
    values = {"tenant": tenant, "since": _ago(since), "limit": limit}
    with opened(settings) as connection:
        return table_of(connection.execute(SQL["list_writes"], values).fetchall())


def forget_writes(settings: Settings, keep: str, notes: Console) -> None:
    """Remove what is older than `keep`."""
    with opened(settings) as connection:
        gone = connection.execute(SQL["forget_writes"], {"before": _ago(keep)}).rowcount
    notes.print(f"{gone} entries older than {keep} removed.")


def table_of(rows: Sequence[Mapping[str, Any]]) -> Table:
    table = Table("When (UTC)", "Tenant", "Who", "What", "Status", "Request", box=None)
    for row in rows:
        made = f" -> {row['location']}" if row["location"] else ""
        table.add_row(
            f"{row['began_at'].astimezone(UTC):%Y-%m-%d %H:%M:%S}",
            row["tenant_id"],
            escape(f"{row['caller']} ({row['key_name']})" if row["key_name"] else row["caller"]),
            escape(f"{row['method']} {row['path']}{made}"),
            "unknown" if row["status"] is None else str(row["status"]),
            escape(row["request_id"] or ""),
        )
    return table


def _ago(words: str) -> datetime:
    span = read_span(words)
    if span is None:
        raise BadInput("Say how far back, such as 7d.")
    return datetime.now(UTC) - span
