"""Where the relay sends events."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from structlog.testing import capture_logs

from orthoray.events import STREAM, cloud_event
from orthoray.relay import LogSink, RedisSink, Written, open_sink


def written(number: int) -> Written:
    event = cloud_event("analysis", "analysis.completed", f"run-{number}", {}, "default", occasion=number)
    return Written(number, event["id"], event["type"], event["subject"], json.dumps(event))


def test_without_redis_events_are_lines_in_the_log() -> None:
    async def publish() -> None:
        async with open_sink(None) as sink:
            assert isinstance(sink, LogSink)
            await sink.publish([written(1)])

    with capture_logs() as lines:
        asyncio.run(publish())
    assert lines == [{"event": "event", "type": "analysis.completed", "run_id": "run-1", "log_level": "info"}]


def test_redis_gets_whole_events_at_once_and_a_bound() -> None:
    calls: list[Any] = []

    class Pipeline:
        async def __aenter__(self) -> Pipeline:
            return self

        async def __aexit__(self, *_: object) -> None:
            calls.append("end")

        def xadd(self, stream: str, fields: dict[str, str], *, maxlen: int, approximate: bool) -> None:
            assert stream == STREAM
            assert maxlen > 0
            assert approximate
            calls.append(fields)

        async def execute(self) -> None:
            calls.append("execute")

    class Client:
        def pipeline(self, *, transaction: bool) -> Pipeline:
            assert transaction
            return Pipeline()

    events = [written(1), written(2)]
    asyncio.run(RedisSink(Client()).publish(events))
    assert calls[2:] == ["execute", "end"]
    for event, fields in zip(events, calls[:2], strict=True):
        assert json.loads(fields.pop("event")) == json.loads(event.json)
        assert fields == {"id": event.id, "type": event.type, "subject": event.subject}
