"""One measurement in a process of its own: `python -m benchmarks.child MODULE FUNCTION ARGUMENTS`.

A contender is a function of `ours`, `peers` or `commands`: it imports and prepares what it needs and returns
`Prepared`; only `Prepared.work` is timed. The answer is one line of JSON on standard output.
"""

from __future__ import annotations

import importlib
import json
import resource
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Finding = dict[str, Any]
"""What was found, to compare contenders: any of `mean`, `valid`, `classes`."""


@dataclass(frozen=True)
class Prepared:
    """Work that is ready to be timed. `after` tells, untimed, what it found where `work` does not."""

    work: Callable[[], Finding]
    after: Callable[[], Finding] | None = None


def peak_mb() -> float:
    """The most memory that this process, or one that it waited for, has held, in MB of 2**20 bytes."""
    # VmHWM begins anew with a program; ru_maxrss still holds the size of the process that started it
    own = 0.0
    status = Path("/proc/self/status")
    if status.exists():
        own = next(float(line.split()[1]) for line in status.read_text().splitlines() if "VmHWM" in line)
    else:
        own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return max(own, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss) / 1024


def _cpu_seconds() -> float:
    """Processor time of this process and of those that it waited for: what others on the machine do not change."""
    used = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(one.ru_utime + one.ru_stime for one in used)


def run(module: str, function: str, arguments: dict[str, Any], repeats: int) -> dict[str, Any]:
    """Prepare a contender, run its work `repeats` times, and tell seconds, memory and what was found."""
    prepared: Prepared = getattr(importlib.import_module(f"benchmarks.{module}"), function)(**arguments)
    baseline, cpu = peak_mb(), _cpu_seconds()
    seconds = []
    finding: Finding = {}
    for _ in range(repeats):
        began = time.perf_counter()
        finding = prepared.work()
        seconds.append(time.perf_counter() - began)
    cpu, peak = _cpu_seconds() - cpu, peak_mb()
    if prepared.after is not None:
        finding = prepared.after()
    return {
        "seconds": seconds,
        "cpu": cpu / repeats,
        "baseline_mb": baseline,
        "peak_mb": peak,
        "finding": finding,
    }


if __name__ == "__main__":
    answer = run(sys.argv[1], sys.argv[2], json.loads(sys.argv[3]), int(sys.argv[4]))
    sys.stdout.write(json.dumps(answer) + "\n")
