"""`orthoray analyze`, in this process and in one of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from rasters import RGBN, UTM, fields, write_bands
from typer.testing import CliRunner

from orthoray.errors import BadInput, Impossible, MissingBands, NotAnImage, OrthoRayError, UnknownIndex
from serve_app.cli import app

NO_RAY = """
import sys
from serve_app import cli
sys.argv = ["orthoray", *sys.argv[1:]]
try:
    cli.main()
finally:
    heavy = sorted({"ray", "fastapi", "s3fs"} & set(sys.modules))
    if heavy:
        print("IMPORTED", heavy, file=sys.stderr)
        sys.exit(9)
"""


@pytest.fixture
def image(tmp_path: Path) -> Path:
    return write_bands(tmp_path / "field[1].tif", fields(), RGBN, **UTM)


def analyze(*arguments: object) -> Any:
    return CliRunner().invoke(app, ["analyze", *map(str, arguments)])


def in_a_process(*arguments: object, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", NO_RAY, "analyze", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, cwd=cwd, timeout=60, check=False)


def test_a_summary_for_people(image: Path) -> None:
    done = analyze(image)
    assert done.exit_code == 0
    assert "NDVI of field[1].tif" in done.stdout
    assert "valid 48" in done.stdout
    assert sorted(path.name for path in image.parent.iterdir()) == [image.name], (
        "nothing is written without --out"
    )


def test_json_for_programs(image: Path) -> None:
    done = analyze(image, "--json", "-i", "GNDVI", "--language", "ro")
    found = json.loads(done.stdout)
    assert found["index"] == "GNDVI"
    assert found["statistics"]["valid_pixels"] == 48
    assert found["files"] == {}


def test_files_in_a_folder(image: Path, tmp_path: Path) -> None:
    out = tmp_path / "a" / "b"
    assert analyze(image, "--out", out, "--report").exit_code == 0
    assert sorted(path.suffix for path in out.iterdir()) == [".json", ".pdf", ".png", ".tif"]
    assert json.loads((out / "field[1]-NDVI.json").read_text())["conclusion"]
    assert (out / "field[1]-NDVI.pdf").read_bytes().startswith(b"%PDF")


@pytest.mark.parametrize(
    ("arguments", "kind"),
    [
        (["--index", "nothing"], UnknownIndex),
        (["--bands", "R,G,B,RE1"], MissingBands),
        (["--bands", "R"], Impossible),
        (["--thresholds", "a,b,c"], BadInput),
        (["--thresholds", "1,3,2"], Impossible),
        (["--crop", "moss"], Impossible),
        (["--language", "de"], OrthoRayError),
        (["--sensor", "eyes"], Impossible),
    ],
)
def test_what_cannot_be_done(image: Path, arguments: list[str], kind: type[Exception]) -> None:
    assert isinstance(analyze(image, *arguments).exception, kind)


def test_a_file_that_is_no_image(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(b"not an image")
    assert isinstance(analyze(tmp_path / "a.jpg").exception, NotAnImage)
    assert isinstance(analyze(tmp_path / "none.jpg").exception, BadInput)


def test_a_process_of_its_own_does_not_import_ray(image: Path) -> None:
    done = in_a_process(image, "--index", "NDVI_emp", "--bands", "R,G,B,N", cwd=image.parent)
    assert done.returncode == 1
    assert "8-bit photos" in done.stderr
    done = in_a_process(image, "--report", cwd=image.parent)
    assert (done.returncode, done.stderr) == (0, "")
    assert (image.parent / "field[1]-NDVI.pdf").exists()


def test_an_error_is_one_line_with_the_name_as_it_is(tmp_path: Path) -> None:
    done = in_a_process("field[/1].tif", cwd=tmp_path)
    assert done.returncode == 1
    assert done.stderr == "orthoray: There is no file field[/1].tif.\n"
    assert done.stdout == ""
