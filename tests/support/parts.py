"""A client that uploads a file in parts, and a large file for it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx2
import tifffile


def big_tiff(path: Path, side: int, *, mark: int = 1) -> Path:
    """An RGB image of `side` x `side` pixels, as good as empty: on most file systems it takes no room."""
    tifffile.memmap(path, shape=(side, side, 3), dtype="uint8", photometric="rgb", bigtiff=True)[:8] = mark
    return path


def begin(api: httpx2.Client, path: Path, **fields: Any) -> dict[str, Any]:
    body = {"filename": path.name, "size": path.stat().st_size, **fields}
    answer = api.post("/imagery/uploads", json=body)
    assert answer.status_code == 201, answer.text
    record: dict[str, Any] = answer.json()
    return record


def send(api: httpx2.Client, path: Path, upload: dict[str, Any], *numbers: int) -> None:
    """PUT these parts, or those that are not there."""
    place, first = f"/imagery/uploads/{upload['id']}", 1
    while first:
        known = api.get(place, params={"first": first}).json()
        for part in known["parts"]:
            if part["number"] in numbers if numbers else not part["received"]:
                with path.open("rb") as file:
                    file.seek((part["number"] - 1) * known["part_bytes"])
                    data = file.read(part["size_bytes"])
                answer = (
                    httpx2.put(part["url"], content=data)
                    if "://" in part["url"]
                    else api.put(part["url"], content=data)
                )
                assert answer.status_code == 200, answer.text
        first = known["next_part"]


def complete(api: httpx2.Client, upload: dict[str, Any], **body: Any) -> dict[str, Any]:
    answer = api.post(f"/imagery/uploads/{upload['id']}/complete", json=body, timeout=300)
    assert answer.status_code == 201, answer.text
    record: dict[str, Any] = answer.json()
    return record
