from __future__ import annotations

import io
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from orthoray.spectral import raster, thumbnail
from orthoray.spectral.bands import resolve_bands
from orthoray.spectral.raster import inspect
from orthoray.spectral.thumbnail import preview, thumbnail_png

WriteTiff = Callable[..., Path]


def pixels(png: bytes) -> npt.NDArray[Any]:
    image = Image.open(io.BytesIO(png))
    assert (image.format, image.mode) == ("PNG", "RGBA")
    return np.asarray(image)


def named(path: Path, bands: str, max_side: int = 512) -> npt.NDArray[Any]:
    return pixels(thumbnail_png(path, resolve_bands(inspect(path), bands=bands), max_side))


@pytest.mark.parametrize(
    ("shape", "expected"),
    [((1, 1), (1, 1)), ((1, 30_000), (1, 512)), ((30_000, 1), (512, 1)), ((300, 600), (256, 512))],
)
def test_size(write_tiff: WriteTiff, shape: tuple[int, int], expected: tuple[int, int]) -> None:
    path = write_tiff(np.full((3, *shape), 7, np.uint8), colours=("red", "green", "blue"))
    shown = pixels(thumbnail_png(path))
    assert shown.shape == (*expected, 4)
    assert (shown == (7, 7, 7, 255)).all()


def test_named_bands_are_shown_in_order(write_tiff: WriteTiff) -> None:
    path = write_tiff(np.arange(1, 6, dtype=np.uint8)[:, None, None] * np.ones((1, 4, 4), np.uint8))
    assert named(path, "B,G,R,N,RE1")[0, 0].tolist() == [3, 2, 1, 255]
    assert named(path, "N,RE1,R,G,-")[0, 0].tolist() == [1, 3, 4, 255], "false colour: N, R, G"
    assert named(path, "-,-,R,-,-")[0, 0].tolist() == [1, 1, 1, 255], "grey"


@pytest.mark.parametrize("bands", ["R,G,B,-", "-,N,R,G", "-,-,-,-"])
def test_several_files_are_shown_as_one(write_tiff: WriteTiff, bands: str) -> None:
    values = np.random.default_rng(1).integers(1, 255, (4, 20, 30)).astype(np.uint8)
    values[0, :3] = values[2, :, :4] = 0
    together = write_tiff(values, nodata=0)
    parts = (slice(0, 1), slice(1, 3), slice(3, 4))
    apart = [write_tiff(values[part], f"{part.start}.tif", nodata=0) for part in parts]
    shown = pixels(thumbnail_png(apart, resolve_bands(inspect(together), bands=bands)))
    np.testing.assert_array_equal(shown, named(together, bands))


def test_masked_is_transparent_and_does_not_bleed(write_tiff: WriteTiff) -> None:
    bands = np.full((3, 1000, 1000), 100, np.uint8)
    bands[:, :, 505:] = 255
    path = write_tiff(bands, nodata=255, colours=("red", "green", "blue"))
    shown = pixels(thumbnail_png(path, max_side=100))
    assert (shown[:, :50] == (100, 100, 100, 255)).all()
    assert (shown[:, 50, :3] == 100).all()
    assert (shown[:, 51:, 3] == 0).all()


def test_alpha_of_an_rgba_image(tmp_path: Path) -> None:
    path = tmp_path / "x.png"
    Image.fromarray(np.array([[[1, 2, 3, 255], [4, 5, 6, 0]]], np.uint8), "RGBA").save(path)
    shown = pixels(thumbnail_png(path))
    assert shown[0, 0].tolist() == [1, 2, 3, 255]
    assert shown[0, 1, 3] == 0


@pytest.mark.parametrize("dtype", ["uint16", "int16", "float32"])
def test_other_types_are_stretched(write_tiff: WriteTiff, dtype: str) -> None:
    ramp = np.broadcast_to(np.arange(101), (3, 5, 101)).astype(dtype) * 30
    shown = pixels(thumbnail_png(write_tiff(ramp, descriptions=("red", "green", "blue"))))
    assert shown[0, 0, :3].tolist() == [0, 0, 0]
    assert shown[0, -1, :3].tolist() == [255, 255, 255]
    assert abs(int(shown[0, 50, 0]) - 128) <= 1


