"""imagery-service as a Serve deployment; all that it does is `ImageryService`."""

from __future__ import annotations

from orthoray.database import Pool
from orthoray.ports import AnalysisPort, ImageryPort
from orthoray.queue import Queue
from orthoray.remote import exposes, remote_by_name
from orthoray.storage.base import Storage
from serve_app.config import ServiceConfig
from serve_app.deployment import ServiceDeployment
from serve_app.imagery.service import ImageryService


@exposes(ImageryPort)
class ImageryDeployment(ServiceDeployment):
    """See `orthoray.ports.ImageryPort`."""

    name = "imagery-service"
    worker = "event relay"

    def make_service(
        self, config: ServiceConfig, pool: Pool, queue: Queue, storage: Storage
    ) -> ImageryService:
        return ImageryService(
            pool,
            queue,
            storage,
            config.storage.imagery,
            analysis=remote_by_name("analysis-service", AnalysisPort),
            max_pixels=config.max_pixels,
            parts=config.storage.open_parts(storage),
            max_object_bytes=config.max_object_bytes,
            max_open_uploads=config.max_open_uploads,
        )
