"""The smoke test of existing clients, with the OLD package of a user in the place of ours."""

from __future__ import annotations

import io
import json
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
from journey import finished, start_run, upload
from PIL import Image
from scenes import photo
from stack import Stack

IMAGERY_FIELDS = {"id", "original_filename", "bucket", "object_key", "content_type", "status"}
RUN_FIELDS = {
    "id",
    "imagery_id",
    "index_type",
    "status",
    "auto_report",
    "imagery_bucket",
    "imagery_object_key",
}
RUN_FIELDS |= {"heatmap_bucket", "heatmap_key", "stats", "conclusion", "started_at", "completed_at", "error"}
REPORT_FIELDS = {
    "id",
    "analysis_run_id",
    "status",
    "heatmap_key",
    "imagery_key",
    "stats",
    "conclusion",
    "report_key",
}
REPORT_FIELDS |= {"started_at", "completed_at", "error"}


class Curl:
    def __init__(self, stack: Stack, folder: Path) -> None:
        self._host = f"127.0.0.1:{stack.port}"
        self._folder = folder

    def __call__(self, *words: str) -> tuple[int, dict[str, Any]]:
        """Status and JSON of `curl WORDS`, where HOST stands for the gateway."""
        command = [
            "curl",
            "--silent",
            "--write-out",
            "\n%{http_code}",
            *(word.replace("HOST", self._host) for word in words),
        ]
        answer = subprocess.run(
            command, cwd=self._folder, capture_output=True, text=True, timeout=60, check=True
        ).stdout
        body, _, status = answer.rpartition("\n")
        return int(status), json.loads(body)

    def until_completed(self, url: str) -> dict[str, Any]:
        deadline = time.monotonic() + 60
        record: dict[str, Any] = {}
        while record.get("status") != "completed" and time.monotonic() < deadline:
            time.sleep(0.2)
            record = self(url)[1]
            assert record["status"] in {"queued", "processing", "completed", 404}, record
        assert record["status"] == "completed"
        return record


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_the_smoke_test_of_existing_clients(open_stack: Stack, tmp_path: Path) -> None:
    curl = Curl(open_stack, tmp_path)
    (tmp_path / "field.jpg").write_bytes(photo())

    assert curl("http://HOST/api/ping") == (200, {"status": "ok", "service": "api-gateway"})
    status, imagery = curl("-F", "file=@field.jpg", "http://HOST/imagery")
    assert status == 201
    assert imagery.keys() >= IMAGERY_FIELDS
    assert imagery["status"] == "uploaded"
    assert imagery["object_key"] == f"imagery/{imagery['id']}/field.jpg"

    order = f'{{"imagery_id":"{imagery["id"]}","index_type":"NDVI_emp","auto_report":true}}'
    status, run = curl(
        "-X", "POST", "-H", "Content-Type: application/json", "-d", order, "http://HOST/analysis-runs"
    )
    assert status == 202
    run = curl.until_completed(f"http://HOST/analysis-runs/{run['id']}")
    assert run.keys() >= RUN_FIELDS
    assert run["heatmap_key"] == f"heatmaps/{run['id']}.png"
    assert run["error"] is None
    assert run["stats"] == {"Хорошо": 75.0, "Плохо": 25.0}
    assert run["conclusion"] == "Среднее 0.25."

    report = curl.until_completed(f"http://HOST/reports/{run['report_id']}")
    assert report.keys() >= REPORT_FIELDS
    assert report["report_key"] == f"reports/{report['id']}.pdf"
    assert report["stats"] == run["stats"]
    assert report["conclusion"] == run["conclusion"]


def test_every_result_of_an_index_of_old_comes_from_old(open_stack: Stack) -> None:
    with open_stack.client() as api:
        imagery = upload(api, "field.jpg", photo())
        run = finished(api, f"/analysis-runs/{start_run(api, imagery['id'], 'HOUSE_INDEX')['id']}")
        assert run["statistics"]["mean"] == 0.5
        assert run["conclusion"] == "Среднее 0.50."
        assert [row["label"] for row in run["statistics"]["classes"]] == ["Хорошо", "Плохо"]
        with Image.open(io.BytesIO(api.get(f"/analysis-runs/{run['id']}/heatmap").content)) as heatmap:
            assert heatmap.convert("RGB").getpixel((0, 0)) == (255, 0, 255)
        ours = finished(api, f"/analysis-runs/{start_run(api, imagery['id'], 'GLI')['id']}")
        assert list(ours["stats"]) != list(run["stats"])
