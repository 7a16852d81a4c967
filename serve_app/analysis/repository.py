"""The rows of analysis_db. Every change of state is conditional on the state before it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from uuid import UUID

from psycopg.rows import DictRow
from psycopg.types.json import Json, Jsonb

from orthoray.contracts import AnalysisRun, CallbackStatus, Imagery, Outcome, Page, RunStatus
from orthoray.database import Connection, Pool, fetch_all, fetch_one, one, read_queries
from orthoray.keys import report_id
from orthoray.pages import decode_cursor, split_page
from orthoray.ports import CallbackOrder, RunOrder

SQL = read_queries(Path(__file__).with_name("queries.sql"))


class RunRepository:
    """Methods with a connection take part in the caller's transaction."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def insert(
        self, connection: Connection, tenant: str, values: dict[str, Any], imagery: Imagery
    ) -> AnalysisRun:
        columns = {
            **values,
            "tenant": tenant,
            "thresholds": None if values["thresholds"] is None else Jsonb(values["thresholds"]),
            "options": Jsonb(values["options"]),
            "imagery": Jsonb(imagery.model_dump(mode="json")),
        }
        row = await one(connection, SQL["insert_run"], columns)
        assert row is not None, "an insert without conflict clause returns its row"
        return _run(row)

    async def get(self, tenant: str, run_id: UUID) -> AnalysisRun | None:
        row = await fetch_one(self._pool, SQL["get_run"], {"tenant": tenant, "id": run_id})
        return _run(row) if row else None

    async def search(
        self, tenant: str, limit: int, token: str | None, imagery_id: UUID | None, status: RunStatus | None
    ) -> Page[AnalysisRun]:
        rows = await fetch_all(
            self._pool,
            SQL["list_runs"],
            {
                "tenant": tenant,
                "limit": limit,
                "imagery_id": imagery_id,
                "status": status,
                **decode_cursor(token),
            },
        )
        page, following = split_page(rows, limit)
        return Page[AnalysisRun](items=[_run(row) for row in page], next=following)

    async def cancel(self, connection: Connection, tenant: str, run_id: UUID) -> AnalysisRun | None:
        row = await one(connection, SQL["cancel_run"], {"tenant": tenant, "id": run_id})
        return _run(row) if row else None

    async def delete(self, connection: Connection, tenant: str, run_id: UUID) -> bool:
        return await one(connection, SQL["delete_run"], {"tenant": tenant, "id": run_id}) is not None

    async def delete_of_imagery(
        self, connection: Connection, tenant: str, imagery_id: UUID
    ) -> list[AnalysisRun]:
        """The runs as they were."""
        cursor = await connection.execute(
            SQL["delete_runs_of_imagery"], {"tenant": tenant, "imagery_id": imagery_id}
        )
        return [_run(row) for row in await cursor.fetchall()]

    async def start(self, connection: Connection, run_id: UUID) -> RunOrder | None:
        row = await one(connection, SQL["start_run"], {"id": run_id})
        return _order(row) if row else None

    async def report_progress(self, connection: Connection, run_id: UUID, progress: float) -> bool:
        return await one(connection, SQL["report_progress"], {"id": run_id, "progress": progress}) is not None

    async def complete(self, connection: Connection, run_id: UUID, outcome: Outcome) -> RunOrder | None:
        found = outcome.model_dump(mode="json")
        for column in ("stats", "statistics", "legend", "provenance", "warnings"):
            found[column] = Json(found[column])
        row = await one(connection, SQL["complete_run"], {"id": run_id, **found})
        return _order(row) if row else None

    async def has_result(self, connection: Connection, run_id: UUID) -> bool:
        return await one(connection, SQL["run_has_result"], {"id": run_id}) is not None

    async def fail(self, connection: Connection, run_id: UUID, reason: str) -> RunOrder | None:
        row = await one(connection, SQL["fail_run"], {"id": run_id, "reason": reason})
        return _order(row) if row else None

    async def set_callback_event(self, connection: Connection, run_id: UUID, event: dict[str, Any]) -> None:
        await connection.execute(SQL["set_callback_event"], {"id": run_id, "event": json.dumps(event)})

    async def start_callback(self, connection: Connection, run_id: UUID) -> CallbackOrder | None:
        row = await one(connection, SQL["start_callback"], {"id": run_id})
        if row is None:
            return None
        return CallbackOrder(
            subject=row["id"],
            tenant=row["tenant_id"],
            url=row["callback"],
            event_id=row["event_id"],
            body=row["body"],
            attempts=row["callback_attempts"],
        )

    async def end_callback(
        self, connection: Connection, run_id: UUID, status: CallbackStatus, error: str | None
    ) -> None:
        await one(connection, SQL["end_callback"], {"id": run_id, "status": status, "error": error})

    async def census(self) -> dict[RunStatus, int]:
        rows = await fetch_all(self._pool, SQL["count_open_runs"], {})
        return {row["status"]: row["rows"] for row in rows}


def _run(row: DictRow) -> AnalysisRun:
    run = AnalysisRun.model_validate(row)
    if run.auto_report:
        run.report_id = report_id(run.id, run.language)
    return run


def _order(row: DictRow) -> RunOrder:
    return RunOrder(run=_run(row), imagery=Imagery.model_validate(row["imagery"]), tenant=row["tenant_id"])
