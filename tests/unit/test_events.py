"""Events as CloudEvents, and the ids that tell one change from another."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from uuid import UUID

from cloudevents.core.formats.json import JSONFormat
from cloudevents.core.v1.event import CloudEvent

from orthoray.events import cloud_event, event_id


def an_event(occasion: datetime | str | int = 1, **data: Any) -> dict[str, Any]:
    return cloud_event("analysis", "analysis.completed", "run-1", data, "default", occasion=occasion)


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


def test_an_id_tells_one_change_from_all_others() -> None:
    assert an_event(stats={})["id"] == an_event()["id"]
    UUID(an_event()["id"])
    ids = {
        an_event()["id"],
        an_event(occasion=2)["id"],
        event_id("analysis.failed", "run-1", 1),
        event_id("analysis.completed", "run-2", 1),
    }
    assert len(ids) == 4


def test_an_id_does_not_depend_on_the_time_zone_of_a_connection() -> None:
    here = datetime(2026, 5, 1, 12, 0, 0, 1, UTC)
    there = here.astimezone(timezone(timedelta(hours=3)))
    assert an_event(occasion=here)["id"] == an_event(occasion=there)["id"]
