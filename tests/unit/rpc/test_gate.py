"""What is around each call: audit, limits, ids, errors nobody foresaw, health, garbage."""

from __future__ import annotations

import errno
import os
import re
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any
from uuid import uuid4

import grpc
import pytest
from google.rpc import status_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from rpc_house import upload_of
from structlog.testing import capture_logs

from orthoray.errors import OrthoRayError, Unavailable
from orthoray.ports import Caller, Write
from serve_app.gateway.limits import Limiter
from serve_app.gateway.rates import Rates
from serve_app.rpc import gate
from serve_app.rpc import orthoray_pb2 as pb
from serve_app.rpc.gate import Gate, Slots
from serve_app.rpc.limits import MAX_MESSAGE_BYTES
from serve_app.rpc.statuses import DETAILS_KEY


def entries(house: Any) -> list[tuple[str, Write]]:
    return list(house.imagery.writes.values())


def metadata_of(refused: pytest.ExceptionInfo[grpc.RpcError]) -> dict[str, Any]:
    return dict(refused.value.trailing_metadata())


def test_writes_are_told_with_their_outcome(house: Any) -> None:
    key_id = uuid4()
    house.imagery.limited["or_farm"] = Caller(tenant="farm", key_id=key_id, scopes=frozenset({"admin"}))
    api = house.client("or_farm", **{"x-request-id": "mine"})
    made = api.UploadImagery(upload_of(("field.png", house.png)))
    api.DeleteImagery(pb.DeleteImageryRequest(id=made.id))
    (tenant, upload), (_, deleted) = entries(house)
    assert (tenant, upload.caller, upload.method) == ("farm", f"key:{key_id}", "RPC")
    assert upload.path == "/orthoray.v1.ImageryService/UploadImagery"
    assert (upload.status, upload.location, upload.request_id) == (200, f"/imagery/{made.id}", "mine")
    assert (deleted.status, deleted.ids) == (200, {"id": made.id})


def test_reading_is_not_told_and_neither_are_strangers(house: Any) -> None:
    house.client().ListImagery(pb.ListImageryRequest())
    with pytest.raises(grpc.RpcError):
        house.client(None).DeleteImagery(pb.DeleteImageryRequest(id=str(uuid4())))
    assert entries(house) == []


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (OrthoRayError("select 1"), 500, "INTERNAL"),
        (RuntimeError("/srv/secret"), 500, "INTERNAL"),
        (Unavailable(), 503, "UNAVAILABLE"),
        (OSError(errno.ENOSPC, "full"), 503, "UNAVAILABLE"),
        (OSError(errno.EIO, "/srv/secret"), 500, "INTERNAL"),
    ],
)
def test_what_failed_is_told_and_no_more_than_needed(
    house: Any, error: Exception, status: int, code: str
) -> None:
    house.fail(error)
    with pytest.raises(grpc.RpcError) as refused:
        house.client().DeleteRun(pb.DeleteRunRequest(id=str(uuid4())))
    assert refused.value.code().name == code
    assert not re.search(r"secret|select|Traceback", str(refused.value))
    with pytest.raises(grpc.RpcError) as refused:
        list(house.client().WatchRun(pb.WatchRunRequest(id=str(uuid4()))))
    assert refused.value.code().name == code
    assert code != "INTERNAL" or [write.status for _, write in entries(house)] == [status]


def test_what_is_not_allowed_is_told(house: Any) -> None:
    with pytest.raises(grpc.RpcError):
        house.client(house.key("imagery:read")).DeleteImagery(pb.DeleteImageryRequest(id=str(uuid4())))
    assert [write.status for _, write in entries(house)] == [403]


