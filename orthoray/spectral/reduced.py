"""Rasters at a small size, each block of the file decoded once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from orthoray.spectral.raster import Mask, PathLike, open_raster, read_window, windows_of
from orthoray.spectral.raw import prepared


def reduced_shape(width: int, height: int, max_side: int) -> tuple[int, int]:
    """(rows, columns) of a raster reduced to fit `max_side`: never enlarged, never less than one pixel."""
    scale = min(1.0, max_side / max(width, height))
    return max(1, round(height * scale)), max(1, round(width * scale))


def read_reduced(
    path: PathLike, numbers: Sequence[int], max_side: int, *, alpha: int | None = None
) -> tuple[list[npt.NDArray[Any]], Mask]:
    """Read bands picking the nearest pixels, at most `max_side` on either side.

    Arguments and results are those of `orthoray.spectral.raster.read_window`, for the whole raster. Starts
    from the file's smallest overview that is large enough.
    """
    with prepared(path) as ready:
        return _read_reduced(ready, numbers, max_side, alpha)


def _read_reduced(
    path: PathLike, numbers: Sequence[int], max_side: int, alpha: int | None
) -> tuple[list[npt.NDArray[Any]], Mask]:
    # GDAL's own decimated reading goes through the output row by row and decodes a compressed tile of
    # several bands again for each: minutes where one pass over the tiles takes seconds.
    with open_raster(path) as dataset:
        shape = reduced_shape(dataset.width, dataset.height, max_side)
        level = _overview_level(dataset, shape)
    with open_raster(path, overview_level=level) as dataset:
        rows = _picks(dataset.height, shape[0])
        columns = _picks(dataset.width, shape[1])
        arrays: list[npt.NDArray[Any]] = []
        masked: Mask = np.zeros(shape, dtype=np.bool_)
        for window in windows_of(dataset):
            row_span = slice(*np.searchsorted(rows, (window.row_off, window.row_off + window.height)))
            column_span = slice(*np.searchsorted(columns, (window.col_off, window.col_off + window.width)))
            if row_span.start == row_span.stop or column_span.start == column_span.stop:
                continue
            picked = np.ix_(rows[row_span] - window.row_off, columns[column_span] - window.col_off)
            parts, part_masked = read_window(dataset, window, numbers, alpha=alpha)
            arrays = arrays or [np.zeros(shape, part.dtype) for part in parts]
            for array, part in zip(arrays, parts, strict=True):
                array[row_span, column_span] = part[picked]
            masked[row_span, column_span] = part_masked[picked]
    return arrays, masked


def _picks(size: int, count: int) -> npt.NDArray[np.intp]:
    """The pixels under the centres of `count` equal parts of `size`."""
    return ((np.arange(count) + 0.5) * size / count).astype(np.intp)


def _overview_level(dataset: Any, shape: tuple[int, int]) -> int | None:
    """The coarsest overview with at least `shape` pixels; None where only the raster itself has them."""
    factors = dataset.overviews(1)
    fitting = [
        level
        for level, factor in enumerate(factors)
        if dataset.height // factor >= shape[0] and dataset.width // factor >= shape[1]
    ]
    return max(fitting, default=None)
