from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from orthoray.spectral.raster import inspect, open_raster, read_window

WriteTiff = Callable[..., Path]
Array = npt.NDArray[Any]
RNG = np.random.default_rng(12)


def read(path: Path, numbers: list[int]) -> tuple[list[Array], Array]:
    with open_raster(path) as dataset:
        return read_window(dataset, None, numbers)


def write_palette(path: Path, **options: Any) -> Path:
    image = Image.fromarray(np.array([[0, 1, 2]], np.uint8), "P")
    image.putpalette([10, 11, 12, 20, 21, 22, 30, 31, 32])
    image.save(path, **options)
    return path


@pytest.mark.parametrize("suffix", ["png", "tif", "bmp"])
def test_palette_becomes_rgb(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"palette.{suffix}"
    colours = RNG.integers(0, 255, (5, 3), dtype=np.uint8)
    numbers = RNG.integers(0, 5, (20, 30), dtype=np.uint8)
    image = Image.fromarray(numbers, "P")
    image.putpalette(colours.tobytes())
    image.save(path)
    info = inspect(path)
    assert (info.count, info.dtype, info.colours) == (3, "uint8", ("red", "green", "blue"))
    arrays, mask = read(path, [3, 1])
    np.testing.assert_array_equal(arrays, [colours[numbers, 2], colours[numbers, 0]])
    assert not mask.any()


def test_transparent_palette_entries_mask(tmp_path: Path) -> None:
    path = tmp_path / "palette.png"
    image = Image.fromarray(np.array([[0, 1, 2]], np.uint8), "P")
    image.putpalette([10, 11, 12, 20, 21, 22, 30, 31, 32])
    image.save(path, transparency=bytes([0, 128, 255]))
    assert inspect(path).colours == ("red", "green", "blue", "alpha")
    arrays, mask = read(path, [1])
    assert mask.tolist() == [[True, False, False]]
    assert arrays[0][0, 1:].tolist() == [20, 30]


def test_the_number_that_is_nodata_masks(tmp_path: Path) -> None:
    path = write_palette(tmp_path / "palette.tif", tiffinfo={42113: "1"})
    assert set(inspect(path).nodata) == {None}, "the colours have none"
    assert read(path, [1])[1].tolist() == [[False, True, False]]


def test_an_internal_mask_counts_too(write_tiff: WriteTiff, tmp_path: Path) -> None:
    path = write_tiff(
        np.array([[0, 1, 2]], np.uint8), photometric="PALETTE", mask=np.array([[True, False, False]])
    )
    assert inspect(path).palette
    assert read(path, [2])[1].tolist() == [[True, False, False]]
