"""analysis-service as a Serve deployment; all that it does is `AnalysisService`."""

from __future__ import annotations

from orthoray.database import Pool
from orthoray.ports import AnalysisPort, BatchPort, ImageryPort, ReportPort
from orthoray.queue import Queue
from orthoray.remote import exposes, remote_by_name
from orthoray.storage.base import Storage
from serve_app.analysis.batches import BatchService
from serve_app.analysis.service import AnalysisService
from serve_app.config import ServiceConfig
from serve_app.deployment import ServiceDeployment


@exposes(AnalysisPort)
@exposes(BatchPort, service="batches")
class AnalysisDeployment(ServiceDeployment):
    """See `orthoray.ports.AnalysisPort` and `BatchPort`."""

    name = "analysis-service"
    worker = "analysis worker"

    def make_service(
        self, config: ServiceConfig, pool: Pool, queue: Queue, storage: Storage
    ) -> AnalysisService:
        self.batches = BatchService(pool, config.storage)
        return AnalysisService(
            pool,
            queue,
            storage,
            config.storage.heatmaps,
            imagery=remote_by_name("imagery-service", ImageryPort),
            report=remote_by_name("report-service", ReportPort),
            default_language=config.default_language,
            callbacks=config.callbacks,
            max_attempts=config.max_attempts,
            max_waiting=config.max_waiting,
        )