def test_nothing_is_changed_where_that_cannot_be_told(house: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    async def away(tenant: str, write: Write) -> None:
        raise Unavailable

    monkeypatch.setattr(house.imagery, "record_write", away)
    with pytest.raises(grpc.RpcError) as refused:
        house.upload()
    assert refused.value.code() is grpc.StatusCode.UNAVAILABLE
    assert "register" not in house.imagery.calls
    assert list(house.storage.list("imagery")) == []


@pytest.mark.parametrize(("given", "kept"), [("mine-1", True), ("no word", False), ("x" * 129, False)])
def test_every_answer_has_a_request_id(house: Any, given: str, kept: bool) -> None:
    api = house.client(**{"x-request-id": given})
    for request in (
        lambda: api.GetRun(pb.GetRunRequest(id="x")),
        lambda: list(api.WatchRun(pb.WatchRunRequest(id="x"))),
    ):
        with pytest.raises(grpc.RpcError) as refused:
            request()
        request_id = metadata_of(refused)["x-request-id"]
        assert (request_id == given) is kept
        assert re.fullmatch(r"[\w.:-]{1,128}", request_id)
        details = status_pb2.Status.FromString(metadata_of(refused)[DETAILS_KEY])
        assert details.message == refused.value.details()
        assert request_id.encode() in details.details[-1].value
    stream = api.WatchRun(pb.WatchRunRequest(id=str(house.run(completed=True).id)))
    assert len(list(stream)) == 1
    assert (dict(stream.trailing_metadata())["x-request-id"] == given) is kept


def test_calls_are_logged_without_what_was_said(house: Any) -> None:
    with capture_logs() as lines, pytest.raises(grpc.RpcError):
        house.client().GetImagery(pb.GetImageryRequest(id="secret"))
    (line,) = [line for line in lines if line["event"] == "rpc"]
    assert (line["rpc"], line["code"]) == ("/orthoray.v1.ImageryService/GetImagery", "NOT_FOUND")
    assert "secret" not in str(line)


def test_a_call_belongs_to_the_trace_that_it_names(house: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Any] = []

    @contextmanager
    def step(name: str, given: Any, **more: Any) -> Iterator[None]:
        seen.append((name, given, more))
        yield

    monkeypatch.setattr(gate, "step", step)
    parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    house.client(traceparent=parent).ListImagery(pb.ListImageryRequest())
    ((name, given, more),) = seen
    assert name == "orthoray.v1.ImageryService/ListImagery"
    assert given == {"traceparent": parent}
    assert (more["kind"], more["root"], more["attributes"]["rpc.method"]) == ("server", True, "ListImagery")


def test_a_request_is_small(house: Any) -> None:
    long = pb.CreateRunRequest(imagery_id=str(uuid4()), bands="x" * (2 * 1024**2))
    with pytest.raises(grpc.RpcError) as refused:
        house.client().CreateRun(long)
    assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert "1,048,576" in refused.value.details()
    with pytest.raises(grpc.RpcError) as refused:
        house.client().GetRun(pb.GetRunRequest(id="x" * (MAX_MESSAGE_BYTES + 1)))
    assert refused.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    big = pb.UploadImageryRequest(data=bytes(MAX_MESSAGE_BYTES + 1))
    with pytest.raises(grpc.RpcError) as refused:
        house.client().UploadImagery(iter([big]))
    assert refused.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert house.upload().id


def test_streams_are_counted_in_all_and_by_tenant() -> None:
    slots = Slots(most=3, most_of_tenant=2)
    with slots.taken("a"), slots.taken("a"):
        with pytest.raises(Unavailable), slots.taken("a"):
            pass
        with slots.taken("b"), pytest.raises(Unavailable), slots.taken("c"):
            pass
    with slots.taken("c"), slots.taken("c"):
        pass


def test_too_many_streams_are_refused_and_those_that_end_make_room(
    house: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    house.front.gate._slots = Slots(most=2)
    run, watching = house.run(), []
    for _ in range(2):
        stream = house.client().WatchRun(pb.WatchRunRequest(id=str(run.id)))
        next(stream)
        watching.append(stream)
    with pytest.raises(grpc.RpcError) as refused:
        next(house.client().WatchRun(pb.WatchRunRequest(id=str(run.id))))
    assert refused.value.code() is grpc.StatusCode.UNAVAILABLE
    assert house.client().GetRun(pb.GetRunRequest(id=str(run.id))).id == str(run.id)
    for stream in watching:
        stream.cancel()
    there = threading.Event()
    for _ in range(100):
        try:
            next(house.client().WatchRun(pb.WatchRunRequest(id=str(run.id))))
        except grpc.RpcError:
            there.wait(0.05)
        else:
            break
    else:
        pytest.fail("a stream that its client left holds its place")


def test_a_client_that_does_not_wait_is_not_worked_for(house: Any) -> None:
    run = house.run()
    api = house.client()
    with pytest.raises(grpc.RpcError) as refused:
        list(api.WatchRun.func(pb.WatchRunRequest(id=str(run.id)), metadata=api.metadata, timeout=0.3))
    assert refused.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    asked = house.analysis.calls.count("get")
    threading.Event().wait(0.2)
    assert house.analysis.calls.count("get") <= asked + 1


def test_a_handler_that_is_missing_keeps_the_gateway_from_starting(house: Any) -> None:
    with pytest.raises(RuntimeError, match="GetRun"):
        Gate({"ListRuns": None}, house.imagery, house.front.gate._admission)


def test_who_asks_too_often_is_told_when_to_come_back(house: Any) -> None:
    admission = house.front.gate._admission
    house.front.gate._admission = replace(admission, limiter=Limiter(Rates(2), 128))
    api = house.client()
    for _ in range(2):
        api.ListImagery(pb.ListImageryRequest())
    with pytest.raises(grpc.RpcError) as refused:
        api.ListImagery(pb.ListImageryRequest())
    assert refused.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED


def test_who_guesses_keys_is_told_to_stop(house: Any) -> None:
    house.front.gate._admission.authenticator._failures = Rates(2)
    codes = []
    for number in range(4):
        with pytest.raises(grpc.RpcError) as refused:
            house.client(f"a guess {number}").ListImagery(pb.ListImageryRequest())
        codes.append(refused.value.code())
    assert codes == [grpc.StatusCode.UNAUTHENTICATED] * 2 + [grpc.StatusCode.RESOURCE_EXHAUSTED] * 2


def test_without_authentication_everybody_is_let_in(make_house: Any) -> None:
    assert make_house("none").client(None).ListImagery(pb.ListImageryRequest()).items == []


def test_health_is_told_to_everybody(house: Any) -> None:
    stub = health_pb2_grpc.HealthStub(house.channel)
    serving, not_serving = health_pb2.HealthCheckResponse.SERVING, health_pb2.HealthCheckResponse.NOT_SERVING
    assert stub.Check(health_pb2.HealthCheckRequest()).status == serving
    house.analysis.failures = {"analysis_db": "password authentication failed"}
    house.report.error = Unavailable()
    told = {name: one.status for name, one in stub.List(health_pb2.HealthListRequest()).statuses.items()}
    assert told == {
        "": serving,
        "orthoray.v1.ImageryService": serving,
        "orthoray.v1.AnalysisService": not_serving,
        "orthoray.v1.ReportService": not_serving,
    }
    for _ in range(5):
        stub.Check(health_pb2.HealthCheckRequest(service="orthoray.v1.AnalysisService"))
    assert house.analysis.calls.count("check") == 1
    with pytest.raises(grpc.RpcError) as refused:
        stub.Check(health_pb2.HealthCheckRequest(service="other"))
    assert refused.value.code() is grpc.StatusCode.NOT_FOUND
    with pytest.raises(grpc.RpcError) as refused:
        list(stub.Watch(health_pb2.HealthCheckRequest()))
    assert refused.value.code() is grpc.StatusCode.UNIMPLEMENTED


def test_garbage_does_no_harm(house: Any) -> None:
    for begin in (b"", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"):
        with socket.create_connection(("127.0.0.1", house.port), timeout=5) as port:
            port.sendall(begin + os.urandom(5000))
    call = house.channel.unary_unary("/orthoray.v1.ImageryService/GetImagery")
    for garbage in (b"\xff" * 100, os.urandom(1000), b"\x0a\xff\xff\xff\xff\x0f"):
        with pytest.raises(grpc.RpcError) as refused:
            call(garbage, metadata=house.client().metadata, timeout=20)
        assert refused.value.code() in {
            grpc.StatusCode.INTERNAL,
            grpc.StatusCode.UNKNOWN,
            grpc.StatusCode.NOT_FOUND,
        }
        assert "Traceback" not in str(refused.value)
    for path in ("/orthoray.v1.ImageryService/Nothing", "/x/y", "/"):
        with pytest.raises(grpc.RpcError) as refused:
            house.channel.unary_unary(path)(b"", timeout=20)
        assert refused.value.code() is grpc.StatusCode.UNIMPLEMENTED
    odd = (("x-api-key", "or_key-of-default"), ("x-api-key-bin", b"\xff"), ("traceparent", "nonsense"))
    api = house.client()
    assert api.ListImagery.func(pb.ListImageryRequest(), metadata=odd, timeout=20).items == []


def test_the_limit_of_streams_leaves_room_for_requests() -> None:
    from serve_app.app import COMMON

    assert COMMON["max_ongoing_requests"] / 2 > gate.MAX_STREAMS
