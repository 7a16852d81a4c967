"""A run as Server-Sent Events, and answers that wait for its end."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest
from fakes import complete, complete_report

from serve_app.gateway import streams, watching
from serve_app.gateway.preferences import MAX_WAIT_S, Preferences


@pytest.fixture(autouse=True)
def _quick(house: Any) -> None:
    house.app.state.watches.runs._every_s = house.app.state.watches.reports._every_s = 0.005


def events(text: str) -> list[dict[str, str]]:
    blocks = [block for block in text.split("\n\n") if block and not block.startswith(":")]
    return [dict(line.split(": ", 1) for line in block.splitlines()) for block in blocks]


def meanwhile(house: Any, work: Callable[[], Any]) -> threading.Thread:
    """Do it once somebody watches."""

    def when_watched() -> None:
        watches = house.app.state.watches
        while not (watches.runs._watched or watches.reports._watched):
            time.sleep(0.001)
        work()

    thread = threading.Thread(target=when_watched)
    thread.start()
    return thread


def record_of(rows: Any, one: dict[str, Any]) -> Any:
    return rows[UUID(one["id"])][1]


def finish(house: Any, run: dict[str, Any]) -> None:
    asyncio.run(complete(house.analysis, house.storage, record_of(house.analysis.rows, run)))


def test_a_run_is_told_to_its_end(house: Any) -> None:
    run = house.run()
    thread = meanwhile(house, lambda: finish(house, run))
    answer = house.client.get(f"/analysis-runs/{run['id']}/events")
    thread.join()
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert answer.headers["cache-control"] == "no-store"
    first, *told = events(answer.text)
    assert first == {"retry": "3000"}
    assert [event["event"] for event in told] == ["state"] * len(told)
    assert json.loads(told[0]["data"]) == {
        "id": run["id"],
        "status": "queued",
        "progress": 0.0,
        "attempts": 0,
        "error": None,
    }
    assert json.loads(told[-1]["data"])["status"] == "completed"
    assert len({event["id"] for event in told}) == len(told)


def test_steps_between_are_progress(house: Any) -> None:
    run = house.run()

    def work() -> None:
        asyncio.run(house.analysis.start_run(UUID(run["id"])))
        for progress in (0.2, 0.4):
            asyncio.run(house.analysis.report_progress(UUID(run["id"]), 1, progress))
            time.sleep(0.03)
        house.client.delete(f"/analysis-runs/{run['id']}")

    thread = meanwhile(house, work)
    told = events(house.client.get(f"/analysis-runs/{run['id']}/events").text)[1:]
    thread.join()
    kinds = [(event["event"], json.loads(event["data"])["status"]) for event in told]
    assert ("progress", "processing") in kinds
    assert kinds[-1] == ("state", "cancelled")


def test_what_was_told_is_not_told_again(house: Any) -> None:
    run = house.run()
    path = f"/analysis-runs/{run['id']}/events"
    thread = meanwhile(house, lambda: finish(house, run))
    again = house.client.get(path, headers={"Last-Event-ID": "0.1.0"})
    thread.join()
    told = events(again.text)[1:]
    assert all(event["id"] != "0.1.0" for event in told)
    assert json.loads(told[-1]["data"])["status"] == "completed"
    assert len(events(house.client.get(path).text)) == 2, "of a run that has ended the end alone"
    over = house.client.get(path, headers={"Last-Event-ID": told[-1]["id"]})
    assert (over.status_code, over.content) == (204, b""), "which browsers take for: do not come back"


@pytest.mark.parametrize("last", ["x", "1.1", "1.1.1.1", "-1.0.0", "1" * 5000 + ".1.1", "1.3.0"])
def test_an_id_that_is_not_ours_is_refused(house: Any, last: str) -> None:
    answer = house.client.get(f"/analysis-runs/{house.run()['id']}/events", headers={"Last-Event-ID": last})
    assert answer.status_code == 400
    assert "Last-Event-ID" in answer.json()["detail"]


def test_beats_and_a_stream_that_is_cut(house: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "BEAT_S", 0.02)
    monkeypatch.setattr(streams, "MAX_STREAM_S", 0.1)
    text = house.client.get(f"/analysis-runs/{house.run()['id']}/events").text
    assert 2 <= text.count(": still here\n\n") <= 6
    assert len(events(text)) == 2


def test_a_run_that_is_deleted(house: Any) -> None:
    run = house.run()
    thread = meanwhile(house, lambda: house.analysis.rows.pop(UUID(run["id"])))
    told = events(house.client.get(f"/analysis-runs/{run['id']}/events").text)
    thread.join()
    assert told[-1]["event"] == "deleted"
    assert house.client.get(f"/analysis-runs/{run['id']}/events").status_code == 404


def test_too_many_are_sent_away(house: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    run = house.run()
    monkeypatch.setattr(watching, "MAX_WATCHERS", 0)
    answer = house.client.get(f"/analysis-runs/{run['id']}/events")
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "10")
    body = {"imagery_id": run["imagery_id"], "index_type": "NDVI_emp"}
    made = house.client.post("/analysis-runs", json=body, headers={"Prefer": "wait=20"})
    assert made.status_code == 202
    assert "preference-applied" not in made.headers


def test_head_does_not_wait(house: Any) -> None:
    answer = house.client.head(f"/analysis-runs/{house.run()['id']}/events")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/event-stream")


class TestPrefer:
    def test_a_run_that_ends_in_time(self, house: Any) -> None:
        body = {"imagery_id": house.upload().json()["id"], "index_type": "NDVI_emp"}

        def work() -> None:
            ((_, run),) = house.analysis.rows.values()
            asyncio.run(complete(house.analysis, house.storage, run))

        thread = meanwhile(house, work)
        answer = house.client.post(
            "/analysis-runs", json=body, headers={"Prefer": "wait=20, handling=strict"}
        )
        thread.join()
        assert answer.status_code == 200
        assert answer.json()["status"] == "completed"
        assert answer.json()["statistics"]["valid_pixels"] == 4
        assert answer.headers["preference-applied"] == "wait=20"
        assert answer.headers["location"] == f"/analysis-runs/{answer.json()['id']}"

    def test_one_that_does_not(self, house: Any) -> None:
        body = {"imagery_id": house.upload().json()["id"], "index_type": "NDVI_emp"}
        for prefer, applied in (
            ("wait=1, respond-async", "respond-async, wait=1"),
            ("respond-async", "respond-async"),
            ("wait=0", None),
            ("wait=soon", None),
        ):
            answer = house.client.post("/analysis-runs", json=body, headers={"Prefer": prefer})
            assert (answer.status_code, answer.json()["status"]) == (202, "queued")
            assert answer.headers.get("preference-applied") == applied

    def test_a_report(self, house: Any) -> None:
        run = house.run(completed=True)
        body = {"analysis_run_id": run["id"]}

        def work() -> None:
            ((_, report),) = house.report.rows.values()
            asyncio.run(complete_report(house.report, house.storage, report))

        thread = meanwhile(house, work)
        headers = {"Prefer": "wait=20", "Idempotency-Key": "7"}
        answer = house.client.post("/reports", json=body, headers=headers)
        thread.join()
        assert (answer.status_code, answer.json()["status"]) == (200, "completed")
        again = house.client.post("/reports", json=body, headers=headers)
        assert (again.content, again.headers["preference-applied"]) == (answer.content, "wait=20")
        assert again.headers["idempotency-replayed"] == "true"

    def test_the_time_is_bounded_and_what_is_not_understood_is_no_preference(self) -> None:
        assert Preferences("wait=86400").wait_s == MAX_WAIT_S
        assert Preferences("WAIT=5;x=1, wait=9").wait_s == 5
        for text in ("", "wait", "wait=", "wait=-1", "wait=1e3", "wait=٣", "wait=" + "9" * 5000, ",,;="):
            assert Preferences(text).wait_s == 0
        assert Preferences("x, Respond-Async").is_async
