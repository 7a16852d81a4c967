"""The rows of report_db. Every change of state is conditional on the state before it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import UUID

from psycopg.rows import DictRow
from psycopg.types.json import Json

from orthoray.contracts import AnalysisRun, CallbackStatus, Language, Page, Priority, Report, RunStatus
from orthoray.database import Connection, Pool, fetch_all, fetch_one, one, read_queries
from orthoray.keys import report_id
from orthoray.pages import decode_cursor, split_page, split_pages
from orthoray.ports import CallbackOrder
from orthoray.room import refuse_if_full
from orthoray.standings import Standing
from orthoray.turns import job_priority, turn_parameters

SQL = read_queries(Path(__file__).with_name("queries.sql"))


@dataclass(frozen=True)
class Started:
    """A report with its tenant. Its attempts are numbered from `numbered_from` on, and `attempt` is the number of the last."""

    report: Report
    tenant: str
    numbered_from: int
    attempt: int


class ReportRepository:
    """Methods with a connection take part in the caller's transaction."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def request(
        self,
        connection: Connection,
        tenant: str,
        run: AnalysisRun,
        language: Language,
        priority: Priority,
        callback: str | None = None,
    ) -> tuple[Report, int, datetime] | None:
        """The report, queued, the priority of its job, and since when; None when there is one already that has not failed."""
        row = await one(
            connection,
            SQL["request_report"],
            {
                "id": report_id(run.id, language),
                **turn_parameters(tenant, priority),
                "run_id": run.id,
                "language": language,
                "imagery_key": run.imagery_object_key,
                "heatmap_key": run.heatmap_key,
                "stats": Json(run.stats),
                "conclusion": run.conclusion,
                "callback": callback,
            },
        )
        if row is None:
            return None
        return Report.model_validate(row), job_priority(row["priority"], row["turn"]), row["requested_at"]

    async def refuse_if_full(self, connection: Connection, tenant: str, most: int) -> None:
        """
        Raises:
            TooMany: more than `most` reports of the tenant wait.
        """
        await refuse_if_full(connection, SQL["count_waiting"], tenant, most, "reports")

    async def get(self, tenant: str, report: UUID) -> Report | None:
        row = await fetch_one(self._pool, SQL["get_report"], {"tenant": tenant, "id": report})
        return Report.model_validate(row) if row else None

    async def search(
        self, tenant: str, limit: int, token: str | None, run_id: UUID | None, status: RunStatus | None
    ) -> Page[Report]:
        rows = await fetch_all(
            self._pool,
            SQL["list_reports"],
            {"tenant": tenant, "limit": limit, "run_id": run_id, "status": status, **decode_cursor(token)},
        )
        page, following = split_page(rows, limit)
        return Page[Report](items=[Report.model_validate(row) for row in page], next=following)

    async def get_many(self, tenant: str, reports: Sequence[UUID]) -> list[Report]:
        values = {"tenant": tenant, "ids": list(reports)}
        rows = await fetch_all(self._pool, SQL["get_many_reports"], values)
        return [Report.model_validate(row) for row in rows]

    async def search_of_runs(
        self, tenant: str, run_ids: Sequence[UUID], limit: int, token: str | None, status: RunStatus | None
    ) -> dict[UUID, Page[Report]]:
        values = {
            "tenant": tenant,
            "limit": limit,
            "run_ids": list(set(run_ids)),
            "status": status,
            **decode_cursor(token),
        }
        rows = await fetch_all(self._pool, SQL["list_reports_of_runs"], values)
        pages = split_pages(rows, "analysis_run_id", run_ids, limit)
        return {
            run_id: Page[Report](items=[Report.model_validate(row) for row in page], next=following)
            for run_id, (page, following) in pages.items()
        }

    async def delete(self, connection: Connection, tenant: str, report: UUID) -> bool:
        return await one(connection, SQL["delete_report"], {"tenant": tenant, "id": report}) is not None

    async def delete_of_run(self, connection: Connection, tenant: str, run_id: UUID) -> list[UUID]:
        cursor = await connection.execute(SQL["delete_reports_of_run"], {"tenant": tenant, "run_id": run_id})
        return [row["id"] for row in await cursor.fetchall()]

    async def find(self, report: UUID) -> Started | None:
        """The report as it is, whosever it is; None when it is finished or gone."""
        row = await fetch_one(self._pool, SQL["find_report"], {"id": report})
        return _started(row) if row else None

    async def lock(self, connection: Connection, report: UUID) -> Started | None:
        """The report as it is; until the end of the transaction it stays so."""
        row = await one(connection, SQL["lock_report"], {"id": report})
        return _started(row) if row else None

    async def start(self, connection: Connection, report: UUID) -> Started | None:
        row = await one(connection, SQL["start_report"], {"id": report})
        return _started(row) if row else None

    async def put_back(self, connection: Connection, report: UUID, attempt: int, reason: str) -> bool:
        values = {"id": report, "attempt": attempt, "reason": reason}
        return await one(connection, SQL["put_back_report"], values) is not None

    async def complete(
        self, connection: Connection, report: UUID, attempt: int, bucket: str, key: str
    ) -> Started | None:
        """The completed report; None when it is not processing."""
        values = {"id": report, "attempt": attempt, "bucket": bucket, "key": key}
        row = await one(connection, SQL["complete_report"], values)
        return _started(row) if row else None

    async def fail(self, connection: Connection, report: UUID, attempt: int, reason: str) -> Started | None:
        values = {"id": report, "attempt": attempt, "reason": reason}
        row = await one(connection, SQL["fail_report"], values)
        return _started(row) if row else None

    async def keys(self, connection: Connection, report: UUID) -> tuple[set[str], int] | None:
        """The key of its result, and the number of the attempt that is under way (0: none); None when it is gone."""
        row = await one(connection, SQL["keys_of_report"], {"id": report})
        if row is None:
            return None
        keys = {row["report_key"]} if row["report_key"] else set()
        return keys, row["number"] if row["status"] in {"queued", "processing"} else 0

    async def standings(self, ids: Sequence[UUID]) -> list[Standing]:
        rows = await fetch_all(self._pool, SQL["standings"], {"ids": list(ids)})
        return [Standing.model_validate(row) for row in rows]

    async def set_callback(self, connection: Connection, tenant: str, report: UUID, callback: str) -> bool:
        """Have the end of a report told that tells nobody yet; whether it was open still."""
        values = {"tenant": tenant, "id": report, "callback": callback}
        return await one(connection, SQL["set_callback"], values) is not None

    async def set_callback_event(self, connection: Connection, report: UUID, event: dict[str, Any]) -> None:
        await connection.execute(SQL["set_callback_event"], {"id": report, "event": json.dumps(event)})

    async def start_callback(self, connection: Connection, report: UUID) -> CallbackOrder | None:
        row = await one(connection, SQL["start_callback"], {"id": report})
        return CallbackOrder.model_validate(row) if row else None

    async def end_callback(
        self, connection: Connection, report: UUID, status: CallbackStatus, error: str | None
    ) -> None:
        await one(connection, SQL["end_callback"], {"id": report, "status": status, "error": error})

    async def census(self) -> dict[RunStatus, int]:
        rows = await fetch_all(self._pool, SQL["count_open_reports"], {})
        return {row["status"]: row["rows"] for row in rows}


def _started(row: DictRow) -> Started:
    return Started(
        Report.model_validate(row),
        row["tenant_id"],
        row["numbered_from"],
        row["numbered_from"] + row["attempts"],
    )
