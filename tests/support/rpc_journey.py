"""What gRPC does on a running installation, whatever stands before its gateway."""

from __future__ import annotations

import importlib.util
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import grpc
import pytest
from google.rpc import status_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase
from scenes import photo
from stack import Stack, eventually

from serve_app.rpc import orthoray_pb2 as pb
from serve_app.rpc import orthoray_pb2_grpc as stubs
from serve_app.rpc.limits import MAX_MESSAGE_BYTES
from serve_app.rpc.operations import RPCS

EXAMPLE = Path(__file__).parents[2] / "examples" / "grpc_client.py"
NOBODY = "00000000-0000-0000-0000-000000000000"


def example() -> ModuleType:
    spec = importlib.util.spec_from_file_location("grpc_client", EXAMPLE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@contextmanager
def channel_to(stack: Stack) -> Iterator[grpc.Channel]:
    with grpc.insecure_channel(f"127.0.0.1:{stack.grpc_port}") as channel:
        yield channel


def refused(call: Any) -> grpc.RpcError:
    with pytest.raises(grpc.RpcError) as error:
        call()
    return error.value


def the_way_of_an_image(stack: Stack, folder: Path) -> None:
    image = folder / "field.jpg"
    image.write_bytes(photo())
    program = example()
    with channel_to(stack) as channel, stack.client() as api:
        conclusion = program.analyse(channel, stack.key, image, folder / "results", "NDVI_emp", None)
        (run,) = api.get("/analysis-runs", params={"limit": 1}).json()["items"]
        metadata = [("x-api-key", stack.key), ("x-request-id", "mine")]
        again = stubs.AnalysisServiceStub(channel).WatchRun(
            pb.WatchRunRequest(id=run["id"]), metadata=metadata, timeout=60
        )
        assert [one.id for one in again] == [run["id"]]
        assert dict(again.trailing_metadata())["x-request-id"] == "mine"
        assert conclusion == run["conclusion"]
        heatmap = api.get(f"/analysis-runs/{run['id']}/heatmap").content
        assert (folder / "results" / "heatmap.png").read_bytes() == heatmap
        assert (folder / "results" / "report.pdf").read_bytes().startswith(b"%PDF-")
        assert api.get(f"/imagery/{run['imagery_id']}/content").content == image.read_bytes()
        reason = program.reason_of(
            refused(lambda: program.analyse(channel, "or_wrong", image, folder, "NDVI_emp", None))
        )
        assert reason.startswith("UNAUTHENTICATED (NOT_AUTHENTICATED): ")
        assert api.delete(f"/imagery/{run['imagery_id']}").status_code == 204


def everybody_else_stays_outside(stack: Stack) -> None:
    """Every RPC without credentials and with wrong ones; for known ones unknown ids. Streams have details and no message."""
    with channel_to(stack) as channel:
        for rpc in RPCS:
            method = getattr(getattr(stubs, f"{rpc.service.rpartition('.')[2]}Stub")(channel), rpc.name)
            has_id = "id" in rpc.request.DESCRIPTOR.fields_by_name
            for key, wanted in (
                ("", "UNAUTHENTICATED"),
                ("or_x", "UNAUTHENTICATED"),
                (stack.key, "NOT_FOUND"),
            ):
                if wanted == "NOT_FOUND" and not has_id:
                    continue
                request: Any = rpc.request(id=NOBODY) if has_id else rpc.request()
                metadata = [("x-api-key", key)] if key else []
                given = iter([request]) if rpc.takes_stream else request
                answer = method(given, metadata=metadata, timeout=60) if rpc.gives_stream else None
                error = refused(
                    lambda answer=answer, method=method, given=given, metadata=metadata: (
                        list(answer) if answer is not None else method(given, metadata=metadata, timeout=60)
                    )
                )
                assert error.code().name == wanted, rpc.name
                trailing = dict(error.trailing_metadata())
                assert trailing["x-request-id"], rpc.name
                details = status_pb2.Status.FromString(trailing["grpc-status-details-bin"])
                assert details.message == error.details(), rpc.name
                assert "Traceback" not in str(error)


def nothing_does_harm(stack: Stack) -> None:
    def breaks_off() -> Iterator[pb.UploadImageryRequest]:
        yield pb.UploadImageryRequest(file=pb.UploadFile(filename="field.jpg"))
        yield pb.UploadImageryRequest(data=photo())
        time.sleep(0.5)
        raise RuntimeError("the client dies")

    def large() -> Iterator[pb.UploadImageryRequest]:
        yield pb.UploadImageryRequest(data=bytes(MAX_MESSAGE_BYTES + 1))

    with channel_to(stack) as channel, stack.client() as api:
        before = api.get("/imagery").json()["items"]
        service, metadata = stubs.ImageryServiceStub(channel), [("x-api-key", stack.key)]
        assert refused(lambda: service.UploadImagery(breaks_off(), metadata=metadata, timeout=60))
        error = refused(lambda: service.UploadImagery(large(), metadata=metadata, timeout=60))
        assert error.code() in {grpc.StatusCode.RESOURCE_EXHAUSTED, grpc.StatusCode.CANCELLED}
        for begin in (b"", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"):
            with socket.create_connection(("127.0.0.1", stack.grpc_port), timeout=5) as port:
                port.sendall(begin + os.urandom(10_000))
        assert service.ListImagery(pb.ListImageryRequest(), metadata=metadata, timeout=60) is not None
        eventually(lambda: api.get("/imagery").json()["items"] == before, 10, "the end of what broke off")


def health_and_reflection(stack: Stack) -> None:
    with channel_to(stack) as channel:
        health = health_pb2_grpc.HealthStub(channel)
        statuses = health.List(health_pb2.HealthListRequest(), timeout=60).statuses
        assert {one.status for one in statuses.values()} == {health_pb2.HealthCheckResponse.SERVING}
        assert refused(lambda: list(health.Watch(health_pb2.HealthCheckRequest(), timeout=60))).code() is (
            grpc.StatusCode.UNIMPLEMENTED
        )
        told = set(ProtoReflectionDescriptorDatabase(channel).get_services())
        assert told >= {rpc.service for rpc in RPCS} | {"grpc.health.v1.Health"}
