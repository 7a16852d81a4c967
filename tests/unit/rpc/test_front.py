"""All RPCs on services in memory: what goes in, what comes out."""

from __future__ import annotations

import asyncio
import threading
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import grpc
import pytest
from fakes import complete
from google.protobuf import json_format
from google.protobuf.struct_pb2 import Value
from rpc_house import upload_of

from serve_app.rpc import downloads, imagery
from serve_app.rpc import orthoray_pb2 as pb
from serve_app.rpc.operations import RPCS


def code(refused: pytest.ExceptionInfo[grpc.RpcError]) -> grpc.StatusCode:
    found: grpc.StatusCode = refused.value.code()
    return found


def value(thing: Any) -> Value:
    return json_format.ParseDict(thing, Value())


def test_an_image_from_upload_to_its_end(house: Any) -> None:
    api = house.client()
    made = house.upload(
        bands="R,G,B", captured_at=datetime(2026, 5, 1, tzinfo=UTC), gps_lat=47.0, gps_lon=28.8, scale=[0.5]
    )
    assert dict(made.bands) == {"R": 1, "G": 2, "B": 3}
    assert (made.width, made.height, made.size_bytes) == (4, 4, len(house.png))
    assert made.captured_at.ToDatetime(UTC) == datetime(2026, 5, 1, tzinfo=UTC)
    assert made.gps.latitude == 47.0
    assert api.GetImagery(pb.GetImageryRequest(id=made.id)) == made
    assert list(api.ListImagery(pb.ListImageryRequest()).items) == [made]
    (chunk,) = api.DownloadImagery(pb.DownloadImageryRequest(id=made.id))
    assert chunk.data == house.png
    assert (chunk.info.filename, chunk.info.media_type) == ("field.png", "image/png")
    (small,) = api.DownloadThumbnail(pb.DownloadThumbnailRequest(id=made.id))
    assert small.data.startswith(b"\x89PNG")
    api.DeleteImagery(pb.DeleteImageryRequest(id=made.id))
    with pytest.raises(grpc.RpcError) as refused:
        api.GetImagery(pb.GetImageryRequest(id=made.id))
    assert code(refused) is grpc.StatusCode.NOT_FOUND
    assert house.storage.exists("imagery", made.object_key) is False


def test_pages_follow_each_other(house: Any) -> None:
    api = house.client()
    made = [house.upload().id for _ in range(3)]
    first = api.ListImagery(pb.ListImageryRequest(limit=2))
    second = api.ListImagery(pb.ListImageryRequest(limit=2, next=first.next))
    assert [item.id for item in [*first.items, *second.items]] == made[::-1]
    assert second.next == ""


def test_filters_reach_the_service(house: Any) -> None:
    after = datetime(2026, 1, 1, tzinfo=UTC)
    box = pb.BoundingBox(west=28, south=46, east=29, north=47)
    house.client().ListImagery(pb.ListImageryRequest(bbox=box, captured_after=after))
    assert (house.imagery.query.bbox, house.imagery.query.captured_after) == ((28, 46, 29, 47), after)
    run = house.run()
    other = house.run()
    api = house.client()
    found = api.ListRuns(pb.ListRunsRequest(imagery_id=str(run.imagery_id), status=pb.RUN_STATUS_QUEUED))
    assert [item.id for item in found.items] == [str(run.id)]
    assert api.ListRuns(pb.ListRunsRequest(status=pb.RUN_STATUS_FAILED)).items == []
    assert str(other.id) not in {item.id for item in found.items}


@pytest.mark.parametrize(
    ("rpc", "request_"),
    [
        ("ListImagery", pb.ListImageryRequest(limit=201)),
        ("ListImagery", pb.ListImageryRequest(limit=-1)),
        ("ListImagery", pb.ListImageryRequest(next="x" * 300)),
        ("ListImagery", pb.ListImageryRequest(next="not a token")),
        ("ListImagery", pb.ListImageryRequest(bbox=pb.BoundingBox(west=float("nan")))),
        ("ListImagery", pb.ListImageryRequest(bbox=pb.BoundingBox(west=2, east=1))),
        ("ListRuns", pb.ListRunsRequest(imagery_id="none")),
        ("ListRuns", pb.ListRunsRequest(status=99)),  # type: ignore[arg-type]  # an enum of a later version
        ("ListReports", pb.ListReportsRequest(analysis_run_id="none")),
        ("ListIndices", pb.ListIndicesRequest(q="x" * 65)),
        ("CreateRun", pb.CreateRunRequest()),
        ("CreateRun", pb.CreateRunRequest(imagery_id="none")),
        ("CreateReport", pb.CreateReportRequest(language="xx", analysis_run_id=str(uuid4()))),
        ("CreateRun", pb.CreateRunRequest(imagery_id=str(uuid4()), thresholds=value([1, 2]))),
        (
            "CreateRun",
            pb.CreateRunRequest(imagery_id=str(uuid4()), thresholds=Value(number_value=float("nan"))),
        ),
    ],
)
def test_what_does_not_fit_is_told(house: Any, rpc: str, request_: Any) -> None:
    with pytest.raises(grpc.RpcError) as refused:
        getattr(house.client(), rpc)(request_)
    assert code(refused) is grpc.StatusCode.INVALID_ARGUMENT
    assert refused.value.details()


