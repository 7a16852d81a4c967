"""report-service as a Serve deployment; all that it does is `ReportService`."""

from __future__ import annotations

from orthoray.database import Pool
from orthoray.ports import AnalysisPort, ImageryPort, ReportPort
from orthoray.queue import Queue
from orthoray.remote import exposes, remote_by_name
from orthoray.storage.base import Storage
from serve_app.config import ServiceConfig
from serve_app.deployment import ServiceDeployment
from serve_app.report.service import ReportService


@exposes(ReportPort)
class ReportDeployment(ServiceDeployment):
    """See `orthoray.ports.ReportPort`."""

    name = "report-service"
    worker = "report worker"

    def make_service(
        self, config: ServiceConfig, pool: Pool, queue: Queue, storage: Storage
    ) -> ReportService:
        return ReportService(
            pool,
            queue,
            storage,
            config.storage.reports,
            imagery=remote_by_name("imagery-service", ImageryPort),
            analysis=remote_by_name("analysis-service", AnalysisPort),
            callbacks=config.callbacks,
            max_attempts=config.max_attempts,
            max_waiting=config.max_waiting,
        )
