"""`python -m benchmarks.cluster`: one large raster over Ray's tasks, beside one process and beside Ray Data.

A cluster of this machine: a head that computes nothing, a node with two CPUs and a node with one. Contenders take turns,
so that what else the machine does meets all of them; all results have to be the same.
"""

from __future__ import annotations

import argparse
import hashlib
import logging
import os
import secrets
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

# Ray reads these when it is imported. A token is its default, and would be left in the home folder; and its processes are
# less urgent than others unless told otherwise, which would count against them here.
os.environ |= {
    "RAY_AUTH_MODE": "token",
    "RAY_AUTH_TOKEN": secrets.token_hex(32),
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_worker_niceness": "0",
}

import ray
from rasterio.windows import Window
from ray.cluster_utils import Cluster

from benchmarks import inputs
from benchmarks.field import BANDS
from benchmarks.measure import ratio, warm
from orthoray.spectral.bands import resolve_bands
from orthoray.spectral.blocks import Block, Grid, Task
from orthoray.spectral.engine import analyse_bands
from orthoray.spectral.loops import load_compiled
from orthoray.spectral.stack import Stack, inspect_stack
from orthoray.spectral.work import BandWork
from pipelines.blockwork import Job, Parcel, compute
from pipelines.raster import OnRay, Placement
from pipelines.windows import LocalFiles

CUTS = (0.6, 0.4, 0.2)
PAIR, SINGLE = {"role": "pair"}, {"role": "single"}
ENGINE, TASKS, ONE_WORKER = "one process, two threads", "tasks, two CPUs", "tasks, one CPU"
DATA, DATA_CHUNKS = "Ray Data, a block a task", "Ray Data, five blocks a task"
_SAMPLE_S = 0.25
_MB = 1 << 20
Elsewhere = Callable[[BandWork], Any]


@dataclass
class Taken:
    """What the runs of a contender took: time, processor time of all processes, and the memory of the largest of those
    that compute, told by a run of its own that is not timed."""

    seconds: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    largest_mb: float = 0.0


def main(arguments: Sequence[str] | None = None) -> None:
    """Run what the command line asks for, and print a table in Markdown."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.cluster", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="4 megapixels, to see that everything runs")
    parser.add_argument(
        "--large", action="store_true", help="400 megapixels (with --quick 16) instead of 100"
    )
    parser.add_argument("--runs", type=int, default=5, help="runs of each contender (default: 5)")
    given = parser.parse_args(arguments)
    sizes = inputs.QUICK if given.quick else inputs.FULL
    files = inputs.located(inputs.folder(), sizes)
    path = files.large if given.large else files.orthomosaics["zstd", "pixel"]
    side = sizes.large if given.large else sizes.orthomosaic
    inputs.make_orthomosaics({("zstd", "pixel"): path}, side, lambda _: None)
    with _cluster():
        taken = measure(path, given.runs)
    sys.stdout.write("\n".join([*_table(taken), "", *_ratios(taken)]) + "\n")


def measure(path: Path, runs: int) -> dict[str, Taken]:
    """All contenders in turn, `runs` times after one that does not count. Raises `SystemExit` where results differ."""
    stack = inspect_stack([path])
    warm(path)
    load_compiled()
    contenders: dict[str, Elsewhere | None] = {
        ENGINE: None,
        TASKS: _on_ray(path, PAIR),
        ONE_WORKER: _on_ray(path, SINGLE),
        DATA: lambda work: _by_ray_data(path, work, 1),
        DATA_CHUNKS: lambda work: _by_ray_data(path, work, 5),
    }
    taken = {name: Taken() for name in contenders}
    digests = set()
    for turn in range(runs + 1):
        for name, elsewhere in contenders.items():
            sys.stderr.write(f"{name} ({turn}/{runs})\n")
            measuring = _timed(taken[name]) if turn else _watched(taken[name], elsewhere)
            digests.add(_run(stack, elsewhere, measuring))
    if len(digests) != 1:
        raise SystemExit("The contenders found different rasters or statistics.")
    return taken


def _on_ray(path: Path, labels: Mapping[str, str]) -> Elsewhere:
    return OnRay(LocalFiles((path,)), [path], Placement(cpu_labels=labels))


def _by_ray_data(path: Path, work: BandWork, blocks_a_task: int) -> Any:
    """The same blocks through a Ray Data pipeline."""
    import ray.data  # here: it takes a second, and only these contenders need it

    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    context.execution_options.preserve_order = True

    def blocks(grid: Grid, task: Task) -> Generator[Block, None, None]:
        job = ray.put(Job(LocalFiles((path,)), (0,), (None,), work, grid, task))

        def compute_batch(batch: dict[str, Any]) -> dict[str, list[Parcel]]:
            rows = zip(*(batch[name].tolist() for name in ("x", "y", "width", "height")), strict=True)
            return {"parcel": [compute(ray.get(job), Window(*row)) for row in rows]}

        windows = [
            {"x": one.col_off, "y": one.row_off, "width": one.width, "height": one.height}
            for one in grid.blocks()
        ]
        parts = -(-len(windows) // blocks_a_task)
        given = ray.data.from_items(windows, override_num_blocks=parts)
        found = given.map_batches(compute_batch, batch_size=None, num_cpus=1, label_selector=PAIR)
        for row in found.iter_rows():
            yield row["parcel"].opened()

    return blocks


def _run(stack: Stack, elsewhere: Elsewhere | None, measuring: AbstractContextManager[None]) -> str:
    """Statistics, picture and index raster; returns a digest of all, which is not measured."""
    bands = resolve_bands(stack.info, bands=",".join(BANDS))
    with tempfile.TemporaryDirectory(prefix="out-", dir=inputs.folder()) as folder:
        target = Path(folder) / "index.tif"
        with measuring:
            found = analyse_bands(
                stack, "NDVI", band_map=bands, cuts=CUTS, index_path=target, elsewhere=elsewhere
            )
        digest = hashlib.sha256(repr(found.statistics).encode() + found.picture.tobytes())
        digest.update(target.read_bytes())
        return digest.hexdigest()


@contextmanager
def _cluster() -> Iterator[None]:
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
    try:
        ray.init(address=cluster.address, log_to_driver=False, logging_level=logging.WARNING)
        for cpus, labels in ((2, PAIR), (1, SINGLE)):
            cluster.add_node(num_cpus=cpus, labels=labels, object_store_memory=512 * _MB)
        yield
    finally:
        ray.shutdown()
        cluster.shutdown()  # type: ignore[no-untyped-call]  # Ray's own


@contextmanager
def _timed(taken: Taken) -> Iterator[None]:
    cpu, began = _cpu_seconds(), time.perf_counter()
    yield
    taken.seconds.append(time.perf_counter() - began)
    taken.cpu.append(_cpu_seconds() - cpu)


@contextmanager
def _watched(taken: Taken, elsewhere: Elsewhere | None) -> Iterator[None]:
    """Tells the memory of this process, or where the work is done `elsewhere` of Ray's."""
    ended = threading.Event()

    def look() -> None:
        while not ended.wait(_SAMPLE_S):
            for process in [os.getpid()] if elsewhere is None else _workers():
                taken.largest_mb = max(taken.largest_mb, _size_mb(process))

    watcher = threading.Thread(target=look)
    watcher.start()
    try:
        yield
    finally:
        ended.set()
        watcher.join()


