"""A worker process with slow jobs: `python slow_worker.py DSN FILE SECONDS [REDIS_URL]`.

A job `test.note` (queue `compute`) or `test.chore` (queue `chores`) writes `started N` to the file, waits SECONDS, and writes
`finished N`. Workers count as dead after 2 seconds here.
"""

from __future__ import annotations

import asyncio
import signal
import sys
from pathlib import Path

from actors.loop import QueueWorker
from orthoray.queue import RETRY, Pace, Queue


class SlowWorker(QueueWorker):
    pace = Pace(heartbeat=0.5, patience=1.4, stalled_after=2.0, grace=0.5)

    def __init__(self, dsn: str, notes: Path, seconds: float, redis_url: str | None) -> None:
        self._notes, self._seconds = notes, seconds
        super().__init__(dsn, redis_url, compute=4)

    def register(self, queue: Queue) -> None:
        @queue.app.task(name="test.note", queue="compute", retry=RETRY)
        async def note(number: int) -> None:
            self._write(f"started {number}")
            await asyncio.sleep(self._seconds)
            self._write(f"finished {number}")

        queue.app.task(name="test.chore", queue="chores", retry=RETRY)(note.func)

    def _write(self, line: str) -> None:
        with self._notes.open("a") as file:
            file.write(line + "\n")


if __name__ == "__main__":
    dsn, notes, seconds, *redis_url = sys.argv[1:]
    SlowWorker(dsn, Path(notes), float(seconds), *(redis_url or [None]))
    signal.pause()
