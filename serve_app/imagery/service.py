"""The catalogue of uploads, as a plain class: deployments, the command line and tests build it alike."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Mapping, Sequence
from contextlib import ExitStack
from typing import Any
from uuid import UUID

import structlog

from orthoray.contracts import Imagery, Page
from orthoray.database import Connection, Pool, ping, transaction
from orthoray.errors import NotAuthenticated, NotFound, OrthoRayError, Unavailable, WrongState
from orthoray.events import Outbox
from orthoray.idempotency import Claim, Claimed, KeptAnswer
from orthoray.items import Extent, ItemQuery
from orthoray.keys import imagery_prefix, thumbnail_key
from orthoray.pages import check_many
from orthoray.ports import AnalysisPort, Caller, ImageryQuery, StoredFile, Upload, Write
from orthoray.queue import Queue
from orthoray.reconciling import Reconciled, ReconcileOrder, reconcile
from orthoray.storage.base import Storage
from orthoray.storage.parts import PartStore, part_store
from orthoray.tasks import CLEAN_UP_IMAGERY
from orthoray.tenants import ALL_TENANTS, per_tenant
from orthoray.uploads import PartedUpload, PartPlace, UploadCompletion, UploadWish
from pipelines.facts import PREVIEW_SIDE, describe
from pipelines.readable import for_preview
from serve_app.imagery.contents import claim, lock_imagery, release, unclaimed, use
from serve_app.imagery.idempotency import IdempotencyKeys
from serve_app.imagery.reconcile import ImageryShelf
from serve_app.imagery.repository import ImageryRepository
from serve_app.imagery.uploads import Uploads

log = structlog.get_logger(__name__)


@per_tenant(for_all={"identify", "sweep_uploads", "sweep_claims", "reconcile", "check"})
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
        parts: PartStore | None = None,
        max_object_bytes: int = 64 * 1024**3,
        max_open_uploads: int = 32,
    ) -> None:
        """`parts` None: those of the storage."""
        self._pool = pool
        self._queue = queue
        self._events = Outbox("imagery")
        self._rows = ImageryRepository(pool)
        self._idempotency = IdempotencyKeys(pool)
        self._storage = storage
        self._bucket = bucket
        self._analysis = analysis
        self._max_pixels = max_pixels
        self._under_way: set[asyncio.Task[None]] = set()
        self.uploads = Uploads(
            pool,
            storage,
            parts or part_store(storage),
            bucket,
            register=self.register,
            find=self.find,
            max_bytes=max_object_bytes,
            max_open=max_open_uploads,
        )

    async def register(self, tenant: str, upload: Upload) -> Imagery:
        if known := await self._rows.get(tenant, upload.id):
            # Files of an upload that was sent again lie beside those that are catalogued.
            await self._remove_unused(tenant, upload.id, [file.object_key for file in upload.files])
            return known
        try:
            record, thumbnail = await asyncio.to_thread(self._describe, upload)
        except Unavailable:
            raise  # what is stored may be described a little later
        except OrthoRayError:
            await self._remove_unused(tenant, upload.id, [file.object_key for file in upload.files])
            raise
        async with transaction(self._pool) as connection:
            await lock_imagery(connection, upload.id)
            if known := await self._rows.get_in(connection, tenant, upload.id):
                # Two at once brought the same: the files of the second are not needed.
                await self._remove_copies(
                    await unclaimed(connection, [file.object_key for file in upload.files])
                )
                return known
            keys = await claim(connection, tenant, upload.files, self._is_there)
            imagery = await self._insert(connection, tenant, _sharing(record, keys), thumbnail)
            await use(connection, imagery.id, keys.values())
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
        await self._remove_copies([own for own, used in keys.items() if own != used])
        return imagery

    async def _insert(
        self, connection: Connection, tenant: str, record: dict[str, Any], thumbnail: bytes
    ) -> Imagery:
        """The row, when the objects are there: somebody may have cleared up after a caller that gave up waiting."""
        imagery_id = record["id"]
        for asset in record["assets"]:
            if not await self._is_there(asset["object_key"]):
                raise WrongState("The file was removed while it was being catalogued: upload it again.")
        key = thumbnail_key(tenant, imagery_id)
        await asyncio.to_thread(self._storage.put_bytes, self._bucket, key, thumbnail, "image/png")
        imagery = await self._rows.insert(connection, tenant, record)
        if imagery is None:  # of another tenant
            raise WrongState("There is an imagery of this id already.")
        return imagery

    def _describe(self, upload: Upload) -> tuple[dict[str, object], bytes]:
        with ExitStack() as stack:
            paths = [
                stack.enter_context(for_preview(self._storage, self._bucket, file.object_key, PREVIEW_SIDE))
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

    async def get_many(self, tenant: str, imagery_ids: Sequence[UUID]) -> list[Imagery]:
        check_many(imagery_ids)
        return await self._rows.get_many(tenant, imagery_ids)

    async def search(self, tenant: str, query: ImageryQuery) -> Page[Imagery]:
        return await self._rows.search(tenant, query)

    async def search_items(self, tenant: str, query: ItemQuery) -> Page[Imagery]:
        return await self._rows.search_items(tenant, query)

    async def extent(self, tenant: str) -> Extent:
        return await self._rows.extent(tenant)

    async def delete(self, tenant: str, imagery_id: UUID) -> None:
        async with transaction(self._pool) as connection:
            keys = await release(connection, tenant, imagery_id)
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
            arguments: dict[str, Any] = {"tenant": tenant, "imagery_id": str(imagery_id), "keys": keys}
            await CLEAN_UP_IMAGERY.defer(self._queue, connection, **arguments)
        try:
            # The job above does this too, should this process die here or the analysis-service be away.
            await self.clean_up(tenant, imagery_id, keys)
        except OrthoRayError as error:
            log.warning("clean-up left to the queue", imagery_id=str(imagery_id), reason=error.detail)

    async def clean_up(self, tenant: str, imagery_id: UUID, keys: Sequence[str] = ()) -> None:
        if await self._rows.get(tenant, imagery_id) is None:  # else imported anew since
            await self._analysis.delete_of_imagery(tenant, imagery_id)
        await self._remove_unused(tenant, imagery_id, keys)

    async def discard(self, tenant: str, upload: Upload) -> None:
        """Remove the files of an upload that was not catalogued."""
        await self._remove_unused(tenant, upload.id, [file.object_key for file in upload.files])

    async def begin_upload(self, tenant: str, wish: UploadWish) -> PartedUpload:
        return await self.uploads.begin(tenant, wish)

    async def get_upload(self, tenant: str, upload_id: UUID, first: int, limit: int) -> PartedUpload:
        return await self.uploads.get(tenant, upload_id, first, limit)

    async def place_of_part(self, tenant: str, upload_id: UUID, number: int) -> PartPlace:
        return await self.uploads.place_of_part(tenant, upload_id, number)

    async def complete_upload(self, tenant: str, upload_id: UUID, completion: UploadCompletion) -> Imagery:
        return await self.uploads.complete(tenant, upload_id, completion)

    async def abort_upload(self, tenant: str, upload_id: UUID) -> None:
        await self.uploads.abort(tenant, upload_id)

    async def sweep_uploads(self) -> int:
        return await self.uploads.sweep()

    async def reconcile(self, order: ReconcileOrder) -> Reconciled:
        shelf = ImageryShelf(self._pool, self._bucket, self._draw_thumbnail)
        return await reconcile(shelf, self._storage, order)

    async def _draw_thumbnail(self, tenant: str, imagery_id: UUID) -> bool:
        """False where the files do not allow it."""
        imagery = await self._rows.get(tenant, imagery_id)
        if imagery is None:
            return False
        files = [
            StoredFile.model_validate(asset.model_dump(include=set(StoredFile.model_fields)))
            for asset in imagery.assets
        ]
        names = ",".join(sorted(imagery.bands, key=lambda name: imagery.bands[name]))
        # Where the caller did not name the bands, the files do, and the names may not be all that a caller would have to give.
        for bands in (names or None, None):
            try:
                upload = Upload(id=imagery.id, files=files, bands=bands)
                _, thumbnail = await asyncio.to_thread(self._describe, upload)
            except Unavailable:
                raise
            except OrthoRayError as error:
                log.warning("thumbnail not drawn", imagery_id=str(imagery_id), reason=error.detail)
                continue
            key = thumbnail_key(tenant, imagery_id)
            await asyncio.to_thread(self._storage.put_bytes, self._bucket, key, thumbnail, "image/png")
            return True
        return False

    async def identify(self, key: str) -> Caller:
        row = await self._rows.find_key(key)
        if row is None:
            raise NotAuthenticated("This API key is not known: send a valid key in the header X-API-Key.")
        if row["revoked_at"]:
            raise NotAuthenticated("This API key has been revoked: ask for a new one.")
        if row["is_expired"]:
            raise NotAuthenticated(
                f"This API key expired at {row['expires_at']:%Y-%m-%d %H:%M %Z}: ask for a new one."
            )
        if row["is_use_worth_noting"]:
            self._beside(self._note_use(row["id"]))
        return Caller(
            tenant=row["tenant_id"],
            key_id=row["id"],
            scopes=frozenset(row["scopes"]),
            expires_at=row["expires_at"],
        )

    async def record_write(self, tenant: str, write: Write) -> None:
        await self._rows.record_write(tenant, write)

    async def _note_use(self, key_id: UUID) -> None:
        try:
            await self._rows.note_use(key_id)
        except OrthoRayError as error:
            log.warning("use of a key not noted", key_id=str(key_id), reason=error.detail)

    def _beside(self, work: Coroutine[Any, Any, None]) -> None:
        """Carry it out without keeping the caller waiting."""
        task = asyncio.create_task(work)
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)

    async def claim_request(self, tenant: str, claim: Claim) -> Claimed:
        return await self._idempotency.claim(tenant, claim)

    async def prolong_claim(self, tenant: str, key: str, holder: UUID, fingerprint: str | None) -> str | None:
        return await self._idempotency.prolong(tenant, key, holder, fingerprint)

    async def keep_answer(self, tenant: str, key: str, subject: UUID, answer: KeptAnswer) -> None:
        await self._idempotency.keep(tenant, key, subject, answer)

    async def end_claim(self, tenant: str, key: str, holder: UUID, forget: bool) -> None:
        await self._idempotency.end(tenant, key, holder, forget=forget)

    async def sweep_claims(self) -> int:
        return await self._idempotency.sweep()

    async def check(self) -> Mapping[str, str]:
        failures = await ping(self._pool, "imagery_db")
        try:
            await asyncio.to_thread(self._storage.check)
        except OrthoRayError as error:
            failures["storage"] = error.detail
        return failures

    async def _is_there(self, key: str) -> bool:
        return await asyncio.to_thread(self._storage.exists, self._bucket, key)

    async def _remove_copies(self, keys: Sequence[str]) -> None:
        """Objects of content that was there before; should this fail, the reconciler finds them."""
        try:
            for key in keys:
                await asyncio.to_thread(self._storage.delete, self._bucket, key)
        except OrthoRayError as error:
            log.warning("copy left to the reconciler", keys=keys, reason=error.detail)

    async def _remove_unused(self, tenant: str, imagery_id: UUID, keys: Sequence[str]) -> None:
        """Objects `keys`, and those in the imagery's own folder, that no imagery uses; its thumbnail where it has no row."""
        # Whoever uses an object, it stays.
        async with transaction(self._pool, tenant=ALL_TENANTS) as connection:
            await lock_imagery(connection, imagery_id)
            prefix = imagery_prefix(tenant, imagery_id)
            own = await asyncio.to_thread(
                lambda: [info.key for info in self._storage.list(self._bucket, prefix)]
            )
            doomed = await unclaimed(connection, [*{*keys, *own}])
            if await self._rows.get_in(connection, tenant, imagery_id) is None:
                doomed.append(thumbnail_key(tenant, imagery_id))
            for key in doomed:
                await asyncio.to_thread(self._storage.delete, self._bucket, key)


def _sharing(record: dict[str, Any], keys: Mapping[str, str]) -> dict[str, Any]:
    """The record with the keys of the objects that hold its content."""
    assets = [{**asset, "object_key": keys[asset["object_key"]]} for asset in record["assets"]]
    return {**record, "object_key": keys[record["object_key"]], "assets": assets}
