"""The steps that every client takes: upload, run, poll."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import httpx2

Record = dict[str, Any]
FINAL = {"completed", "failed", "cancelled"}


def upload(api: httpx2.Client, name: str, content: bytes | Path, **fields: str) -> Record:
    """The record of a file that the service accepts."""
    answer = api.post(
        "/imagery",
        files={"file": (name, content if isinstance(content, bytes) else content.read_bytes())},
        data=fields,
    )
    assert answer.status_code == 201, answer.text
    record: Record = answer.json()
    return record


def start_run(api: httpx2.Client, imagery_id: str, index: str = "NDVI_emp", **options: Any) -> Record:
    """A run that the service accepts."""
    answer = api.post("/analysis-runs", json={"imagery_id": imagery_id, "index_type": index, **options})
    assert answer.status_code == 202, answer.text
    record: Record = answer.json()
    return record


def finished(api: httpx2.Client, path: str, timeout_s: float = 180) -> Record:
    """The run or report when it has completed; a report is asked for a moment after its run has ended."""
    deadline = time.monotonic() + timeout_s
    record: Record = {}
    while time.monotonic() < deadline:
        answer = api.get(path)
        assert answer.status_code in {200, 404}, answer.text
        record = answer.json()
        if record["status"] in FINAL:
            break
        time.sleep(0.2)
    assert record.get("status") == "completed", record
    return record


def stored_files(storage: Path, *ids: str) -> list[Path]:
    """What lies in a local storage under any of the ids."""
    return [path for path in storage.rglob("*") if path.is_file() and any(id_ in str(path) for id_ in ids)]
