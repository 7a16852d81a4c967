"""Every change of state tells of itself, as the schema says."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from wired import Services

from orthoray.attempts import Ending
from orthoray.contracts import ReportRequest
from orthoray.settings import SERVICES

pytestmark = pytest.mark.anyio

REFERENCE = Path(__file__).parents[2] / "docs" / "reference"
SCHEMA = json.loads((REFERENCE / "events.schema.json").read_text(encoding="utf-8"))
TYPES = SCHEMA["properties"]["type"]["enum"]
FULL = Ending(outcome="failed", reason="The disk is full.")


async def lives(services: Services) -> None:
    """All that may happen to imageries, runs and reports."""
    for cut_short in (False, True):
        run = await services.completed()
        request = ReportRequest(analysis_run_id=run.id)
        report = await services.report.create("default", request)
        order = await services.report.start_report(report.id)
        assert order is not None
        if cut_short:
            await services.report.end_attempt(report.id, order.attempt, FULL)
            await services.report.create("default", request)
            order = await services.report.start_report(report.id)
            assert order is not None
            await services.report.end_attempt(report.id, order.attempt, FULL)
        else:
            await services.report.complete_report(report.id, order.attempt, "reports", "a/key.pdf")
    failed, cancelled, orphan = [await services.run() for _ in range(3)]
    await services.analysis.start_run(failed.id)
    await services.analysis.start_run(failed.id)
    await services.fail(failed.id, attempt=2)
    await services.analysis.delete("default", cancelled.id)
    await services.imagery.delete("default", orphan.imagery_id)


async def test_all_events_are_as_the_schema_says_and_no_two_have_one_id(services: Services) -> None:
    await lives(services)
    events = [event for service in SERVICES for event in services.told(service)]
    check = jsonschema.Draft202012Validator(SCHEMA, format_checker=jsonschema.FormatChecker())
    for event in events:
        check.validate(event)
    assert {event["type"] for event in events} == set(TYPES)
    assert len({event["id"] for event in events}) == len(events)


async def test_a_run_ends_once_in_its_events(services: Services) -> None:
    await lives(services)
    runs: dict[str, list[str]] = {}
    for event in services.told("analysis"):
        runs.setdefault(event["subject"], []).append(event["type"].removeprefix("analysis."))
    ended = ("completed", "failed", "cancelled")
    for told in runs.values():
        assert told[0] == "requested"
        assert [state for state in told if state in ended] == [told[-1]]


async def test_one_thing_deleted_and_made_again_is_told_under_other_ids(services: Services) -> None:
    run = await services.completed()
    for _ in range(2):
        report = await services.report.create("default", ReportRequest(analysis_run_id=run.id))
        await services.report.delete("default", report.id)
    first, second = services.told("report")
    assert first["subject"] == second["subject"]
    assert first["id"] != second["id"]


def test_every_type_and_field_is_told() -> None:
    text = (REFERENCE / "events.md").read_text(encoding="utf-8")
    kinds: list[Any] = SCHEMA["oneOf"]
    assert [kind["properties"]["type"]["const"] for kind in kinds] == TYPES
    words = {name for kind in kinds for name in kind["properties"]["data"]["properties"]}
    assert [word for word in [*TYPES, *words, *SCHEMA["properties"]] if f"`{word}`" not in text] == []
