"""The catalogue of uploads."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Annotated, Any
from uuid import UUID

import structlog
from fastapi import APIRouter, Query, Request, Response

from orthoray.contracts import Asset, Imagery, Page
from orthoray.errors import BadInput, NotFound, OrthoRayError
from orthoray.keys import thumbnail_key
from orthoray.moments import Moment
from orthoray.ports import MAX_PARTS, Caller, ImageryQuery, Upload
from serve_app.gateway.auth import CurrentCaller
from serve_app.gateway.bounds import FORM, checked_bounds
from serve_app.gateway.context import (
    Backend,
    Config,
    Files,
    Limit,
    Next,
    Services,
    link_to_next,
)
from serve_app.gateway.files import ANY_FILE, PNG, send_object
from serve_app.gateway.idempotency import IdempotentRoute, Subject, is_about
from serve_app.gateway.uploads import UploadFields, receive_upload

router = APIRouter(prefix="/imagery", tags=["imagery"], route_class=IdempotentRoute)
log = structlog.get_logger(__name__)


def _upload_form() -> dict[str, Any]:
    """The body of POST /imagery for /openapi.json: the route reads it itself, after the caller is known."""
    fields = UploadFields.model_json_schema()["properties"]
    schema = {
        "type": "object",
        "required": ["file"],
        "properties": {
            "file": {
                "type": "array",
                "items": {"type": "string", "format": "binary"},
                "minItems": 1,
                "maxItems": MAX_PARTS,
            },
            **fields,
        },
    }
    return {"requestBody": {"required": True, "content": {"multipart/form-data": {"schema": schema}}}}


@router.post(
    "", status_code=201, summary="Upload an image of one or more files", openapi_extra=_upload_form()
)
async def upload(
    request: Request,
    response: Response,
    caller: CurrentCaller,
    services: Backend,
    storage: Files,
    config: Config,
    subject: Subject,
) -> Imagery:
    """`bands` names the bands in order, such as `R,G,B,N`, where the files themselves do not.

    Files of one size and place, such as a satellite scene with a file for each band, make one imagery: send `file` several
    times. Bands are numbered through all files in the order in which they were sent. A mask as GDAL writes it,
    `field.tif.msk`, is sent beside its `field.tif`.
    """
    stored = await receive_upload(
        request, storage, config.imagery_bucket, caller.tenant, config.max_upload_bytes, subject
    )
    imagery = await catalogue(
        services, caller, stored, told=is_about(request, stored.told()), is_keyed=subject is not None
    )
    response.headers["Location"] = f"/imagery/{imagery.id}"
    return imagery


async def catalogue(
    services: Services,
    caller: Caller,
    stored: Upload,
    *,
    told: Awaitable[None] | None = None,
    is_keyed: bool = False,
) -> Imagery:
    """The record of stored files; where there is none in the end, nothing of them stays.

    `told` is awaited first. `is_keyed`: the record's id follows from the key that the client gave the request.
    """
    try:
        if told is not None:
            await told
        return await services.imagery.register(caller.tenant, stored)
    except BaseException:
        # What has a key is found by its repeat; and a row of its id may be another attempt's that went well.
        undo = _clean_up if is_keyed else _undo
        await asyncio.shield(undo(services, caller, stored))
        raise


async def _undo(services: Services, caller: Caller, stored: Upload) -> None:
    """The client hears that it failed, so nothing may stay: neither a file, nor a row whose answer was lost."""
    try:
        await services.imagery.delete(caller.tenant, stored.id)
    except NotFound:
        await _clean_up(services, caller, stored)
    except OrthoRayError as error:
        # Whether there is a row cannot be known now, and a file without a row is better than a row without a file.
        log.warning("a failed upload may have left a file", imagery_id=str(stored.id), reason=error.detail)


async def _clean_up(services: Services, caller: Caller, stored: Upload) -> None:
    try:
        await services.imagery.clean_up(caller.tenant, stored.id, [file.object_key for file in stored.files])
    except OrthoRayError as error:
        log.warning("a failed upload has left a file", imagery_id=str(stored.id), reason=error.detail)


@router.get("", summary="List the catalogue, newest first")
async def list_imagery(
    request: Request,
    response: Response,
    caller: CurrentCaller,
    services: Backend,
    limit: Limit = 50,
    next: Next = None,
    bbox: Annotated[str | None, Query(description="west,south,east,north in degrees")] = None,
    captured_after: Moment | None = None,
    captured_before: Moment | None = None,
) -> Page[Imagery]:
    query = ImageryQuery(
        limit=limit,
        next=next,
        bbox=_bbox(bbox),
        captured_after=captured_after,
        captured_before=captured_before,
    )
    page = await services.imagery.search(caller.tenant, query)
    response.headers.update(link_to_next(request, page))
    return page


def _bbox(text: str | None) -> tuple[float, float, float, float] | None:
    if text is None:
        return None
    try:
        degrees = [float(part) for part in text.split(",")]
    except ValueError:
        raise BadInput(f"{FORM}: bbox=28.1,46.9,29.0,47.5") from None
    return checked_bounds(degrees)


@router.get("/{imagery_id}", summary="One record")
async def get_imagery(imagery_id: UUID, caller: CurrentCaller, services: Backend) -> Imagery:
    return await services.imagery.get(caller.tenant, imagery_id)


@router.get("/{imagery_id}/content", summary="A file", responses=ANY_FILE, response_class=Response)
async def content(
    request: Request,
    imagery_id: UUID,
    caller: CurrentCaller,
    services: Backend,
    storage: Files,
    asset: Annotated[int, Query(ge=0, description="which of the imagery's files, from 0")] = 0,
) -> Response:
    imagery = await services.imagery.get(caller.tenant, imagery_id)
    file = asset_of(imagery, asset)
    return await send_object(
        request, storage, imagery.bucket, file.object_key, file.content_type, file.filename, download=True
    )


def asset_of(imagery: Imagery, number: int) -> Asset:
    """One of its files, from 0.

    Raises:
        NotFound: it has fewer.
    """
    if not 0 <= number < len(imagery.assets):
        raise NotFound(f"This imagery has {len(imagery.assets)} files: asset counts from 0.")
    return imagery.assets[number]


@router.get("/{imagery_id}/thumbnail", summary="A small picture", responses=PNG, response_class=Response)
async def thumbnail(
    request: Request, imagery_id: UUID, caller: CurrentCaller, services: Backend, storage: Files
) -> Response:
    imagery = await services.imagery.get(caller.tenant, imagery_id)
    key = thumbnail_key(caller.tenant, imagery_id)
    return await send_object(request, storage, imagery.bucket, key, "image/png", f"{imagery_id}.png")


@router.delete("/{imagery_id}", status_code=204, summary="Delete an image with its runs and reports")
async def delete_imagery(imagery_id: UUID, caller: CurrentCaller, services: Backend) -> None:
    await services.imagery.delete(caller.tenant, imagery_id)
