"""A survey of a raster: block by block on all processors, to statistics, a picture and an index raster.

Blocks are taken in their order, so the same raster gives the same numbers. Of a raster only the picture stays in
memory, and of one up to 25 megapixels the values and the tiles of its index raster.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
from rasterio.windows import Window

from orthoray.spectral.blocks import LEVELS, Block, Grid, Source, Task, compute_block
from orthoray.spectral.cog import stage
from orthoray.spectral.distribution import Counts, Distribution, Edges, clipped
from orthoray.spectral.encoding import Encoding
from orthoray.spectral.raster import PathLike, RasterInfo
from orthoray.spectral.scales import FINE_BINS, Bins, Patterns, Scale
from orthoray.spectral.statistics import Statistics, Tally, finish
from orthoray.spectral.threads import worker_count

Values = npt.NDArray[np.float32]
Progress = Callable[[float], None]
Cuts = Sequence[float] | Callable[[Edges, Counts], Sequence[float]]
# Computes all blocks of a grid, wherever that may be, and yields them in their order.
Blocks = Callable[[Grid, Task], Generator[Block, None, None]]

# Rasters up to this size are drawn pixel by pixel, and their statistics are exact.
FULL_PIXELS = 25_000_000
# The picture of a larger one has at most so many, by halving: no screen and no page shows more.
PICTURE_PIXELS = 8_000_000


@dataclass(frozen=True)
class IndexResult:
    """What an analysis found.

    `picture` is float32 (rows, columns), NaN where there is no value: the index map itself up to 25 megapixels,
    else reduced by averaging to at most 8. `odd_pixels` have data but no plausible reflectance in some band.
    """

    statistics: Statistics
    picture: Values
    odd_pixels: int = 0

    @property
    def odd_fraction(self) -> float:
        """Of the pixels with data, 0..1."""
        data = self.statistics.pixels - self.statistics.nodata_pixels
        return self.odd_pixels / data if data else 0.0


def survey(
    source: Source | Blocks,
    grid: Grid,
    *,
    canvas: RasterInfo,
    name: str,
    value_range: tuple[float, float] | None,
    cuts: Cuts,
    index_path: PathLike | None,
    encoding: Encoding,
    provenance: Mapping[str, Any],
    progress: Progress | None,
) -> IndexResult:
    """Everything that `orthoray.spectral.engine` promises. `canvas` gives the index raster its place.

    A `source` of values is computed here, on all processors.
    """
    report = progress or (lambda fraction: None)
    report(0.0)
    pixels = grid.width * grid.height
    level = picture_level(grid.width, grid.height)
    scale: Bins | None = None
    if level > 0:
        scale = Patterns() if value_range is None else Scale(*value_range)
    tally = Tally(() if callable(cuts) else tuple(cuts), value_range, scale)
    with ExitStack() as staged:
        writer = None
        if index_path is not None:
            writer = staged.enter_context(stage(index_path, grid, encoding, in_memory=level == 0))
        task = Task(tally.fresh(), encoding if writer else None, min(grid.levels, LEVELS), level)
        columns, rows = grid.size(level)
        picture = np.empty((rows, columns), np.float32)
        done = 0

        def kept(block: Block) -> Block:
            if writer is None:
                return block
            writer.add(block)
            return replace(block, tiles=())

        def computed() -> Generator[Block, None, None]:
            if callable(source):
                with closing(source(grid, task)) as given:
                    yield from map(kept, given)
            else:
                # kept by the threads, so that no more tiles are in memory than there are threads
                place = picture if level == 0 else None
                yield from _in_order(
                    lambda window: kept(compute_block(source, window, grid, task, place)), grid.blocks()
                )

        with closing(computed()) as blocks:
            for block in blocks:
                tally.merge(block.tally)
                if block.picture.base is picture:
                    pass  # it was written there
                elif block.picture.shape == picture.shape:
                    picture = block.picture  # the only block
                else:
                    _place(picture, block, level)
                done += block.window.width * block.window.height
                report(0.9 * done / pixels)
        found = _finished(tally, picture if level == 0 else None, cuts, canvas.pixel_area_m2)
        if writer:
            writer.publish(
                description=name,
                provenance={**provenance, "cuts": list(found.cuts)},
                statistics=found,
                crs_wkt=canvas.crs_wkt,
                transform=canvas.transform,
            )
    report(1.0)
    return IndexResult(found, picture, tally.odd)


def picture_level(width: int, height: int) -> int:
    """By how many halvings the picture of a raster is smaller than it."""
    level = 0
    if width * height > FULL_PIXELS:
        while -(-width >> level) * -(-height >> level) > PICTURE_PIXELS:
            level += 1
    return level


def _in_order(compute: Callable[[Window], Block], windows: Iterable[Window]) -> Generator[Block, None, None]:
    """The blocks in their order, computed on all processors, with no more at once than these need."""
    workers = worker_count()
    if workers == 1:
        yield from map(compute, windows)
        return
    pool = ThreadPoolExecutor(workers, thread_name_prefix="blocks")
    pending: deque[Future[Block]] = deque()
    try:
        for window in windows:
            pending.append(pool.submit(compute, window))
            if len(pending) > workers:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)


def _place(picture: Values, block: Block, level: int) -> None:
    rows, columns = block.picture.shape
    top, left = block.window.row_off >> level, block.window.col_off >> level
    picture[top : top + rows, left : left + columns] = block.picture


def _finished(tally: Tally, values: Values | None, cuts: Cuts, pixel_area_m2: float | None) -> Statistics:
    """The statistics; `values` are all of them, where they are at hand."""
    distribution = _distribution(tally, values)
    if not callable(cuts):
        return finish(tally, distribution, pixel_area_m2=pixel_area_m2)
    if tally.valid:
        edges, counts = distribution.breaks(*clipped(tally.minimum, tally.maximum, tally.value_range))
    else:
        edges, counts = np.empty(0), np.empty(0, np.int64)
    chosen = tuple(cuts(edges, counts))
    above = [distribution.count_above(cut) for cut in chosen]
    pixels = np.diff([0, *above, tally.valid]).tolist()
    return finish(tally, distribution, cuts=chosen, class_pixels=pixels, pixel_area_m2=pixel_area_m2)


def _distribution(tally: Tally, values: Values | None) -> Distribution:
    if tally.valid == 0:
        return Distribution(Scale(0.0, 1.0), np.zeros(FINE_BINS, np.int64))
    if values is not None:
        span = clipped(tally.minimum, tally.maximum, tally.value_range)
        return Distribution.of_values(values, tally.minimum, tally.maximum, span)
    assert tally.scale is not None, "only values at hand need no scale"
    assert tally.fine is not None, "a tally with a scale fills it"
    return Distribution(tally.scale, tally.fine, tally.outside)
