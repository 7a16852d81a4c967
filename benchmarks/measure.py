"""Running contenders in turn, each in a process of its own, and keeping what they took."""

from __future__ import annotations

import json
import math
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from benchmarks.child import Finding

ROOT = Path(__file__).parent.parent
OUT = "{out}"
"""Stands for the folder that a contender may write to; it is new and empty every time."""

Kind = Literal["seconds", "process", "peak_mb", "baseline_mb"]
_MEAN_TOLERANCE = 1e-6
_TIMEOUT_S = 1800


@dataclass(frozen=True)
class Contender:
    """A function of a module of this package, with its arguments; it runs `repeats` times in one process."""

    name: str
    module: str
    function: str
    arguments: Mapping[str, Any]
    reads: tuple[Path, ...] = ()
    repeats: int = 1


@dataclass
class Measured:
    """The runs of one contender, in the order they were made; `problem` tells why there are none."""

    seconds: list[float] = field(default_factory=list)
    process: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    peak_mb: list[float] = field(default_factory=list)
    baseline_mb: list[float] = field(default_factory=list)
    finding: Finding = field(default_factory=dict)
    problem: str = ""

    def take(self, answer: Mapping[str, Any], process: float) -> None:
        """Add a run: its median work, and the whole process with everything around it."""
        self.seconds.append(statistics.median(answer["seconds"]))
        self.process.append(process)
        self.cpu.append(answer["cpu"])
        self.peak_mb.append(answer["peak_mb"])
        self.baseline_mb.append(answer["baseline_mb"])
        self.finding = answer["finding"]


@dataclass(frozen=True)
class Ratio:
    """The median of one quantity over that of another, and the extremes among the runs of each turn."""

    value: float
    least: float
    greatest: float


def ratio(above: Sequence[float], below: Sequence[float]) -> Ratio:
    """Divide medians; the spread is over pairs measured in the same turn."""
    pairs = [a / b for a, b in zip(above, below, strict=False)]
    return Ratio(statistics.median(above) / statistics.median(below), min(pairs), max(pairs))


def fastest(names: Sequence[str], measured: Mapping[str, Measured]) -> str | None:
    """The contender with the least median time among those that ran, or None."""
    ran = [name for name in names if name in measured and measured[name].seconds]
    return min(ran, key=lambda name: statistics.median(measured[name].seconds)) if ran else None


def same_work(first: Finding, second: Finding) -> bool | None:
    """Whether two contenders found the same, as far as both tell; None where they have nothing to compare."""
    shared = first.keys() & second.keys()
    if not shared:
        return None
    return all(
        math.isclose(first[key], second[key], rel_tol=0, abs_tol=_MEAN_TOLERANCE)
        if key == "mean"
        else first[key] == second[key]
        for key in shared
    )


def in_turn(
    contenders: Sequence[Contender], runs: int, scratch: Path, said: Callable[[str], None]
) -> dict[str, Measured]:
    """Run all contenders once, then all again, `runs` times, with the files they read in the page cache.

    One that fails is left out of later turns; it never ends the measurement.
    """
    measured = {contender.name: Measured() for contender in contenders}
    for path in sorted({path for contender in contenders for path in contender.reads}):
        warm(path)
    for turn in range(runs):
        for contender in contenders:
            result = measured[contender.name]
            if result.problem:
                continue
            said(f"{contender.name} ({turn + 1}/{runs})")
            with _empty_folder(scratch) as out:
                try:
                    answer, process = _run(contender, out)
                except _Failed as failure:
                    result.problem = str(failure)
                else:
                    result.take(answer, process)
    return measured


def warm(path: Path) -> None:
    """Read a file, or the files of a folder, so that the page cache holds them."""
    for file in sorted(path.iterdir()) if path.is_dir() else [path]:
        with file.open("rb", buffering=0) as opened:
            while opened.read(1 << 24):
                pass


class _Failed(Exception):
    """A contender's process did not come to a result."""


def _run(contender: Contender, out: Path) -> tuple[dict[str, Any], float]:
    """One process of a contender: its answer and the seconds it lived."""
    arguments = {
        key: value.replace(OUT, str(out)) if isinstance(value, str) else value
        for key, value in contender.arguments.items()
    }
    command = [
        *(sys.executable, "-m", "benchmarks.child", contender.module, contender.function),
        *(json.dumps(arguments), str(contender.repeats)),
    ]
    # What the contender before has written goes to the disk first, at nobody's cost.
    os.sync()
    began = time.perf_counter()
    try:
        done = subprocess.run(
            command, cwd=ROOT, capture_output=True, text=True, timeout=_TIMEOUT_S, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise _Failed(f"not done after {_TIMEOUT_S} s") from error
    process = time.perf_counter() - began
    if done.returncode:
        raise _Failed((done.stderr.strip().splitlines() or [f"exit status {done.returncode}"])[-1])
    answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return answer, process


@contextmanager
def _empty_folder(scratch: Path) -> Iterator[Path]:
    scratch.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="out-", dir=scratch))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
