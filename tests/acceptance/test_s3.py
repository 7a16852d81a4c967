"""`orthoray up --s3` with SERVE_INGRESS=haproxy: files on S3, HAProxy before the gateway, and nothing of it left afterwards."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from journey import finished, start_run
from parts import begin, big_tiff, complete, send
from stack import Stack, eventually

from orthoray.client import Client
from serve_app.local.processes import port_is_free
from serve_app.local.stack import ingress_folder

SMOKE = Path(__file__).parents[2] / "deploy" / "smoke"


def sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def digests(path: Path, upload: dict[str, Any]) -> list[dict[str, Any]]:
    """What a careful client says of the parts."""
    with path.open("rb") as file:
        return [
            {"number": part["number"], "sha256": hashlib.sha256(file.read(part["size_bytes"])).hexdigest()}
            for part in upload["parts"]
        ]


@pytest.fixture
def s3_api(s3_stack: Stack) -> Iterator[httpx2.Client]:
    with s3_stack.client() as client:
        yield client


def test_parts_go_straight_to_s3(s3_stack: Stack, s3_api: httpx2.Client, tmp_path: Path) -> None:
    path = big_tiff(tmp_path / "field.tif", 4900)  # 72 MB
    upload = begin(s3_api, path, sha256=sha256(path))
    assert all(part["url"].startswith("http://127.0.0.1:") for part in upload["parts"])
    damaged = httpx2.put(upload["parts"][1]["url"], content=b"\1" * upload["part_bytes"])
    assert damaged.status_code == 200
    send(s3_api, path, upload, 1)
    send(s3_api, path, upload)
    place = f"/imagery/uploads/{upload['id']}"
    refused = s3_api.post(f"{place}/complete", json={"parts": digests(path, upload)}, timeout=300)
    assert (refused.status_code, refused.json()["missing_parts"]) == (409, [2])
    assert [part["number"] for part in s3_api.get(place).json()["parts"] if not part["received"]] == [2]
    send(s3_api, path, upload)
    imagery = complete(s3_api, upload, parts=digests(path, upload))
    assert complete(s3_api, upload) == imagery
    content = hashlib.sha256(s3_api.get(f"/imagery/{imagery['id']}/content").content).hexdigest()
    assert content == imagery["sha256"] == sha256(path)
    other = big_tiff(tmp_path / "other.tif", 4900, mark=2)
    for count in ("1 imported", "1 there already"):
        answer = s3_stack.run("import", str(other))
        assert count in answer.stderr, answer.stderr
    run = start_run(s3_api, imagery["id"], "NDVI_emp")
    finished(s3_api, f"/analysis-runs/{run['id']}")
    doctor = s3_stack.run("doctor", "--grace", "0")
    assert doctor.returncode == 0, doctor.stdout
    aborted = begin(s3_api, path)
    send(s3_api, path, aborted, 1)
    assert s3_api.delete(f"/imagery/uploads/{aborted['id']}").status_code == 204
    eventually(lambda: s3_stack.run("doctor", "--grace", "0").returncode == 0, 30, "all is well")


@pytest.mark.ends_stack
def test_haproxy_is_before_the_gateway_and_ends_with_it(s3_stack: Stack) -> None:
    answer = subprocess.run(
        [sys.executable, SMOKE, s3_stack.url],
        env={"ORTHORAY_API_KEY": s3_stack.key},
        capture_output=True,
        text=True,
        check=False,
    )
    assert answer.returncode == 0, answer.stderr
    assert answer.stdout.splitlines()[-1].startswith("OrthoRay works")
    files = ingress_folder(s3_stack.home)
    assert s3_stack.processes(f"haproxy -db -f {files}/")
    # Everybody on the machine could give it orders by its socket otherwise.
    assert files.stat().st_mode & 0o777 == 0o700

    assert s3_stack.terminate_group() == 0
    eventually(lambda: not s3_stack.processes(), 10, "the end of all processes")
    assert port_is_free("127.0.0.1", s3_stack.port)
    assert not files.exists()


def test_parts_of_the_python_client_go_straight_to_s3(s3_stack: Stack, tmp_path: Path) -> None:
    path = big_tiff(tmp_path / "field.tif", 2500, mark=3)
    with Client(s3_stack.url, s3_stack.key) as api:
        imagery = api.upload(path, parted=True)
        assert api.download(imagery, "content", tmp_path / "back.tif").read_bytes() == path.read_bytes()
        api.delete(imagery)
