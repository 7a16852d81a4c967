"""`orthoray analyze`, in this process and in one of its own."""

from __future__ import annotations

import errno
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from pypdf import PdfReader
from rasters import RGBN, UTM, fields, write_bands
from typer.testing import CliRunner

from orthoray.errors import BadInput, Impossible, MissingBands, NotAnImage, OrthoRayError, UnknownIndex
from serve_app.cli import app
from serve_app.local import analyzing

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


def test_files_that_do_not_name_their_bands(tmp_path: Path) -> None:
    files = [write_bands(tmp_path / f"{at}.tif", fields()[at : at + 1], **UTM) for at in (0, 3)]
    refused = analyze(*files)
    assert isinstance(refused.exception, Impossible)
    assert "Nothing tells which bands these 2 files hold" in str(refused.exception)
    done = analyze(*files, "--bands", "R,N", "--json")
    assert done.exit_code == 0, done.exception
    assert json.loads(done.stdout)["statistics"]["valid_pixels"] == 48
    four = [write_bands(tmp_path / f"{at}.tif", fields()[at : at + 1], **UTM) for at in range(4)]
    assert analyze(*four, "--sensor", "naip").exit_code == 0


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


@pytest.mark.slow
@pytest.mark.parametrize("language", ["ru", "ro"])
def test_the_report_is_in_its_language_throughout(image: Path, tmp_path: Path, language: str) -> None:
    options = (
        "-i expr --expression (N-R)/(N+R+L) --constant L=0.3 --sensor rgbn --scale 1 --soil-mask NDVI>0.1"
    )
    assert (
        analyze(image, *options.split(), "--out", tmp_path, "--report", "--language", language).exit_code == 0
    )
    pages = PdfReader(tmp_path / "field[1]-expr.pdf").pages
    text = " ".join(" ".join(page.extract_text() for page in pages).split())
    assert "L = 0.3" in text
    assert not re.findall(r"\b(?:the|and|of|with|image|sensor|User|user|rgbn|bands)\b", text)


def result_of(*arguments: object) -> dict[str, Any]:
    done = analyze(*arguments, "--json")
    assert done.exit_code == 0, done.exception
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_several_files_are_one_image(tmp_path: Path) -> None:
    scene = (fields() * 10_000).astype(np.uint16)
    files = [
        write_bands(tmp_path / f"farm_{name}.tif", scene[number : number + 1], **UTM)
        for number, name in ((0, "red"), (3, "nir"))
    ]
    out = tmp_path / "out"
    found = result_of(*files, "--scale", "0.0001", "--out", out, "--report")
    assert found["image"] == "farm_red.tif, farm_nir.tif"
    assert found["statistics"]["max"] == pytest.approx(0.8)
    assert found["provenance"]["calibration"]["state"] == "reflectance"
    assert sorted(path.name for path in out.iterdir()) == [
        f"farm_red-NDVI.{suffix}" for suffix in ("json", "pdf", "png", "tif")
    ]
    assert isinstance(analyze(files[0], files[0]).exception, Impossible)


def with_mask(image: Path) -> Path:
    """The mask file that GDAL writes beside an image: the upper half is no data."""
    values = np.full((8, 6), 255, dtype=np.uint8)
    values[:4] = 0
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=False), rasterio.open(image, "r+") as dataset:
        dataset.write_mask(values)
    return image.with_name(f"{image.name}.msk")


def test_a_mask_beside_the_image_counts(image: Path, tmp_path: Path) -> None:
    mask = with_mask(image)
    assert mask.is_file()
    out = tmp_path / "out"
    found = result_of(image, "--out", out, "--report")
    assert (found["statistics"]["valid_pixels"], found["statistics"]["nodata_pixels"]) == (24, 24)
    assert found["image"] == image.name
    assert sorted(path.suffix for path in out.iterdir()) == [".json", ".pdf", ".png", ".tif"]
    assert result_of(mask, image)["statistics"] == found["statistics"]
    elsewhere = tmp_path / "masks" / mask.name
    elsewhere.parent.mkdir()
    mask.rename(elsewhere)
    assert result_of(image)["statistics"]["nodata_pixels"] == 0
    assert result_of(image, elsewhere)["statistics"] == found["statistics"]
    alone = analyze(elsewhere).exception
    assert isinstance(alone, Impossible)
    assert "its image is missing" in str(alone)


