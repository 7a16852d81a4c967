"""The relay: carries events from a service's outbox to Redis Streams, at least once, in order per subject.

Nothing waits for it. It deletes what it has published, and always begins with the oldest that is left, so nobody sees an event
for the first time before an earlier one of the same subject: not when a batch is published again, nor when two relays overlap.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Protocol

import psycopg
import structlog
from psycopg import sql
from psycopg.rows import class_row

from orthoray.events import CHANNEL, STREAM
from orthoray.queue import Backlog, Queue

# Streams are for what happens now; the databases keep the history. No more wait in an outbox either, as the stream would cut
# them off on arrival.
STREAM_MAX_LENGTH = 100_000
BATCH = 500
# Between two looks at the outbox when no notification comes.
LOOK_S = 1.0
# After the first failure of the sink, and at most.
WAITS_S = (0.2, 5.0)
# What a log line calls the subject of an event.
_ID_OF = {"imagery": "imagery_id", "analysis": "run_id", "report": "report_id"}

# One relay at a time, so that events are published once as a rule. A relay whose machine is lost without a word holds the lock
# until the server misses it.
_LOCK = 0x0_57_40_EE
_SESSION = "-c statement_timeout=10s -c idle_session_timeout=60s -c idle_in_transaction_session_timeout=60s"
_OLDEST = (
    'select position, id::text, type, subject, event::text as "json" from outbox order by position limit %s'
)
# By their positions and not up to the last one: a transaction that began earlier may commit a lower position meanwhile.
_DELETE = "delete from outbox where position = any(%s)"
_CUT = """
delete from outbox where position <= (select position from outbox order by position desc offset %s limit 1)
"""
_WAITING = """
select count(*) as jobs, extract(epoch from clock_timestamp() - min(written_at))::float8 as oldest_s from outbox
"""

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Written:
    """An event in the outbox; `json` is the whole event."""

    position: int
    id: str
    type: str
    subject: str
    json: str


class EventSink(Protocol):
    """Where the relay sends events. May be called twice with the same ones."""

    async def publish(self, events: Sequence[Written]) -> None:
        """Return when all are safe, in this order; raise when none or not all are, to have all tried again."""


class LogSink:
    """Without Redis events are only a line in the log."""

    async def publish(self, events: Sequence[Written]) -> None:
        for event in events:
            kind = event.type.partition(".")[0]
            log.info("event", type=event.type, **{_ID_OF.get(kind, "subject"): event.subject})


class RedisSink:
    """Appends events to the Redis stream `orthoray:events`, fields `id`, `type`, `subject` and `event` (JSON)."""

    def __init__(self, client: Any) -> None:
        self._client = client

    async def publish(self, events: Sequence[Written]) -> None:
        # A transaction: were one of them refused and a later one taken, their order would be lost.
        async with self._client.pipeline(transaction=True) as pipeline:
            for event in events:
                fields = {"id": event.id, "type": event.type, "subject": event.subject, "event": event.json}
                pipeline.xadd(STREAM, fields, maxlen=STREAM_MAX_LENGTH, approximate=True)
            await pipeline.execute()


@asynccontextmanager
async def open_sink(redis_url: str | None) -> AsyncIterator[EventSink]:
    if not redis_url:
        yield LogSink()
        return
    from redis.asyncio import Redis  # here: most installations run without it
    from redis.asyncio.retry import Retry
    from redis.backoff import NoBackoff

    once = Retry(NoBackoff(), 0)  # the relay itself tries again
    async with Redis.from_url(redis_url, socket_timeout=10, socket_connect_timeout=5, retry=once) as client:
        yield RedisSink(client)


async def relay_for_ever(dsn: str, redis_url: str | None, *, kept: int = STREAM_MAX_LENGTH) -> None:
    """Publish what the outbox of this database holds, until cancelled; trouble of any kind is waited out.

    At most `kept` events wait where Redis is away: the oldest are given up, with an error in the log.
    """
    while True:
        try:
            async with open_sink(redis_url) as sink, await _connect(dsn) as connection:
                relay = _Relay(connection, sink, kept)
                if await relay.is_alone():
                    await relay.run()
        except Exception as error:  # the queues beside it must go on, whatever it is
            log.warning("events wait", reason=_short(error))
        await asyncio.sleep(LOOK_S)


async def waiting_events(queue: Queue) -> Backlog:
    """What waits in the outbox beside this queue."""
    (row,) = await queue.app.connector.execute_query_all_async(_WAITING)
    return Backlog(row["jobs"], row["oldest_s"] or 0.0)


class _Relay:
    """One connection's worth of relaying: ends with the connection."""

    def __init__(self, connection: psycopg.AsyncConnection, sink: EventSink, kept: int) -> None:
        self._connection = connection
        self._sink = sink
        self._kept = kept

    async def is_alone(self) -> bool:
        cursor = await self._connection.execute("select pg_try_advisory_lock(%s)", [_LOCK])
        row = await cursor.fetchone()
        return row is not None and bool(row[0])

    async def run(self) -> None:
        """Raises psycopg.Error when the connection is lost."""
        await self._connection.execute(sql.SQL("listen {}").format(sql.Identifier(CHANNEL)))
        wait = WAITS_S[0]
        while True:
            events = await self._oldest()
            if not events:
                async for _ in self._connection.notifies(timeout=LOOK_S, stop_after=1):
                    pass
                continue
            try:
                await self._sink.publish(events)
            except Exception as error:  # the events are safe here, and the sink may recover
                if wait == WAITS_S[0]:
                    log.warning("events wait for Redis", reason=_short(error))
                await self._give_up_oldest()
                await asyncio.sleep(wait)
                wait = min(2 * wait, WAITS_S[1])
                continue
            if wait != WAITS_S[0]:
                log.info("events go out again")
                wait = WAITS_S[0]
            await self._connection.execute(_DELETE, [[event.position for event in events]])

    async def _oldest(self) -> list[Written]:
        async with self._connection.cursor(row_factory=class_row(Written)) as cursor:
            await cursor.execute(_OLDEST, [BATCH])
            return await cursor.fetchall()

    async def _give_up_oldest(self) -> None:
        cursor = await self._connection.execute(_CUT, [self._kept])
        if cursor.rowcount > 0:
            log.error("events given up: too many wait", given_up=cursor.rowcount, kept=self._kept)


async def _connect(dsn: str) -> psycopg.AsyncConnection:
    return await psycopg.AsyncConnection.connect(
        dsn, autocommit=True, connect_timeout=5, tcp_user_timeout=10_000, options=_SESSION
    )


def _short(error: Exception) -> str:
    # The first line: a URL with a password is in none of the messages of psycopg and redis.
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