@pytest.mark.parametrize("identifier", ["", "none", "00000000-0000-0000-0000-000000000000", "'; drop table"])
def test_ids_that_lead_nowhere(house: Any, identifier: str) -> None:
    api = house.client()
    for rpc, request in (
        ("GetImagery", pb.GetImageryRequest(id=identifier)),
        ("DeleteRun", pb.DeleteRunRequest(id=identifier)),
        ("GetReport", pb.GetReportRequest(id=identifier)),
    ):
        with pytest.raises(grpc.RpcError) as refused:
            getattr(api, rpc)(request)
        assert code(refused) is grpc.StatusCode.NOT_FOUND
    for rpc, request in (
        ("WatchRun", pb.WatchRunRequest(id=identifier)),
        ("DownloadReport", pb.DownloadReportRequest(id=identifier)),
    ):
        with pytest.raises(grpc.RpcError) as refused:
            next(getattr(api, rpc)(request))
        assert code(refused) is grpc.StatusCode.NOT_FOUND


def test_a_run_with_all_its_wishes(house: Any) -> None:
    image = house.upload(bands="R,G,B")
    options = pb.AnalysisOptions(
        expression="(G - R) / (G + R + L)",
        constants={"L": 0.5},
        scale=value(0.5),
        soil_mask=pb.SoilMask(index_type="VARI", above=0.0),
        stretch=value([0, 1]),
        blend=0.0,
    )
    wish = pb.CreateRunRequest(
        imagery_id=image.id,
        index_type="expr",
        thresholds=value([0.5, 0.3, 0.1]),
        language="en",
        priority="low",
        options=options,
    )
    run = house.client().CreateRun(wish)
    assert (run.index_type, run.language, run.priority) == ("expr", "en", "low")
    assert run.status == pb.RUN_STATUS_QUEUED
    assert json_format.MessageToDict(run.thresholds) == [0.5, 0.3, 0.1]
    assert (run.options.raster, run.options.blend) == ("float32", 0.0)
    assert run.options.HasField("blend")
    assert (run.options.soil_mask.index_type, run.options.soil_mask.above) == ("VARI", 0.0)
    assert json_format.MessageToDict(run.options.stretch) == [0, 1]
    plain = house.client().CreateRun(pb.CreateRunRequest(imagery_id=house.upload().id))
    assert (plain.index_type, plain.options.raw) == ("NDVI_emp", False)


def test_what_an_image_lacks_is_named(house: Any) -> None:
    with pytest.raises(grpc.RpcError) as refused:
        house.client().CreateRun(pb.CreateRunRequest(imagery_id=house.upload().id, index_type="NDVI"))
    assert code(refused) is grpc.StatusCode.INVALID_ARGUMENT
    assert "N" in refused.value.details()


def test_the_results_of_a_run(house: Any) -> None:
    api, run = house.client(), house.run(completed=True)
    record = api.GetRun(pb.GetRunRequest(id=str(run.id)))
    assert record.status == pb.RUN_STATUS_COMPLETED
    assert record.statistics.valid_pixels == run.statistics.valid_pixels
    assert list(record.statistics.histogram.counts) == run.statistics.histogram.counts
    assert dict(record.stats) == run.stats
    assert json_format.MessageToDict(record.provenance).keys() == run.provenance.keys()
    (listed,) = api.ListRuns(pb.ListRunsRequest()).items
    assert listed.statistics.mean == record.statistics.mean
    assert not listed.HasField("provenance")
    assert not listed.HasField("legend")
    assert not listed.statistics.HasField("histogram")
    picture = b"".join(chunk.data for chunk in api.DownloadHeatmap(pb.DownloadHeatmapRequest(id=str(run.id))))
    assert picture == house.storage.get_bytes(run.heatmap_bucket, run.heatmap_key)
    raster = list(api.DownloadIndexRaster(pb.DownloadIndexRasterRequest(id=str(run.id))))
    assert raster[0].info.media_type == "image/tiff"
    report = house.report_of(run)
    (pdf,) = api.DownloadReport(pb.DownloadReportRequest(id=str(report.id)))
    assert pdf.info.filename == f"orthoray-{report.id}.pdf"
    assert api.GetReport(pb.GetReportRequest(id=str(report.id))).status == pb.RUN_STATUS_COMPLETED
    assert [item.id for item in api.ListReports(pb.ListReportsRequest()).items] == [str(report.id)]
    again = api.CreateReport(pb.CreateReportRequest(analysis_run_id=str(run.id)))
    assert again.id == str(report.id)
    api.DeleteReport(pb.DeleteReportRequest(id=str(report.id)))
    assert api.ListReports(pb.ListReportsRequest()).items == []


