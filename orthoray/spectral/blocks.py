"""A raster in blocks: what is computed of one, on whatever thread or machine, and in which blocks it is cut.

A block is as large as four tiles of the index raster each way (or as wide as the raster, where that is stored in
strips), so that it holds whole tiles of the first two overviews as well.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import cv2
import numpy as np
import numpy.typing as npt
from rasterio.windows import Window

from orthoray.spectral.encoding import Encoding
from orthoray.spectral.kernel import Piece
from orthoray.spectral.loops import loops
from orthoray.spectral.statistics import Tally

Values = npt.NDArray[np.float32]
Counts = npt.NDArray[np.uint8]
Tile = bytes | memoryview

LEVELS = 2  # overviews that are encoded block by block
_TILE = 512


class Rows(Protocol):
    """Some rows of a block, computed piece by piece."""

    def piece(self, left: int, width: int, out: Values) -> Piece:
        """The piece of all the rows from column `left` of the block, at most 512 wide, computed into `out`."""


class Source(Protocol):
    """Where index values come from."""

    def rows(self, window: Window) -> Rows:
        """Read the bands of a window of at most 512 rows."""


@dataclass(frozen=True)
class Grid:
    """A raster of `width` x `height` pixels, in tiles of `tile` rows and `tile_width` columns, and in blocks of
    `block_width` columns and four tiles' rows."""

    width: int
    height: int
    tile: int
    tile_width: int
    block_width: int

    @property
    def block_height(self) -> int:
        return self.tile << LEVELS

    @property
    def levels(self) -> int:
        """Overviews that the raster needs until one tile holds it; a single column has none."""
        level = 0
        # GDAL tells by their width how far overviews are reduced
        while self.width > 1 and max(self.size(level)) > self.tile:
            level += 1
        return level

    @property
    def tile_shape(self) -> tuple[int, int]:
        """(rows, columns) of a tile."""
        return self.tile, self.tile_width

    def size(self, level: int) -> tuple[int, int]:
        """(columns, rows) of the raster reduced by two to the power of `level`."""
        return -(-self.width >> level), -(-self.height >> level)

    def tiles(self, level: int) -> tuple[int, int]:
        """(columns, rows) of tiles of a level."""
        columns, rows = self.size(level)
        return -(-columns // self.tile_width), -(-rows // self.tile)

    def blocks(self) -> Iterator[Window]:
        """The blocks, row by row."""
        for top in range(0, self.height, self.block_height):
            for left in range(0, self.width, self.block_width):
                yield Window(
                    left,
                    top,
                    min(self.block_width, self.width - left),
                    min(self.block_height, self.height - top),
                )


def grid_for(width: int, height: int, *, in_strips: bool) -> Grid:
    """The grid of a raster that is stored in tiles, or in strips as wide as itself."""
    tile, tile_width = _TILE, _TILE
    if width <= _TILE:
        # the side of a TIFF's tile is a multiple of 16; a tile as wide as the raster looks like a strip, which a
        # Cloud Optimized GeoTIFF must not have
        tile_width = _sixteens(width)
        if tile_width == width:
            tile_width = _sixteens(width // 2) if width > 16 else 32
    block = tile << LEVELS
    return Grid(width, height, tile, tile_width, -(-width // block) * block if in_strips else block)


def _sixteens(length: int) -> int:
    return -(-length // 16) * 16


@dataclass(frozen=True)
class Task:
    """What is made of every block: statistics by `tally`'s cuts and scale, the tiles of `encoding` (None: none) down
    to the overview `levels`, at most `LEVELS`, and a picture of `picture_level` (0 is full size)."""

    tally: Tally
    encoding: Encoding | None
    levels: int
    picture_level: int


@dataclass(frozen=True)
class Block:
    """What was found in `window`.

    `tiles` holds, for each level from 0 to the task's, the encoded tiles of the block, row by row; empty without
    encoding. `sums` float32 and `counts` uint8 are those of valid pixels by squares of 8 x 8. `picture` is
    float32, NaN where there is no value.
    """

    window: Window
    tally: Tally
    tiles: tuple[tuple[Tile, ...], ...]
    sums: Values
    counts: Counts
    picture: Values


def compute_block(
    source: Source, window: Window, grid: Grid, task: Task, picture: Values | None = None
) -> Block:
    """Compute all that `task` asks of a block. A picture of full size is written to its place in `picture`, float32
    (rows, columns) of the whole raster, where that is given."""
    tally = task.tally.fresh()
    with_sums = task.encoding is not None or task.picture_level > 0
    whole = _full_picture(window, task, picture)
    sums = np.zeros((-(-window.height // 2), -(-window.width // 2)) if with_sums else (0, 0), np.float32)
    counts = np.zeros(sums.shape, np.uint8)
    full: list[bytes] = []
    padded = np.empty(grid.tile_shape, np.float32)
    for place, piece in _pieces(source, window, grid, padded):
        values = np.ascontiguousarray(piece.values)
        tally.add(values, nodata=piece.nodata, background=piece.background, odd=piece.odd)
        if task.encoding is not None:
            full.append(task.encoding.tile(padded))
        if whole.size:
            whole[place] = values
        if with_sums:
            half = tuple(slice(span.start // 2, (span.stop + 1) // 2) for span in place)
            loops().halve(values, sums[half], counts[half])
    if not with_sums:
        return Block(window, tally, (), sums, counts, whole)
    tiles, shown = [tuple(full)], whole
    for level in range(1, LEVELS + 2):
        if level > 1:
            sums, counts = halved(sums, counts)
        if task.picture_level == level:
            shown = means(sums, counts)
        if task.encoding is not None and level <= task.levels:
            tiles.append(tuple(encoded_tiles(means(sums, counts), grid.tile_shape, task.encoding)))
    if task.picture_level > LEVELS + 1:
        shown = _reduced(sums, counts, task.picture_level - LEVELS - 1)
    return Block(window, tally, tuple(tiles) if task.encoding is not None else (), sums, counts, shown)


def _full_picture(window: Window, task: Task, picture: Values | None) -> Values:
    if task.picture_level > 0:
        return np.empty((0, 0), np.float32)
    return (
        np.empty((window.height, window.width), np.float32) if picture is None else picture[window.toslices()]
    )


def _pieces(
    source: Source, window: Window, grid: Grid, padded: Values
) -> Iterator[tuple[tuple[slice, slice], Piece]]:
    """The pieces of a block, tile by tile, with their places in it. Each lies in `padded`, whose rest is NaN."""
    for top in range(0, window.height, grid.tile):
        rows = min(grid.tile, window.height - top)
        read = source.rows(Window(window.col_off, window.row_off + top, window.width, rows))
        for left in range(0, window.width, grid.tile_width):
            columns = min(grid.tile_width, window.width - left)
            if (rows, columns) != padded.shape:
                padded.fill(np.nan)
            piece = read.piece(left, columns, padded[:rows, :columns])
            yield (slice(top, top + rows), slice(left, left + columns)), piece


def _reduced(sums: Values, counts: npt.NDArray[Any], halvings: int) -> Values:
    counts = counts.astype(np.uint32)
    for _ in range(halvings):
        sums, counts = halved(sums, counts)
    return means(sums, counts)


def means(sums: Values, counts: npt.NDArray[Any]) -> Values:
    """Averages of the valid pixels, NaN where there is none, or where their sum is more than float32 holds."""
    found: Values = np.empty(sums.shape, np.float32)
    loops().average(sums, counts, found)
    return found


def halved(sums: Values, counts: npt.NDArray[Any]) -> tuple[Values, npt.NDArray[Any]]:
    """Sums and counts by squares of twice the side; an odd last row or column stands alone."""
    rows, columns = sums.shape
    fewer = np.zeros((-(-rows // 2), -(-columns // 2)), counts.dtype)
    for row in (0, 1):
        for column in (0, 1):
            part = counts[row::2, column::2]
            fewer[: part.shape[0], : part.shape[1]] += part
    if rows % 2 == columns % 2 == 0:
        return _added(sums), fewer
    smaller = np.zeros(fewer.shape, np.float32)
    for row in (0, 1):
        for column in (0, 1):
            part = sums[row::2, column::2]
            with np.errstate(over="ignore", invalid="ignore"):
                smaller[: part.shape[0], : part.shape[1]] += part
    return smaller, fewer


def encoded_tiles(values: Values, shape: tuple[int, int], encoding: Encoding) -> Iterator[bytes]:
    """The tiles of an array, row by row, those at its ends filled up with NaN; `shape` is that of a tile."""
    padded = np.empty(shape, np.float32)
    for top in range(0, values.shape[0], shape[0]):
        for left in range(0, values.shape[1], shape[1]):
            part = values[top : top + shape[0], left : left + shape[1]]
            if part.shape == shape:
                yield encoding.tile(part)
            else:
                padded.fill(np.nan)
                padded[: part.shape[0], : part.shape[1]] = part
                yield encoding.tile(padded)


def _added(values: Values) -> Values:
    """Sums of squares of 2 x 2, where the sides are even."""
    rows, columns = values.shape
    averages = cv2.resize(values, (columns // 2, rows // 2), interpolation=cv2.INTER_AREA)
    with np.errstate(over="ignore"):
        return np.asarray(averages, np.float32) * np.float32(4)
