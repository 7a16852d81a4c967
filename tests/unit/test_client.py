"""The client, against the API over services in memory and against servers that fail."""

from __future__ import annotations

import asyncio
import pickle
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx2
import pytest
from fakes import FakeAnalysis, FakeBatches, FakeImagery, FakeReport, complete, complete_report
from scenes import photo

from orthoray import client as module
from orthoray.client import ApiError, AsyncClient, Client, Failed, TimedOut, Unreachable
from orthoray.contracts import AnalysisRun, Imagery, Report
from orthoray.storage.memory import MemoryStorage
from serve_app.gateway.api import create_api
from serve_app.gateway.context import GatewayConfig, Services

KEY = "or_key"
Handler = Callable[[httpx2.Request], httpx2.Response]


class House:
    """The API in memory, and what was sent to it."""

    def __init__(self) -> None:
        self.storage = MemoryStorage()
        self.imagery = FakeImagery(storage=self.storage, keys={KEY: "default"}, part_bytes=60_000)
        self.analysis = FakeAnalysis(imagery=self.imagery)
        self.report = FakeReport(analysis=self.analysis)
        config = GatewayConfig(auth_mode="key", max_upload_bytes=10**7, imagery_bucket="imagery")
        services = Services(self.imagery, self.analysis, self.report, FakeBatches())
        self.transport = httpx2.ASGITransport(create_api(services, self.storage, config))
        self.sent: list[httpx2.Request] = []
        self.broken: Callable[[httpx2.Request], bool] = lambda _: False

    async def answer(self, request: httpx2.Request) -> httpx2.Response:
        self.sent.append(request)
        if self.broken(request):
            return httpx2.Response(418)
        return await self.transport.handle_async_request(request)

    def client(self) -> AsyncClient:
        api = AsyncClient("http://test", KEY)
        api._http = httpx2.AsyncClient(transport=httpx2.MockTransport(self.answer))
        return api

    @property
    def parts(self) -> list[str]:
        return [request.url.path for request in self.sent if request.method == "PUT"]


@pytest.fixture
def house() -> House:
    return House()


