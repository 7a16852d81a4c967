"""The client and the manners of the protocol, on a running installation."""

from __future__ import annotations

import asyncio
import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from uuid import uuid4

import httpx2
import pytest
from journey import upload
from parts import big_tiff
from scenes import photo
from stack import Stack

from orthoray.client import ApiError, AsyncClient, Client
from orthoray.contracts import AnalysisRun, Imagery

pytestmark = pytest.mark.timeout(240)


def test_from_a_file_to_a_report(stack: Stack, tmp_path: Path) -> None:
    path = big_tiff(tmp_path / "field.tif", 2500)  # 18.8 MB, three parts
    sent: list[int] = []
    seen: list[str] = []
    with Client(stack.url, stack.key) as api:
        imagery = api.upload(path, parted=True, bands="R,G,B", progress=lambda done, _: sent.append(done))
        assert imagery.size_bytes == path.stat().st_size == sent[-1]
        assert len(sent) == 3
        run = api.start_run(imagery.id, "NDVI_emp", auto_report=True, language="en")
        run = api.wait(run, timeout_s=90, progress=lambda run: seen.append(run.status))
        assert seen[-1] == run.status == "completed"
        assert api.download(run, "index.tif", tmp_path / "index.tif").read_bytes()[:2] in {b"II", b"MM"}
        report = api.wait(api.start_report(run.id), timeout_s=90)
        assert report.id == run.report_id
        assert api.download(report, "pdf", tmp_path / "report.pdf").read_bytes().startswith(b"%PDF-")
        assert api.page(AnalysisRun, imagery_id=imagery.id).items[0].id == run.id
        with pytest.raises(ApiError) as refused:
            api.start_run(imagery.id, "NDVI")
        assert (refused.value.status, refused.value.kind) == (422, "MissingBands")
        assert refused.value.fields["missing_bands"] == ["N"]
        api.delete(imagery)
        with pytest.raises(ApiError, match="no imagery"):
            api.get(Imagery, imagery.id)


def test_several_at_once(stack: Stack, tmp_path: Path) -> None:
    files = [tmp_path / f"{number}.jpg" for number in range(3)]
    for number, path in enumerate(files):
        path.write_bytes(photo(seed=300 + number))

    async def analysed(api: AsyncClient, path: Path) -> AnalysisRun:
        imagery = await api.upload(path)
        return await api.wait(await api.start_run(imagery.id, "NDVI_emp"), timeout_s=90)

    async def go() -> list[AnalysisRun]:
        async with AsyncClient(stack.url, stack.key) as api:
            return await asyncio.gather(*(analysed(api, path) for path in files))

    runs = asyncio.run(go())
    assert [run.status for run in runs] == ["completed"] * 3
    assert len({run.imagery_id for run in runs}) == 3


def test_the_way_of_a_run_is_streamed_and_taken_up(api: httpx2.Client) -> None:
    imagery = upload(api, "field.jpg", photo(seed=310))
    body = {"imagery_id": imagery["id"], "index_type": "NDVI_emp", "priority": "low"}
    run = api.post("/analysis-runs", json=body).json()
    path, lines = f"/analysis-runs/{run['id']}/events", []
    with api.stream("GET", path) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        for line in answer.iter_lines():
            lines.append(line)
            if line.startswith("data: "):
                break  # the connection is lost after the first event
    for _ in range(34):  # more than one tenant may have at once
        with api.stream("GET", path) as answer:
            assert answer.status_code == 200
            next(answer.iter_lines())
    first = next(line.removeprefix("id: ") for line in lines if line.startswith("id: "))
    rest = api.get(path, headers={"Last-Event-ID": first}, timeout=60).text
    events = [line.removeprefix("id: ") for line in rest.splitlines() if line.startswith("id: ")]
    assert first not in events
    assert json.loads(rest.strip().rpartition("data: ")[2])["status"] == "completed"
    assert api.get(path, headers={"Last-Event-ID": events[-1]}).status_code == 204


def test_an_answer_may_wait_for_the_end_and_what_is_known_is_not_sent(api: httpx2.Client) -> None:
    imagery = upload(api, "field.jpg", photo(seed=311))
    body = {"imagery_id": imagery["id"], "index_type": "NDVI_emp"}
    answer = api.post("/analysis-runs", json=body, headers={"Prefer": "wait=50"}, timeout=60)
    assert (answer.status_code, answer.json()["status"]) == (200, "completed")
    assert answer.headers["preference-applied"] == "wait=50"
    place = answer.headers["location"]
    for path in (place, f"{place}/statistics", f"{place}/heatmap", f"/imagery/{imagery['id']}/content"):
        etag = api.get(path).headers["etag"]
        again = api.get(path, headers={"If-None-Match": etag})
        assert (again.status_code, again.content) == (304, b""), path
    assert "immutable" in api.get(f"{place}/heatmap").headers["cache-control"]


def test_of_many_at_once_with_one_key_one_is_carried_out(stack: Stack, api: httpx2.Client) -> None:
    imagery, key = upload(api, "field.jpg", photo(seed=312)), str(uuid4())

    def post(_: int) -> httpx2.Response:
        with stack.client() as own:
            body = {"imagery_id": imagery["id"], "index_type": "NDVI_emp"}
            return own.post("/analysis-runs", json=body, headers={"Idempotency-Key": key})

    with ThreadPoolExecutor(8) as clients:
        found = list(clients.map(post, range(8)))
    assert {answer.status_code for answer in found} <= {202, 409}
    assert all(int(answer.headers["retry-after"]) >= 1 for answer in found if answer.status_code == 409)
    (run_id,) = {answer.json()["id"] for answer in found if answer.status_code == 202}
    listed = api.get("/analysis-runs", params={"imagery_id": imagery["id"]}).json()["items"]
    assert [run["id"] for run in listed] == [run_id]
    repeated = post(0)
    assert (repeated.headers["idempotency-replayed"], repeated.json()["id"]) == ("true", run_id)
