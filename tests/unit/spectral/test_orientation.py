from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image, ImageOps
from rasterio.errors import NotGeoreferencedWarning
from rasters import UTM

from orthoray.spectral import orientation as module
from orthoray.spectral import raster
from orthoray.spectral.orientation import orientation_of, turned, upright_copy, upright_size
from orthoray.spectral.raster import inspect, open_raster, read_window

WriteTiff = Callable[..., Path]
ALL = range(1, 9)
RNG = np.random.default_rng(4)


def tagged(path: Path, pixels: Any, orientation: int, **options: Any) -> Path:
    exif = Image.Exif()
    exif[0x0112] = orientation
    image = pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)
    image.save(path, exif=exif, **options)
    return path


@pytest.mark.parametrize("orientation", ALL)
def test_turned_as_pillow_turns(tmp_path: Path, orientation: int) -> None:
    stored = RNG.integers(0, 255, (5, 7, 3), np.uint8)
    path = tagged(tmp_path / "photo.png", stored, orientation)
    expected = np.asarray(ImageOps.exif_transpose(Image.open(path)))
    assert orientation_of(path, inspect(path)) == orientation
    assert (turned(stored, orientation) == expected).all()
    assert (turned(stored[..., 1], orientation) == expected[..., 1]).all()
    assert upright_size(7, 5, orientation) == expected.shape[1::-1]


@pytest.mark.parametrize("window_pixels", [4_000_000, 600])
@pytest.mark.parametrize("orientation", ALL)
def test_a_copy_keeps_pixels_and_labels(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, orientation: int, window_pixels: int
) -> None:
    monkeypatch.setattr(raster, "WINDOW_PIXELS", window_pixels)
    stored = RNG.integers(0, 60_000, (5, 40, 70), np.uint16)
    source = tmp_path / "bands.tif"
    tifffile.imwrite(
        source,
        stored,
        photometric="rgb",
        planarconfig="separate",
        extrasamples=["unspecified", "unassalpha"],
        rowsperstrip=7,
        metadata=None,
        extratags=[(274, 3, 1, orientation, True), (42113, 2, 0, "17", True)],
    )
    assert orientation_of(source, inspect(source)) == orientation
    target = tmp_path / "upright.tif"
    upright_copy(source, orientation, target)
    before, after = inspect(source), inspect(target)
    assert (after.width, after.height) == upright_size(70, 40, orientation)
    assert after.colours == before.colours == ("red", "green", "blue", "undefined", "alpha")
    assert after.nodata == before.nodata == (17.0,) * 5
    assert after.dtype == "uint16"
    assert orientation_of(target, after) == 1
    with open_raster(target) as dataset:
        for number, band in enumerate(stored, start=1):
            assert (dataset.read(number) == turned(band, orientation)).all()


def test_descriptions_scales_and_masks_are_kept(write_tiff: WriteTiff, tmp_path: Path) -> None:
    bands = RNG.random((2, 30, 20)).astype(np.float32)
    mask = RNG.random((30, 20)) > 0.5
    source = write_tiff(bands, descriptions=("red", "nir"), mask=mask)
    target = tmp_path / "upright.tif"
    upright_copy(source, 6, target)
    assert inspect(target).descriptions == ("red", "nir")
    with open_raster(target) as dataset:
        arrays, masked = read_window(dataset, None, (1, 2))
    assert (masked == turned(mask, 6)).all()
    assert all((found == turned(band, 6)).all() for found, band in zip(arrays, bands, strict=True))


@pytest.mark.parametrize("options", [{}, {"transparency": 2}])
def test_a_palette_becomes_its_colours(tmp_path: Path, options: dict[str, Any]) -> None:
    image = Image.fromarray(RNG.integers(0, 4, (6, 9), np.uint8), "L").convert("P")
    image.putpalette([0, 0, 0, 10, 200, 30, 5, 6, 7, 250, 1, 2])
    source = tagged(tmp_path / "palette.png", image, 8, **options)
    target = tmp_path / "upright.tif"
    upright_copy(source, 8, target)
    assert inspect(target).colours == inspect(source).colours
    with open_raster(source) as before, open_raster(target) as after:
        stored, hidden = read_window(before, None, (1, 2, 3))
        found, masked = read_window(after, None, (1, 2, 3))
    assert (masked == turned(hidden, 8)).all()
    assert hidden.any() == bool(options)
    assert all((turned(a, 8) == b).all() for a, b in zip(stored, found, strict=True))


def test_a_colour_key_is_kept(tmp_path: Path) -> None:
    pixels = RNG.integers(0, 255, (6, 9, 3), np.uint8)
    pixels[2, 3] = 1, 2, 3
    source = tagged(tmp_path / "key.png", pixels, 5, transparency=(1, 2, 3))
    target = tmp_path / "upright.tif"
    upright_copy(source, 5, target)
    with open_raster(target) as dataset:
        _, masked = read_window(dataset, None, (1, 2, 3))
    assert np.argwhere(masked).tolist() == [[3, 2]]


def test_a_georeferenced_raster_is_never_turned(
    write_tiff: WriteTiff, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_tiff(np.zeros((1, 4, 4), np.uint8), **UTM)
    monkeypatch.setattr(module, "read_metadata", None)
    assert orientation_of(path, inspect(path)) == 1


def test_no_exif_is_upright(tmp_path: Path) -> None:
    path = tmp_path / "x.bmp"
    Image.new("RGB", (3, 2)).save(path)
    with warnings.catch_warnings(action="error", category=NotGeoreferencedWarning):
        assert orientation_of(path, inspect(path)) == 1


def test_a_colour_key_stays_one_colour(tmp_path: Path) -> None:
    source, target = tmp_path / "key.png", tmp_path / "upright.tif"
    pixels = np.array([[[1, 2, 3], [1, 0, 0], [9, 2, 3]]], np.uint8)
    tagged(source, pixels, 6, transparency=(1, 2, 3))
    upright_copy(source, 6, target)
    with open_raster(target) as dataset:
        arrays, masked = read_window(dataset, None, [1, 2, 3])
    assert (np.dstack(arrays) == pixels.swapaxes(0, 1)).all()
    assert masked.tolist() == [[True], [False], [False]]
