"""Fault 4, in a local folder: the disk is full while runs are in flight."""

from __future__ import annotations

import os
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from faults import Site, check, open_site, send_runs, told, upload_some, wait_until_under_way
from scenes import photo
from stack import eventually

from orthoray.storage.local import LocalStorage

SIZE_MB = 192
LEFT_KB = 64


@pytest.fixture
def disk() -> Iterator[Path]:
    """A small file system of its own."""
    if os.geteuid() != 0:
        pytest.skip("only root mounts")
    with tempfile.TemporaryDirectory(prefix="or-disk-", dir="/tmp") as name:
        mount = ["mount", "-t", "tmpfs", "-o", f"size={SIZE_MB}m", "tmpfs", name]
        if subprocess.run(mount, check=False, capture_output=True).returncode:
            pytest.skip("nothing can be mounted here")
        try:
            yield Path(name)
        finally:
            unmount = ["umount", "--lazy", name]
            subprocess.run(unmount, check=True)


@pytest.fixture
def small_site(disk: Path) -> Iterator[Site]:
    with open_site({"STORAGE_ROOT": str(disk)}, LocalStorage(disk)) as site:
        yield site


def fill(disk: Path) -> Path:
    """A file that leaves hardly any room."""
    ballast = disk / "ballast"
    room = os.statvfs(disk)
    with ballast.open("wb") as file:
        file.write(bytes(room.f_bavail * room.f_frsize - LEFT_KB * 1024))
    return ballast


def test_a_full_disk(small_site: Site, disk: Path) -> None:
    began = time.monotonic()
    images = upload_some(small_site)
    load = send_runs(small_site, images)
    wait_until_under_way(small_site)
    ballast = fill(disk)
    with small_site.stack.client() as api:
        answer = api.post("/imagery", files={"file": ("big.jpg", photo(2400, 1600, seed=5))})
        assert answer.status_code == 503, answer.text
        assert "full" in answer.json()["detail"]
        assert api.get("/imagery").status_code == 200
    eventually(lambda: len(in_vain(small_site)) >= 2, 90, "attempts that the disk is too full for")
    ballast.unlink()
    found = check(small_site, load)
    assert all("full" in reason for reason in in_vain(small_site))
    assert found["runs"]["completed"] >= 27  # all but those of the damaged image
    assert not list((disk / ".tmp").iterdir()), "something half-written is left"
    with small_site.stack.client() as api:
        answer = api.post("/imagery", files={"file": ("big.jpg", photo(2400, 1600, seed=5))})
        assert answer.status_code == 201, answer.text
    told(f"A full disk, {len(in_vain(small_site))} attempts in vain", found, began)


def in_vain(site: Site) -> list[str]:
    """Why attempts ended that are made again."""
    rows = site.query("analysis", "select reason from attempts where outcome = 'unavailable'")
    return [row["reason"] for row in rows]