def _descendants() -> list[int]:
    """The processes that this one has started, and those that they have."""
    parents: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal() and (fields := _stat(int(entry.name))):
            parents.setdefault(int(fields[1]), []).append(int(entry.name))
    found, waiting = [], [os.getpid()]
    while waiting:
        children = parents.get(waiting.pop(), [])
        found += children
        waiting += children
    return found


def _stat(process: int) -> list[str]:
    """The fields of /proc/PID/stat behind the name; empty where the process is gone."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []


def _workers() -> list[int]:
    """Ray's processes that compute."""
    found = []
    for process in _descendants():
        try:
            name = Path(f"/proc/{process}/cmdline").read_bytes()
        except OSError:
            continue
        if name.startswith(b"ray::"):
            found.append(process)
    return found


def _size_mb(process: int) -> float:
    """Memory of a process, without what the object store shares with it."""
    try:
        lines = Path(f"/proc/{process}/status").read_text().splitlines()
    except OSError:
        return 0.0
    return sum(float(line.split()[1]) for line in lines if line.startswith("RssAnon")) / 1024


def _cpu_seconds() -> float:
    ticks = 0
    for process in (os.getpid(), *_descendants()):
        fields = _stat(process)
        ticks += int(fields[11]) + int(fields[12]) if fields else 0
    return ticks / os.sysconf("SC_CLK_TCK")


def _table(taken: Mapping[str, Taken]) -> list[str]:
    lines = ["| | Time | CPU time | Largest process |", "|---|---|---|---|"]
    for name, one in taken.items():
        cells = (name, f"{median(one.seconds):.1f} s", f"{median(one.cpu):.1f} s", f"{one.largest_mb:.0f} MB")
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def _ratios(taken: Mapping[str, Taken]) -> list[str]:
    lines = ["| Ratio | Time (least to greatest of a turn) | CPU time | Asked |", "|---|---|---|---|"]
    for above, below, asked in (
        (TASKS, ENGINE, "at most 1.7, better 1.3"),
        (DATA, ENGINE, ""),
        (DATA_CHUNKS, ENGINE, ""),
        (ONE_WORKER, TASKS, "at least 1.7"),
    ):
        seconds = ratio(taken[above].seconds, taken[below].seconds)
        cpu = ratio(taken[above].cpu, taken[below].cpu)
        told = f"**{seconds.value:.2f}** ({seconds.least:.2f} to {seconds.greatest:.2f})"
        lines.append(f"| {above} / {below} | {told} | {cpu.value:.2f} | {asked} |")
    return lines


if __name__ == "__main__":
    main()
