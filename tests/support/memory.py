"""How much memory the processes of a stack take meanwhile."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from stack import Process, Stack

_PAUSE_S = 0.1


@dataclass
class Peaks:
    """The most anonymous memory of each process, in bytes; shared memory such as Ray's object store is not counted."""

    of: dict[Process, int] = field(default_factory=dict)


@contextmanager
def watched(stack: Stack) -> Iterator[Peaks]:
    """Looks at all processes of the stack several times a second until the block ends."""
    peaks, ended = Peaks(), threading.Event()

    def look() -> None:
        while not ended.wait(_PAUSE_S):
            for process in stack.processes():
                with suppress(OSError):
                    peaks.of[process] = max(peaks.of.get(process, 0), _anonymous(process.pid))

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield peaks
    finally:
        ended.set()
        thread.join()


def _anonymous(pid: int) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("RssAnon:"):
            return int(line.split()[1]) * 1024
    return 0
