"""Follow what happens in OrthoRay: keeps a table of runs up to date from the Redis stream of events.

    .venv/bin/python examples/follow_events.py redis://127.0.0.1:6379/0 runs.sqlite

Start it as often as you like on one machine: together they are one consumer group, and each event goes to one of them.
What one of them did not finish because it died is taken over by another after a minute.
"""

from __future__ import annotations

import json
import os
import socket
import sqlite3
import sys
import time
from typing import Any

from redis import Redis, exceptions

STREAM = "orthoray:events"
GROUP = "run-table"
# Longer than any event takes to handle: what is older belongs to a consumer that died.
DEAD_AFTER_MS = 60_000
SCHEMA = """
create table if not exists seen (id text primary key);
create table if not exists runs (id text primary key, state text, imagery_id text, reason text, entry text);
"""


class Follower:
    """One member of the consumer group. Its table and the ids of what it has handled change in one transaction."""

    def __init__(
        self, redis: Redis, table: sqlite3.Connection, *, dead_after_ms: int = DEAD_AFTER_MS
    ) -> None:
        self.redis = redis
        self.table = table
        self.dead_after_ms = dead_after_ms
        self.name = f"{socket.gethostname()}-{os.getpid()}"
        table.executescript(SCHEMA)

    def step(self, wait_ms: int = 5000) -> int:
        """Handle what dead members left and what is new; how many events there were."""
        try:
            # Returns: where to go on, entries, and ids of entries that the stream has cut off meanwhile.
            _, left, _ = self.redis.xautoclaim(STREAM, GROUP, self.name, self.dead_after_ms, "0-0", count=100)
            batches = self.redis.xreadgroup(GROUP, self.name, {STREAM: ">"}, count=100, block=wait_ms)
        except exceptions.ResponseError as error:
            if "NOGROUP" not in str(error):
                raise
            self.join()  # the first time, or after Redis came back empty
            return 0
        new = [entry for _, entries in batches or [] for entry in entries]
        for entry_id, fields in [*left, *new]:
            self.handle(entry_id.decode(), json.loads(fields[b"event"]))
            self.redis.xack(
                STREAM, GROUP, entry_id
            )  # after the commit: an event may come again, but none is lost
        return len(left) + len(new)

    def join(self) -> None:
        """Make the group; it begins with the oldest event that there is ("$" would begin with the next one)."""
        try:
            self.redis.xgroup_create(STREAM, GROUP, id="0", mkstream=True)
        except exceptions.ResponseError as error:
            if "BUSYGROUP" not in str(error):
                raise

    def handle(self, entry: str, event: dict[str, Any]) -> None:
        """Do an event's work once, however often it comes: its id says which change it tells of."""
        with self.table:  # one transaction
            if not self.table.execute("insert or ignore into seen values (?)", [event["id"]]).rowcount:
                return
            kind, _, state = event["type"].partition(".")
            if kind == "analysis":
                self.keep(event["subject"], state, event["data"], entry)

    def keep(self, run_id: str, state: str, data: dict[str, Any], entry: str) -> None:
        """Events of one run come in order to one consumer; what is taken over from a dead one is older than what others did."""
        known = self.table.execute("select entry from runs where id = ?", [run_id]).fetchone()
        if known is None or position(entry) > position(known[0]):
            self.table.execute(
                "insert or replace into runs values (?, ?, ?, ?, ?)",
                [run_id, state, data["imagery_id"], data.get("reason"), entry],
            )


def position(entry: str) -> tuple[int, ...]:
    """Where an entry stands in the stream: its id is milliseconds and a number."""
    return tuple(map(int, entry.split("-")))


def main(url: str, file: str) -> None:
    with Redis.from_url(url, socket_timeout=30) as redis, sqlite3.connect(file) as table:
        follower = Follower(redis, table)
        while True:
            try:
                follower.step()
            except (exceptions.ConnectionError, exceptions.TimeoutError) as error:
                sys.stderr.write(f"Redis is away: {error}\n")
                time.sleep(2)


if __name__ == "__main__":
    main(*sys.argv[1:])
