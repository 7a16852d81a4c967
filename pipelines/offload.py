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
from pipelines.nodes import Demand, alive_nodes, cluster_resources, placed
from pipelines.raster import (
    BYTES_PER_PIXEL,
    PROCESS_BYTES,
    RETRIES,
    Placement,
    fetched,
)

# Blocks of one image under way: while a GPU has one, the next is decoded.
_AHEAD = 2
# How often a task that waits for a GPU looks whether there is one.
_LOOK_S = 5.0


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
        demand = Demand(0, PROCESS_BYTES + BYTES_PER_PIXEL * largest, gpus=placement.gpus)
        options = {
            **placed(demand, alive_nodes()),
            "label_selector": dict(placement.gpu_labels),
            "fallback_strategy": None,
            "retry_exceptions": [Unavailable],
        }
        with work.readable() as ready, ready.open() as source:
            maps = _Maps(source.recipe, device, options)
            try:
                for window in grid.blocks():
                    maps.ask(window, blockwork.pixels_of(source, window))
                    if len(maps.under_way) == _AHEAD:
                        yield blockwork.block_of_map(*maps.next(), grid, task)
                while maps.under_way:
                    yield blockwork.block_of_map(*maps.next(), grid, task)
            finally:
                maps.call_off()

    return blocks


class _Maps:
    """Index maps of decoded blocks, computed by tasks, in the order in which they were asked for."""

    def __init__(self, recipe: Recipe, device: str, options: dict[str, Any]) -> None:
        self._recipe = recipe
        self._shared = ray.put(recipe)
        self._device = device
        self._compute = _compute_map.options(**options)
        self.under_way: deque[tuple[Window, Pixels, Any]] = deque()

    def ask(self, window: Window, pixels: Pixels) -> None:
        reference = self._compute.remote(self._shared, pixels, self._device)
        self.under_way.append((window, pixels, reference))

    def next(self) -> tuple[Window, IndexMap]:
        """Raises `Unavailable` where processes of the task were lost too often."""
        window, pixels, reference = self.under_way.popleft()
        while not ray.wait([reference], timeout=_LOOK_S)[0]:
            if not cluster_resources().get("GPU"):
                # the last node with one is gone, and perhaps for good: the values are the same from here
                ray.cancel(reference)
                return window, blockwork.map_of(self._recipe, pixels, "numpy")
        found: IndexMap = fetched(reference)
        return window, found

    def call_off(self) -> None:
        for _, _, reference in self.under_way:
            ray.cancel(reference)


@ray.remote(max_retries=RETRIES)
def _compute_map(recipe: Recipe, pixels: Pixels, device: str) -> IndexMap:
    return blockwork.map_of(recipe, pixels, device)
