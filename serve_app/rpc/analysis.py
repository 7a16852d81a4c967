"""AnalysisService: indices, runs, and their results."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

from pydantic import BaseModel, Field

from orthoray.contracts import AnalysisRequest, RunStatus
from orthoray.standings import FINAL
from orthoray.storage.base import Storage
from pipelines.planning import index_catalogue
from serve_app.gateway.context import Services
from serve_app.gateway.routes.runs import completed_run
from serve_app.rpc import orthoray_pb2 as pb
from serve_app.rpc.downloads import pieces_of
from serve_app.rpc.gate import Call
from serve_app.rpc.messages import Paging, checked, fields_of, id_of, message_of

POLL_S = 0.5
# Proxies in between cut streams that are silent, many of them after a minute.
BEAT_S = 20.0
# What makes a page of runs large; GetRun tells it.
NOT_LISTED = {"statistics": {"histogram"}, "legend": True, "provenance": True, "history": True}


class Listing(Paging):
    imagery_id: UUID | None = None
    status: RunStatus | None = None


class IndexChoice(BaseModel):
    imagery_id: UUID | None = None
    domain: str | None = Field(default=None, max_length=64)
    q: str | None = Field(default=None, max_length=64)


class AnalysisRpcs:
    """One method for each RPC."""

    def __init__(self, services: Services, storage: Storage) -> None:
        self._services = services
        self._storage = storage

    async def list_indices(self, call: Call, request: pb.ListIndicesRequest) -> pb.ListIndicesResponse:
        choice = checked(IndexChoice, fields_of(request))
        imagery = (
            await self._services.imagery.get(call.tenant, choice.imagery_id) if choice.imagery_id else None
        )
        found = index_catalogue(imagery.bands if imagery else None, domain=choice.domain, words=choice.q)
        return pb.ListIndicesResponse(items=[message_of(_known(entry), pb.Index) for entry in found])

    async def create_run(self, call: Call, request: pb.CreateRunRequest) -> pb.AnalysisRun:
        fields = fields_of(request)
        wish = checked(AnalysisRequest, {**fields.pop("options", {}), **fields})
        run = await self._services.analysis.create(call.tenant, wish)
        call.location = f"/analysis-runs/{run.id}"
        return message_of(run, pb.AnalysisRun)

    async def list_runs(self, call: Call, request: pb.ListRunsRequest) -> pb.ListRunsResponse:
        wanted = checked(Listing, fields_of(request))
        page = await self._services.analysis.search(
            call.tenant, wanted.limit, wanted.next, wanted.imagery_id, wanted.status
        )
        items = [message_of(run, pb.AnalysisRun, without=NOT_LISTED) for run in page.items]
        return pb.ListRunsResponse(items=items, next=page.next or "")

    async def get_run(self, call: Call, request: pb.GetRunRequest) -> pb.AnalysisRun:
        return message_of(await self._services.analysis.get(call.tenant, id_of(request.id)), pb.AnalysisRun)

    async def watch_run(self, call: Call, request: pb.WatchRunRequest) -> AsyncIterator[pb.AnalysisRun]:
        return self._changes(call.tenant, id_of(request.id))

    async def _changes(self, tenant: str, run_id: UUID) -> AsyncIterator[pb.AnalysisRun]:
        seen, told_at = None, 0.0
        while True:
            run = await self._services.analysis.get(tenant, run_id)
            now = (run.status, run.progress, run.attempts, run.last_error)
            if now != seen or time.monotonic() - told_at > BEAT_S:
                yield message_of(run, pb.AnalysisRun)
                told_at = time.monotonic()
            seen = now
            if now[0] in FINAL:
                return
            await asyncio.sleep(POLL_S)

    async def delete_run(self, call: Call, request: pb.DeleteRunRequest) -> pb.DeleteRunResponse:
        status = await self._services.analysis.delete(call.tenant, id_of(request.id))
        return message_of({"status": status} if status else {}, pb.DeleteRunResponse)

    async def download_heatmap(
        self, call: Call, request: pb.DownloadHeatmapRequest
    ) -> AsyncIterator[pb.FileChunk]:
        run = await completed_run(self._services, call.caller, id_of(request.id))
        name = f"{run.index_type}-{run.id}.png"
        return self._pieces(call, run.heatmap_bucket, run.heatmap_key, "image/png", name, request.offset)

    async def download_index_raster(
        self, call: Call, request: pb.DownloadIndexRasterRequest
    ) -> AsyncIterator[pb.FileChunk]:
        run = await completed_run(self._services, call.caller, id_of(request.id))
        name = f"{run.index_type}-{run.id}.tif"
        return self._pieces(call, run.heatmap_bucket, run.index_key, "image/tiff", name, request.offset)

    def _pieces(
        self, call: Call, bucket: str | None, key: str | None, media_type: str, filename: str, offset: int
    ) -> AsyncIterator[pb.FileChunk]:
        return pieces_of(
            self._storage,
            call.caller,
            bucket or "",
            key or "",
            media_type=media_type,
            filename=filename,
            offset=offset,
        )


def _known(entry: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in entry.items() if value is not None}
