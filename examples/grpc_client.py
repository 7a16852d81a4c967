"""Upload an image, analyse it, watch the run, and fetch heatmap and report, all by gRPC.

    GRPC_PORT=50051 orthoray up
    export ORTHORAY_API_KEY=$(cat ~/.local/share/orthoray/api-key)
    .venv/bin/python examples/grpc_client.py field.jpg results/

Other languages make their stubs from serve_app/rpc/orthoray.proto, which is all that this needs of OrthoRay.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
from google.rpc import error_details_pb2, status_pb2

from serve_app.rpc import orthoray_pb2 as pb
from serve_app.rpc import orthoray_pb2_grpc as stubs

PIECE_BYTES = 1024**2
TIMEOUT_S = 60
POLL_S = 0.5
# An upload over a slow line, or a run that waits its turn.
LONG_S = 1800


def messages_of(path: Path, bands: str | None) -> Iterator[pb.UploadImageryRequest]:
    """The stream of an upload: what is said of the image, then the file."""
    if bands:
        yield pb.UploadImageryRequest(fields=pb.UploadFields(bands=bands))
    yield pb.UploadImageryRequest(file=pb.UploadFile(filename=path.name, size_bytes=path.stat().st_size))
    with path.open("rb") as file:
        while piece := file.read(PIECE_BYTES):
            yield pb.UploadImageryRequest(data=piece)


def download(begin: Callable[[int], Iterator[pb.FileChunk]], target: Path) -> None:
    """Call after call, for each brings 32 MiB at most; `begin` is given the offset."""
    done, info = 0, pb.FileInfo()
    with target.open("wb") as file:
        while True:
            for chunk in begin(done):
                if chunk.HasField("info"):
                    if info.etag != chunk.info.etag and done:
                        raise RuntimeError("The file has changed meanwhile: download it again.")
                    info = chunk.info
                file.write(chunk.data)
                done += len(chunk.data)
            if done >= info.size_bytes:
                return


def analyse(channel: grpc.Channel, key: str, image: Path, out: Path, index: str, bands: str | None) -> str:
    """The conclusion of the run; its files lie in `out`.

    Raises:
        RuntimeError: the run has not completed; it says why.
        grpc.RpcError: a call was refused; see `reason_of`.
    """
    # Behind Serve's proxy `application` is needed only where the cluster has other applications too.
    always: dict[str, Any] = {"metadata": (("x-api-key", key), ("application", "orthoray"))}
    imagery, analysis, report = (
        stubs.ImageryServiceStub(channel),
        stubs.AnalysisServiceStub(channel),
        stubs.ReportServiceStub(channel),
    )
    uploaded = imagery.UploadImagery(messages_of(image, bands), timeout=LONG_S, **always)
    wish = pb.CreateRunRequest(imagery_id=uploaded.id, index_type=index, language="en")
    run = analysis.CreateRun(wish, timeout=TIMEOUT_S, **always)
    for run in analysis.WatchRun(pb.WatchRunRequest(id=run.id), timeout=LONG_S, **always):  # noqa: B020 - it is the same run
        print(f"{pb.RunStatus.Name(run.status)} {run.progress:.0%}")  # noqa: T201 - a program for people
    if run.status != pb.RUN_STATUS_COMPLETED:
        raise RuntimeError(run.error or "The run was cancelled.")
    out.mkdir(parents=True, exist_ok=True)
    download(
        lambda offset: analysis.DownloadHeatmap(
            pb.DownloadHeatmapRequest(id=run.id, offset=offset), timeout=LONG_S, **always
        ),
        out / "heatmap.png",
    )
    asked = pb.CreateReportRequest(analysis_run_id=run.id, language="en")
    written = report.CreateReport(asked, timeout=TIMEOUT_S, **always)
    while written.status in {pb.RUN_STATUS_QUEUED, pb.RUN_STATUS_PROCESSING}:
        time.sleep(POLL_S)
        written = report.GetReport(pb.GetReportRequest(id=written.id), timeout=TIMEOUT_S, **always)
    download(
        lambda offset: report.DownloadReport(
            pb.DownloadReportRequest(id=written.id, offset=offset), timeout=LONG_S, **always
        ),
        out / "report.pdf",
    )
    return str(run.conclusion)


def reason_of(error: grpc.RpcError) -> str:
    """What was refused and why, with the word that programs go by."""
    metadata = dict(error.trailing_metadata() or ())
    status = status_pb2.Status.FromString(metadata.get("grpc-status-details-bin", b""))
    info = error_details_pb2.ErrorInfo()
    reasons = [info.reason for packed in status.details if packed.Unpack(info)]
    return f"{error.code().name} ({', '.join(reasons) or 'no details'}): {error.details()}"


def main() -> None:
    parser = argparse.ArgumentParser(description="Analyse an image by gRPC.")
    parser.add_argument("image", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--address", default="127.0.0.1:50051")
    parser.add_argument("--index", default="NDVI_emp")
    parser.add_argument("--bands", help="of the image, in order: R,G,B,N")
    given = parser.parse_args()
    with grpc.insecure_channel(given.address) as channel:
        try:
            key = os.environ["ORTHORAY_API_KEY"]
            print(analyse(channel, key, given.image, given.out, given.index, given.bands))  # noqa: T201 - see above
        except grpc.RpcError as error:
            raise SystemExit(reason_of(error)) from None


if __name__ == "__main__":
    main()
