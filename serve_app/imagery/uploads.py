"""Files that arrive in parts, from the first byte to the catalogue.

Whatever ends in the middle is taken up by completing again: every step finds what the ones before it have done.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import psycopg
import structlog
from psycopg.rows import DictRow
from psycopg.types.json import Jsonb

from orthoray import errors
from orthoray.contracts import Imagery
from orthoray.database import Pool, fetch_all, fetch_one, one, read_queries, transaction, transactionless
from orthoray.errors import Impossible, NotAnImage, NotFound, OrthoRayError, TooLarge, WrongState
from orthoray.keys import imagery_key
from orthoray.ports import StoredFile, Upload
from orthoray.storage.base import Storage
from orthoray.storage.keys import safe_filename
from orthoray.storage.parts import (
    MAX_PART_COUNT,
    PartStore,
    StoredPart,
    other_content,
    part_bytes_of,
    part_count_of,
    size_of_part,
)
from orthoray.tenants import per_tenant
from orthoray.uploads import (
    MAX_PARTS_SHOWN,
    PartedUpload,
    PartPlace,
    UploadCompletion,
    UploadPart,
    UploadWish,
)
from serve_app.imagery.parts import JoinedParts, bytes_of_part, check_parts, meant_digest

SQL = read_queries(Path(__file__).with_name("uploads.sql"))
LIFETIME = timedelta(days=7)
"""Without a part, or after its end, an upload is forgotten."""
URL_SECONDS = 3600
# Parts that nobody knows: whoever began them died before it could write that down.
_UNKNOWN_AFTER = timedelta(days=1)
_SWEPT_AT_ONCE = 100
# Each holds a connection of the pool, and a processor while it computes a digest.
_COMPLETED_AT_ONCE = 3
_FINAL = (NotAnImage, Impossible, TooLarge)

Register = Callable[[str, Upload], Awaitable[Imagery]]

log = structlog.get_logger(__name__)


@per_tenant(for_all={"sweep"})
class Uploads:
    """The uploads of imagery_db; `register` catalogues a file that is whole, `find` looks for what is catalogued."""

    def __init__(
        self,
        pool: Pool,
        storage: Storage,
        parts: PartStore,
        bucket: str,
        *,
        register: Register,
        find: Callable[[str, UUID], Awaitable[Imagery | None]],
        max_bytes: int,
        max_open: int,
    ) -> None:
        self._pool = pool
        self._storage = storage
        self._parts = parts
        self._bucket = bucket
        self._register = register
        self._find = find
        self._max_bytes = max_bytes
        self._max_open = max_open
        self._completing = asyncio.Semaphore(_COMPLETED_AT_ONCE)

    async def begin(self, tenant: str, wish: UploadWish) -> PartedUpload:
        if wish.size > self._max_bytes:
            raise TooLarge(
                f"The file is larger than the limit of {self._max_bytes:,} bytes: cut it, or ask the operator to "
                "raise MAX_OBJECT_BYTES.",
                max_bytes=self._max_bytes,
            )
        upload_id, filename = wish.id or uuid4(), safe_filename(wish.filename)
        key = imagery_key(tenant, upload_id, filename)
        async with transaction(self._pool) as connection:
            await connection.execute(SQL["lock_uploads_of_tenant"], {"tenant": tenant})
            if wish.id and (
                row := await one(connection, SQL["get_upload"], {"tenant": tenant, "id": wish.id})
            ):
                return await self._told(row, await self._there(row), 1, MAX_PARTS_SHOWN)
            counted = await one(connection, SQL["count_open_uploads"], {"tenant": tenant})
            if counted and counted["uploads"] >= self._max_open:
                raise WrongState(
                    f"There are {self._max_open} uploads that are not completed: complete one, or DELETE one that is "
                    "not wanted.",
                    max_open_uploads=self._max_open,
                )
            # Should this process die here, what was begun is swept for nobody knows its token.
            token = await asyncio.to_thread(self._parts.begin, self._bucket, key, wish.content_type)
            values = {
                "id": upload_id,
                "tenant": tenant,
                "imagery_id": wish.imagery_id or upload_id,
                "filename": filename,
                "size_bytes": wish.size,
                "part_bytes": part_bytes_of(wish.size),
                "sha256": wish.sha256,
                "facts": Jsonb(wish.facts()),
                "object_key": key,
                "token": token,
                "lifetime": LIFETIME,
            }
            row = await one(connection, SQL["insert_upload"], values)
        assert row is not None
        log.info("upload begun", upload_id=str(upload_id), size_bytes=wish.size)
        shown = MAX_PARTS_SHOWN if wish.imagery_id is None else MAX_PART_COUNT
        return await self._told(row, [], 1, shown)

    async def get(self, tenant: str, upload_id: UUID, first: int, limit: int) -> PartedUpload:
        row = await self._row(tenant, upload_id)
        parts: list[StoredPart] = []
        if row["status"] == "open":
            await self._prolong(upload_id)
            parts = await self._there(row)
        return await self._told(row, parts, first, limit)

    async def resume(self, tenant: str, wish: UploadWish) -> PartedUpload | None:
        """An upload that is to become the same imagery and was broken off, with all of its parts; its image is said to be
        what is said now."""
        values = {
            "tenant": tenant,
            "imagery_id": wish.imagery_id,
            "facts": Jsonb(wish.facts()),
            "size_bytes": wish.size,
            "lifetime": LIFETIME,
        }
        row = await fetch_one(self._pool, SQL["resume_upload"], values)
        if row is None:
            return None
        parts = await self._there(row)
        return await self._told(row, parts, 1, part_count_of(row["size_bytes"], row["part_bytes"]))

    async def place_of_part(self, tenant: str, upload_id: UUID, number: int) -> PartPlace:
        """Where a part goes, and how long it is."""
        row = await self._row(tenant, upload_id)
        if row["status"] != "open":
            raise WrongState(f"The upload is {row['status']}: it takes no more parts.")
        size = size_of_part(number, row["size_bytes"], row["part_bytes"])
        if size <= 0:
            count = part_count_of(row["size_bytes"], row["part_bytes"])
            raise NotFound(f"This upload has no part {number}: its parts are 1 to {count}.")
        await self._prolong(upload_id)
        return PartPlace(
            bucket=self._bucket, object_key=row["object_key"], token=row["token"], size_bytes=size
        )

    async def complete(self, tenant: str, upload_id: UUID, completion: UploadCompletion) -> Imagery:
        row = await self._row(tenant, upload_id)
        if row["status"] != "open":
            return await self._known(tenant, row)
        async with self._completing, self._alone(upload_id):
            row = await self._row(tenant, upload_id)
            if row["status"] != "open":
                return await self._known(tenant, row)
            imagery = await self._find(tenant, row["imagery_id"])
            try:
                imagery = imagery or await self._catalogued(tenant, row, completion)
            except _FINAL as error:
                await self._end(upload_id, "refused", error)
                await self._forget(row, with_object=True)
                raise
            await self._end(upload_id, "completed")
            await self._forget(row)
            return imagery

    async def abort(self, tenant: str, upload_id: UUID) -> None:
        await self._row(tenant, upload_id)
        async with self._alone(upload_id):
            row = await fetch_one(self._pool, SQL["delete_upload"], {"tenant": tenant, "id": upload_id})
        if row is not None and row["status"] == "open":
            await self._discard(row)

    async def sweep(self) -> int:
        """Give up uploads that have expired, and parts that belong to none; how many there were."""
        swept = 0
        for row in await fetch_all(self._pool, SQL["list_expired_uploads"], {"limit": _SWEPT_AT_ONCE}):
            try:
                await self.abort(row["tenant_id"], row["id"])
            except (WrongState, NotFound):
                continue  # it is being completed, or was deleted meanwhile
            swept += 1
        return swept + await self._sweep_unknown()

    async def _sweep_unknown(self) -> int:
        oldest, swept = datetime.now(UTC) - _UNKNOWN_AFTER, 0
        pending = await asyncio.to_thread(self._parts.pending, self._bucket)
        while batch := await asyncio.to_thread(_some, pending, _SWEPT_AT_ONCE):
            tokens = [begun.token for begun in batch]
            known = {
                row["token"] for row in await fetch_all(self._pool, SQL["find_tokens"], {"tokens": tokens})
            }
            for begun in batch:
                if begun.token not in known and begun.started < oldest:
                    await asyncio.to_thread(self._parts.abort, self._bucket, begun.key, begun.token)
                    swept += 1
        return swept

    async def _catalogued(self, tenant: str, row: DictRow, completion: UploadCompletion) -> Imagery:
        sha256 = await self._joined(row, completion)
        file = StoredFile(
            filename=row["filename"],
            object_key=row["object_key"],
            size_bytes=row["size_bytes"],
            sha256=sha256,
        )
        upload = Upload.model_validate({**row["facts"], "id": row["imagery_id"], "files": [file]})
        return await self._register(tenant, upload)

    async def _joined(self, row: DictRow, completion: UploadCompletion) -> str:
        """The SHA-256 of the object, made of its parts unless that was done before.

        Raises:
            WrongState: it is not what was meant, and there are parts to be sent again.
        """
        meant = meant_digest(row, completion)
        parts = await self._received(row)
        if parts is not None:
            check_parts(parts, row, completion, self._parts.knows_digests)
            digest = await asyncio.to_thread(
                self._parts.complete, self._bucket, row["object_key"], row["token"], parts, meant
            )
            if digest is not None:
                return digest
        digest = await asyncio.to_thread(self._object(row).digest)
        wrong = await asyncio.to_thread(self._object(row).wrong_parts, completion)
        if wrong or meant not in {None, digest}:
            await self._part_again(row, wrong)
            raise other_content(digest, wrong)
        return digest

    async def _part_again(self, row: DictRow, wrong: list[int]) -> None:
        """Make parts of an object again, but for the wrong ones, so that these can be sent again."""
        token = await asyncio.to_thread(self._object(row).part_again, self._parts, wrong)
        values = {"id": row["id"], "before": row["token"], "token": token}
        async with transaction(self._pool) as connection:
            taken = await one(connection, SQL["replace_token"], values)
        if taken is None:
            raise WrongState("The upload has ended in this moment.")
        # Should this process die here, the parts are there, and joining them replaces the object.
        await asyncio.to_thread(self._storage.delete, self._bucket, row["object_key"])

    def _object(self, row: DictRow) -> JoinedParts:
        return JoinedParts(self._storage, self._bucket, row)

    async def _there(self, row: DictRow) -> list[StoredPart]:
        """The parts that need not be sent: all when they have been joined and only the record is missing."""
        parts = await self._received(row)
        if parts is None and await self._is_whole(row):
            count = part_count_of(row["size_bytes"], row["part_bytes"])
            parts = [StoredPart(number, bytes_of_part(row, number), "") for number in range(1, count + 1)]
        return parts or []

    async def _received(self, row: DictRow) -> list[StoredPart] | None:
        """None where the storage knows the parts no more, for they have become an object."""
        try:
            return await asyncio.to_thread(self._parts.parts, self._bucket, row["object_key"], row["token"])
        except NotFound:
            return None

    async def _is_whole(self, row: DictRow) -> bool:
        try:
            size = await asyncio.to_thread(self._storage.size, self._bucket, row["object_key"])
        except NotFound:
            return False
        return bool(size == row["size_bytes"])

    async def _known(self, tenant: str, row: DictRow) -> Imagery:
        """The answer of an upload that has ended."""
        if row["error"]:
            kind = getattr(errors, row["error"]["kind"], OrthoRayError)
            raise kind(row["error"]["detail"])
        imagery = await self._find(tenant, row["imagery_id"])
        if imagery is None:
            raise NotFound("The imagery of this upload has been deleted since.")
        return imagery

    async def _row(self, tenant: str, upload_id: UUID) -> DictRow:
        row = await fetch_one(self._pool, SQL["get_upload"], {"tenant": tenant, "id": upload_id})
        if row is None:
            raise NotFound(
                f"There is no upload {upload_id}: it may have been aborted, or given up after {LIFETIME.days} days "
                "without a part."
            )
        return row

    async def _prolong(self, upload_id: UUID) -> None:
        async with transaction(self._pool) as connection:
            await connection.execute(SQL["prolong_upload"], {"id": upload_id, "lifetime": LIFETIME})

    async def _end(self, upload_id: UUID, status: str, error: OrthoRayError | None = None) -> None:
        told = Jsonb({"kind": type(error).__name__, "detail": error.detail}) if error else None
        values = {"id": upload_id, "status": status, "error": told, "lifetime": LIFETIME}
        async with transaction(self._pool) as connection:
            await connection.execute(SQL["end_upload"], values)

    async def _forget(self, row: DictRow, *, with_object: bool = False) -> None:
        """What is left of an upload that has ended; should it fail, others find it."""
        try:
            if with_object:
                await asyncio.to_thread(self._storage.delete, self._bucket, row["object_key"])
            await asyncio.to_thread(self._parts.abort, self._bucket, row["object_key"], row["token"])
        except OrthoRayError as error:
            log.warning("parts left to the sweep", upload_id=str(row["id"]), reason=error.detail)

    async def _discard(self, row: DictRow) -> None:
        """The parts of an open upload, and its object where only the record was missing."""
        is_used = await self._find(row["tenant_id"], row["imagery_id"]) is not None
        await self._forget(row, with_object=not is_used)

    @asynccontextmanager
    async def _alone(self, upload_id: UUID) -> AsyncIterator[None]:
        """Nobody else ends this upload meanwhile. The lock belongs to the connection, so it ends with this process.

        Raises:
            WrongState: somebody does.
        """
        async with transactionless(self._pool) as connection:
            row = await one(connection, SQL["try_lock_upload"], {"id": upload_id})
            if not (row and row["won"]):
                raise WrongState("The upload is being completed at this moment: ask again in a few seconds.")
            try:
                yield
            finally:
                with suppress(psycopg.Error):  # the connection is gone, and so is its lock
                    await connection.execute(SQL["unlock_upload"], {"id": upload_id})

    async def _told(
        self, row: Mapping[str, Any], parts: list[StoredPart], first: int, limit: int
    ) -> PartedUpload:
        count = part_count_of(row["size_bytes"], row["part_bytes"])
        there = {part.number: part for part in parts if part.size == bytes_of_part(row, part.number)}
        numbers = range(first, min(first + limit, count + 1)) if row["status"] == "open" else range(0)
        shown = await asyncio.to_thread(
            lambda: [self._part(row, number, there.get(number)) for number in numbers]
        )
        whole = row["status"] == "completed"
        return PartedUpload(
            **{name: row[name] for name in PartedUpload.model_fields.keys() & row.keys() - {"error"}},
            part_count=count,
            received_bytes=row["size_bytes"] if whole else sum(part.size for part in there.values()),
            parts=shown,
            next_part=numbers.stop if numbers and numbers.stop <= count else None,
            error=row["error"]["detail"] if row["error"] else None,
        )

    def _part(self, row: Mapping[str, Any], number: int, there: StoredPart | None) -> UploadPart:
        url = self._parts.url(self._bucket, row["object_key"], row["token"], number, URL_SECONDS)
        return UploadPart(
            number=number,
            size_bytes=bytes_of_part(row, number),
            url=url or f"/imagery/uploads/{row['id']}/parts/{number}",
            received=there is not None,
            etag=there.etag if there else None,
        )


def _some(pending: Iterator[Any], count: int) -> list[Any]:
    return [begun for _, begun in zip(range(count), pending, strict=False)]