def test_the_options_reach_the_analysis(image: Path, tmp_path: Path) -> None:
    own = result_of(image, "-i", "expr", "--expression", "(N-R)/(N+R+L)", "--constant", "L=0.5")
    assert own["index"] == "expr"
    assert own["statistics"]["max"] == pytest.approx(0.4)
    masked = result_of(image, "--soil-mask", "NDVI>0.2", "--thresholds", "quantiles")
    assert masked["statistics"]["valid_pixels"] == masked["statistics"]["background_pixels"] == 24
    assert masked["provenance"]["thresholds"]["id"].startswith("quantiles")
    drawn = result_of(
        image,
        "--cmap",
        "viridis",
        "--stretch",
        "0,0.5",
        "--blend",
        "0.5",
        "--raster",
        "int16",
        "--out",
        tmp_path,
    )
    assert (drawn["legend"]["colormap"], drawn["legend"]["vmin"], drawn["legend"]["vmax"]) == (
        "viridis",
        0,
        0.5,
    )
    with rasterio.open(tmp_path / "field[1]-NDVI.tif") as dataset:
        assert dataset.dtypes == ("int16",)


@pytest.mark.parametrize(
    ("arguments", "kind"),
    [
        (["--index", "nothing"], UnknownIndex),
        (["--index", "expr"], Impossible),
        (["--expression", "N/R"], Impossible),
        (["--constant", "L=1"], Impossible),
        (["--scale", "0"], Impossible),
        (["--soil-mask", "NDRE>0.2"], MissingBands),
        (["--cmap", "mud"], Impossible),
        (["--thresholds", "deciles"], BadInput),
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


def test_a_folder_that_cannot_be_written(image: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    done = analyze(image, "--out", tmp_path / "file" / "out")
    assert isinstance(done.exception, OrthoRayError)
    assert "cannot be written: Not a directory. Choose another folder with --out." in str(done.exception)


@pytest.mark.parametrize("suffix", ["png", "tif", "pdf", "json"])
def test_a_result_that_cannot_be_written(image: Path, tmp_path: Path, suffix: str) -> None:
    out = tmp_path / "out"
    (out / f"field[1]-NDVI.{suffix}").mkdir(parents=True)
    done = analyze(image, "--out", out, "--report")
    assert isinstance(done.exception, OrthoRayError)
    assert f"{out} cannot be written: Is a directory." in str(done.exception)


@pytest.mark.parametrize(
    ("code", "named", "told"),
    [
        (errno.ENOSPC, None, True),
        (errno.EACCES, "field[1]-NDVI.png", True),
        (errno.EACCES, "field[1].tif", False),
        (errno.EIO, None, False),
        (errno.EACCES, "/etc/fonts", False),
    ],
)
def test_only_what_concerns_the_folder_is_told_of_it(
    image: Path, monkeypatch: pytest.MonkeyPatch, code: int, named: str | None, told: bool
) -> None:
    name = None if named is None else str(image.parent / named)
    failure = OSError(code, os.strerror(code), name)

    def fail(*_arguments: Any, **_options: Any) -> None:
        raise failure

    monkeypatch.setattr(analyzing, "analyse_files", fail)
    done = analyze(image, "--out", image.parent)
    if told:
        assert isinstance(done.exception, OrthoRayError)
        assert os.strerror(code) in str(done.exception)
    else:
        assert done.exception is failure


def test_a_report_that_fails_is_not_told_of_the_folder(image: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    failure = FileNotFoundError(errno.ENOENT, "No such file", "/usr/share/fonts/none.ttf")

    def fail(*_arguments: Any) -> bytes:
        raise failure

    monkeypatch.setattr(analyzing, "_report", fail)
    assert analyze(image, "--out", image.parent, "--report").exception is failure


@pytest.mark.slow
def test_a_process_of_its_own_does_not_import_ray(image: Path) -> None:
    done = in_a_process(image, "--index", "NDVI_emp", "--bands", "R,G,B,N", cwd=image.parent)
    assert done.returncode == 1
    assert "8-bit photos" in done.stderr
    done = in_a_process(image, "--report", cwd=image.parent)
    assert (done.returncode, done.stderr) == (0, "")
    assert (image.parent / "field[1]-NDVI.pdf").exists()


@pytest.mark.slow
def test_an_error_is_one_line_with_the_name_as_it_is(tmp_path: Path) -> None:
    done = in_a_process("field[/1].tif", cwd=tmp_path)
    assert done.returncode == 1
    assert done.stderr == "orthoray: There is no file field[/1].tif.\n"
    assert done.stdout == ""
