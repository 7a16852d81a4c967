"""The catalogue of uploads, as a plain class: deployments, the command line and tests build it alike."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import ExitStack
from uuid import UUID

import structlog

from orthoray.contracts import Imagery, Page
from orthoray.database import Pool, ping, transaction
from orthoray.errors import NotAuthenticated, NotFound, OrthoRayError
from orthoray.events import Outbox
from orthoray.keys import imagery_prefix, thumbnail_key
from orthoray.ports import AnalysisPort, Caller, ImageryQuery, Upload
from orthoray.queue import Queue
from orthoray.storage.base import Storage
from orthoray.tasks import CLEAN_UP_IMAGERY
from pipelines.facts import describe
from serve_app.imagery.repository import ImageryRepository

log = structlog.get_logger(__name__)


class ImageryService:
    """See `orthoray.ports.ImageryPort`."""

    def __init__(
        self,
        pool: Pool,
        queue: Queue,
        storage: Storage,
        bucket: str,
        *,
        analysis: AnalysisPort,
        max_pixels: int,
    ) -> None:
        self._pool = pool
        self._queue = queue
        self._events = Outbox("imagery")
        self._rows = ImageryRepository(pool)
        self._storage = storage
        self._bucket = bucket
        self._analysis = analysis
        self._max_pixels = max_pixels

    async def register(self, tenant: str, upload: Upload) -> Imagery:
        if known := await self._rows.get(tenant, upload.id):
            return known
        try:
            record, thumbnail = await asyncio.to_thread(self._describe, upload)
            await asyncio.to_thread(
                self._storage.put_bytes,
                self._bucket,
                thumbnail_key(tenant, upload.id),
                thumbnail,
                "image/png",
            )
        except OrthoRayError:
            await self._remove_objects(tenant, upload.id)
            raise
        async with transaction(self._pool) as connection:
            imagery = await self._rows.insert(connection, tenant, record)
            if imagery:
                await self._events.emit(
                    connection,
                    "imagery.created",
                    imagery.id,
                    tenant,
                    occasion=imagery.created_at,
                    original_filename=imagery.original_filename,
                    object_key=imagery.object_key,
                    size_bytes=imagery.size_bytes,
                    sha256=imagery.sha256,
                    bands=imagery.bands,
                )
        log.info("imagery catalogued", imagery_id=str(upload.id), files=len(upload.files))
        return imagery or await self.get(tenant, upload.id)

    def _describe(self, upload: Upload) -> tuple[dict[str, object], bytes]:
        with ExitStack() as stack:
            paths = [
                stack.enter_context(self._storage.local_path(self._bucket, file.object_key))
                for file in upload.files
            ]
            return describe(paths, upload, bucket=self._bucket, max_pixels=self._max_pixels)

    async def find(self, tenant: str, imagery_id: UUID) -> Imagery | None:
        return await self._rows.get(tenant, imagery_id)

    async def get(self, tenant: str, imagery_id: UUID) -> Imagery:
        imagery = await self._rows.get(tenant, imagery_id)
        if imagery is None:
            raise NotFound(f"There is no imagery {imagery_id}: GET /imagery lists what there is.")
        return imagery

    async def search(self, tenant: str, query: ImageryQuery) -> Page[Imagery]:
        return await self._rows.search(tenant, query)

    async def delete(self, tenant: str, imagery_id: UUID) -> None:
        async with transaction(self._pool) as connection:
            gone = await self._rows.delete(connection, tenant, imagery_id)
            if gone is None:
                raise NotFound(f"There is no imagery {imagery_id}: it may have been deleted before.")
            await self._events.emit(
                connection,
                "imagery.deleted",
                imagery_id,
                tenant,
                occasion=gone.created_at,
                object_key=gone.object_key,
            )
            await CLEAN_UP_IMAGERY.defer(self._queue, connection, tenant=tenant, imagery_id=str(imagery_id))
        try:
            # The job above does this too, should this process die here or the analysis-service be away.
            await self.clean_up(tenant, imagery_id)
        except OrthoRayError as error:
            log.warning("clean-up left to the queue", imagery_id=str(imagery_id), reason=error.detail)

    async def clean_up(self, tenant: str, imagery_id: UUID) -> None:
        if await self._rows.get(tenant, imagery_id):
            return  # imported anew since: an import's id says what the file is
        await self._analysis.delete_of_imagery(tenant, imagery_id)
        await self._remove_objects(tenant, imagery_id)

    async def identify(self, key: str) -> Caller:
        caller = await self._rows.find_key(key)
        if caller is None:
            raise NotAuthenticated("This API key is not known: send a valid key in the header X-API-Key.")
        return caller

    async def check(self) -> Mapping[str, str]:
        failures = await ping(self._pool, "imagery_db")
        try:
            await asyncio.to_thread(self._storage.check)
        except OrthoRayError as error:
            failures["storage"] = error.detail
        return failures

    async def _remove_objects(self, tenant: str, imagery_id: UUID) -> None:
        await asyncio.to_thread(self._storage.delete_prefix, self._bucket, imagery_prefix(tenant, imagery_id))
        await asyncio.to_thread(self._storage.delete, self._bucket, thumbnail_key(tenant, imagery_id))
