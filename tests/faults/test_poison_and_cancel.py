"""Images that kill whoever analyses them, and runs that are not wanted any more."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import httpx2
import numpy as np
import pytest
import rasterio
from faults import DEADLY, ENDLESS, Load, Site, check, send_runs, told, upload_some
from journey import finished, start_run, upload
from rasterio.transform import Affine
from rasterio.windows import Window
from scenes import photo
from stack import eventually

# Calling off is asked for within a second, and a process that does not end by itself is killed three seconds later.
STOPS_WITHIN_S = 15.0


def computing(site: Site) -> list[str]:
    """The processes that compute."""
    found = site.stack.processes("ray::")
    return [process.command for process in found if "analyse" in process.command or "::_" in process.command]


def status_of(api: httpx2.Client, run: str) -> str:
    record: dict[str, Any] = api.get(f"/analysis-runs/{run}").json()
    return str(record["status"])


def test_deadly_images_are_given_up_and_keep_nobody_waiting(site: Site) -> None:
    began = time.monotonic()
    load = Load()
    with site.stack.client() as api:
        deadly = upload(api, "deadly.jpg", photo(DEADLY, 300))["id"]
        for _ in range(4):
            load.post(api, imagery_id=deadly, index_type="NDVI_emp", auto_report=True)
        others = send_runs(site, upload_some(site), 30)
        found = check(site, load, others)
        for run in load.runs:
            record = api.get(f"/analysis-runs/{run}").json()
            assert (record["status"], record["attempts"]) == ("failed", 3)
            assert "3 times" in record["error"]
            assert [attempt["outcome"] for attempt in record["history"]] == ["lost"] * 3
            assert all(attempt["node"] for attempt in record["history"])
    told("images that kill their process", found, began)


@pytest.mark.parametrize("way", ["run", "imagery"])
def test_a_deletion_stops_a_compute_that_never_looks_up(site: Site, way: str) -> None:
    with site.stack.client() as api:
        image = upload(api, "endless.jpg", photo(ENDLESS, 300))["id"]
        run = start_run(api, image)["id"]
        site.deleted.add(run)
        eventually(lambda: computing(site), 30, "a process at work")
        time.sleep(1.0)
        assert status_of(api, run) == "processing"
        api.delete(f"/analysis-runs/{run}" if way == "run" else f"/imagery/{image}").raise_for_status()
        eventually(lambda: not computing(site), STOPS_WITHIN_S, "the end of the compute")
        if way == "run":
            assert status_of(api, run) == "cancelled"
            assert api.delete(f"/analysis-runs/{run}").status_code == 204
        assert api.get(f"/analysis-runs/{run}").status_code == 404
        assert finished(api, f"/analysis-runs/{start_run(api, upload_some(site)[0])['id']}")
    check(site)


def test_a_cancelled_large_run_takes_its_blocks_with_it(site: Site, tmp_path: Path) -> None:
    path, side = tmp_path / "large.tif", 14_000
    profile = {"driver": "GTiff", "width": side, "height": side, "count": 4, "dtype": "uint8", "tiled": True}
    place = {"crs": "EPSG:32635", "transform": Affine(0.1, 0, 500_000, 0, -0.1, 5_200_000)}
    with rasterio.open(path, "w", **profile, **place, compress="deflate", zlevel=1) as target:
        target.descriptions = ("red", "green", "blue", "nir")
        # Packs well, so that it is soon uploaded; what takes long is the compute.
        piece = np.broadcast_to(np.arange(1, 5, dtype=np.uint8)[:, None, None] * 20, (4, 1024, side))
        for row in range(0, side, 1024):
            height = min(1024, side - row)
            target.write(piece[:, :height], window=Window(0, row, side, height))
    with site.stack.client() as api:
        api.timeout = 120
        image = upload(api, "large.tif", path)["id"]
        run = start_run(api, image, "NDVI")["id"]
        eventually(lambda: site.stack.processes("ray::_compute"), 60, "blocks under way")
        assert api.delete(f"/analysis-runs/{run}").status_code == 202
        eventually(lambda: not computing(site), STOPS_WITHIN_S, "the end of the blocks")
        assert status_of(api, run) == "cancelled"
        api.delete(f"/imagery/{image}").raise_for_status()
        site.deleted.add(run)
    check(site)
