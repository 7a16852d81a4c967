"""The three services as plain classes, wired to each other in this process."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast
from uuid import UUID, uuid4

import psycopg
from fakes import an_outcome, stored_file
from psycopg.rows import dict_row
from rasters import RGBN, fields, write_bands

from orthoray.attempts import Ending
from orthoray.contracts import AnalysisRequest, AnalysisRun, Imagery
from orthoray.database import ALL_ROWS, open_pool
from orthoray.keys import imagery_key
from orthoray.ports import AnalysisPort, ImageryPort, ReportPort, Upload
from orthoray.queue import Queue
from orthoray.settings import SERVICES
from orthoray.storage.local import LocalStorage
from serve_app.analysis.service import AnalysisService
from serve_app.imagery.service import ImageryService
from serve_app.report.service import ReportService


class Later:
    """A service that the others are given before it exists, and that can be away for a while."""

    def __init__(self) -> None:
        self.target: Any = None
        self.error: Exception | None = None

    def __getattr__(self, method: str) -> Any:
        async def call(*args: Any) -> Any:
            if self.error:
                raise self.error
            return await getattr(self.target, method)(*args)

        return call


@dataclass
class Services:
    """The services, and what tests look at behind them; `away` are the ways between the services, by name."""

    imagery: ImageryService
    analysis: AnalysisService
    report: ReportService
    storage: LocalStorage
    dsns: Mapping[str, str]
    away: Mapping[str, Later]
    image: Path
    open: dict[str, psycopg.Connection[dict[str, Any]]] = field(default_factory=dict)
    """Connections to look through, for tests that look very often; by service."""

    async def register(
        self,
        tenant: str = "default",
        content: bytes | None = None,
        *,
        files: Mapping[str, bytes] | None = None,
        **facts: Any,
    ) -> Imagery:
        """Store and catalogue an image (8 x 6 pixels of red, green, blue, near infrared), or several `files` as one."""
        imagery_id, stored = uuid4(), []
        data = self.image.read_bytes() if content is None else content
        for name, one in (files or {"field.tif": data}).items():
            key = imagery_key(tenant, imagery_id, name)
            self.storage.put_bytes("imagery", key, one)
            stored.append(stored_file(name, key, one))
        return await self.imagery.register(tenant, Upload(id=imagery_id, files=stored, **facts))

    async def run(self, tenant: str = "default", **wishes: Any) -> AnalysisRun:
        """A queued NDVI run of a new image."""
        imagery = await self.register(tenant)
        body = {"imagery_id": imagery.id, "index_type": "NDVI", **wishes}
        return await self.analysis.create(tenant, AnalysisRequest.model_validate(body))

    async def completed(self, tenant: str = "default", **wishes: Any) -> AnalysisRun:
        run = await self.run(tenant, **wishes)
        await self.analysis.start_run(run.id)
        assert await self.complete(run.id, tenant)
        return await self.analysis.get(tenant, run.id)

    async def complete(
        self, run_id: UUID, tenant: str = "default", conclusion: str = "Good.", attempt: int = 1
    ) -> bool:
        """What a worker does at the end of an attempt: the objects first, then its report."""
        outcome = an_outcome(run_id, tenant, attempt).model_copy(update={"conclusion": conclusion})
        for key in (outcome.heatmap_key, outcome.index_key):
            self.storage.put_bytes("heatmaps", key, b"a picture")
        return await self.analysis.complete_run(run_id, attempt, outcome)

    async def fail(self, run_id: UUID, reason: str = "The image is damaged.", attempt: int = 1) -> bool:
        """What a worker does when an attempt fails for good; whether the run has failed by it."""
        before = self.query("analysis", "select status from analysis_runs where id = %s", run_id)
        ending = Ending(outcome="failed", reason=reason)
        await self.analysis.end_attempt(run_id, attempt, ending)
        return self.query("analysis", "select status from analysis_runs where id = %s", run_id) != before

    def query(self, service: str, statement: str, *values: Any) -> list[dict[str, Any]]:
        if service in self.open:
            return self.open[service].execute(cast(Any, statement), values).fetchall()
        with psycopg.connect(self.dsns[service], row_factory=dict_row, options=ALL_ROWS) as connection:
            return connection.execute(cast(Any, statement), values).fetchall()

    def jobs(self, service: str, task: str = "%") -> list[dict[str, Any]]:
        statement = "select * from procrastinate_jobs where task_name like %s order by id"
        return self.query(service, statement, task)

    def events(self, service: str, subject: object) -> list[str]:
        """The types of the events of one entity, in order."""
        return [event["type"] for event in self.told(service) if event["subject"] == str(subject)]

    def told(self, service: str) -> list[dict[str, Any]]:
        """All events of a service, in order."""
        return [row["event"] for row in self.query(service, "select event from outbox order by position")]

    def objects(self) -> list[str]:
        return sorted(
            info.key for bucket in ("imagery", "heatmaps", "reports") for info in self.storage.list(bucket)
        )


@asynccontextmanager
async def open_services(dsns: Mapping[str, str], folder: Path) -> AsyncIterator[Services]:
    """The services on databases that are migrated, with their files below `folder`."""
    storage = LocalStorage(folder / "storage")
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
        image = write_bands(folder / "image.tif", fields(), RGBN)
        yield Services(imagery, analysis, report, storage, dsns, later, image)
