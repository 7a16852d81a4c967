"""One large raster over its blocks on Ray: tasks anywhere in the cluster compute them, one process joins them.

`OnRay` is what `pipelines.single.analyse_files` takes as `elsewhere`. No process holds the raster, and the result is that
of one process: the same bytes in the index raster, the same statistics.
"""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import ray
from rasterio.windows import Window
from ray.exceptions import RayError, RayTaskError
from ray.util.metrics import Counter

from orthoray.errors import OrthoRayError, Unavailable
from orthoray.spectral.blocks import Block, Grid, Task
from orthoray.spectral.device import GPU_LIBRARY, IndexMap, best_namespace
from orthoray.spectral.loops import load_compiled
from orthoray.spectral.survey import Blocks
from orthoray.spectral.work import BandWork
from orthoray.telemetry import TRACED_AS, carried, flush_soon, note, start_tracing, step
from pipelines import blockwork
from pipelines.blockwork import Job, Parcel, Pixels
from pipelines.nodes import LOOK_S, Demand, Patience, alive_nodes, cluster_resources, placed
from pipelines.windows import WindowFiles

# How often a block is computed again when its process, its node or the storage is lost. What else goes wrong is final.
RETRIES = 5
# Blocks under way for each CPU: one more than it computes, so that it never waits and Ray's autoscaler sees more to do.
AHEAD = 2
# At most so many bytes of finished blocks wait; where rasters are stored in strips, a block is as wide as its raster.
WAITING_BYTES = 1 << 30
_BYTES_PER_PIXEL_BACK = 5
# What a process takes before its first pixel, and what it takes for each pixel of its block.
PROCESS_BYTES, BYTES_PER_PIXEL = 300_000_000, 24
# A block at work uses a GPU for a small part of its time.
GPU_SHARE = 0.25
_PROBE_TIMEOUT_S = 30.0
# How old a count of the cluster's CPUs may be.
_COUNT_AGE_S = 1.0

# At most so many blocks of a raster have a span each.
TRACED_BLOCKS = 100
BLOCKS = Counter("orthoray_blocks", "Blocks of large rasters that were computed")

Trace = Mapping[str, str] | None
"""What a task's span belongs to; None where it has none."""
Links = list[Any]
"""The references of the tasks of a block, each of which needs the one before; the last is the block's."""


@dataclass(frozen=True)
class Placement:
    """Where blocks are computed.

    Without `device` one task on a CPU does all of a block. With it, the name of an array library, three do: one on a CPU
    decodes, one with `gpus` of a GPU computes the index, one on a CPU gathers and encodes. The labels are Ray's label
    selectors; without them Ray itself keeps tasks without a GPU from nodes that have one, as long as there are others.
    """

    device: str | None = None
    gpus: float = GPU_SHARE
    cpu_labels: Mapping[str, str] = field(default_factory=dict)
    gpu_labels: Mapping[str, str] = field(default_factory=dict)


def best_placement() -> Placement:
    """GPUs where the cluster has them and the library for them works there, else CPUs."""
    if not cluster_resources().get("GPU"):
        return Placement()
    probe = _has_device.remote()
    try:
        return Placement(GPU_LIBRARY) if ray.get(probe, timeout=_PROBE_TIMEOUT_S) else Placement()
    except RayError:  # they have other work, or are gone
        ray.cancel(probe)
        return Placement()


class OnRay:
    """Has the blocks of an imagery computed by tasks; see `orthoray.spectral.engine.analyse_bands`.

    `files` are the imagery's, masks among them, and `described` the paths under which this process describes them.
    """

    def __init__(
        self, files: WindowFiles, described: Sequence[Path], placement: Placement | None = None
    ) -> None:
        self._files = files
        self._described = list(described)
        self._placement = placement or Placement()

    def __call__(self, work: BandWork) -> Blocks:
        """The blocks of a stack of the files. They raise as `fetched` does."""

        def blocks(grid: Grid, task: Task) -> Generator[Block, None, None]:
            place, stack = self._described.index, work.stack
            job = Job(
                self._files,
                tuple(map(place, stack.files)),
                tuple(None if mask is None else place(mask) for mask in stack.masks),
                work,
                grid,
                task,
            )
            return _in_order(job, self._placement)

        return blocks


