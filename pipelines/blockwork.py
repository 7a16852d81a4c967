"""What one task makes of one block of a large raster: from its windows in storage to encoded tiles and partial statistics.

No Ray here: the tasks are in `pipelines.raster`.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
from rasterio.windows import Window

from orthoray.spectral.blocks import Block, Grid, Task, compute_block
from orthoray.spectral.device import IndexMap, map_on
from orthoray.spectral.kernel import Recipe
from orthoray.spectral.sources import BandSource, MapSource
from orthoray.spectral.work import BandWork
from pipelines.windows import WindowFiles

Pixels = tuple[list[npt.NDArray[Any]], npt.NDArray[np.bool_] | None]


@dataclass(frozen=True)
class Job:
    """What all blocks of a raster have in common. `places` and `masks` tell which of `files` is each file of the work's
    stack, and its mask (None: it has none)."""

    files: WindowFiles
    places: tuple[int, ...]
    masks: tuple[int | None, ...]
    work: BandWork
    grid: Grid
    task: Task


@dataclass(frozen=True)
class Parcel:
    """A block on its way between processes: `block` without tiles, all of these in one array, uint8, and for each level
    the sizes of its own. (Arrays travel without being copied; tuples of bytes do not.)"""

    block: Block
    data: npt.NDArray[np.uint8]
    sizes: tuple[tuple[int, ...], ...]

    def opened(self) -> Block:
        """The block, whose tiles are views of `data`."""
        view, at, levels = self.data.data, 0, []
        for sizes in self.sizes:
            tiles = []
            for size in sizes:
                tiles.append(view[at : at + size])
                at += size
            levels.append(tuple(tiles))
        return replace(self.block, tiles=tuple(levels))


def packed(block: Block) -> Parcel:
    """The block ready for its way."""
    data = b"".join(tile for tiles in block.tiles for tile in tiles)
    sizes = tuple(tuple(map(len, tiles)) for tiles in block.tiles)
    return Parcel(replace(block, tiles=()), np.frombuffer(data, np.uint8), sizes)


def compute(job: Job, window: Window) -> Parcel:
    """The whole way of a block on one processor. Raises `TruncatedImage` where pixels cannot be decoded, and what the
    storage raises."""
    with _opened(job, window) as source:
        return packed(compute_block(source, window, job.grid, job.task))


def decode(job: Job, window: Window) -> Pixels:
    """The bands of a block as they are stored, and where there is no data. Raises as `compute`."""
    with _opened(job, window) as source:
        return pixels_of(source, window)


def pixels_of(source: BandSource, window: Window) -> Pixels:
    """The same of open files."""
    bands, masked = source.reader.read(window)
    return [np.ascontiguousarray(band) for band in bands], masked


def compute_map(job: Job, pixels: Pixels, device: str) -> IndexMap:
    """The index of a decoded block, computed by the array library called `device`."""
    return map_of(job.work.recipe(), pixels, device)


def map_of(recipe: Recipe, pixels: Pixels, device: str) -> IndexMap:
    """The same by a recipe."""
    return map_on(recipe, *pixels, importlib.import_module(device))


def encode(job: Job, window: Window, found: IndexMap) -> Parcel:
    """What `compute` makes of a block whose values are there."""
    return packed(block_of_map(window, found, job.grid, job.task))


def block_of_map(window: Window, found: IndexMap, grid: Grid, task: Task) -> Block:
    """The block at `window` whose values are there."""
    within = Window(0, 0, window.width, window.height)
    source = MapSource(found.values, found.masked, found.background)
    block = compute_block(source, within, grid, task)
    block.tally.odd += found.odd
    return replace(block, window=window)


@contextmanager
def _opened(job: Job, window: Window) -> Iterator[BandSource]:
    stack = job.work.stack
    numbers: dict[int, tuple[int, ...] | None] = {}
    for info, wanted, place, mask in zip(stack.infos, job.work.numbers, job.places, job.masks, strict=True):
        # the channels of a colour table are no bands of the file
        numbers[place] = None if info.palette else wanted
        if mask is not None:
            numbers[mask] = None if wanted else ()
    with job.files.read(window, [numbers[place] for place in sorted(numbers)]) as paths:
        here = replace(
            stack,
            files=tuple(paths[place] for place in job.places),
            masks=tuple(None if mask is None else paths[mask] for mask in job.masks),
        )
        with replace(job.work, stack=here).open() as source:
            yield source
