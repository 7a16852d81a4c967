"""What is wrong is refused with the right status and a plain sentence, and leaves nothing behind."""

from __future__ import annotations

import io
import re
import socket
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import httpx2
import numpy as np
import pytest
import rasterio
from journey import Record, finished, start_run, stored_files, upload
from PIL import Image
from scenes import multispectral_scene, photo, write_tiff
from stack import MAX_UPLOAD_BYTES, Stack, eventually

# Of the machine's folders, of Python, and of the parts behind the gateway.
SECRETS = re.compile(
    r"/home|/tmp|/usr|/var|\.py\b|Traceback|File \"|psycopg|rasterio|SELECT |ray::", re.IGNORECASE
)


def refused(answer: httpx2.Response, status: int) -> Record:
    """The problem document (RFC 9457) of an answer with this status, without a word about the inside."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["x-request-id"]
    assert not SECRETS.search(answer.text), answer.text
    problem: Record = answer.json()
    assert problem["status"] == status
    assert problem["detail"]
    return problem


def send(api: httpx2.Client, name: str, content: bytes, **fields: str) -> httpx2.Response:
    return api.post("/imagery", files={"file": (name, content)}, data=fields)


@pytest.fixture(autouse=True)
def nothing_breaks(stack: Stack, api: httpx2.Client) -> Iterator[None]:
    """After every refusal the service is ready, no upload has left a file, and the catalogue is as before."""
    before = api.get("/imagery", params={"limit": 200}).json()["items"]
    files = stored_files(stack.home / "storage", "")
    yield
    assert api.get("/ready").status_code == 200
    known = [item["id"] for item in api.get("/imagery", params={"limit": 200}).json()["items"]]
    for id_ in set(known) - {item["id"] for item in before}:
        assert api.delete(f"/imagery/{id_}").status_code == 204
    # objects of deleted runs go by a job
    eventually(lambda: stored_files(stack.home / "storage", "") == files, 60, "files are as before")


def damaged_files(folder: Path) -> dict[str, bytes]:
    """File name -> content that is no whole image."""
    random = np.random.default_rng(1)
    tiff = write_tiff(
        folder / "whole.tif", random.integers(0, 255, (3, 300, 300), dtype=np.uint8)
    ).read_bytes()
    jpeg = photo(600, 400)
    return {
        "garbage.jpg": random.bytes(5000),
        "empty.jpg": b"",
        "text.tif": b"this is not a picture",
        "truncated.tif": tiff[: len(tiff) // 2],
        "half.jpg": jpeg[: len(jpeg) // 2],
        "only-a-header.tif": tiff[:16],
        "report.pdf": b"%PDF-1.7\n" + random.bytes(500),
    }


def test_files_that_are_no_whole_image(api: httpx2.Client, tmp_path: Path) -> None:
    for name, content in damaged_files(tmp_path).items():
        problem = refused(send(api, name, content), 415)
        assert problem["type"] in {"urn:orthoray:NotAnImage", "urn:orthoray:TruncatedImage"}, name


def test_images_of_extreme_shapes_are_no_accident(api: httpx2.Client) -> None:
    """One pixel, and one row of thirty thousand: small, but images; they go all the way."""
    for size in ((1, 1), (30_000, 1), (1, 30_000)):
        file = io.BytesIO()
        Image.new("RGB", size, (40, 90, 20)).save(file, "PNG")
        imagery = upload(api, "strip.png", file.getvalue())
        assert (imagery["width"], imagery["height"]) == size
        assert api.get(f"/imagery/{imagery['id']}/thumbnail").status_code == 200
        run = finished(api, f"/analysis-runs/{start_run(api, imagery['id'], auto_report=True)['id']}")
        assert run["statistics"]["valid_pixels"] == size[0] * size[1]
        finished(api, f"/reports/{run['report_id']}")


def test_names_that_climb_out_of_the_storage(stack: Stack, api: httpx2.Client) -> None:
    for number, name in enumerate(
        (
            "../../../../etc/passwd",
            "..\\..\\boot.ini",
            "/etc/cron.d/job",
            "..",
            "a\x00b.jpg",
            "x" * 400 + ".jpg",
        )
    ):
        # content of its own each: what is there already is not stored again
        content = photo() + bytes([number])
        imagery = upload(api, name, content)
        assert re.fullmatch(rf"imagery/{imagery['id']}/[^/\\\x00]{{1,255}}", imagery["object_key"])
        assert ".." not in imagery["object_key"].split("/")
        assert len(stored_files(stack.home / "storage", imagery["id"])) == 2  # the file and its thumbnail
        assert api.get(f"/imagery/{imagery['id']}/content").content == content


def test_an_announced_size_over_the_limit_is_refused_before_the_body_is_sent(stack: Stack) -> None:
    with socket.create_connection(("127.0.0.1", stack.port), timeout=20) as connection:
        connection.sendall(
            f"POST /imagery HTTP/1.1\r\nHost: x\r\nX-API-Key: {stack.key}\r\nContent-Type: multipart/form-data; boundary=b\r\n"
            f"Content-Length: {MAX_UPLOAD_BYTES * 10}\r\n\r\n".encode()
        )
        answer = connection.recv(65536)
    assert answer.startswith(b"HTTP/1.1 413 ")


def test_a_body_of_unknown_size_is_refused_when_it_passes_the_limit(api: httpx2.Client) -> None:
    def body() -> Iterator[bytes]:
        yield b'--b\r\nContent-Disposition: form-data; name="file"; filename="big.tif"\r\n\r\n'
        for _ in range(MAX_UPLOAD_BYTES // 2**20 + 2):
            yield bytes(2**20)
        yield b"\r\n--b--\r\n"

    answer = api.post("/imagery", content=body(), headers={"Content-Type": "multipart/form-data; boundary=b"})
    problem = refused(answer, 413)
    assert problem["max_bytes"] == MAX_UPLOAD_BYTES


def test_a_file_a_little_over_the_limit(api: httpx2.Client) -> None:
    """The body passes, for forms have some overhead; the file in it does not."""
    refused(send(api, "big.tif", bytes(MAX_UPLOAD_BYTES + 1)), 413)


def test_forms_that_do_not_fit(api: httpx2.Client) -> None:
    refused(api.post("/imagery", content=photo(), headers={"Content-Type": "image/jpeg"}), 400)
    refused(api.post("/imagery", data={"gps_lat": "1"}, files={"other": ("a.jpg", photo())}), 400)
    refused(
        api.post(
            "/imagery",
            content=b"--b\r\nnonsense",
            headers={"Content-Type": "multipart/form-data; boundary=b"},
        ),
        400,
    )
    for fields in (
        {"gps_lat": "95", "gps_lon": "0"},
        {"gps_lat": "47"},
        {"captured_at": "yesterday"},
        {"gps_lat": "nan", "gps_lon": "1"},
    ):
        refused(send(api, "field.jpg", photo(), **fields), 422)


def test_ids_that_do_not_exist(api: httpx2.Client) -> None:
    unknown = uuid4()
    for path in (
        "/imagery/{}",
        "/imagery/{}/content",
        "/imagery/{}/thumbnail",
        "/analysis-runs/{}",
        "/reports/{}",
    ):
        refused(api.get(path.format(unknown)), 404)
        refused(api.get(path.format("not-an-id")), 404)
    for path in (
        "/analysis-runs/{}/heatmap",
        "/analysis-runs/{}/index.tif",
        "/analysis-runs/{}/statistics",
        "/reports/{}/pdf",
    ):
        refused(api.get(path.format(unknown)), 404)
    for path in ("/imagery/{}", "/analysis-runs/{}", "/reports/{}"):
        refused(api.delete(path.format(unknown)), 404)
    refused(api.post("/analysis-runs", json={"imagery_id": str(unknown)}), 404)
    refused(api.post("/reports", json={"analysis_run_id": str(unknown)}), 404)
    refused(api.get("/indices", params={"imagery_id": str(unknown)}), 404)
    refused(api.get("/nowhere"), 404)
    refused(api.put("/imagery"), 405)


def test_bodies_that_do_not_fit(api: httpx2.Client) -> None:
    json = {"Content-Type": "application/json"}
    for body in (b"{", b'{"imagery_id": ', b"\xff\xfe\x00", b""):
        answer = api.post("/analysis-runs", content=body, headers=json)
        refused(answer, 422 if body == b"" else 400)
    refused(api.post("/analysis-runs", json={}), 422)
    refused(api.post("/analysis-runs", json=[]), 422)
    refused(api.post("/analysis-runs", json={"imagery_id": 7}), 422)
    refused(api.post("/analysis-runs", json={"imagery_id": str(uuid4()), "surprise": 1}), 422)
    refused(api.post("/analysis-runs", content=b"[" * 2_000_000, headers=json), 413)
    refused(api.post("/analysis-runs", content=b"[" * 100_000, headers=json), 400)


def test_lists_with_wrong_questions(api: httpx2.Client) -> None:
    for parameters in ({"limit": "0"}, {"limit": "many"}):
        refused(api.get("/imagery", params=parameters), 422)
    refused(api.get("/imagery", params={"bbox": "1,2,3"}), 400)
    refused(api.get("/imagery", params={"next": "not-a-token"}), 400)
    refused(api.get("/analysis-runs", params={"status": "sleeping"}), 422)


def test_analyses_that_are_impossible(api: httpx2.Client) -> None:
    imagery_id = upload(api, "field.jpg", photo())["id"]

    def ask(**body: object) -> httpx2.Response:
        return api.post("/analysis-runs", json={"imagery_id": imagery_id, **body})

    assert refused(ask(index_type="NDVI"), 422)["missing_bands"] == ["N"]
    assert set(refused(ask(index_type="NDRE"), 422)["missing_bands"]) == {"N", "RE1"}
    refused(ask(index_type="NVDI"), 422)
    refused(ask(index_type="' OR 1=1 --"), 422)
    refused(ask(crop="moon cheese"), 422)
    refused(ask(thresholds=[0.1, 0.3, 0.2]), 422)
    refused(ask(thresholds=[0.1]), 422)
    refused(ask(language="de"), 422)
    refused(ask(index_type="NDVI", bands="R,G,B,N"), 422)


def test_a_fourth_band_without_a_name_is_not_guessed(api: httpx2.Client, tmp_path: Path) -> None:
    scene = multispectral_scene(tmp_path / "labelled.tif", 64, 64)
    with rasterio.open(scene.path) as dataset:
        pixels = dataset.read()
    content = write_tiff(tmp_path / "plain.tif", pixels, photometric="minisblack").read_bytes()
    plain = upload(api, "plain.tif", content)
    problem = refused(api.post("/analysis-runs", json={"imagery_id": plain["id"], "index_type": "NDVI"}), 422)
    assert "N" in problem["missing_bands"]
    start_run(api, plain["id"], "NDVI", bands="R,G,B,N")
    named = upload(api, "plain.tif", content, bands="R,G,B,N")
    assert named["bands_source"] == "caller"
    start_run(api, named["id"], "NDVI")
    refused(send(api, "plain.tif", content, bands="R,G,B"), 422)
    refused(send(api, "plain.tif", content, bands="R,R,B,N"), 422)


def test_results_of_a_run_that_has_none_yet(api: httpx2.Client) -> None:
    imagery = upload(api, "field.jpg", photo(3000, 2000))
    run = start_run(api, imagery["id"])
    problem = refused(api.get(f"/analysis-runs/{run['id']}/heatmap"), 409)
    assert problem["progress"] is not None
    refused(api.post("/reports", json={"analysis_run_id": run["id"]}), 409)
    assert api.delete(f"/analysis-runs/{run['id']}").status_code == 202
    refused(api.get(f"/analysis-runs/{run['id']}/heatmap"), 409)


def test_callers_without_a_key(stack: Stack) -> None:
    with httpx2.Client(base_url=stack.url, timeout=20) as anyone:
        assert anyone.get("/api/ping").json() == {"status": "ok", "service": "api-gateway"}
        for headers in (
            {},
            {"X-API-Key": "or_wrong"},
            {"Authorization": "Bearer or_wrong"},
            {"X-API-Key": "x" * 5000},
        ):
            for path in ("/imagery", "/ready", f"/imagery/{uuid4()}", "/nowhere"):
                refused(anyone.get(path, headers=headers), 401)
        refused(send(anyone, "field.jpg", photo()), 401)
        assert anyone.get("/imagery", headers={"Authorization": f"Bearer {stack.key}"}).status_code == 200