@pytest.fixture
def image(tmp_path: Path) -> Path:
    """Four parts."""
    path = tmp_path / "field.jpg"
    path.write_bytes(photo(seed=3).ljust(200_000, b"\0"))
    return path


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Nobody sleeps."""
    slept: list[float] = []
    monkeypatch.setattr(module.time, "sleep", slept.append)
    return slept


def a_client(handler: Handler) -> Client:
    api = Client("http://test/", KEY)
    api._http = httpx2.Client(transport=httpx2.MockTransport(handler))
    return api


def test_from_files_to_a_report(house: House, image: Path, tmp_path: Path) -> None:
    seen: list[str] = []

    def tell(run: AnalysisRun) -> None:
        seen.append(run.status)

    async def go() -> None:
        async with house.client() as api:
            imagery = await api.upload(
                image, gps_lat=47.0, gps_lon=28.8, captured_at=datetime(2026, 6, 1, tzinfo=UTC)
            )
            assert imagery.gps is not None
            assert imagery.captured_at == datetime(2026, 6, 1, tzinfo=UTC)
            run = await api.start_run(imagery.id, "NDVI_emp", language="en")
            waiting = asyncio.create_task(api.wait(run, progress=tell))
            await asyncio.sleep(0.05)
            await complete(house.analysis, house.storage, house.analysis.rows[run.id][1])
            run = await waiting
            assert run.statistics is not None
            report = await api.start_report(run.id)
            await complete_report(house.report, house.storage, house.report.rows[report.id][1])
            report = await api.wait(report)
            target = tmp_path / "report.pdf"
            assert await api.download(report, "pdf", target) == target
            assert target.read_bytes() == b"%PDF-1.7 a report"
            assert not target.with_name("report.pdf.part").exists()
            page = await api.page(AnalysisRun, imagery_id=imagery.id, limit=5)
            assert [one.id for one in page.items] == [run.id]
            assert await api.get(Report, report.id) == report
            for record in (report, run, imagery):
                await api.delete(record)
                await api.delete(record)
            assert (await api.page(Imagery)).items == []

    asyncio.run(go())
    assert seen == ["queued", "completed"]
    assert all(request.headers["x-api-key"] == KEY for request in house.sent)
    keys = [request.headers["idempotency-key"] for request in house.sent if request.method == "POST"]
    assert len(set(keys)) == len(keys) == 3


def test_a_large_file_goes_on_where_it_was(house: House, image: Path) -> None:
    progress: list[tuple[int, int]] = []

    async def upload(**facts: Any) -> Imagery:
        async with house.client() as api:
            return await api.upload(image, parted=True, progress=lambda *at: progress.append(at), **facts)

    house.broken = lambda request: request.url.path.endswith("/parts/3")
    with pytest.raises(ApiError) as broken:
        asyncio.run(upload())
    assert broken.value.status == 418
    assert [path[-1] for path in house.parts] == ["1", "2", "3"]
    house.broken = lambda _: False
    first = asyncio.run(upload())
    assert [path[-1] for path in house.parts] == ["1", "2", "3", "3", "4"], "only what was missing"
    assert progress[-1] == (200_000, 200_000)
    assert house.storage.get_bytes("imagery", first.object_key) == image.read_bytes()
    assert len(house.imagery.uploads) == 1
    house.imagery.uploads.clear()  # it has ended, and a second one is a record of its own
    assert asyncio.run(upload()).id != first.id
    assert asyncio.run(upload(sensor="")).id != first.id


def test_presigned_addresses_get_no_key_and_are_asked_for_anew(image: Path, pauses: list[float]) -> None:
    upload_id, put = str(uuid4()), []
    there: set[int] = set()

    def told(at: str) -> dict[str, Any]:
        parts = [
            {"number": n, "size_bytes": 100_000, "url": f"http://s3/{n}?{at}", "received": n in there}
            for n in (1, 2)
        ]
        now = datetime.now(UTC).isoformat()
        return {
            "id": upload_id, "status": "open", "filename": "f", "size_bytes": 200_000, "part_bytes": 100_000, "part_count": 2,
            "received_bytes": 100_000 * len(there), "parts": parts, "imagery_id": upload_id, "created_at": now, "expires_at": now,
        }  # fmt: skip

    gets: list[str] = []

    def handle(request: httpx2.Request) -> httpx2.Response:
        if request.url.host == "s3":
            assert "x-api-key" not in request.headers
            if request.url.query == b"2":  # expired after the first part
                return httpx2.Response(403 if there else 200 if not there.add(1) else 500)
            put.append(request.url.path)
            there.add(int(request.url.path[1:]))
            return httpx2.Response(200)
        if request.url.path.endswith("/complete"):
            return httpx2.Response(
                422, json={"type": "urn:orthoray:MissingBands", "status": 422, "detail": "x", "a": 1}
            )
        if request.method == "GET":
            gets.append(request.url.path)
        return httpx2.Response(200, json=told(str(len(gets))))

    with a_client(handle) as api, pytest.raises(ApiError) as refused:
        api.upload(image, parted=True)
    assert (refused.value.kind, refused.value.fields["a"], refused.value.detail) == ("MissingBands", 1, "x")
    assert put == ["/2"]
    assert pauses == []
    again = pickle.loads(pickle.dumps(refused.value))  # noqa: S301 - our own
    assert (again.status, again.kind, again.fields) == (422, "MissingBands", refused.value.fields)


def answers(*given: Any) -> tuple[Handler, list[httpx2.Request]]:
    """One answer, or failure, after the other."""
    left: Iterator[Any] = iter(given)
    sent: list[httpx2.Request] = []

    def handle(request: httpx2.Request) -> httpx2.Response:
        sent.append(request)
        outcome = next(left)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    return handle, sent


RUN = {
    "id": str(uuid4()), "imagery_id": str(uuid4()), "index_type": "NDVI", "status": "queued", "auto_report": False,
    "language": "en", "imagery_bucket": "b", "imagery_object_key": "k", "created_at": "2026-06-01T00:00:00Z", "news": 1,
}  # fmt: skip


def test_what_may_pass_is_sent_again_with_the_same_key(pauses: list[float]) -> None:
    in_flight = {"type": "urn:orthoray:InFlight", "status": 409, "detail": "wait"}
    handle, sent = answers(
        httpx2.ConnectError("refused"),
        httpx2.ReadTimeout("slow"),
        httpx2.Response(503, headers={"Retry-After": "7"}),
        httpx2.Response(429, headers={"Retry-After": "9999"}),
        *[httpx2.Response(409, headers={"Retry-After": "3"}, json=in_flight)] * 20,
        httpx2.Response(202, json=RUN),
    )
    with a_client(handle) as api:
        assert api.start_run(RUN["imagery_id"], "NDVI", crop=None).status == "queued"
    assert len({request.headers["idempotency-key"] for request in sent}) == 1
    assert {request.content for request in sent} == {sent[0].content}
    assert b"crop" not in sent[0].content
    assert pauses[2:] == [7, 60, *[3] * 20]
    assert 0.25 <= pauses[0] <= 0.5
    assert 0.5 <= pauses[1] <= 1


@pytest.mark.parametrize(
    ("outcome", "kind", "words"),
    [
        (httpx2.ConnectError("refused"), Unreachable, "refused"),
        (httpx2.ConnectTimeout(""), Unreachable, "ConnectTimeout"),
        (httpx2.Response(502, text="<html>"), ApiError, "HTTP status 502"),
        (httpx2.Response(504, json=["x"]), ApiError, "HTTP status 504"),
    ],
)
def test_a_server_that_stays_away(
    pauses: list[float], outcome: Any, kind: type[Exception], words: str
) -> None:
    handle, sent = answers(*[outcome] * 6)
    with a_client(handle) as api, pytest.raises(kind, match=words):
        api.get(Imagery, uuid4())
    assert len(sent) == 6
    assert sorted(pauses) == pauses


def test_a_deletion_is_not_sent_again(pauses: list[float]) -> None:
    handle, sent = answers(httpx2.ReadTimeout("slow"))
    with a_client(handle) as api, pytest.raises(Unreachable):
        api.delete(AnalysisRun.model_validate(RUN))
    assert (len(sent), pauses) == (1, [])


def test_what_stays_wrong_is_told_at_once(pauses: list[float]) -> None:
    problem = {"type": "urn:orthoray:WrongState", "status": 409, "detail": "No.", "run_status": "queued"}
    handle, sent = answers(httpx2.Response(409, json=problem, headers={"X-Request-ID": "r"}))
    with a_client(handle) as api, pytest.raises(ApiError, match=r"^No\.$") as refused:
        api.start_report(uuid4())
    assert (len(sent), pauses) == (1, [])
    assert refused.value.fields["run_status"] == "queued"
    assert refused.value.fields["request_id"] == "r"


def test_ends_that_are_no_results(pauses: list[float]) -> None:
    run = AnalysisRun.model_validate(RUN)
    failed = {**RUN, "status": "failed", "error": "The image is damaged."}
    handle, _ = answers(httpx2.Response(200, json=RUN), httpx2.Response(200, json=failed))
    with a_client(handle) as api, pytest.raises(Failed, match="damaged") as ended:
        api.wait(run)
    assert ended.value.fields["record"].status == "failed"
    assert len(pauses) == 1
    handle, _ = answers(httpx2.Response(200, json=RUN))
    with a_client(handle) as api, pytest.raises(TimedOut):
        api.wait(run, timeout_s=0)


def test_importing_it_is_light() -> None:
    heavy = "ray", "numpy", "cv2", "rasterio", "psycopg", "fastapi", "procrastinate"
    code = f"import sys, orthoray.client; print([m for m in {heavy} if m in sys.modules])"
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "[]"


def test_it_is_small() -> None:
    assert len(Path(module.__file__).read_text().splitlines()) < 400
