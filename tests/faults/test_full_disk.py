"""Fault 4, in a local folder: the disk is full while runs are in flight."""

from __future__ import annotations

import time

import pytest
from disks import Disk
from faults import Load, Site, check, send_runs, told, upload_some, wait_until_under_way
from scenes import photo
from stack import eventually

LEFT_KB = 64


def test_a_full_disk(site: Site, disk: Disk | None) -> None:
    if disk is None:
        pytest.skip("nothing can be mounted here")
    began = time.monotonic()
    images = upload_some(site)
    load = send_runs(site, images)
    wait_until_under_way(site)
    with disk.full(LEFT_KB), site.stack.client() as api:
        answer = api.post("/imagery", files={"file": ("big.jpg", photo(2400, 1600, seed=5))})
        assert answer.status_code == 503, answer.text
        assert "full" in answer.json()["detail"]
        assert api.get("/imagery").status_code == 200
        eventually(lambda: len(in_vain(site, load)) >= 2, 90, "attempts that the disk is too full for")
    found = check(site, load)
    assert all("full" in reason for reason in in_vain(site, load))
    assert found["runs"]["completed"] == len(load.runs) - load.damaged
    assert not list((disk.path / ".tmp").iterdir()), "something half-written is left"
    with site.stack.client() as api:
        answer = api.post("/imagery", files={"file": ("big.jpg", photo(2400, 1600, seed=5))})
        assert answer.status_code == 201, answer.text
    told(f"A full disk, {len(in_vain(site, load))} attempts in vain", found, began)


def in_vain(site: Site, load: Load) -> list[str]:
    """Why attempts ended that are made again."""
    statement = "select reason from attempts where outcome = 'unavailable' and subject = any(%s::uuid[])"
    return [row["reason"] for row in site.query("analysis", statement, load.runs)]
