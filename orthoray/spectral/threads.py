"""Work on the rows of an image in several threads: NumPy, OpenCV, GDAL and the deflater run without the GIL."""

from __future__ import annotations

import contextvars
import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar, cast

Item = TypeVar("Item")
Result = TypeVar("Result")
Other = TypeVar("Other")

_STRIP_PIXELS = 1 << 16  # float32 scratch of this size stays in the processor's cache


def worker_count() -> int:
    """How many threads may compute at once: the processors of this process, at most OMP_NUM_THREADS.

    Ray sets OMP_NUM_THREADS to the processors that it gave to a task or an actor.
    """
    affinity = getattr(os, "sched_getaffinity", None)  # Linux only
    available = len(affinity(0)) if affinity else os.cpu_count() or 1
    # OpenMP also allows a list, one number for each level of nesting
    wanted = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0].strip()
    return min(available, int(wanted)) if wanted.isdecimal() and int(wanted) > 0 else available


def strips(height: int, width: int) -> Iterator[slice]:
    """Row slices of about 65 thousand pixels, for work whose scratch memory should stay small."""
    rows = max(1, _STRIP_PIXELS // max(1, width))
    return (slice(top, min(top + rows, height)) for top in range(0, height, rows))


def run_in_threads(work: Callable[[Item], Result], items: Sequence[Item]) -> list[Result]:
    """`work` of every item, in order, shared between `worker_count()` threads that end before this returns.

    The calling thread is one of them, and with one item or one processor the only one. Context variables,
    `numpy.errstate` among them, hold in the others too.

    Raises:
        Exception: what `work` raised; of several the one of the earliest item. Items not yet begun are left out.
    """
    count = min(worker_count(), len(items))
    if count < 2:
        return [work(item) for item in items]
    waiting = deque(enumerate(items))
    results: dict[int, Result] = {}
    errors: dict[int, Exception] = {}

    def drain() -> None:
        while True:
            try:
                at, item = waiting.popleft()
            except IndexError:
                return
            try:
                results[at] = work(item)
            except Exception as error:  # raised below, once no thread is at work any more
                errors[at] = error
                waiting.clear()

    with ThreadPoolExecutor(count - 1, thread_name_prefix="strips") as pool:
        for _ in range(count - 1):
            pool.submit(contextvars.copy_context().run, drain)
        drain()
    if errors:
        raise errors[min(errors)]
    return [results[at] for at in range(len(items))]


def run_in_strips(work: Callable[[slice], Result], height: int, width: int) -> list[Result]:
    """`work` of every row slice of `strips(height, width)`, from the top, by `run_in_threads`."""
    return run_in_threads(work, list(strips(height, width)))


def run_together(first: Callable[[], Result], second: Callable[[], Other]) -> tuple[Result, Other]:
    """What both return, by `run_in_threads`; where both fail, the first one's exception is raised."""
    both: list[object] = run_in_threads(lambda step: step(), (first, second))
    return cast("tuple[Result, Other]", tuple(both))
