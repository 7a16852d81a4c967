"""The three services as plain classes on a real PostgreSQL, wired to each other in this process."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, cast

import psycopg
import pytest
from rasters import RGBN, fields, write_bands
from wired import Later, Services

from orthoray.database import migrate, open_pool
from orthoray.ports import AnalysisPort, ImageryPort, ReportPort
from orthoray.queue import Queue
from orthoray.settings import SERVICES
from orthoray.storage.local import LocalStorage
from serve_app.analysis.service import AnalysisService
from serve_app.imagery.service import ImageryService
from serve_app.local.postgres import EmbeddedPostgres
from serve_app.report.service import ReportService

MIGRATIONS = {
    service: Path(__file__).parents[2] / "serve_app" / service / "migrations" for service in SERVICES
}
TABLES = {"imagery": "imagery, api_keys", "analysis": "analysis_runs, batches", "report": "reports"}


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
    storage = LocalStorage(tmp_path / "storage")
    storage.ensure_buckets(["imagery", "heatmaps", "reports"])
    later = {service: Later() for service in SERVICES}
    async with AsyncExitStack() as stack:
        pools = {service: await stack.enter_async_context(open_pool(dsns[service])) for service in SERVICES}
        queues = {service: Queue(dsns[service]) for service in SERVICES}
        imagery_port = cast(ImageryPort, later["imagery"])
        analysis_port = cast(AnalysisPort, later["analysis"])
        report_port = cast(ReportPort, later["report"])
        imagery = ImageryService(
            pools["imagery"], queues["imagery"], storage, "imagery", analysis=analysis_port, max_pixels=10_000
        )
        analysis = AnalysisService(
            pools["analysis"],
            queues["analysis"],
            storage,
            "heatmaps",
            imagery=imagery_port,
            report=report_port,
            default_language="ru",
        )
        report = ReportService(
            pools["report"],
            queues["report"],
            storage,
            "reports",
            imagery=imagery_port,
            analysis=analysis_port,
        )
        for service, target in {"imagery": imagery, "analysis": analysis, "report": report}.items():
            later[service].target = target
        image = write_bands(tmp_path / "image.tif", fields(), RGBN)
        yield Services(imagery, analysis, report, storage, dsns, later, image)
