from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image

from orthoray.errors import Impossible, TooLarge
from orthoray.spectral.raster import inspect

WriteTiff = Callable[..., Path]


def test_too_many_pixels_and_bands(write_tiff: WriteTiff) -> None:
    path = write_tiff(np.zeros((2, 10, 10), np.uint8))
    assert inspect(path, max_pixels=100).width == 10
    with pytest.raises(TooLarge, match="100 pixels, the limit is 99"):
        inspect(path, max_pixels=99)
    with pytest.raises(TooLarge, match="65 bands"):
        inspect(write_tiff(np.zeros((65, 1, 1), np.uint8)))


def test_one_huge_block_is_refused(write_tiff: WriteTiff) -> None:
    path = write_tiff(
        np.zeros((1, 16, 16), np.uint8), tiled=True, blockxsize=16, blockysize=16, SPARSE_OK=True
    )
    content = path.read_bytes()
    for tag in (b"\x42\x01", b"\x43\x01"):  # TileWidth, TileLength, both SHORT
        content = content.replace(tag + b"\x03\0\1\0\0\0\x10\0", tag + b"\x03\0\1\0\0\0\x00\x80")
    path.write_bytes(content)
    with pytest.raises(TooLarge, match="tiled"):
        inspect(path)


def test_complex_pixels_are_refused(write_tiff: WriteTiff) -> None:
    with pytest.raises(Impossible, match="complex"):
        inspect(write_tiff(np.zeros((1, 3, 3), np.complex64)))


@pytest.mark.parametrize("suffix", ["jpg", "tif"])
def test_cmyk_is_refused(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"print.{suffix}"
    Image.new("CMYK", (20, 20)).save(path)
    with pytest.raises(Impossible, match="RGB"):
        inspect(path)


@pytest.mark.parametrize("big", [False, True])
def test_several_images_in_one_file_are_refused(tmp_path: Path, big: bool) -> None:
    path = tmp_path / "pages.tif"
    tifffile.imwrite(path, np.zeros((3, 20, 30), np.uint8), photometric="minisblack", bigtiff=big)
    with pytest.raises(Impossible, match="has 3 images: save each") as caught:
        inspect(path)
    assert caught.value.fields == {"images": 3}


@pytest.mark.parametrize(
    ("shape", "options", "images"),
    [
        ((20, 30), {}, 2),
        ((40, 60), {}, 2),
        ((10, 15), {}, 1),
        ((20, 30), {"subfiletype": 1}, 1),
        ((20, 30), {"subfiletype": 3}, 1),
        ((20, 30), {"subfiletype": 2}, 2),
        ((20, 30), {"extratags": [(255, 3, 1, 2, True)]}, 1),
    ],
)
def test_what_counts_as_a_second_image(
    tmp_path: Path, shape: tuple[int, int], options: dict[str, Any], images: int
) -> None:
    path = tmp_path / "pages.tif"
    with tifffile.TiffWriter(path) as writer:
        writer.write(np.zeros((20, 30), np.uint8), metadata=None)
        writer.write(np.zeros(shape, np.uint8), metadata=None, **options)
    if images == 1:
        assert inspect(path).width == 30
        return
    with pytest.raises(Impossible, match=f"has {images} images"):
        inspect(path)
