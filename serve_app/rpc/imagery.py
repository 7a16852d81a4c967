"""ImageryService: the catalogue, uploads and downloads."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator
from contextlib import ExitStack

from fastapi import UploadFile
from google.protobuf.empty_pb2 import Empty
from pydantic import BaseModel, Field
from starlette.datastructures import Headers

from orthoray.errors import BadInput, TooLarge
from orthoray.keys import thumbnail_key
from orthoray.moments import Moment
from orthoray.ports import MAX_PARTS, ImageryQuery
from orthoray.storage.base import Storage
from serve_app.gateway.bounds import checked_bounds
from serve_app.gateway.context import GatewayConfig, Services
from serve_app.gateway.routes.imagery import asset_of, catalogue
from serve_app.gateway.uploads import UploadFields, store_upload, too_many_files
from serve_app.rpc import orthoray_pb2 as pb
from serve_app.rpc.downloads import pieces_of
from serve_app.rpc.gate import Call
from serve_app.rpc.messages import Paging, checked, fields_of, id_of, message_of

# A client that sends nothing for so long is gone, or holds its place for nothing.
IDLE_S = 60.0
_HEADER_TEXT = r"^[\x20-\x7e]*$"


class Listing(Paging):
    captured_after: Moment | None = None
    captured_before: Moment | None = None


class FileStart(BaseModel):
    """Of one file of an upload."""

    filename: str = Field(min_length=1, max_length=1024)
    content_type: str | None = Field(default=None, max_length=128, pattern=_HEADER_TEXT)
    size_bytes: int | None = Field(default=None, ge=1)


class ImageryRpcs:
    """One method for each RPC."""

    def __init__(self, services: Services, storage: Storage, config: GatewayConfig) -> None:
        self._services = services
        self._storage = storage
        self._config = config

    async def list_imagery(self, call: Call, request: pb.ListImageryRequest) -> pb.ListImageryResponse:
        listing = checked(Listing, fields_of(request))
        box = request.bbox
        bbox = (
            checked_bounds([box.west, box.south, box.east, box.north]) if request.HasField("bbox") else None
        )
        query = ImageryQuery(bbox=bbox, **listing.model_dump())
        page = await self._services.imagery.search(call.tenant, query)
        items = [message_of(record, pb.Imagery) for record in page.items]
        return pb.ListImageryResponse(items=items, next=page.next or "")

    async def get_imagery(self, call: Call, request: pb.GetImageryRequest) -> pb.Imagery:
        return message_of(await self._services.imagery.get(call.tenant, id_of(request.id)), pb.Imagery)

    async def upload_imagery(
        self, call: Call, requests: AsyncIterator[pb.UploadImageryRequest]
    ) -> pb.Imagery:
        with ExitStack() as stack:
            fields, files = await self._received(stack, requests)
            stored = await store_upload(
                fields,
                files,
                self._storage,
                self._config.imagery_bucket,
                call.tenant,
                self._config.max_upload_bytes,
            )
        imagery = await catalogue(self._services, call.caller, stored)
        call.location = f"/imagery/{imagery.id}"
        return message_of(imagery, pb.Imagery)

    async def download_imagery(
        self, call: Call, request: pb.DownloadImageryRequest
    ) -> AsyncIterator[pb.FileChunk]:
        imagery = await self._services.imagery.get(call.tenant, id_of(request.id))
        asset = asset_of(imagery, request.asset)
        return pieces_of(
            self._storage,
            call.caller,
            imagery.bucket,
            asset.object_key,
            media_type=asset.content_type,
            filename=asset.filename,
            offset=request.offset,
        )

    async def download_thumbnail(
        self, call: Call, request: pb.DownloadThumbnailRequest
    ) -> AsyncIterator[pb.FileChunk]:
        imagery = await self._services.imagery.get(call.tenant, id_of(request.id))
        return pieces_of(
            self._storage,
            call.caller,
            imagery.bucket,
            thumbnail_key(call.tenant, imagery.id),
            media_type="image/png",
            filename=f"{imagery.id}.png",
            offset=request.offset,
        )

    async def delete_imagery(self, call: Call, request: pb.DeleteImageryRequest) -> Empty:
        await self._services.imagery.delete(call.tenant, id_of(request.id))
        return Empty()

    async def _received(
        self, stack: ExitStack, requests: AsyncIterator[pb.UploadImageryRequest]
    ) -> tuple[UploadFields, list[UploadFile]]:
        """The fields, and the files in temporary ones that live as long as `stack`.

        Raises:
            BadInput: the messages come in no order that makes sense, or break off.
            Impossible: a field does not fit, or there are too many files.
            TooLarge: the files together are larger than allowed.
        """
        fields, starts, files, left = (
            UploadFields(),
            list[FileStart](),
            list[UploadFile](),
            self._config.max_upload_bytes,
        )
        async for message in _in_time(requests):
            kind = message.WhichOneof("part")
            if kind == "fields" and not files:
                fields = checked(UploadFields, fields_of(message.fields))
            elif kind == "file":
                if len(files) >= MAX_PARTS:
                    raise too_many_files()
                start = checked(FileStart, {name.name: value for name, value in message.file.ListFields()})
                file = stack.enter_context(tempfile.TemporaryFile(prefix="orthoray-upload-"))  # noqa: SIM115 - it is one
                headers = Headers({"content-type": start.content_type} if start.content_type else {})
                starts.append(start)
                files.append(UploadFile(file, filename=start.filename, headers=headers))
            elif kind == "data" and files:
                left -= len(message.data)
                if left < 0:
                    limit = self._config.max_upload_bytes
                    raise TooLarge(f"The upload is larger than the limit of {limit} bytes.", max_bytes=limit)
                await asyncio.to_thread(files[-1].file.write, message.data)
            else:
                raise BadInput("Send `fields` first, if at all, then for each file a `file` and its `data`.")
        if getattr(requests, "is_cancelled", bool)():  # Serve ends a stream that broke off like any other
            raise BadInput("The stream broke off: upload the image again.")
        if not files:
            raise BadInput("There is no file in the stream: send a `file` and then its `data`.")
        for start, one in zip(starts, files, strict=True):
            if start.size_bytes not in {None, one.file.tell()}:
                raise BadInput(
                    f"{start.filename}: {one.file.tell()} bytes have come, not {start.size_bytes}: upload it again."
                )
            one.file.seek(0)
        return fields, files


async def _in_time(
    requests: AsyncIterator[pb.UploadImageryRequest],
) -> AsyncIterator[pb.UploadImageryRequest]:
    """
    Raises:
        BadInput: the next message does not come.
    """
    following = aiter(requests)
    while True:
        try:
            async with asyncio.timeout(IDLE_S):
                message = await anext(following)
        except StopAsyncIteration:
            return
        except TimeoutError:
            raise BadInput(f"Nothing came for {IDLE_S:.0f} s: upload the image again.") from None
        yield message
