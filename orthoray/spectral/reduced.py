"""Rasters at a small size, each block of the file decoded once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from orthoray.spectral.masks import Mask
from orthoray.spectral.raster import PathLike, open_raster, read_window, windows_of
from orthoray.spectral.raw import prepared


@dataclass(frozen=True)
class Piece:
    """A part of a reduced raster: where it lies there, and what `orthoray.spectral.raster.read_window` gives."""

    rows: slice
    columns: slice
    arrays: list[npt.NDArray[Any]]
    masked: Mask


def reduced_shape(width: int, height: int, max_side: int) -> tuple[int, int]:
    """(rows, columns) of a raster reduced to fit `max_side`: never enlarged, never less than one pixel."""
    scale = min(1.0, max_side / max(width, height))
    return max(1, round(height * scale)), max(1, round(width * scale))


def read_reduced(
    path: PathLike, numbers: Sequence[int], max_side: int, *, alpha: int | None = None
) -> Iterator[Piece]:
    """Read bands picking the nearest pixels, at most `max_side` on either side: `reduced_shape` piece by piece.

    The pieces do not overlap and cover all of it; each is at most one window of the raster, so memory does not
    grow with either. Further arguments are those of `orthoray.spectral.raster.read_window`. Starts from the
    file's smallest overview that is large enough.
    """
    with prepared(path) as ready:
        yield from _read_reduced(ready, numbers, max_side, alpha)


def _read_reduced(
    path: PathLike, numbers: Sequence[int], max_side: int, alpha: int | None
) -> Iterator[Piece]:
    # GDAL's own decimated reading goes through the output row by row and decodes a compressed tile of
    # several bands again for each: minutes where one pass over the tiles takes seconds.
    with open_raster(path) as dataset:
        shape = reduced_shape(dataset.width, dataset.height, max_side)
        level = _overview_level(dataset, shape)
    with open_raster(path, overview_level=level) as dataset:
        rows = _picks(dataset.height, shape[0])
        columns = _picks(dataset.width, shape[1])
        for window in windows_of(dataset):
            row_span = _span(rows, window.row_off, window.height)
            column_span = _span(columns, window.col_off, window.width)
            if row_span.start == row_span.stop or column_span.start == column_span.stop:
                continue
            picked = np.ix_(rows[row_span] - window.row_off, columns[column_span] - window.col_off)
            arrays, masked = read_window(dataset, window, numbers, alpha=alpha)
            yield Piece(row_span, column_span, [array[picked] for array in arrays], masked[picked])


def _span(picks: npt.NDArray[np.intp], start: int, size: int) -> slice:
    """Which of the ascending `picks` lie in the `size` pixels from `start`."""
    first, last = np.searchsorted(picks, (start, start + size))
    return slice(int(first), int(last))


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
