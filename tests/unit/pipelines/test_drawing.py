"""The photo under a blended heatmap: its size, and the memory that it takes."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from rasters import write_bands

from orthoray.spectral import raster
from orthoray.spectral.bands import BandMap
from pipelines.drawing import _photo

RGB = BandMap(("R", "G", "B"), "test")


@pytest.mark.parametrize("size", [(8, 6), (101, 77), (77, 101), (200, 3), (1, 99), (65, 65)])
@pytest.mark.parametrize("halvings", [0, 1, 3])
def test_the_photo_has_the_size_of_the_picture(tmp_path: Path, size: tuple[int, int], halvings: int) -> None:
    bands = np.random.default_rng(1).integers(1, 255, (3, *size), dtype=np.uint8)
    path = write_bands(tmp_path / "a.tif", bands)
    rows, columns = (-(-side // 2**halvings) for side in size)
    photo = _photo([path], [None], RGB, rows, columns)
    assert (photo.shape, photo.dtype) == ((rows, columns, 4), np.uint8)
    assert (photo[..., 3] == 255).all()
    if halvings == 0:
        np.testing.assert_array_equal(photo[..., :3], bands.transpose(1, 2, 0))


@pytest.mark.parametrize("reduction", [1, 3])
def test_memory_grows_with_the_picture_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reduction: int
) -> None:
    monkeypatch.setattr(raster, "WINDOW_PIXELS", 1 << 15)
    bands = np.random.default_rng(2).integers(0, 3000, (3, 1500, 1200), dtype=np.uint16)
    path = write_bands(tmp_path / "a.tif", bands, blockysize=8)
    rows, columns = 1500 // reduction, 1200 // reduction
    _photo([path], [None], RGB, 100, 80)
    tracemalloc.start()
    try:
        _photo([path], [None], RGB, rows, columns)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    # the bands as they are, picture and masks, and what a percentile is told by
    assert peak < 20 * rows * columns + 4_000_000, peak
