"""The catalogue of indices."""

from __future__ import annotations

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query

from pipelines.planning import index_catalogue
from serve_app.gateway.auth import CurrentCaller
from serve_app.gateway.context import Backend

router = APIRouter(prefix="/indices", tags=["indices"])


@router.get("", summary="The indices that can be asked for")
async def indices(
    caller: CurrentCaller,
    services: Backend,
    imagery_id: UUID | None = None,
    domain: Annotated[str | None, Query(max_length=64, description="vegetation, water, soil, ...")] = None,
    q: Annotated[str | None, Query(max_length=64, description="a part of the name")] = None,
) -> list[dict[str, Any]]:
    """With `imagery_id` each entry says whether it can be computed from that image, and which bands are missing."""
    imagery = await services.imagery.get(caller.tenant, imagery_id) if imagery_id else None
    return index_catalogue(imagery.bands if imagery else None, domain=domain, words=q)
