"""ReportService: PDFs of completed runs."""

from __future__ import annotations

from collections.abc import AsyncIterator
from uuid import UUID

from google.protobuf.empty_pb2 import Empty

from orthoray.contracts import ReportRequest, RunStatus
from orthoray.storage.base import Storage
from serve_app.gateway.context import Services
from serve_app.gateway.routes.reports import place_of_pdf
from serve_app.rpc import orthoray_pb2 as pb
from serve_app.rpc.downloads import pieces_of
from serve_app.rpc.gate import Call
from serve_app.rpc.messages import Paging, checked, fields_of, id_of, message_of


class Listing(Paging):
    analysis_run_id: UUID | None = None
    status: RunStatus | None = None


class ReportRpcs:
    """One method for each RPC."""

    def __init__(self, services: Services, storage: Storage) -> None:
        self._services = services
        self._storage = storage

    async def create_report(self, call: Call, request: pb.CreateReportRequest) -> pb.Report:
        wish = checked(ReportRequest, fields_of(request))
        report = await self._services.report.create(call.tenant, wish)
        call.location = f"/reports/{report.id}"
        return message_of(report, pb.Report)

    async def list_reports(self, call: Call, request: pb.ListReportsRequest) -> pb.ListReportsResponse:
        wanted = checked(Listing, fields_of(request))
        page = await self._services.report.search(
            call.tenant, wanted.limit, wanted.next, wanted.analysis_run_id, wanted.status
        )
        items = [message_of(report, pb.Report, without={"history"}) for report in page.items]
        return pb.ListReportsResponse(items=items, next=page.next or "")

    async def get_report(self, call: Call, request: pb.GetReportRequest) -> pb.Report:
        return message_of(await self._services.report.get(call.tenant, id_of(request.id)), pb.Report)

    async def download_report(
        self, call: Call, request: pb.DownloadReportRequest
    ) -> AsyncIterator[pb.FileChunk]:
        report_id = id_of(request.id)
        bucket, key = await place_of_pdf(self._services, call.caller, report_id)
        return pieces_of(
            self._storage,
            call.caller,
            bucket,
            key,
            media_type="application/pdf",
            filename=f"orthoray-{report_id}.pdf",
            offset=request.offset,
        )

    async def delete_report(self, call: Call, request: pb.DeleteReportRequest) -> Empty:
        await self._services.report.delete(call.tenant, id_of(request.id))
        return Empty()
