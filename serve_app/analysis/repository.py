"""The rows of analysis_db. Every change of state is conditional on the state before it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from uuid import UUID

from psycopg.rows import DictRow
from psycopg.types.json import Json, Jsonb

from orthoray.contracts import AnalysisRun, CallbackStatus, Imagery, Outcome, Page, RunStatus
from orthoray.database import Connection, Pool, fetch_all, fetch_one, one, read_queries
from orthoray.item_rows import extents, matching
from orthoray.items import Extent, ItemQuery, Result
from orthoray.keys import report_id
from orthoray.pages import decode_cursor, split_page, split_pages
from orthoray.ports import CallbackOrder, RunOrder
from orthoray.room import refuse_if_full
from orthoray.standings import Standing
from orthoray.turns import job_priority, turn_parameters

SQL = read_queries(Path(__file__).with_name("queries.sql"))


class RunRepository:
    """Methods with a connection take part in the caller's transaction."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def insert(
        self, connection: Connection, tenant: str, values: dict[str, Any], imagery: Imagery
    ) -> tuple[AnalysisRun, int] | None:
        """The run, and the priority of its job; None when the id is there already."""
        columns = {
            **values,
            **turn_parameters(tenant, values["priority"]),
            "thresholds": None if values["thresholds"] is None else Jsonb(values["thresholds"]),
            "options": Jsonb(values["options"]),
            "imagery": Jsonb(imagery.model_dump(mode="json")),
            "captured_at": imagery.captured_at,
        }
        row = await one(connection, SQL["insert_run"], columns)
        return (_run(row), job_priority(row["priority"], row["turn"])) if row else None

    async def refuse_if_full(self, connection: Connection, tenant: str, most: int) -> None:
        """
        Raises:
            TooMany: more than `most` runs of the tenant wait.
        """
        await refuse_if_full(connection, SQL["count_waiting"], tenant, most, "runs")

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

    async def search_results(
        self, tenant: str, query: ItemQuery, indices: Sequence[str] | None
    ) -> Page[Result]:
        own = {"tenant": tenant, "indices": None if indices is None else list(indices)}
        rows, following = await matching(self._pool, "analysis_runs.*", SQL["seen_results"], own, query)
        found = [Result(run=_run(row), imagery=Imagery.model_validate(row["imagery"])) for row in rows]
        return Page[Result](items=found, next=following)

    async def result_extents(self, tenant: str, indices: Sequence[str] | None) -> dict[str, Extent]:
        own = {"tenant": tenant, "indices": None if indices is None else list(indices)}
        return await extents(self._pool, "index_type", SQL["seen_results"], own)

    async def get_many(self, tenant: str, run_ids: Sequence[UUID]) -> list[AnalysisRun]:
        values = {"tenant": tenant, "ids": list(run_ids)}
        return [_run(row) for row in await fetch_all(self._pool, SQL["get_many_runs"], values)]

    async def search_of_imagery(
        self,
        tenant: str,
        imagery_ids: Sequence[UUID],
        limit: int,
        token: str | None,
        status: RunStatus | None,
    ) -> dict[UUID, Page[AnalysisRun]]:
        values = {
            "tenant": tenant,
            "limit": limit,
            "imagery_ids": list(set(imagery_ids)),
            "status": status,
            **decode_cursor(token),
        }
        rows = await fetch_all(self._pool, SQL["list_runs_of_imagery"], values)
        pages = split_pages(rows, "imagery_id", imagery_ids, limit)
        return {
            imagery_id: Page[AnalysisRun](items=[_run(row) for row in page], next=following)
            for imagery_id, (page, following) in pages.items()
        }

    async def cancel(self, connection: Connection, tenant: str, run_id: UUID) -> AnalysisRun | None:
        """The cancelled run; None when it is not open."""
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

    async def lock(self, connection: Connection, run_id: UUID) -> RunOrder | None:
        """The run as it is; until the end of the transaction it stays so."""
        row = await one(connection, SQL["lock_run"], {"id": run_id})
        return _order(row) if row else None

    async def start(self, connection: Connection, run_id: UUID) -> RunOrder | None:
        row = await one(connection, SQL["start_run"], {"id": run_id})
        return _order(row) if row else None

    async def put_back(self, connection: Connection, run_id: UUID, attempt: int, reason: str) -> bool:
        values = {"id": run_id, "attempt": attempt, "reason": reason}
        return await one(connection, SQL["put_back_run"], values) is not None

    async def report_progress(
        self, connection: Connection, run_id: UUID, attempt: int, progress: float
    ) -> bool:
        values = {"id": run_id, "attempt": attempt, "progress": progress}
        return await one(connection, SQL["report_progress"], values) is not None

    async def complete(
        self, connection: Connection, run_id: UUID, attempt: int, outcome: Outcome
    ) -> RunOrder | None:
        found = outcome.model_dump(mode="json")
        for column in ("stats", "statistics", "legend", "provenance", "warnings"):
            found[column] = Json(found[column])
        row = await one(connection, SQL["complete_run"], {"id": run_id, "attempt": attempt, **found})
        return _order(row) if row else None

    async def fail(self, connection: Connection, run_id: UUID, attempt: int, reason: str) -> RunOrder | None:
        row = await one(connection, SQL["fail_run"], {"id": run_id, "attempt": attempt, "reason": reason})
        return _order(row) if row else None

    async def keys(self, connection: Connection, run_id: UUID) -> tuple[set[str], int] | None:
        """The keys of its result, and the number of the attempt that is under way (0: none); None when it is gone."""
        row = await one(connection, SQL["keys_of_run"], {"id": run_id})
        if row is None:
            return None
        keys = {key for key in (row["heatmap_key"], row["index_key"]) if key}
        return keys, row["attempts"] if row["status"] in {"queued", "processing"} else 0

    async def set_callback_event(self, connection: Connection, run_id: UUID, event: dict[str, Any]) -> None:
        await connection.execute(SQL["set_callback_event"], {"id": run_id, "event": json.dumps(event)})

    async def start_callback(self, connection: Connection, run_id: UUID) -> CallbackOrder | None:
        row = await one(connection, SQL["start_callback"], {"id": run_id})
        return CallbackOrder.model_validate(row) if row else None

    async def end_callback(
        self, connection: Connection, run_id: UUID, status: CallbackStatus, error: str | None
    ) -> None:
        await one(connection, SQL["end_callback"], {"id": run_id, "status": status, "error": error})

    async def standings(self, ids: Sequence[UUID]) -> list[Standing]:
        rows = await fetch_all(self._pool, SQL["standings"], {"ids": list(ids)})
        return [Standing.model_validate(row) for row in rows]

    async def census(self) -> dict[RunStatus, int]:
        rows = await fetch_all(self._pool, SQL["count_open_runs"], {})
        return {row["status"]: row["rows"] for row in rows}


def _run(row: DictRow) -> AnalysisRun:
    run = AnalysisRun.model_validate(row)
    if run.auto_report:
        run.report_id = report_id(run.id, run.language)
    return run


def _order(row: DictRow) -> RunOrder:
    return RunOrder(
        run=_run(row),
        imagery=Imagery.model_validate(row["imagery"]),
        tenant=row["tenant_id"],
        attempt=row["attempts"],
    )
