"""Events: CloudEvents 1.0, written as jobs in the transaction that changes the state, relayed to Redis Streams."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Protocol

import structlog
from cloudevents.core.formats.json import JSONFormat
from cloudevents.core.v1.event import CloudEvent

from orthoray.database import Connection
from orthoray.queue import Queue
from orthoray.tasks import PUBLISH_EVENT
from orthoray.telemetry import TRACE, carried

STREAM = "orthoray:events"
# Streams are for what happens now; the databases keep the history.
STREAM_MAX_LENGTH = 100_000
# What a log line calls the subject of an event.
_ID_OF = {"imagery": "imagery_id", "analysis": "run_id", "report": "report_id"}

log = structlog.get_logger(__name__)


def cloud_event(service: str, kind: str, subject: str, data: dict[str, Any], tenant: str) -> dict[str, Any]:
    """A CloudEvents 1.0 event in its structured JSON form (https://github.com/cloudevents/spec).

    Within a trace it bears `traceparent`, as the extension "Distributed Tracing" says.
    """
    attributes = {
        "source": f"/orthoray/{service}",
        "type": kind,
        "subject": subject,
        "datacontenttype": "application/json",
        "tenant": tenant,
    }
    attributes |= {name: value for name, value in carried().items() if name in TRACE}
    event: dict[str, Any] = json.loads(JSONFormat().write(CloudEvent(attributes, data)))
    return event


class Outbox:
    """Writes one service's events in the transaction of the change that they tell of."""

    def __init__(self, service: str, queue: Queue) -> None:
        self._service = service
        self._queue = queue

    async def emit(
        self, connection: Connection, kind: str, subject: object, tenant: str, **data: Any
    ) -> None:
        """Events of one subject keep their order."""
        event = cloud_event(self._service, kind, str(subject), data, tenant)
        await PUBLISH_EVENT.defer(self._queue, connection, lock=str(subject), event=event)


class EventSink(Protocol):
    """Where the relay sends events. May be called twice with the same event."""

    async def publish(self, event: dict[str, Any]) -> None:
        """Return when the event is safe; raise to have it tried again."""


class LogSink:
    """Without Redis events are only a line in the log."""

    async def publish(self, event: dict[str, Any]) -> None:
        kind = event["type"].partition(".")[0]
        log.info("event", type=event["type"], **{_ID_OF.get(kind, "subject"): event["subject"]})


class RedisSink:
    """Appends events to the Redis stream `orthoray:events`, fields `id`, `type`, `subject` and `event` (JSON)."""

    def __init__(self, client: Any) -> None:
        self._client = client

    async def publish(self, event: dict[str, Any]) -> None:
        fields = {key: event[key] for key in ("id", "type", "subject")}
        await self._client.xadd(
            STREAM, {**fields, "event": json.dumps(event)}, maxlen=STREAM_MAX_LENGTH, approximate=True
        )


@asynccontextmanager
async def open_sink(redis_url: str | None) -> AsyncIterator[EventSink]:
    if not redis_url:
        yield LogSink()
        return
    from redis.asyncio import Redis  # here: most installations run without it

    async with Redis.from_url(redis_url, socket_timeout=10, socket_connect_timeout=5) as client:
        yield RedisSink(client)
