"""The three services as plain classes on a real PostgreSQL, wired to each other in this process."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping
from pathlib import Path
from typing import Any, cast

import psycopg
import pytest
from wired import Services, open_services

from orthoray.database import migrate
from orthoray.settings import SERVICES
from serve_app.local.postgres import EmbeddedPostgres

MIGRATIONS = {
    service: Path(__file__).parents[2] / "serve_app" / service / "migrations" for service in SERVICES
}
TABLES = {
    "imagery": "imagery, api_keys, audit_log, stored_objects, uploads, idempotency_keys",
    "analysis": "analysis_runs, attempts, batches",
    "report": "reports, attempts",
}


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedPostgres]:
    server = EmbeddedPostgres(tmp_path_factory.mktemp("postgres-home"))
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def migrated(postgres: EmbeddedPostgres) -> Mapping[str, str]:
    """The connection strings of the three databases, at their newest schema."""
    found = {service: postgres.dsn(service) for service in SERVICES}
    for service, dsn in found.items():
        migrate(dsn, MIGRATIONS[service])
    return found


@pytest.fixture
def dsns(migrated: Mapping[str, str]) -> Mapping[str, str]:
    """The same, empty."""
    for service, dsn in migrated.items():
        with psycopg.connect(dsn) as connection:
            tables = f"{TABLES[service]}, outbox, procrastinate_jobs, procrastinate_workers"
            connection.execute(cast(Any, f"truncate {tables} cascade"))
    return migrated


@pytest.fixture
async def services(dsns: Mapping[str, str], tmp_path: Path) -> AsyncIterator[Services]:
    async with open_services(dsns, tmp_path) as found:
        yield found
