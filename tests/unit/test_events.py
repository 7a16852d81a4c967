"""Events, and where the relay sends them."""

from __future__ import annotations

import asyncio
import json
from datetime import datetime
from typing import Any

from cloudevents.core.formats.json import JSONFormat
from cloudevents.core.v1.event import CloudEvent
from structlog.testing import capture_logs

from orthoray.events import STREAM, LogSink, RedisSink, cloud_event, open_sink


def an_event(**data: Any) -> dict[str, Any]:
    return cloud_event("analysis", "analysis.completed", "run-1", data, "default")


def test_an_event_is_a_cloud_event() -> None:
    event = an_event(index_type="NDVI")
    parsed = JSONFormat().read(CloudEvent, json.dumps(event))
    assert parsed.get_specversion() == "1.0"
    assert parsed.get_type() == "analysis.completed"
    assert parsed.get_source() == "/orthoray/analysis"
    assert parsed.get_subject() == "run-1"
    assert parsed.get_data() == {"index_type": "NDVI"}
    assert parsed.get_extension("tenant") == "default"
    moment = datetime.fromisoformat(event["time"])
    assert moment.utcoffset() is not None


def test_every_event_has_its_own_id() -> None:
    assert an_event()["id"] != an_event()["id"]


def test_without_redis_events_are_lines_in_the_log() -> None:
    async def publish() -> None:
        async with open_sink(None) as sink:
            assert isinstance(sink, LogSink)
            await sink.publish(an_event())

    with capture_logs() as lines:
        asyncio.run(publish())
    assert lines == [{"event": "event", "type": "analysis.completed", "run_id": "run-1", "log_level": "info"}]


def test_redis_gets_the_whole_event_and_a_bound() -> None:
    added: list[tuple[tuple[Any, ...], dict[str, Any]]] = []

    class Client:
        async def xadd(self, *args: Any, **kwargs: Any) -> None:
            added.append((args, kwargs))

    event = an_event(percent=100.0)
    asyncio.run(RedisSink(Client()).publish(event))
    ((stream, fields), options) = added[0]
    assert stream == STREAM
    assert json.loads(fields.pop("event")) == event
    assert fields == {"id": event["id"], "type": "analysis.completed", "subject": "run-1"}
    assert options["maxlen"] > 0