def test_results_are_not_there_before_the_end(house: Any) -> None:
    api, run = house.client(), house.run()
    report = api.CreateReport(pb.CreateReportRequest(analysis_run_id=str(house.run(completed=True).id)))
    for chunks in (
        api.DownloadHeatmap(pb.DownloadHeatmapRequest(id=str(run.id))),
        api.DownloadIndexRaster(pb.DownloadIndexRasterRequest(id=str(run.id))),
        api.DownloadReport(pb.DownloadReportRequest(id=report.id)),
    ):
        with pytest.raises(grpc.RpcError) as refused:
            next(chunks)
        assert code(refused) is grpc.StatusCode.FAILED_PRECONDITION


def test_a_run_is_cancelled_first_and_deleted_then(house: Any) -> None:
    api, run = house.client(), house.run()
    assert api.DeleteRun(pb.DeleteRunRequest(id=str(run.id))).status == pb.RUN_STATUS_CANCELLED
    assert api.DeleteRun(pb.DeleteRunRequest(id=str(run.id))).status == pb.RUN_STATUS_UNSPECIFIED
    assert api.ListRuns(pb.ListRunsRequest()).items == []


def test_a_run_is_watched_to_its_end(house: Any) -> None:
    run = house.run()
    changes = house.client().WatchRun(pb.WatchRunRequest(id=str(run.id)))
    assert next(changes).status == pb.RUN_STATUS_QUEUED
    run.status, run.attempts = "processing", 1
    assert next(changes).status == pb.RUN_STATUS_PROCESSING
    run.progress = 0.5
    assert next(changes).progress == 0.5
    run.status, run.attempts = "queued", 0
    asyncio.run(complete(house.analysis, house.storage, run))
    *_, last = changes
    assert (last.status, last.progress) == (pb.RUN_STATUS_COMPLETED, 1.0)


