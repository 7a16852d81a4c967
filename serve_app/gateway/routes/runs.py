"""Analysis runs and their results."""

from __future__ import annotations

import asyncio
import math
from importlib.metadata import version
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Header, Query, Request, Response
from fastapi.responses import JSONResponse, StreamingResponse

from orthoray.contracts import AnalysisRequest, AnalysisRun, Imagery, Page, Report, RunStatus, Statistics
from orthoray.errors import BadInput, NotFound, WrongState
from orthoray.ports import Caller
from orthoray.standings import Standing
from serve_app.gateway.auth import CurrentCaller
from serve_app.gateway.caching import BY_CALLER, IMMUTABLE, is_known
from serve_app.gateway.context import Backend, Files, Limit, Next, Services, link_to_next
from serve_app.gateway.files import PNG, TIFF, send_object
from serve_app.gateway.idempotency import IdempotentRoute, Subject
from serve_app.gateway.preferences import AT_ONCE, Preferred
from serve_app.gateway.streams import HEADERS, SSE, events_of, place_of
from serve_app.gateway.watching import Following

router = APIRouter(prefix="/analysis-runs", tags=["analysis"], route_class=IdempotentRoute)


class ExpandedRun(AnalysisRun):
    """A run together with what `expand` asked for."""

    imagery: Imagery | None = None
    report: Report | None = None


@router.post("", status_code=202, summary="Analyse an image", responses=AT_ONCE)
async def create(
    request: AnalysisRequest,
    response: Response,
    caller: CurrentCaller,
    services: Backend,
    subject: Subject,
    following: Following,
    preferred: Preferred,
) -> AnalysisRun:
    run = await services.analysis.create(caller.tenant, request, subject)
    response.headers["Location"] = f"/analysis-runs/{run.id}"
    return await preferred.awaited(response, following.runs, caller.tenant, run, services.analysis.get)


@router.get("", summary="List runs, newest first")
async def list_runs(
    request: Request,
    response: Response,
    caller: CurrentCaller,
    services: Backend,
    limit: Limit = 50,
    next: Next = None,
    imagery_id: UUID | None = None,
    status: RunStatus | None = None,
) -> Page[AnalysisRun]:
    page = await services.analysis.search(caller.tenant, limit, next, imagery_id, status)
    response.headers.update(link_to_next(request, page))
    return page


@router.get("/{run_id}", summary="One run", response_model=ExpandedRun, response_model_exclude_unset=True)
async def get_run(
    run_id: UUID,
    caller: CurrentCaller,
    services: Backend,
    expand: str = Query(default="", max_length=64, description="imagery,report"),
) -> dict[str, Any] | Response:
    wanted = {part.strip() for part in expand.split(",") if part.strip()}
    if unknown := wanted - {"imagery", "report"}:
        raise BadInput(f"expand knows imagery and report, not {sorted(unknown)[0]}.")
    run = await services.analysis.get(caller.tenant, run_id)
    if not wanted:  # what is asked most of all need not be checked against the model that it is
        return Response(run.model_dump_json(), media_type="application/json")
    answer: dict[str, Any] = run.model_dump()
    if "imagery" in wanted:
        answer["imagery"] = await _or_none(services, caller, run)
    if "report" in wanted:
        reports = (await services.report.search(caller.tenant, 10, None, run_id, None)).items
        in_its_language = [report for report in reports if report.language == run.language]
        answer["report"] = next(iter(in_its_language or reports), None)
    return answer


async def _or_none(services: Services, caller: Caller, run: AnalysisRun) -> Imagery | None:
    try:
        return await services.imagery.get(caller.tenant, run.imagery_id)
    except NotFound:
        return None  # deleted a moment ago; the run will follow


@router.delete(
    "/{run_id}",
    status_code=204,
    summary="Cancel a run that is not finished, delete one that is",
    responses={202: {"description": "cancelled"}},
)
async def delete(run_id: UUID, caller: CurrentCaller, services: Backend) -> Response:
    status = await services.analysis.delete(caller.tenant, run_id)
    if status is None:
        return Response(status_code=204)
    return JSONResponse({"id": str(run_id), "status": status}, status_code=202)


