"""Is it up, and can it work?"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from fastapi import APIRouter, Request
from fastapi.responses import Response

from orthoray.errors import OrthoRayError
from orthoray.ports import AnalysisPort, ImageryPort, ReportPort
from serve_app.gateway.context import Backend
from serve_app.gateway.problems import problem

router = APIRouter(tags=["health"])
ALIVE = {"status": "ok", "service": "api-gateway"}


@router.get("/api/ping", summary="The gateway answers (no credentials needed)")
@router.get("/health", summary="The gateway answers (no credentials needed)")
async def ping() -> dict[str, str]:
    return ALIVE


@router.get("/ready", summary="Databases, storage and workers answer", response_model=None)
async def ready(request: Request, services: Backend) -> dict[str, str] | Response:
    """503 names what does not answer."""
    named: dict[str, ImageryPort | AnalysisPort | ReportPort] = {
        "imagery-service": services.imagery,
        "analysis-service": services.analysis,
        "report-service": services.report,
    }
    found = await asyncio.gather(*(_failures(name, service) for name, service in named.items()))
    failures = {name: reason for one in found for name, reason in one.items()}
    if not failures:
        return {"status": "ready"}
    return problem(
        503,
        "Not ready",
        f"These do not answer: {', '.join(failures)}",
        path=request.url.path,
        fields={"failures": failures},
    )


async def _failures(name: str, service: ImageryPort | AnalysisPort | ReportPort) -> Mapping[str, str]:
    try:
        return await service.check()
    except OrthoRayError as error:
        return {name: error.detail}
