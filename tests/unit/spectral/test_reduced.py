from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from orthoray.errors import TruncatedImage
from orthoray.spectral import raster
from orthoray.spectral.masks import Mask
from orthoray.spectral.raster import inspect, open_raster, read_window
from orthoray.spectral.reduced import read_reduced, reduced_shape

WriteTiff = Callable[..., Path]
EditTiff = Callable[[Path], AbstractContextManager[Any]]


def whole(path: Path, numbers: Sequence[int], max_side: int) -> tuple[npt.NDArray[Any], Mask]:
    """All pieces together; fails where they overlap or leave a gap."""
    info = inspect(path)
    shape = reduced_shape(info.width, info.height, max_side)
    arrays, masked = np.zeros((len(numbers), *shape), info.dtype), np.zeros(shape, bool)
    seen = np.zeros(shape, int)
    for piece in read_reduced(path, numbers, max_side):
        place = piece.rows, piece.columns
        arrays[:, *place], masked[place] = piece.arrays, piece.masked
        seen[place] += 1
    assert (seen == 1).all()
    return arrays, masked


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        ((1, 1), (1, 1)),
        ((30_000, 1), (1, 512)),
        ((1, 30_000), (512, 1)),
        ((600, 300), (256, 512)),
        ((400, 512), (512, 400)),
    ],
)
def test_reduced_shape(size: tuple[int, int], expected: tuple[int, int]) -> None:
    assert reduced_shape(*size, 512) == expected


@pytest.mark.parametrize("layout", [{"blockysize": 5}, {"tiled": True, "blockxsize": 32, "blockysize": 16}])
@pytest.mark.parametrize("max_side", [1, 7, 64, 90, 1000])
def test_picks_are_pixels_of_the_raster(
    write_tiff: WriteTiff, monkeypatch: pytest.MonkeyPatch, layout: dict[str, Any], max_side: int
) -> None:
    monkeypatch.setattr(raster, "WINDOW_PIXELS", 700)
    bands = np.random.default_rng(1).integers(0, 9, (3, 61, 90), dtype=np.uint16)
    arrays, masked = whole(write_tiff(bands, nodata=0, **layout), [3, 1], max_side)
    rows, columns = reduced_shape(90, 61, max_side)
    y = ((np.arange(rows) + 0.5) * 61 / rows).astype(int)
    x = ((np.arange(columns) + 0.5) * 90 / columns).astype(int)
    expected = bands[:, y[:, None], x]
    np.testing.assert_array_equal(arrays, expected[[2, 0]])
    np.testing.assert_array_equal(masked, (expected[[2, 0]] == 0).any(axis=0))


def test_overviews_are_used_where_they_are_large_enough(write_tiff: WriteTiff, edit_tiff: EditTiff) -> None:
    path = write_tiff(np.full((1, 256, 256), 7, np.uint8), tiled=True, blockxsize=64, blockysize=64)
    with edit_tiff(path) as dataset:
        dataset.build_overviews([2, 4])
        dataset.write(np.full((1, 256, 256), 9, np.uint8))
    assert (whole(path, [1], 64)[0] == 7).all()
    assert (whole(path, [1], 128)[0] == 7).all()
    assert (whole(path, [1], 129)[0] == 9).all()
    with open_raster(path, overview_level=1) as dataset:
        assert read_window(dataset, None, [1])[0][0].shape == (64, 64)


def test_a_cut_file_is_a_truncated_image(write_tiff: WriteTiff) -> None:
    noise = np.random.default_rng(2).integers(0, 255, (3, 300, 300), dtype=np.uint8)
    path = write_tiff(noise, compress="deflate")
    path.write_bytes(path.read_bytes()[:-50_000])
    with pytest.raises(TruncatedImage):
        list(read_reduced(path, [1], 20))