@router.get(
    "/{run_id}/events", summary="How it goes on, until it ends", responses=SSE, response_class=Response
)
async def events(
    request: Request,
    run_id: UUID,
    caller: CurrentCaller,
    services: Backend,
    following: Following,
    last_event_id: Annotated[str | None, Header(description="`id` of the last event that arrived")] = None,
) -> Response:
    """Server-Sent Events: `state` for every change of `status` and `progress` for the steps between, each with `id`, `status`,
    `progress`, `attempts` and `error`. The first one tells how things are. The stream ends with the run; one that lasts ten
    minutes is cut, and goes on with `Last-Event-ID`. `deleted`: the run is there no more."""
    run = await services.analysis.get(caller.tenant, run_id)
    standing, after = Standing.of(caller.tenant, run), place_of(last_event_id)
    if standing.is_final and after is not None and after >= standing.place:
        return Response(status_code=204)
    following.runs.check_room(caller.tenant)
    if getattr(request.state, "head", False):
        return Response(media_type="text/event-stream", headers=HEADERS)
    told = events_of(following.runs, standing, after)
    return StreamingResponse(told, media_type="text/event-stream", headers=HEADERS)


async def completed_run(services: Services, caller: Caller, run_id: UUID) -> AnalysisRun:
    """
    Raises:
        WrongState: it has no results.
    """
    run = await services.analysis.get(caller.tenant, run_id)
    if run.status != "completed":
        reason = f": {run.error}" if run.error else "; ask again when it is completed."
        raise WrongState(f"The run is {run.status}{reason}", run_status=run.status, progress=run.progress)
    return run


@router.get("/{run_id}/heatmap", summary="The heatmap", responses=PNG, response_class=Response)
async def heatmap(
    request: Request, run_id: UUID, caller: CurrentCaller, services: Backend, storage: Files
) -> Response:
    run = await completed_run(services, caller, run_id)
    return await send_object(
        request,
        storage,
        run.heatmap_bucket or "",
        run.heatmap_key or "",
        "image/png",
        f"{run.index_type}-{run_id}.png",
    )


@router.get("/{run_id}/index.tif", summary="The index raster (COG)", responses=TIFF, response_class=Response)
async def index_raster(
    request: Request, run_id: UUID, caller: CurrentCaller, services: Backend, storage: Files
) -> Response:
    run = await completed_run(services, caller, run_id)
    name = f"{run.index_type}-{run_id}.tif"
    return await send_object(
        request, storage, run.heatmap_bucket or "", run.index_key or "", "image/tiff", name, download=True
    )


@router.get("/{run_id}/statistics", summary="The statistics")
async def statistics(
    run_id: UUID, response: Response, caller: CurrentCaller, services: Backend
) -> Statistics:
    run = await completed_run(services, caller, run_id)
    response.headers["Cache-Control"] = IMMUTABLE
    if run.statistics is None:
        raise NotFound("This run has no statistics.")
    return run.statistics


@router.get("/{run_id}/legend", summary="The legend of the heatmap", responses=PNG, response_class=Response)
async def legend(request: Request, run_id: UUID, caller: CurrentCaller, services: Backend) -> Response:
    """A picture; with `Accept: application/json` the same as data: stops (value, colour) and classes."""
    run = await completed_run(services, caller, run_id)
    headers = {"Cache-Control": IMMUTABLE, "Vary": f"Accept, {BY_CALLER}"}
    if "application/json" in request.headers.get("accept", ""):
        return JSONResponse(run.legend, headers=headers)
    # The drawing depends on the run, which has ended, and on the version that draws.
    headers["ETag"] = f'"{run_id}-{version("orthoray")}"'
    if is_known(request.headers.get("if-none-match", ""), headers["ETag"]):
        return Response(status_code=304, headers=headers)
    return Response(await asyncio.to_thread(_draw_legend, run), media_type="image/png", headers=headers)


def _draw_legend(run: AnalysisRun) -> bytes:
    from orthoray.spectral.legend import legend_png  # here: only this route draws
    from orthoray.spectral.thresholds import ThresholdSet

    data, thresholds = run.legend or {}, (run.provenance or {})["thresholds"]
    first, second, third = thresholds["cuts"]
    classes = ThresholdSet(
        thresholds["id"], run.index_type, (first, second, third), thresholds["crop"], thresholds["source"]
    )
    low, high = (math.nan if data.get(end) is None else float(data[end]) for end in ("vmin", "vmax"))
    title = str(data.get("title") or run.index_type)
    return legend_png(
        low, high, str(data.get("colormap", "rdylgn")), title=title, classes=classes, language=run.language
    )
