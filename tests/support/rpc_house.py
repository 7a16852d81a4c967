"""All RPCs over services in memory, behind a real gRPC server on a free port."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any
from uuid import UUID, uuid4

import grpc
from fakes import FakeAnalysis, FakeImagery, FakeReport, complete, complete_report

from orthoray.contracts import AnalysisRequest, AnalysisRun, Imagery, Report, ReportRequest
from orthoray.ports import Caller
from orthoray.scopes import SCOPES
from orthoray.storage.memory import MemoryStorage
from serve_app.rpc import orthoray_pb2 as pb
from serve_app.rpc import orthoray_pb2_grpc as stubs
from serve_app.rpc.front import Front, offers_rpcs
from serve_app.rpc.limits import MAX_MESSAGE_BYTES
from serve_app.rpc.server import add_services

KEY, OTHER_KEY = "or_key-of-default", "or_key-of-another-tenant"
MAX_UPLOAD = 100_000
TIMEOUT_S = 30


@offers_rpcs("front")
class Servicer:
    """As the gateway's deployment is, without Serve."""

    def __init__(self, front: Front) -> None:
        self.front = front


@contextmanager
def served(front: Front) -> Iterator[int]:
    """The port of a grpc.aio server in a thread of its own."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()

    async def start() -> tuple[Any, int]:
        limits = [
            ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
            ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
        ]
        server = grpc.aio.server(options=limits)
        add_services(Servicer(front), server)
        port = server.add_insecure_port("127.0.0.1:0")
        await server.start()
        return server, port

    server, port = asyncio.run_coroutine_threadsafe(start(), loop).result(TIMEOUT_S)
    yield port
    asyncio.run_coroutine_threadsafe(server.stop(0), loop).result(TIMEOUT_S)
    loop.call_soon_threadsafe(loop.stop)
    thread.join(TIMEOUT_S)
    loop.close()


@dataclass
class Client:
    """Stubs of the three services whose calls carry credentials and have a deadline."""

    channel: grpc.Channel
    metadata: tuple[tuple[str, str], ...]

    def __getattr__(self, name: str) -> Callable[..., Any]:
        for stub in (stubs.ImageryServiceStub, stubs.AnalysisServiceStub, stubs.ReportServiceStub):
            if method := getattr(stub(self.channel), name, None):
                return partial(method, metadata=self.metadata, timeout=TIMEOUT_S)
        raise AttributeError(name)


@dataclass
class House:
    """The services with what is in them, and clients of the RPCs over them."""

    storage: MemoryStorage
    imagery: FakeImagery
    analysis: FakeAnalysis
    report: FakeReport
    front: Front
    channel: grpc.Channel
    port: int
    png: bytes

    def client(self, key: str | None = KEY, **metadata: str) -> Client:
        credentials = {"x-api-key": key} if key else {}
        return Client(self.channel, tuple({**credentials, **metadata}.items()))

    def key(self, *allowed: str, tenant: str = "default") -> str:
        """A key of exactly these scopes."""
        name = f"or_{tenant}-{'-'.join(allowed)}"
        self.imagery.limited[name] = Caller(tenant=tenant, key_id=uuid4(), scopes=frozenset(allowed))
        return name

    def stranger(self) -> str:
        return self.key(*SCOPES, tenant="another")

    def fail(self, error: Exception | None) -> None:
        for service in (self.imagery, self.analysis, self.report):
            service.error = error

    def upload(self, **fields: Any) -> Any:
        return self.client().UploadImagery(iter(upload_of(("field.png", self.png), **fields)))

    def run(self, *, completed: bool = False, **wishes: Any) -> AnalysisRun:
        image_id = UUID(self.upload().id)
        run = asyncio.run(self.analysis.create("default", AnalysisRequest(imagery_id=image_id, **wishes)))
        if completed:
            asyncio.run(complete(self.analysis, self.storage, run))
        return run

    def report_of(self, run: AnalysisRun) -> Report:
        report = asyncio.run(self.report.create("default", ReportRequest(analysis_run_id=run.id)))
        asyncio.run(complete_report(self.report, self.storage, report))
        return report

    def record(self, imagery_id: UUID) -> Imagery:
        return self.imagery.rows.of("default", imagery_id, "imagery")


def upload_of(*files: tuple[str, bytes], piece: int = 1000, **fields: Any) -> Iterator[Any]:
    """The messages of one upload."""
    if fields:
        yield pb.UploadImageryRequest(fields=pb.UploadFields(**fields))
    for name, content in files:
        yield pb.UploadImageryRequest(file=pb.UploadFile(filename=name, size_bytes=len(content)))
        for start in range(0, len(content), piece):
            yield pb.UploadImageryRequest(data=content[start : start + piece])


def joined(chunks: Any) -> bytes:
    return b"".join(chunk.data for chunk in chunks)
