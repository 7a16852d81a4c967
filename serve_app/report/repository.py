"""The rows of report_db. Every change of state is conditional on the state before it."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from uuid import UUID

from psycopg.rows import DictRow
from psycopg.types.json import Json

from orthoray.contracts import AnalysisRun, Language, Page, Report, RunStatus
from orthoray.database import Connection, Pool, fetch_all, fetch_one, one, read_queries
from orthoray.keys import report_id
from orthoray.pages import decode_cursor, split_page

SQL = read_queries(Path(__file__).with_name("queries.sql"))


class ReportRepository:
    """Methods with a connection take part in the caller's transaction."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def request(
        self, connection: Connection, tenant: str, run: AnalysisRun, language: Language
    ) -> tuple[Report, datetime] | None:
        """The report, queued, and since when; None when there is one already that has not failed."""
        row = await one(
            connection,
            SQL["request_report"],
            {
                "id": report_id(run.id, language),
                "tenant": tenant,
                "run_id": run.id,
                "language": language,
                "imagery_key": run.imagery_object_key,
                "heatmap_key": run.heatmap_key,
                "stats": Json(run.stats),
                "conclusion": run.conclusion,
            },
        )
        return (Report.model_validate(row), row["requested_at"]) if row else None

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

    async def exists(self, connection: Connection, report: UUID) -> bool:
        return await one(connection, SQL["report_exists"], {"id": report}) is not None

    async def delete(self, connection: Connection, tenant: str, report: UUID) -> bool:
        return await one(connection, SQL["delete_report"], {"tenant": tenant, "id": report}) is not None

    async def delete_of_run(self, connection: Connection, tenant: str, run_id: UUID) -> list[UUID]:
        cursor = await connection.execute(SQL["delete_reports_of_run"], {"tenant": tenant, "run_id": run_id})
        return [row["id"] for row in await cursor.fetchall()]

    async def start(self, connection: Connection, report: UUID) -> tuple[Report, str] | None:
        """The report and its tenant; None when it is finished or gone."""
        return _of_tenant(await one(connection, SQL["start_report"], {"id": report}))

    async def complete(
        self, connection: Connection, report: UUID, bucket: str, key: str
    ) -> tuple[Report, str] | None:
        """The report and its tenant; None when it is not processing."""
        values = {"id": report, "bucket": bucket, "key": key}
        return _of_tenant(await one(connection, SQL["complete_report"], values))

    async def fail(self, connection: Connection, report: UUID, reason: str) -> tuple[Report, str] | None:
        """The report and its tenant; None when it is finished or gone."""
        return _of_tenant(await one(connection, SQL["fail_report"], {"id": report, "reason": reason}))

    async def census(self) -> dict[RunStatus, int]:
        rows = await fetch_all(self._pool, SQL["count_open_reports"], {})
        return {row["status"]: row["rows"] for row in rows}


def _of_tenant(row: DictRow | None) -> tuple[Report, str] | None:
    return (Report.model_validate(row), row["tenant_id"]) if row else None
