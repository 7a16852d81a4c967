"""Large files in parts, and what the doctor says of it all. Clients that disconnect: tests/faults."""

from __future__ import annotations

import os
from pathlib import Path
from uuid import uuid4

import httpx2
from memory import watched
from parts import begin, big_tiff, complete, send
from stack import Stack

MEGABYTE = 1_000_000


def test_600_megabytes_in_parts_take_little_memory(stack: Stack, api: httpx2.Client, tmp_path: Path) -> None:
    """By HTTP and by import, beside what a file of a tenth of it takes."""

    def both(path: Path, other: Path) -> None:
        upload = begin(api, path)
        send(api, path, upload)
        imagery = complete(api, upload)
        answer = stack.run("import", str(other))
        assert "1 imported" in answer.stderr, answer.stderr
        for item in (imagery, api.get("/imagery", params={"limit": 1}).json()["items"][0]):
            assert api.delete(f"/imagery/{item['id']}").status_code == 204

    with watched(stack) as usual:
        both(big_tiff(tmp_path / "a.tif", 4800), big_tiff(tmp_path / "b.tif", 4800, mark=2))
    with watched(stack) as large:
        both(big_tiff(tmp_path / "c.tif", 14_200), big_tiff(tmp_path / "d.tif", 14_200, mark=2))
    growth = {process: peak - usual.of[process] for process, peak in large.of.items() if process in usual.of}
    assert max(growth.values()) < 100 * MEGABYTE, growth
    imports = [
        max(peak for process, peak in peaks.of.items() if "import" in process.command)
        for peaks in (usual, large)
    ]
    assert imports[1] - imports[0] < 100 * MEGABYTE


def test_the_doctor(stack: Stack, api: httpx2.Client) -> None:
    healthy = stack.run("doctor")
    assert healthy.returncode == 0, healthy.stdout
    orphan = stack.home / "storage/imagery/imagery" / str(uuid4()) / "lost.tif"
    orphan.parent.mkdir(parents=True)
    orphan.write_bytes(b"nobody's")
    assert stack.run("doctor").returncode == 0, "it may be on its way"
    os.utime(orphan, (0, 0))
    ill = stack.run("doctor")
    assert ill.returncode == 1
    assert f"orphan: imagery/imagery/{orphan.parent.name}/lost.tif" in ill.stdout
    assert orphan.exists()
    cured = stack.run("doctor", "--fix")
    assert cured.returncode == 0, cured.stdout
    assert not orphan.parent.exists()