def _in_order(job: Job, placement: Placement) -> Generator[Block, None, None]:
    """All blocks in their order. Those under way are called off when the caller wants no more, or one fails."""
    largest = job.grid.block_height * min(job.grid.block_width, job.grid.width)
    # half of a node, for the tasks that join blocks wait there for these
    demand = Demand(1, PROCESS_BYTES + BYTES_PER_PIXEL * largest, share=0.5)
    start = _starter(ray.put(job), placement, demand)
    patience = Patience(*_demands(placement, demand))
    room = _Room(largest * _BYTES_PER_PIXEL_BACK)
    windows = list(job.grid.blocks())
    traced = carried()
    each = math.ceil(len(windows) / TRACED_BLOCKS) if "traceparent" in traced else 0
    note({"orthoray.blocks": len(windows), "orthoray.blocks_for_each_span": each})
    under_way: deque[Links] = deque()

    def next_block() -> Block:
        block: Block = fetched(under_way.popleft()[-1], patience).opened()
        BLOCKS.inc()
        return block

    try:
        for number, window in enumerate(windows):
            under_way.append(start(window, traced if each and number % each == 0 else None))
            while len(under_way) >= room.blocks():
                yield next_block()
        while under_way:
            yield next_block()
    finally:
        for links in under_way:
            for reference in links:
                ray.cancel(reference)


class _Room:
    """How many blocks may be under way: those that the CPUs of the cluster, which come and go, can be given."""

    def __init__(self, block_bytes: int) -> None:
        self._block_bytes = block_bytes
        self._counted_at = -_COUNT_AGE_S
        self._blocks = 2

    def blocks(self) -> int:
        if time.monotonic() - self._counted_at >= _COUNT_AGE_S:
            found = cluster_resources()
            waiting = min(WAITING_BYTES, found.get("object_store_memory", WAITING_BYTES) / 2)
            wanted = AHEAD * int(found.get("CPU", 1))
            self._blocks = max(2, min(wanted, int(waiting / self._block_bytes)))
            self._counted_at = time.monotonic()
        return self._blocks


def _starter(job: Any, placement: Placement, demand: Demand) -> Callable[[Window, Trace], Links]:
    """What starts the tasks of a block. Each asks for its memory, so that no node is given more than it can hold."""
    nodes = alive_nodes()
    on_cpu = {**placed(demand, nodes), "retry_exceptions": [Unavailable]}
    if placement.cpu_labels:
        on_cpu |= {"label_selector": dict(placement.cpu_labels), "fallback_strategy": None}
    if placement.device is None:
        whole = _compute.options(**on_cpu)
        return lambda window, trace: [whole.remote(job, window, trace)]
    decode, encode = _decode.options(**on_cpu), _encode.options(**on_cpu)
    on_gpu = {**on_cpu, "num_cpus": 0, "num_gpus": placement.gpus, "fallback_strategy": None}
    index = _compute_map.options(**on_gpu | {"label_selector": dict(placement.gpu_labels)})
    device = placement.device

    def start(window: Window, trace: Trace) -> Links:
        pixels = decode.remote(job, window, trace)
        found = index.remote(job, pixels, device, trace)
        return [pixels, found, encode.remote(job, window, found, trace)]

    return start


def _demands(placement: Placement, demand: Demand) -> list[Demand]:
    """What must be there for a raster to get on."""
    if placement.device is None:
        return [demand]
    return [demand, Demand(0, demand.memory, gpus=placement.gpus, share=demand.share)]


def fetched(reference: Any, patience: Patience | None = None) -> Any:
    """What a task gave.

    Raises:
        OrthoRayError: the task's own, without the way that it came.
        Unavailable: its process or node was lost too often, or the cluster had no memory for it, or `patience` has ended.
    """
    try:
        while patience is not None and not ray.wait([reference], timeout=LOOK_S)[0]:
            patience.check()
        return ray.get(reference)
    except RayTaskError as error:
        if isinstance(error.cause, OrthoRayError):
            raise error.cause from None
        raise
    except RayError as error:
        raise Unavailable(
            f"Processes of the cluster were lost ({type(error).__name__}): try again."
        ) from error


@contextmanager
def _traced(name: str, trace: Trace) -> Iterator[None]:
    """A span for a task of a block, if it is one of those that have one."""
    if trace is None:
        yield
        return
    start_tracing(TRACED_AS)
    try:
        with step(name, trace):
            yield
    finally:
        flush_soon()


@ray.remote(max_retries=RETRIES)
def _compute(job: Job, window: Window, trace: Trace) -> Parcel:
    load_compiled()
    with _traced("block", trace):
        return blockwork.compute(job, window)


@ray.remote(max_retries=RETRIES)
def _decode(job: Job, window: Window, trace: Trace) -> Pixels:
    load_compiled()
    with _traced("block.decode", trace):
        return blockwork.decode(job, window)


@ray.remote(max_retries=RETRIES)
def _compute_map(job: Job, pixels: Pixels, device: str, trace: Trace) -> IndexMap:
    with _traced("block.index", trace):
        return blockwork.compute_map(job, pixels, device)


@ray.remote(max_retries=RETRIES)
def _encode(job: Job, window: Window, found: IndexMap, trace: Trace) -> Parcel:
    load_compiled()
    with _traced("block.encode", trace):
        return blockwork.encode(job, window, found)


@ray.remote(num_cpus=0, num_gpus=GPU_SHARE, max_retries=0)
def _has_device() -> bool:
    return str(best_namespace().__name__) == GPU_LIBRARY