def test_a_watcher_hears_that_it_is_not_forgotten(house: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("serve_app.rpc.analysis.BEAT_S", 0.05)
    changes = house.client().WatchRun(pb.WatchRunRequest(id=str(house.run().id)))
    assert [next(changes).status for _ in range(3)] == [pb.RUN_STATUS_QUEUED] * 3
    changes.cancel()


def test_who_watches_with_a_revoked_key_sees_no_more(house: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("serve_app.gateway.auth.REMEMBER_S", -1)
    run, key = house.run(), house.key("analysis:run")
    changes = house.client(key).WatchRun(pb.WatchRunRequest(id=str(run.id)))
    next(changes)
    del house.imagery.limited[key]
    run.progress = 0.5
    with pytest.raises(grpc.RpcError) as refused:
        next(changes)
    assert code(refused) is grpc.StatusCode.UNAUTHENTICATED


def test_indices_and_what_an_image_lacks_for_them(house: Any) -> None:
    api = house.client()
    every = {index.name: index for index in api.ListIndices(pb.ListIndicesRequest()).items}
    assert every["NDVI"].bands == ["N", "R"]
    assert list(every["NDVI"].value_range) == [-1, 1]
    image = house.upload(bands="R,G,B")
    of_image = {
        index.name: index for index in api.ListIndices(pb.ListIndicesRequest(imagery_id=image.id)).items
    }
    assert (of_image["NDVI"].computable, of_image["NDVI"].missing_bands) == (False, ["N"])
    water = api.ListIndices(pb.ListIndicesRequest(domain="water", q="NDWI")).items
    assert {index.domain for index in water} == {"water"}


def test_a_long_file_comes_in_pieces_and_calls(house: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(downloads, "MAX_DOWNLOAD_BYTES", 1000)
    content = bytes(range(256)) * 9
    image = house.upload()
    house.storage.put_bytes("imagery", image.object_key, content)
    api, got, calls, etags = house.client(), b"", 0, set()
    while True:
        chunks = list(api.DownloadImagery(pb.DownloadImageryRequest(id=image.id, offset=len(got))))
        assert chunks[0].info.offset == len(got)
        etags.add(chunks[0].info.etag)
        got, calls = got + b"".join(chunk.data for chunk in chunks), calls + 1
        if len(got) == chunks[0].info.size_bytes:
            break
    assert (got, calls, len(etags)) == (content, 3, 1)
    (end,) = api.DownloadImagery(pb.DownloadImageryRequest(id=image.id, offset=len(content)))
    assert end.info.size_bytes == len(content)
    for offset in (-1, len(content) + 1):
        with pytest.raises(grpc.RpcError) as refused:
            list(api.DownloadImagery(pb.DownloadImageryRequest(id=image.id, offset=offset)))
        assert code(refused) is grpc.StatusCode.INVALID_ARGUMENT
    for asset in (-1, 1):
        with pytest.raises(grpc.RpcError) as refused:
            list(api.DownloadImagery(pb.DownloadImageryRequest(id=image.id, asset=asset)))
        assert code(refused) is grpc.StatusCode.NOT_FOUND


def _file(**fields: Any) -> pb.UploadImageryRequest:
    return pb.UploadImageryRequest(file=pb.UploadFile(**fields))


@pytest.mark.parametrize(
    "messages",
    [
        [],
        [pb.UploadImageryRequest()],
        [pb.UploadImageryRequest(data=b"x")],
        [pb.UploadImageryRequest(fields=pb.UploadFields())],
        [_file(filename="a.png"), pb.UploadImageryRequest(fields=pb.UploadFields())],
        [_file(filename="a.png")],
        [_file(filename="")],
        [_file(filename="a.png", content_type="x\ny"), pb.UploadImageryRequest(data=b"x")],
        [_file(filename="a.png"), pb.UploadImageryRequest(data=b"no image")],
        [_file(filename="a.png", size_bytes=9), pb.UploadImageryRequest(data=b"short")],
        [pb.UploadImageryRequest(fields=pb.UploadFields(gps_lat=1)), *upload_of(("a.png", b"x"))],
        [
            pb.UploadImageryRequest(fields=pb.UploadFields(gps_lat=100, gps_lon=0)),
            *upload_of(("a.png", b"x")),
        ],
        list(upload_of(*[(f"{number}.png", b"x") for number in range(33)])),
        list(upload_of(("a.png", b"x" * 100_001))),
    ],
)
def test_an_upload_that_is_none_leaves_nothing(house: Any, messages: list[Any]) -> None:
    with pytest.raises(grpc.RpcError) as refused:
        house.client().UploadImagery(iter(messages))
    assert code(refused) is grpc.StatusCode.INVALID_ARGUMENT
    assert list(house.storage.list("imagery")) == []
    assert house.imagery.rows == {}


def test_a_stream_that_breaks_off_is_no_upload(house: Any) -> None:
    goes_on = threading.Event()

    def broken() -> Any:
        yield _file(filename="a.png")
        yield pb.UploadImageryRequest(data=house.png)
        goes_on.wait(20)

    call = house.client().UploadImagery.func.future(broken(), metadata=house.client().metadata, timeout=20)
    call.cancel()
    goes_on.set()
    assert house.imagery.rows == {}
    assert house.upload().id


def test_a_stream_that_serve_ends_for_a_client_that_left_is_no_upload(house: Any) -> None:
    class Left:
        """As Serve's, which ends without an exception."""

        def __init__(self) -> None:
            self.left = [_file(filename="a.png"), pb.UploadImageryRequest(data=house.png)]

        def __aiter__(self) -> Any:
            return self

        async def __anext__(self) -> Any:
            if not self.left:
                raise StopAsyncIteration
            return self.left.pop(0)

        def is_cancelled(self) -> bool:
            return True

    class Heard:
        said: Any = None

        def invocation_metadata(self) -> Any:
            return [("x-api-key", "or_key-of-default")]

        def set_trailing_metadata(self, trailing_metadata: Any) -> None: ...

        def set_code(self, said: Any) -> None:
            self.said = said

        def set_details(self, details: str) -> None: ...

        def peer(self) -> str:
            return ""

    rpc = next(rpc for rpc in RPCS if rpc.name == "UploadImagery")
    heard = Heard()
    asyncio.run(house.front.gate.answer(rpc, Left(), heard))
    assert heard.said is grpc.StatusCode.INVALID_ARGUMENT
    assert house.imagery.rows == {}


def test_who_sends_nothing_does_not_hold_a_place(house: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(imagery, "IDLE_S", 0.05)
    over = threading.Event()

    def silent() -> Any:
        yield _file(filename="a.png")
        over.wait(20)

    with pytest.raises(grpc.RpcError) as refused:
        house.client().UploadImagery(silent())
    over.set()
    assert code(refused) is grpc.StatusCode.INVALID_ARGUMENT
