"""Which scope each route and each field of the graph needs: these tables alone say it.

A route or field that does not stand here keeps the gateway from starting, and so does an entry without one.
"""

from __future__ import annotations

from collections.abc import Mapping

from fastapi import FastAPI, Request
from fastapi.routing import APIRoute

from orthoray.errors import NotAllowed
from orthoray.ports import Caller
from orthoray.scopes import (
    ANALYSIS_RUN,
    IMAGERY_READ,
    IMAGERY_WRITE,
    REPORTS_READ,
    REPORTS_WRITE,
    allows,
)

# These say nothing about anybody's data. Every other path needs credentials, whether there is a route or not.
PUBLIC_PATHS = frozenset({"/api/ping", "/health", "/docs", "/openapi.json"})

# One of these scopes is enough; an empty tuple: any credentials. The scope `admin` opens all.
_ANY: tuple[str, ...] = ()
_RESULTS = (ANALYSIS_RUN, REPORTS_READ)
# Of the whole catalogue they show what they open: images, results, or both.
_STAC = (IMAGERY_READ, *_RESULTS)
NEEDED: Mapping[str, tuple[str, ...]] = {
    "GET /api/ping": _ANY,
    "GET /health": _ANY,
    "GET /ready": _ANY,
    "POST /imagery": (IMAGERY_WRITE,),
    "POST /imagery/uploads": (IMAGERY_WRITE,),
    "GET /imagery/uploads/{upload_id}": (IMAGERY_WRITE,),
    "PUT /imagery/uploads/{upload_id}/parts/{number}": (IMAGERY_WRITE,),
    "POST /imagery/uploads/{upload_id}/complete": (IMAGERY_WRITE,),
    "DELETE /imagery/uploads/{upload_id}": (IMAGERY_WRITE,),
    "GET /imagery": (IMAGERY_READ,),
    "GET /imagery/{imagery_id}": (IMAGERY_READ,),
    "GET /imagery/{imagery_id}/content": (IMAGERY_READ,),
    "GET /imagery/{imagery_id}/thumbnail": (IMAGERY_READ,),
    "DELETE /imagery/{imagery_id}": (IMAGERY_WRITE,),
    "GET /indices": (IMAGERY_READ, ANALYSIS_RUN),
    "POST /analysis-runs": (ANALYSIS_RUN,),
    "GET /analysis-runs": _RESULTS,
    "GET /analysis-runs/{run_id}": _RESULTS,
    "DELETE /analysis-runs/{run_id}": (ANALYSIS_RUN,),
    "GET /analysis-runs/{run_id}/events": _RESULTS,
    "GET /analysis-runs/{run_id}/heatmap": _RESULTS,
    "GET /analysis-runs/{run_id}/index.tif": _RESULTS,
    "GET /analysis-runs/{run_id}/statistics": _RESULTS,
    "GET /analysis-runs/{run_id}/legend": _RESULTS,
    "POST /reports": (REPORTS_WRITE,),
    "GET /reports": (REPORTS_READ,),
    "GET /reports/{report_id}": (REPORTS_READ,),
    "GET /reports/{report_id}/pdf": (REPORTS_READ,),
    "DELETE /reports/{report_id}": (REPORTS_WRITE,),
    "GET /stac": _STAC,
    "GET /stac/conformance": _STAC,
    "GET /stac/collections": _STAC,
    "GET /stac/collections/imagery": (IMAGERY_READ,),
    "GET /stac/collections/imagery/items": (IMAGERY_READ,),
    "GET /stac/collections/imagery/items/{imagery_id}": (IMAGERY_READ,),
    "GET /stac/collections/{collection_id}": _RESULTS,
    "GET /stac/collections/{collection_id}/items": _RESULTS,
    "GET /stac/collections/{collection_id}/items/{run_id}": _RESULTS,
    "GET /stac/search": _STAC,
    "POST /stac/search": _STAC,
    "POST /graphql": _ANY,
    "GET /batches": _RESULTS,
    "GET /batches/{batch_id}": _RESULTS,
    "GET /batches/{batch_id}/files/{name}": _RESULTS,
}
# The same for the fields of the graph at `POST /graphql` that fetch or change anything. What they give out is seen with them.
FIELDS: Mapping[str, tuple[str, ...]] = {
    "Query.imagery": (IMAGERY_READ,),
    "Query.imageryList": (IMAGERY_READ,),
    "Query.run": _RESULTS,
    "Query.runs": _RESULTS,
    "Query.report": (REPORTS_READ,),
    "Query.reports": (REPORTS_READ,),
    "Query.batch": _RESULTS,
    "Query.batches": _RESULTS,
    "Query.indices": (IMAGERY_READ, ANALYSIS_RUN),
    "Imagery.runs": _RESULTS,
    "AnalysisRun.imagery": (IMAGERY_READ,),
    "AnalysisRun.report": (REPORTS_READ,),
    "AnalysisRun.reports": (REPORTS_READ,),
    "Report.run": _RESULTS,
    "Mutation.requestAnalysis": (ANALYSIS_RUN,),
    "Mutation.deleteRun": (ANALYSIS_RUN,),
    "Mutation.requestReport": (REPORTS_WRITE,),
    "Mutation.deleteReport": (REPORTS_WRITE,),
    "Mutation.deleteImagery": (IMAGERY_WRITE,),
}
# What `?expand=` adds to an answer is read with the scope of its own route.
EXPANDED: Mapping[str, tuple[str, ...]] = {"imagery": (IMAGERY_READ,), "report": (REPORTS_READ,)}


async def check_scope(request: Request) -> None:
    """A dependency of every route: runs before the handler, and so before an upload is read.

    Raises:
        NotAllowed: the caller's credentials lack the scope, which is named.
    """
    path = request.scope["route"].path_format
    if path in PUBLIC_PATHS:
        return
    caller: Caller = request.state.caller
    require(caller, NEEDED[f"{request.method} {path}"])
    for name in request.query_params.get("expand", "").split(","):
        require(caller, EXPANDED.get(name.strip(), _ANY))


def require(caller: Caller, wanted: tuple[str, ...]) -> None:
    """
    Raises:
        NotAllowed: none of the wanted scopes is held.
    """
    if not allows(caller.scopes, wanted):
        names = " or ".join(wanted)
        raise NotAllowed(
            f"This needs the scope {names}, which these credentials lack: ask for a key or token that has it.",
            needed_scopes=list(wanted),
            scopes=sorted(caller.scopes),
        )


def operations_of(app: FastAPI) -> set[str]:
    """`GET /path` of every route that there is but the API's own documentation."""
    found = set()
    for entry in app.routes:
        # FastAPI keeps an included router as one entry.
        for route in entry.original_router.routes if hasattr(entry, "original_router") else [entry]:
            if isinstance(route, APIRoute):
                found |= {f"{method} {route.path_format}" for method in route.methods or ()}
            elif getattr(route, "path", None) not in PUBLIC_PATHS:
                found.add(f"? {getattr(route, 'path', route)}")
    return found


def check_table(app: FastAPI) -> None:
    """
    Raises:
        RuntimeError: routes and table do not fit, so somebody would come in without a scope.
    """
    if strange := operations_of(app).symmetric_difference(NEEDED):
        raise RuntimeError(
            f"serve_app.gateway.scopes and the routes do not fit: {', '.join(sorted(strange))}"
        )
