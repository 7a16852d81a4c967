"""Fault 6: clients that hang up in the middle of what they send, or before the answer, and come back."""

from __future__ import annotations

import hashlib
import json
import socket
import time
from pathlib import Path
from urllib.parse import urlsplit
from uuid import uuid4

import httpx2
from faults import Load, Site, check, send_runs, told, upload_some, wait_until_under_way
from journey import finished, start_run
from parts import begin, big_tiff, complete, send
from scenes import photo
from stack import Stack

MEGABYTE = 1_000_000
TIMES = 5


def broken_off(stack: Stack, method: str, path: str, body: bytes, length: int, kind: str) -> None:
    """A client that says it will send `length` bytes, sends `body`, and is gone without an answer."""
    url = urlsplit(stack.url)
    head = (
        f"{method} {path} HTTP/1.1\r\nHost: {url.netloc}\r\nX-API-Key: {stack.key}\r\n"
        f"Content-Type: {kind}\r\nContent-Length: {length}\r\n\r\n"
    )
    with socket.create_connection((url.hostname, url.port), timeout=30) as client:
        client.sendall(head.encode() + body)


def test_clients_that_hang_up_and_come_back(site: Site, tmp_path: Path) -> None:
    began = time.monotonic()
    images = upload_some(site)
    load, asked = send_runs(site, images), Load()
    wait_until_under_way(site)
    with site.stack.client() as api:
        hung_up = uploads_in_parts(site, api, tmp_path)
        hung_up += uploads_in_one(site, api)
        order = {"imagery_id": images[0], "index_type": "NDVI_emp", "auto_report": True}
        body = json.dumps(order).encode()
        for _ in range(TIMES):
            broken_off(site.stack, "POST", "/analysis-runs", body, len(body), "application/json")
            asked.post(api, **order)
        finished(api, f"/analysis-runs/{asked.runs[0]}", 240)
        report = {"analysis_run_id": asked.runs[0], "language": "en"}
        body = json.dumps(report).encode()
        broken_off(site.stack, "POST", "/reports", body, len(body), "application/json")
        reports = [api.post("/reports", json=report).raise_for_status().json()["id"] for _ in range(3)]
        assert len(set(reports)) == 1
    assert len(asked.runs) == TIMES
    found = check(site, load, asked)
    same = site.query(
        "analysis",
        "select id from analysis_runs where imagery_id = %s and not id = any(%s::uuid[])",
        images[0],
        [*load.runs, *asked.runs],
    )
    assert len(same) <= TIMES, (
        "what was asked for without waiting for the answer is there once, or not at all"
    )
    told(f"{hung_up + TIMES + 1} requests broken off, {len(same)} of them accepted runs", found, began)


def uploads_in_parts(site: Site, api: httpx2.Client, folder: Path) -> int:
    """A file in three parts, two of which and whose end break off; how many requests did."""
    path = big_tiff(folder / "field.tif", 2500)  # 18.8 MB
    upload = begin(api, path, bands="R,G,B")
    place = f"/imagery/uploads/{upload['id']}"
    send(api, path, upload, 2)
    for number in (1, 2):
        url, size = upload["parts"][number - 1]["url"], upload["parts"][number - 1]["size_bytes"]
        broken_off(site.stack, "PUT", url, b"\1" * MEGABYTE, size, "application/octet-stream")
    for _ in range(3):
        known = api.get(place).json()
        assert [part["received"] for part in known["parts"]] == [False, True, False]
    assert api.post(f"{place}/complete").status_code == 409
    send(api, path, upload)
    send(api, path, upload, 1)
    broken_off(site.stack, "POST", f"{place}/complete", b"", 0, "application/json")
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    imagery = finally_complete(api, upload["id"], sha256)
    for _ in range(2):
        assert complete(api, upload) == imagery
    assert imagery["sha256"] == sha256
    assert imagery["bands"] == {"R": 1, "G": 2, "B": 3}
    run = start_run(api, imagery["id"], "NDVI_emp")
    finished(api, f"/analysis-runs/{run['id']}", 240)
    assert api.delete(f"/imagery/{imagery['id']}").status_code == 204
    site.deleted.add(run["id"])
    return 3


def finally_complete(api: httpx2.Client, upload: str, sha256: str) -> dict[str, object]:
    """The record, though the call that broke off may be at it still."""
    deadline = time.monotonic() + 60
    while True:
        answer = api.post(f"/imagery/uploads/{upload}/complete", json={"sha256": sha256})
        if answer.status_code == 201 or time.monotonic() > deadline:
            record: dict[str, object] = answer.raise_for_status().json()
            return record
        assert answer.status_code == 409, answer.text
        time.sleep(0.5)


def uploads_in_one(site: Site, api: httpx2.Client) -> int:
    """The same small file three times broken off and three times whole; how many requests broke off."""
    content, name = photo(seed=77), f"{uuid4()}.jpg"
    form = (
        f'--x\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n\r\n'.encode()
        + content
        + b"\r\n--x--\r\n"
    )
    cuts = (10, len(form) // 2, len(form) - 3)
    for cut in cuts:
        broken_off(site.stack, "POST", "/imagery", form[:cut], len(form), "multipart/form-data; boundary=x")
    records = []
    for _ in range(3):
        answer = api.post("/imagery", files={"file": (name, content)})
        assert answer.status_code == 201, answer.text
        records.append(answer.json())
    assert len({record["id"] for record in records}) == 3
    assert len({record["object_key"] for record in records}) == 1
    assert len(stored(site, name)) == 1, "the cut ones and the copies left nothing"
    for left in (2, 1, 0):
        assert api.delete(f"/imagery/{records[left]['id']}").status_code == 204
        assert len(stored(site, name)) == (1 if left else 0)
        if left:
            assert api.get(f"/imagery/{records[0]['id']}/content").content == content
    return len(cuts)


def stored(site: Site, name: str) -> list[str]:
    return [key for key in site.objects("imagery") if key.endswith(name)]
