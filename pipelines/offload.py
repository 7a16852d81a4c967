"""The index of images that one process decodes and encodes, computed on GPUs elsewhere in the cluster.

An image is a task's from its file to its results, and that task is on a node with processors. Only the formula, block by
block, is another task's, which asks Ray for a share of a GPU: so nodes with GPUs are kept for what these do well.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Generator
from typing import Any

import ray
from rasterio.windows import Window

from orthoray.errors import Unavailable
from orthoray.spectral.blocks import Block, Grid, Task
from orthoray.spectral.device import IndexMap
from orthoray.spectral.kernel import Recipe
from orthoray.spectral.survey import Blocks
from orthoray.spectral.work import BandWork
from pipelines import blockwork
from pipelines.blockwork import Pixels
from pipelines.images import HERE, Device
from pipelines.raster import BYTES_PER_PIXEL, PROCESS_BYTES, RETRIES, Placement, fetched, on_some_node

# Blocks of one image under way: while a GPU has one, the next is decoded.
_AHEAD = 2


def device_of(placement: Placement) -> Device:
    """Where the tasks of images compute: where they run, or on GPUs."""
    device = placement.device
    if device is None:
        return HERE

    def elsewhere(work: BandWork) -> Blocks:
        return _blocks_of(work, placement, device)

    return Device(device, elsewhere)


def _blocks_of(work: BandWork, placement: Placement, device: str) -> Blocks:
    def blocks(grid: Grid, task: Task) -> Generator[Block, None, None]:
        largest = grid.block_height * min(grid.block_width, grid.width)
        compute = _compute_map.options(
            num_cpus=0,
            num_gpus=placement.gpus,
            memory=on_some_node(PROCESS_BYTES + BYTES_PER_PIXEL * largest, "GPU"),
            label_selector=dict(placement.gpu_labels),
            retry_exceptions=[Unavailable],
        )
        under_way: deque[tuple[Window, Any]] = deque()

        def finished() -> Block:
            window, reference = under_way.popleft()
            found: IndexMap = fetched(reference)
            return blockwork.block_of_map(window, found, grid, task)

        with work.readable() as ready, ready.open() as source:
            recipe = ray.put(source.recipe)
            try:
                for window in grid.blocks():
                    pixels = blockwork.pixels_of(source, window)
                    under_way.append((window, compute.remote(recipe, pixels, device)))
                    if len(under_way) == _AHEAD:
                        yield finished()
                while under_way:
                    yield finished()
            finally:
                for _, reference in under_way:
                    ray.cancel(reference)

    return blocks


@ray.remote(max_retries=RETRIES)
def _compute_map(recipe: Recipe, pixels: Pixels, device: str) -> IndexMap:
    return blockwork.map_of(recipe, pixels, device)
