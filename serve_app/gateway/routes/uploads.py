"""Files that are too large for one request: they arrive in parts, which may be sent again and in any order."""

from __future__ import annotations

import asyncio
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Path, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from orthoray.contracts import Imagery
from orthoray.errors import BadInput
from orthoray.options import PLAIN_TEXT
from orthoray.storage.base import CHUNK_BYTES
from orthoray.storage.parts import MAX_PART_COUNT, PartWriter, StoredPart
from orthoray.uploads import MAX_PARTS_SHOWN, Digest, PartedUpload, PartPlace, UploadCompletion, UploadWish
from serve_app.gateway.auth import CurrentCaller
from serve_app.gateway.context import Backend, Parts
from serve_app.gateway.idempotency import IdempotentRoute, Subject
from serve_app.gateway.uploads import UploadFields

router = APIRouter(prefix="/imagery/uploads", tags=["imagery"], route_class=IdempotentRoute)

Number = Annotated[int, Path(ge=1, le=MAX_PART_COUNT, description="of the part, from 1")]


class UploadRequest(UploadFields):
    """The body of POST /imagery/uploads: the file to come, and what the fields of POST /imagery say of it."""

    model_config = ConfigDict(extra="forbid")

    filename: str = Field(min_length=1, max_length=1024)
    size: int = Field(ge=1, description="bytes")
    content_type: str | None = Field(default=None, max_length=128, pattern=PLAIN_TEXT)
    sha256: Digest | None = Field(default=None, description="of the whole file; checked when it is completed")

    def wish(self) -> UploadWish:
        return UploadWish(**self.model_dump(exclude={"gps_lat", "gps_lon"}), gps=self.gps())


class PutPart(BaseModel):
    """A part that is there."""

    number: int
    size_bytes: int
    etag: str


@router.post("", status_code=201, summary="Begin to upload a large file in parts")
async def begin(
    body: UploadRequest, response: Response, caller: CurrentCaller, services: Backend, subject: Subject
) -> PartedUpload:
    """PUT each part to its `url`, in any order and as often as needed, then POST `complete`.

    Where files lie on S3, the addresses are presigned ones of the S3 server and good for an hour: GET the upload for fresh ones.
    Else they are paths of this API. An upload that gets no part for seven days is given up.
    """
    wish = body.wish().model_copy(update={"id": subject})
    upload = await services.imagery.begin_upload(caller.tenant, wish)
    response.headers["Location"] = f"/imagery/uploads/{upload.id}"
    return upload


@router.get("/{upload_id}", summary="Which parts are there, and where the others go")
async def get_upload(
    upload_id: UUID,
    caller: CurrentCaller,
    services: Backend,
    first: Annotated[int, Query(ge=1, description="number of the first part that is told")] = 1,
    limit: Annotated[int, Query(ge=1, le=MAX_PARTS_SHOWN, description="how many parts at most")] = 1000,
) -> PartedUpload:
    return await services.imagery.get_upload(caller.tenant, upload_id, first, limit)


_BODY = {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}


@router.put(
    "/{upload_id}/parts/{number}",
    summary="Send a part through this API",
    openapi_extra={"requestBody": {"required": True, "content": _BODY}},
)
async def put_part(
    request: Request,
    response: Response,
    upload_id: UUID,
    number: Number,
    caller: CurrentCaller,
    services: Backend,
    store: Parts,
) -> PutPart:
    """The body is the part as it is, with `Content-Length`. A part that breaks off is not there; sent again, it replaces
    the earlier one. `etag` is its SHA-256 where files lie in a folder."""
    place = await services.imagery.place_of_part(caller.tenant, upload_id, number)
    length = request.headers.get("content-length", "")
    if not length.isdigit():
        raise HTTPException(411, "Send the part with the header Content-Length.")
    if int(length) != place.size_bytes:
        raise BadInput(
            f"Part {number} has {place.size_bytes} bytes, and this body has {length}: cut the file at every "
            "`part_bytes`.",
            size_bytes=place.size_bytes,
        )
    with store.writer(place.bucket, place.object_key, place.token, number) as part:
        stored = await _received(request, part, place)
    response.headers["ETag"] = f'"{stored.etag}"'
    return PutPart(number=number, size_bytes=stored.size, etag=stored.etag)


async def _received(request: Request, part: PartWriter, place: PartPlace) -> StoredPart:
    """
    Raises:
        BadInput: the body ended too early, or did not end.
    """
    waiting, size = bytearray(), 0
    try:
        async for piece in request.stream():
            size += len(piece)
            waiting += piece
            if len(waiting) >= CHUNK_BYTES:
                await asyncio.to_thread(part.write, bytes(waiting))
                waiting.clear()
            if size > place.size_bytes:
                break
    except ClientDisconnect:
        size = -1
    if size != place.size_bytes:
        raise BadInput("The connection did not bring the whole part: send it again.")
    await asyncio.to_thread(part.write, bytes(waiting))
    return await asyncio.to_thread(part.commit)


@router.post("/{upload_id}/complete", status_code=201, summary="Join the parts and catalogue the file")
async def complete(
    upload_id: UUID,
    response: Response,
    caller: CurrentCaller,
    services: Backend,
    body: UploadCompletion | None = None,
) -> Imagery:
    """May be repeated: it goes on where an earlier call was cut off, and answers with the same record once there is one."""
    imagery = await services.imagery.complete_upload(caller.tenant, upload_id, body or UploadCompletion())
    response.headers["Location"] = f"/imagery/{imagery.id}"
    return imagery


@router.delete("/{upload_id}", status_code=204, summary="Forget an upload and its parts")
async def abort(upload_id: UUID, caller: CurrentCaller, services: Backend) -> None:
    """An imagery that it has become stays."""
    await services.imagery.abort_upload(caller.tenant, upload_id)
