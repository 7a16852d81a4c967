"""Batches: how far they are, and what they found. They are started on the command line, as Ray jobs."""

from __future__ import annotations

from pathlib import PurePosixPath
from uuid import UUID

from fastapi import APIRouter, Request, Response

from orthoray.batches import FILE_TYPES, Batch
from orthoray.contracts import Page
from orthoray.errors import NotFound
from orthoray.storage.keys import check_key
from serve_app.gateway.auth import CurrentCaller
from serve_app.gateway.context import Backend, Files, Limit, Next, link_to_next
from serve_app.gateway.files import send_object

router = APIRouter(prefix="/batches", tags=["batches"])


@router.get("", summary="List batches, newest first")
async def list_batches(
    request: Request,
    response: Response,
    caller: CurrentCaller,
    services: Backend,
    limit: Limit = 50,
    next: Next = None,
) -> Page[Batch]:
    page = await services.batches.search_batches(caller.tenant, limit, next)
    response.headers.update(link_to_next(request, page))
    return page


@router.get("/{batch_id}", summary="One batch")
async def get_batch(batch_id: UUID, caller: CurrentCaller, services: Backend) -> Batch:
    return await services.batches.get_batch(caller.tenant, batch_id)


@router.get("/{batch_id}/files/{name:path}", summary="A file of its results", response_class=Response)
async def get_file(
    request: Request, batch_id: UUID, name: str, caller: CurrentCaller, services: Backend, storage: Files
) -> Response:
    """`collection.json` is where to begin: its links lead to all others but `summary.pdf`."""
    batch = await services.batches.get_batch(caller.tenant, batch_id)
    kind = FILE_TYPES.get(PurePosixPath(name).suffix)
    if kind is None:
        raise NotFound("A batch has no such file: collection.json names those that it has.")
    return await send_object(
        request, storage, batch.bucket, check_key(batch.prefix + name), kind, name.rpartition("/")[2]
    )
