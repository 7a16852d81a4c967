"""Reports."""

from __future__ import annotations

from uuid import UUID

from fastapi import APIRouter, Request, Response

from orthoray.contracts import Page, Report, ReportRequest, RunStatus
from orthoray.errors import WrongState
from orthoray.ports import Caller
from serve_app.gateway.auth import CurrentCaller
from serve_app.gateway.context import Backend, Files, Limit, Next, Services, link_to_next
from serve_app.gateway.files import PDF, send_object
from serve_app.gateway.idempotency import IdempotentRoute
from serve_app.gateway.preferences import AT_ONCE, Preferred
from serve_app.gateway.watching import Following

router = APIRouter(prefix="/reports", tags=["reports"], route_class=IdempotentRoute)


@router.post("", status_code=202, summary="Ask for the PDF of a completed run", responses=AT_ONCE)
async def create(
    request: ReportRequest,
    response: Response,
    caller: CurrentCaller,
    services: Backend,
    following: Following,
    preferred: Preferred,
) -> Report:
    """There is one report per run and language: asking again gives the same one."""
    report = await services.report.create(caller.tenant, request)
    response.headers["Location"] = f"/reports/{report.id}"
    return await preferred.awaited(response, following.reports, caller.tenant, report, services.report.get)


@router.get("", summary="List reports, newest first")
async def list_reports(
    request: Request,
    response: Response,
    caller: CurrentCaller,
    services: Backend,
    limit: Limit = 50,
    next: Next = None,
    analysis_run_id: UUID | None = None,
    status: RunStatus | None = None,
) -> Page[Report]:
    page = await services.report.search(caller.tenant, limit, next, analysis_run_id, status)
    response.headers.update(link_to_next(request, page))
    return page


@router.get("/{report_id}", summary="One report")
async def get_report(report_id: UUID, caller: CurrentCaller, services: Backend) -> Report:
    return await services.report.get(caller.tenant, report_id)


@router.get("/{report_id}/pdf", summary="The PDF", responses=PDF, response_class=Response)
async def pdf(
    request: Request, report_id: UUID, caller: CurrentCaller, services: Backend, storage: Files
) -> Response:
    bucket, key = await place_of_pdf(services, caller, report_id)
    name = f"orthoray-{report_id}.pdf"
    return await send_object(request, storage, bucket, key, "application/pdf", name, immutable=False)


async def place_of_pdf(services: Services, caller: Caller, report_id: UUID) -> tuple[str, str]:
    """Bucket and key.

    Raises:
        WrongState: it is not written.
    """
    report = await services.report.get(caller.tenant, report_id)
    if report.status != "completed" or not report.report_bucket or not report.report_key:
        reason = f": {report.error}" if report.error else "; ask again when it is completed."
        raise WrongState(f"The report is {report.status}{reason}", report_status=report.status)
    return report.report_bucket, report.report_key


@router.delete("/{report_id}", status_code=204, summary="Delete a report")
async def delete(report_id: UUID, caller: CurrentCaller, services: Backend) -> None:
    await services.report.delete(caller.tenant, report_id)
