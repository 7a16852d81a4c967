"""Many clients at once, and a big file."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx2
import numpy as np
import pytest
from journey import Record, finished, start_run, upload
from scenes import photo, write_tiff
from stack import Stack

pytestmark = pytest.mark.timeout(240)

CLIENTS = 20


def test_twenty_uploads_analysed_at_once(api: httpx2.Client) -> None:
    def journey(number: int) -> Record:
        imagery = upload(api, f"field-{number}.jpg", photo(seed=number))
        run = start_run(api, imagery["id"], auto_report=True, language=("ru", "ro", "en")[number % 3])
        done = finished(api, f"/analysis-runs/{run['id']}", timeout_s=120)
        return finished(api, f"/reports/{done['report_id']}", timeout_s=120)

    with ThreadPoolExecutor(CLIENTS) as clients:
        reports = list(clients.map(journey, range(CLIENTS)))

    assert len({report["id"] for report in reports}) == CLIENTS
    for kind in ("/analysis-runs", "/reports"):
        for status in ("queued", "processing", "failed"):
            left = [item["id"] for item in api.get(kind, params={"status": status}).json()["items"]]
            assert not {report["analysis_run_id"] for report in reports} & set(left)
            assert not {report["id"] for report in reports} & set(left)


def test_a_file_of_200_megabytes(open_stack: Stack, tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    bands = random.integers(1, 10_000, (4, 5000, 5000), dtype=np.uint16)
    path = write_tiff(tmp_path / "big.tif", bands, names=("red", "green", "blue", "nir"))
    with open_stack.client() as api, path.open("rb") as file:
        started = time.monotonic()
        answer = api.post("/imagery", files={"file": ("big.tif", file)})
        assert answer.status_code == 201, answer.text
        assert time.monotonic() - started < 20
    assert answer.json()["size_bytes"] == path.stat().st_size
