"""Every RPC, the operation of the REST API that it does the same as, and so the scope that it needs.

An RPC that does not stand here keeps the gateway from starting, and so does an entry without an RPC.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from google.protobuf.descriptor import FileDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from serve_app.gateway.scopes import NEEDED
from serve_app.rpc import orthoray_pb2

# Serve looks an RPC up by its name alone, so no two services may have one of the same name.
SAME_AS: Mapping[str, str] = {
    "ListImagery": "GET /imagery",
    "GetImagery": "GET /imagery/{imagery_id}",
    "UploadImagery": "POST /imagery",
    "DownloadImagery": "GET /imagery/{imagery_id}/content",
    "DownloadThumbnail": "GET /imagery/{imagery_id}/thumbnail",
    "DeleteImagery": "DELETE /imagery/{imagery_id}",
    "ListIndices": "GET /indices",
    "CreateRun": "POST /analysis-runs",
    "ListRuns": "GET /analysis-runs",
    "GetRun": "GET /analysis-runs/{run_id}",
    "WatchRun": "GET /analysis-runs/{run_id}",
    "DeleteRun": "DELETE /analysis-runs/{run_id}",
    "DownloadHeatmap": "GET /analysis-runs/{run_id}/heatmap",
    "DownloadIndexRaster": "GET /analysis-runs/{run_id}/index.tif",
    "CreateReport": "POST /reports",
    "ListReports": "GET /reports",
    "GetReport": "GET /reports/{report_id}",
    "DownloadReport": "GET /reports/{report_id}/pdf",
    "DeleteReport": "DELETE /reports/{report_id}",
}


@dataclass(frozen=True)
class Rpc:
    """One method of one service; `operation` is its row of `serve_app.gateway.scopes.NEEDED`."""

    service: str
    name: str
    operation: str
    request: type[Message]
    response: type[Message]
    takes_stream: bool
    gives_stream: bool

    @property
    def path(self) -> str:
        return f"/{self.service}/{self.name}"

    @property
    def scopes(self) -> tuple[str, ...]:
        """One of these is enough; none: any credentials."""
        return NEEDED[self.operation]

    @property
    def writes(self) -> bool:
        return not self.operation.startswith("GET ")


def rpcs_of(file: FileDescriptor, same_as: Mapping[str, str]) -> tuple[Rpc, ...]:
    """
    Raises:
        RuntimeError: RPCs and table do not fit, so somebody would come in without a scope.
    """
    methods = [method for service in file.services_by_name.values() for method in service.methods]
    names = [method.name for method in methods]
    strange = set(names).symmetric_difference(same_as) | (set(same_as.values()) - set(NEEDED))
    strange |= {name for name in names if names.count(name) > 1}
    if strange:
        raise RuntimeError(f"serve_app.rpc.operations and the RPCs do not fit: {', '.join(sorted(strange))}")
    return tuple(
        Rpc(
            service=method.containing_service.full_name,
            name=method.name,
            operation=same_as[method.name],
            request=GetMessageClass(method.input_type),
            response=GetMessageClass(method.output_type),
            takes_stream=method.client_streaming,
            gives_stream=method.server_streaming,
        )
        for method in methods
    )


RPCS = rpcs_of(orthoray_pb2.DESCRIPTOR, SAME_AS)
