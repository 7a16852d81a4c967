"""A worker process with one kind of job, `test.note`: `python slow_worker.py DSN FILE SECONDS [REDIS_URL]`.

A job writes `started N` to the file, waits SECONDS, and writes `finished N`. Workers count as dead after 2 seconds here.
"""

from __future__ import annotations

import asyncio
import signal
import sys
from pathlib import Path

from actors import loop
from orthoray import queue as queues
from orthoray.queue import RETRY, Queue

queues.STALLED_AFTER_S = loop.STALLED_AFTER_S = 2.0
loop.HEARTBEAT_S = 0.5


class SlowWorker(loop.QueueWorker):
    def __init__(self, dsn: str, notes: Path, seconds: float, redis_url: str | None) -> None:
        self._notes, self._seconds = notes, seconds
        super().__init__(dsn, redis_url, compute=4)

    def register(self, queue: Queue) -> None:
        @queue.app.task(name="test.note", queue="compute", retry=RETRY)
        async def note(number: int) -> None:
            self._write(f"started {number}")
            await asyncio.sleep(self._seconds)
            self._write(f"finished {number}")

    def _write(self, line: str) -> None:
        with self._notes.open("a") as file:
            file.write(line + "\n")


if __name__ == "__main__":
    dsn, notes, seconds, *redis_url = sys.argv[1:]
    SlowWorker(dsn, Path(notes), float(seconds), *(redis_url or [None]))
    signal.pause()
