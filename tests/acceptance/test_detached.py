"""What an operator does with a stack that runs in the background: look, import, send much, start it twice by mistake."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest
from journey import finished, start_run
from rasters import UTM, fields, write_bands
from scenes import multispectral_scene, photo, write_tiff
from stack import Stack


def test_status_says_where_it_serves(open_stack: Stack) -> None:
    answer = open_stack.run("status")
    assert answer.returncode == 0
    assert open_stack.url in answer.stderr
    assert "none needed" in answer.stderr


@pytest.mark.parametrize("words", [("up",), ("up", "--detach")])
def test_a_second_start_is_refused_in_one_line(open_stack: Stack, words: tuple[str, ...]) -> None:
    answer = open_stack.run(*words)
    assert answer.returncode == 1
    assert len(answer.stderr.strip().splitlines()) == 1, answer.stderr
    assert "already running" in answer.stderr
    assert open_stack.is_serving


def test_import_passes_over_what_is_there_and_tells_what_is_broken(open_stack: Stack, tmp_path: Path) -> None:
    folder = tmp_path / "flight"
    (folder / "day 2").mkdir(parents=True)
    (folder / "one.jpg").write_bytes(photo(seed=101))
    (folder / "broken.jpg").write_bytes(photo(seed=102)[:300])
    (folder / "notes.txt").write_text("no image")
    multispectral_scene(folder / "day 2" / "three.TIF", 64, 48)

    first = open_stack.run("import", str(folder))
    assert first.returncode == 1
    assert "2 imported, 0 there already, 1 refused." in first.stderr
    assert "broken.jpg" in first.stderr
    assert "Traceback" not in first.stderr
    again = open_stack.run("import", str(folder))
    assert "0 imported, 2 there already, 1 refused." in again.stderr
    (folder / "broken.jpg").unlink()
    assert open_stack.run("import", str(folder)).returncode == 0

    with open_stack.client() as api:
        names = [
            item["original_filename"] for item in api.get("/imagery", params={"limit": 200}).json()["items"]
        ]
    assert names.count("one.jpg") == names.count("three.TIF") == 1
    assert "broken.jpg" not in names


def test_files_that_are_imported_together_are_one_image(open_stack: Stack, tmp_path: Path) -> None:
    scene = (fields() * 10_000).astype(np.uint16)
    files = [
        write_bands(tmp_path / f"together_{name}.tif", scene[number : number + 1], **UTM)
        for number, name in ((0, "red"), (3, "nir"))
    ]
    command = ("import", "--together", *map(str, files))
    assert "1 imported, 0 there already, 0 refused." in open_stack.run(*command).stderr
    assert "0 imported, 1 there already, 0 refused." in open_stack.run(*command).stderr
    with open_stack.client() as api:
        items = api.get("/imagery", params={"limit": 200}).json()["items"]
        (record,) = [item for item in items if item["original_filename"] == "together_red.tif"]
        assert record["bands"] == {"R": 1, "N": 2}
        done = finished(api, f"/analysis-runs/{start_run(api, record['id'], 'NDVI')['id']}")
    assert done["statistics"]["max"] == pytest.approx(0.8, abs=1e-3)


def test_import_of_nothing(open_stack: Stack, tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "nowhere"):
        answer = open_stack.run("import", str(path))
        assert answer.returncode == 1
        assert len(answer.stderr.strip().splitlines()) == 1, answer.stderr


def test_a_file_of_200_megabytes(open_stack: Stack, tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    bands = random.integers(1, 10_000, (4, 5000, 5000), dtype=np.uint16)
    path = write_tiff(tmp_path / "big.tif", bands, names=("red", "green", "blue", "nir"))
    with open_stack.client() as api, path.open("rb") as file:
        started = time.monotonic()
        answer = api.post("/imagery", files={"file": ("big.tif", file)})
        assert answer.status_code == 201, answer.text
        assert time.monotonic() - started < 40
    assert answer.json()["size_bytes"] == path.stat().st_size
