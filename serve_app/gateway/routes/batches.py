"""Batches: how far they are, and what they found. They are started on the command line, as Ray jobs."""

from __future__ import annotations

from pathlib import PurePosixPath
from uuid import UUID

from fastapi import APIRouter, Request, Response

from orthoray.batches import COLLECTION, FILE_TYPES, SUMMARY, TABLE, Batch
from orthoray.contracts import Page
from orthoray.errors import NotFound
from orthoray.storage.keys import check_key
from serve_app.gateway.auth import CurrentCaller
from serve_app.gateway.context import Backend, Files, Limit, Next, link_to_next
from serve_app.gateway.files import send_object

NO_SUCH_FILE = "A batch has no such file: collection.json names those that it has; summary.pdf is there if it was asked for."
NOT_YET = (
    "This file is written when all images of the batch are done: GET /batches/{batch_id} tells how far it is."
)

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
        raise NotFound(NO_SUCH_FILE)
    key = check_key(batch.prefix + name)
    try:
        return await send_object(
            request, storage, batch.bucket, key, kind, name.rpartition("/")[2], immutable=False
        )
    except NotFound:
        is_told_at_the_end = name in {COLLECTION, TABLE, SUMMARY} and batch.status in {
            "running",
            "interrupted",
        }
        raise NotFound(NOT_YET if is_told_at_the_end else NO_SUCH_FILE) from None
