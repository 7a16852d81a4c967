from __future__ import annotations

from typing import Any

import imagecodecs
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rasterio.windows import Window

from orthoray.spectral.blocks import LEVELS, Block, Grid, Task, compute_block, grid_for, halved, means
from orthoray.spectral.encoding import FLOAT32, Encoding
from orthoray.spectral.sources import MapSource
from orthoray.spectral.statistics import Tally

Array = npt.NDArray[Any]
CUTS = (0.6, 0.4, 0.2)


def index_map(height: int, width: int) -> Array:
    rng = np.random.default_rng(4)
    made = rng.normal(0.4, 0.2, (height, width)).astype(np.float32)
    made[rng.random(made.shape) < 0.1] = np.nan
    made[: height // 3, : width // 4] = np.nan
    return made


def nanmeans(values: Array, side: int) -> Array:
    """The float64 averages of valid pixels by squares of `side`, those at the ends cut off."""
    rows, columns = (-(-length // side) for length in values.shape)
    padded = np.full((rows * side, columns * side), np.nan)
    padded[: values.shape[0], : values.shape[1]] = values
    squares = padded.reshape(rows, side, columns, side)
    counts = (~np.isnan(squares)).sum(axis=(1, 3))
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(np.nansum(squares, axis=(1, 3)) / np.where(counts, counts, np.nan))


def compute(values: Array, grid: Grid, encoding: Encoding | None, level: int) -> list[Block]:
    task = Task(Tally(CUTS), encoding, min(LEVELS, grid.levels), level)
    source = MapSource(values, None)
    return [compute_block(source, window, grid, task) for window in grid.blocks()]


def decoded(tile: bytes, side: int) -> Array:
    if not tile:
        return np.full((side, side), np.nan, np.float32)
    planes = np.frombuffer(imagecodecs.zstd_decode(tile), np.float32).reshape(side, side)
    return np.asarray(imagecodecs.floatpred_decode(planes, axis=1))


@settings(max_examples=60, deadline=None)
@given(
    width=st.integers(1, 5000),
    height=st.integers(1, 5000),
    tile=st.sampled_from([16, 32]),
    across=st.integers(1, 4),
)
def test_blocks_cover_every_pixel_once(width: int, height: int, tile: int, across: int) -> None:
    grid = Grid(width, height, tile, tile, (tile << LEVELS) * across)
    covered = np.zeros((height, width), np.uint8) if width * height < 250_000 else None
    pixels = 0
    for window in grid.blocks():
        assert window.col_off % (tile << LEVELS) == window.row_off % (tile << LEVELS) == 0
        assert window.col_off + window.width <= width
        assert window.row_off + window.height <= height
        pixels += window.width * window.height
        if covered is not None:
            covered[window.toslices()] += 1
    assert pixels == width * height
    assert covered is None or (covered == 1).all()
    assert max(grid.size(grid.levels)) <= tile or (width, grid.levels) == (1, 0)
    assert grid.levels == 0 or max(grid.size(grid.levels - 1)) > tile
    for level in range(grid.levels + 2):
        columns, rows = width, height
        for _ in range(level):
            columns, rows = -(-columns // 2), -(-rows // 2)
        assert grid.size(level) == (columns, rows)


@pytest.mark.parametrize(
    ("width", "tile_width"),
    [(1, 16), (16, 32), (17, 32), (32, 16), (500, 512), (511, 512), (512, 256), (513, 512), (100_000, 512)],
)
def test_the_grid_of_a_raster(width: int, tile_width: int) -> None:
    tiled = grid_for(width, 70_000, in_strips=False)
    assert tiled.tile_shape == (512, tile_width)
    assert (tiled.block_width, tiled.block_height) == (2048, 2048)
    strips = grid_for(width, 70_000, in_strips=True)
    assert strips.block_width % 2048 == 0
    assert width <= strips.block_width < width + 2048


@pytest.mark.parametrize("shape", [(64, 64), (70, 131), (1, 200), (200, 1), (63, 65), (1, 1)])
@pytest.mark.parametrize("across", [1, 3])
def test_a_block_holds_the_means_of_its_valid_pixels(shape: tuple[int, int], across: int) -> None:
    values = index_map(*shape)
    grid = Grid(shape[1], shape[0], 16, 16, 64 * across)
    blocks = compute(values, grid, FLOAT32, 1)
    assert len(blocks) == len(list(grid.blocks()))
    for block in blocks:
        part = values[block.window.toslices()]
        for level, tiles in enumerate(block.tiles):
            expected = nanmeans(part, 1 << level)
            rows, columns = (-(-length // 16) for length in expected.shape)
            assert len(tiles) == rows * columns
            whole = np.block(
                [
                    [decoded(tiles[row * columns + column], 16) for column in range(columns)]
                    for row in range(rows)
                ]
            )
            inside = whole[: expected.shape[0], : expected.shape[1]]
            np.testing.assert_allclose(inside, expected, rtol=1e-6)
            np.testing.assert_array_equal(np.isnan(inside), np.isnan(expected))
            assert np.isnan(whole[expected.shape[0] :]).all(), "what lies beyond the raster has no value"
            assert np.isnan(whole[:, expected.shape[1] :]).all()
        assert len(block.tiles) == min(LEVELS, grid.levels) + 1
        eighths = nanmeans(part, 8)
        np.testing.assert_allclose(means(block.sums, block.counts), eighths, rtol=1e-6)
        assert block.counts.sum() == (~np.isnan(part)).sum()
        np.testing.assert_allclose(block.picture, nanmeans(part, 2), rtol=1e-6)


@pytest.mark.parametrize("level", [0, 1, 2, 3, 4, 6])
@pytest.mark.parametrize("encoding", [None, FLOAT32])
def test_pictures_of_every_level(level: int, encoding: Encoding | None) -> None:
    values = index_map(75, 50)
    (block,) = compute(values, Grid(50, 75, 32, 32, 128), encoding, level)
    np.testing.assert_allclose(block.picture, nanmeans(values, 1 << level), rtol=1e-6)
    if level == 0:
        np.testing.assert_array_equal(block.picture, values)
    assert (block.tiles == ()) == (encoding is None)


def test_statistics_alone_need_no_levels() -> None:
    values = index_map(40, 50)
    (block,) = compute(values, Grid(50, 40, 16, 16, 64), None, 0)
    assert (block.tiles, block.sums.size) == ((), 0)
    valid = values[~np.isnan(values)]
    assert (block.tally.valid, block.tally.pixels) == (valid.size, 2000)
    assert block.tally.mean == pytest.approx(valid.mean(dtype=float), rel=1e-12)


def test_a_task_can_be_used_again() -> None:
    values = index_map(64, 64)
    grid, task = Grid(64, 64, 16, 16, 64), Task(Tally(CUTS), FLOAT32, LEVELS, 1)
    first, second = (
        compute_block(MapSource(values, None), Window(0, 0, 64, 64), grid, task) for _ in range(2)
    )
    assert first.tiles == second.tiles
    assert first.tally.above == second.tally.above
    assert task.tally.pixels == 0


@pytest.mark.parametrize("sign", [1, -1])
def test_sums_beyond_float32_are_no_values_and_no_warnings(sign: int) -> None:
    """Nodata that nobody declared is often the least float32."""
    values = np.full((64, 64), 0.5, np.float32)
    values[:16] = sign * np.finfo(np.float32).max
    for part in (values, np.where(np.eye(64) > 0, np.float32(np.nan), values), values[:63, :63]):
        (block,) = compute(part, Grid(part.shape[1], part.shape[0], 16, 16, 64), FLOAT32, 1)
        assert not np.isinf(block.picture).any()
        np.testing.assert_array_equal(np.nan_to_num(block.picture[8:], nan=0.5), 0.5)
        assert block.tally.valid == (~np.isnan(part)).sum()


@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_halving_keeps_sums_and_counts(data: st.DataObject) -> None:
    rows, columns = data.draw(st.integers(1, 9)), data.draw(st.integers(1, 9))
    rng = np.random.default_rng(data.draw(st.integers(0, 99)))
    counts = rng.integers(0, 5, (rows, columns), dtype=np.uint8)
    sums = (counts * rng.integers(-50, 50, (rows, columns))).astype(np.float32)
    smaller, fewer = halved(sums, counts)
    assert smaller.shape == fewer.shape == (-(-rows // 2), -(-columns // 2))
    assert smaller.dtype == np.float32
    assert fewer.dtype == counts.dtype
    for row in range(smaller.shape[0]):
        for column in range(smaller.shape[1]):
            square = np.s_[2 * row : 2 * row + 2, 2 * column : 2 * column + 2]
            assert smaller[row, column] == sums[square].sum()
            assert fewer[row, column] == counts[square].sum()
