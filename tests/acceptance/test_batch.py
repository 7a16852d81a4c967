"""`orthoray batch` on a running installation: a job killed in the middle leaves its rows, and the same command does the rest."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from typing import Any

from batches import write_images
from journey import upload
from scenes import photo
from stack import Stack, eventually

IMAGES = 24
PREFIX = "s3://imagery/2026/"
WORDS = ("batch", "--index", "NDVI", "--prefix", PREFIX, "--report", "--wait")
JOB = "-m pipelines.batch --request"


def batch_of(stack: Stack) -> dict[str, Any]:
    with stack.client() as api:
        return next(
            (one for one in api.get("/batches").json()["items"] if one["request"]["source"] == PREFIX), {}
        )


def test_a_killed_batch_goes_on_where_it_was(stack: Stack) -> None:
    write_images(stack.home / "storage" / "imagery" / "2026", IMAGES, broken=True, side=700)
    first = subprocess.Popen(
        [sys.executable, "-m", "serve_app.cli", *WORDS],
        env=stack.environment,
        cwd=stack.work,
        stderr=subprocess.PIPE,
        text=True,
    )
    eventually(lambda: batch_of(stack).get("completed", 0) >= 4, 180, "some images done")
    for process in stack.processes(JOB):
        os.kill(process.pid, signal.SIGKILL)
    _, told = first.communicate(timeout=120)
    assert first.returncode == 1
    assert "The same command does the rest" in told
    done = batch_of(stack)["completed"]
    assert 4 <= done < IMAGES
    with stack.client() as api:
        assert str(stack.home) not in api.get("/batches").text
        assert api.get(f"/batches/{batch_of(stack)['id']}/files/summary.pdf").status_code == 404

    results = stack.home / "storage" / "heatmaps" / batch_of(stack)["prefix"]
    before = {path: path.stat().st_mtime_ns for path in (results / "heatmaps").iterdir()}
    answer = stack.run(*WORDS)
    assert answer.returncode == 1, "one of the images is broken"
    assert f"{IMAGES} of {IMAGES + 1} images completed, 1 failed" in answer.stderr
    after = {path: path.stat().st_mtime_ns for path in (results / "heatmaps").iterdir()}
    assert len(after) == IMAGES
    assert sum(after[path] == moment for path, moment in before.items()) >= done
    batch = batch_of(stack)
    assert (batch["status"], batch["total"], batch["failed"]) == ("completed", IMAGES + 1, 1)

    with stack.client() as api:
        files = f"/batches/{batch['id']}/files"
        collection = api.get(f"{files}/collection.json").json()
        items = [link["href"] for link in collection["links"] if link["rel"] == "item"]
        assert len(items) == IMAGES
        item = api.get(f"{files}/{items[0].removeprefix('./')}").json()
        heatmap = api.get(f"{files}/items/{item['assets']['heatmap']['href']}")
        assert heatmap.content.startswith(b"\x89PNG")
        assert api.get(f"{files}/summary.pdf").content.startswith(b"%PDF-")
        assert api.get(f"{files}/nothing.exe").status_code == 404

        upload(api, "field.jpg", photo(seed=301))
    answer = stack.run("batch", "--index", "NDVI_emp", "--wait", "--language", "ro")
    assert answer.returncode == 0, answer.stderr
    assert ", 0 failed" in answer.stderr