def test_flat_and_empty_rasters(write_tiff: WriteTiff) -> None:
    flat = pixels(thumbnail_png(write_tiff(np.full((1, 4, 4), 900, np.uint16))))
    assert (flat == (128, 128, 128, 255)).all()
    empty = pixels(thumbnail_png(write_tiff(np.full((1, 4, 4), np.nan, np.float32))))
    assert (empty[..., 3] == 0).all()


def test_infinite_values_do_no_harm(write_tiff: WriteTiff) -> None:
    values = np.arange(16, dtype=np.float32).reshape(1, 4, 4)
    values[0, 0, :2] = np.inf, -np.inf
    shown = pixels(thumbnail_png(write_tiff(values)))
    assert shown[0, :2, 0].tolist() == [255, 0]


def test_palette(tmp_path: Path) -> None:
    path = tmp_path / "x.png"
    image = Image.new("P", (10, 10), 1)
    image.putpalette([0, 0, 0, 10, 200, 30])
    image.save(path)
    assert (pixels(thumbnail_png(path)) == (10, 200, 30, 255)).all()


@pytest.mark.parametrize("orientation", range(1, 9))
def test_photos_stand_upright(tmp_path: Path, orientation: int) -> None:
    from PIL import ImageOps

    stored = np.zeros((32, 48, 3), np.uint8)
    stored[:16, :16] = 255
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / "photo.jpg"
    Image.fromarray(stored).save(path, exif=exif, quality=100)
    expected = np.asarray(ImageOps.exif_transpose(Image.open(path)), np.int16)
    np.testing.assert_allclose(pixels(thumbnail_png(path))[..., :3], expected, atol=8)


def test_without_oversampling_a_pixel_is_one_of_the_raster(write_tiff: WriteTiff) -> None:
    bands = np.random.default_rng(3).integers(1, 255, (3, 90, 60), dtype=np.uint8)
    bands[:, :10, :7] = 0
    path = write_tiff(bands, nodata=0, colours=("red", "green", "blue"))
    full = preview(path, max_side=90, oversampling=1)
    np.testing.assert_array_equal(full[..., :3], bands.transpose(1, 2, 0))
    np.testing.assert_array_equal(full[..., 3], np.where(bands.any(axis=0), 255, 0))
    np.testing.assert_array_equal(preview(path, max_side=30, oversampling=1), full[1::3, 1::3])


@pytest.mark.parametrize("dtype", ["uint16", "float32"])
def test_what_is_too_large_to_keep_looks_the_same(
    write_tiff: WriteTiff, monkeypatch: pytest.MonkeyPatch, dtype: str
) -> None:
    monkeypatch.setattr(raster, "WINDOW_PIXELS", 700)
    values = np.random.default_rng(4).integers(0, 3000, (3, 70, 90)).astype(dtype)
    values[:, 5:9] = np.float32(7)
    path = write_tiff(values, nodata=7, blockysize=4, descriptions=("red", "green", "blue"))
    kept = preview(path, max_side=80, oversampling=1)
    monkeypatch.setattr(thumbnail, "_KEPT_BYTES", 0)
    monkeypatch.setattr(thumbnail, "_SAMPLE_SIDE", 80)
    np.testing.assert_array_equal(preview(path, max_side=80, oversampling=1), kept)
    monkeypatch.setattr(thumbnail, "_SAMPLE_SIDE", 40)
    sampled = preview(path, max_side=80, oversampling=1)
    assert np.abs(sampled.astype(int) - kept).max() <= 8
    assert (sampled[..., 3] == kept[..., 3]).all()


def test_memory_is_that_of_the_picture(write_tiff: WriteTiff, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(raster, "WINDOW_PIXELS", 1 << 16)
    monkeypatch.setattr(thumbnail, "_KEPT_BYTES", 0)
    monkeypatch.setattr(thumbnail, "_SAMPLE_SIDE", 64)
    values = np.random.default_rng(5).integers(0, 3000, (3, 1200, 1000), dtype=np.uint16)
    path = write_tiff(values, blockysize=16, descriptions=("red", "green", "blue"))
    preview(path, max_side=100, oversampling=1)
    tracemalloc.start()
    try:
        preview(path, max_side=1200, oversampling=1)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    # four for the picture, one for its mask; a copy of the bands as float32 alone would be twelve
    assert peak < 8 * 1200 * 1000, peak


def test_real_orthomosaic(sample: Callable[[str], Path]) -> None:
    assert pixels(thumbnail_png(sample("rgb_ortho.tif"))).shape == (272, 512, 4)
