"""What belongs together: spans, and the ids of log lines."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from typing import Any

import pytest
import structlog
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from structlog.testing import capture_logs

from orthoray import telemetry
from orthoray.events import cloud_event
from orthoray.otlp import DEFAULTS, CalmExporter, Tracing
from orthoray.telemetry import carried, is_on, note, start_tracing, step, trace_id

TRACE_ID, PARENT_ID = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
GIVEN = {"traceparent": f"00-{TRACE_ID}-{PARENT_ID}-01", "request_id": "r1"}
UNSAMPLED = {"traceparent": f"00-{TRACE_ID}-{PARENT_ID}-00"}


def test_a_step_continues_what_it_is_given(spans: Any) -> None:
    with step("outer", GIVEN, kind="server"):
        assert trace_id() == TRACE_ID
        handed_over = carried()
    with step("elsewhere", {**handed_over, "run_id": "7"}):
        assert structlog.contextvars.get_contextvars() == {"request_id": "r1", "run_id": "7"}
    assert structlog.contextvars.get_contextvars() == {}
    outer, elsewhere = spans()["outer"], spans()["elsewhere"]
    assert outer.parent.span_id == int(PARENT_ID, 16)
    assert elsewhere.parent.span_id == outer.context.span_id
    assert {span.context.trace_id for span in (outer, elsewhere)} == {int(TRACE_ID, 16)}
    assert dict(elsewhere.attributes) == {"orthoray.request_id": "r1", "orthoray.run_id": "7"}
    assert elsewhere.resource.attributes["service.name"] == "test"


def test_steps_within_a_step_are_its_children(spans: Any) -> None:
    async def both() -> None:
        async def inner(name: str) -> None:
            with step(name):
                await asyncio.sleep(0)

        with step("outer", root=True):
            await asyncio.gather(inner("a"), inner("b"))

    asyncio.run(both())
    found = spans()
    assert {found[name].parent.span_id for name in "ab"} == {found["outer"].context.span_id}
    assert found["outer"].parent is None


def test_what_belongs_to_no_trace_begins_none(spans: Any) -> None:
    with step("check"):
        assert trace_id() is None
        assert carried() == {}
        note({"a": 1}, name="nothing")
    assert spans() == {}


def test_calls_that_are_not_traced_carry_the_ids_alone(spans: Any) -> None:
    with step("outer", GIVEN):
        assert carried(traced=False) == {"request_id": "r1"}
    assert spans()


def test_a_failure_is_told_by_its_class_alone(spans: Any) -> None:
    with pytest.raises(ValueError, match="secret"), step("work", root=True):
        raise ValueError("/secret/path")
    span = spans()["work"]
    assert not span.status.is_ok
    assert "secret" not in span.to_json()
    assert span.attributes["error.type"] == "ValueError"


def test_a_span_can_be_told_more_while_it_is_under_way(spans: Any) -> None:
    with step("GET", root=True):
        note({"http.response.status_code": 500}, name="GET /a/{id}", failed=True)
    span = spans()["GET /a/{id}"]
    assert span.attributes["http.response.status_code"] == 500
    assert not span.status.is_ok


@pytest.mark.parametrize(
    ("sampler", "given", "sampled"),
    [
        ("always_off", {}, False),
        ("parentbased_always_off", GIVEN, True),
        ("", UNSAMPLED, False),
        ("", {}, True),
    ],
)
def test_sampling_is_opentelemetrys_and_its_callers(
    spans: Any, monkeypatch: pytest.MonkeyPatch, sampler: str, given: dict[str, str], sampled: bool
) -> None:
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", sampler)
    exporter = Refusing(SpanExportResult.SUCCESS)
    tracing = Tracing("sampled", exporter)
    monkeypatch.setattr(telemetry, "_tracing", tracing)
    with step("work", given, root=True):
        handed_over = carried()
    tracing.close()
    assert exporter.calls == int(sampled)
    assert int(handed_over["traceparent"][-2:], 16) & 1 == sampled


def test_an_event_tells_the_trace_it_came_from(spans: Any) -> None:
    with step("create", GIVEN):
        event = cloud_event("analysis", "analysis.completed", "run-1", {}, "default", occasion=1)
    assert event["traceparent"].startswith(f"00-{TRACE_ID}-")
    assert "request_id" not in event
    assert "traceparent" not in cloud_event(
        "analysis", "analysis.completed", "run-1", {}, "default", occasion=1
    )


class Refusing(SpanExporter):
    def __init__(self, result: SpanExportResult = SpanExportResult.FAILURE) -> None:
        self.result = result
        self.calls = 0

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        self.calls += 1
        return self.result


def test_one_line_says_that_spans_are_lost_and_one_that_they_are_not() -> None:
    exporter = Refusing()
    calm = CalmExporter(exporter)
    with capture_logs() as lines:
        for result in (SpanExportResult.FAILURE, SpanExportResult.FAILURE, *[SpanExportResult.SUCCESS] * 2):
            exporter.result = result
            calm.export([])
    assert [line["log_level"] for line in lines] == ["warning", "info"]


def test_nobody_waits_for_a_collector_that_does_not_answer(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "0.5")
    monkeypatch.setattr(telemetry, "_tracing", None)
    start_tracing("lonely")
    tracing = telemetry._tracing
    assert tracing is not None
    started = time.process_time()
    with capture_logs() as lines:
        for _ in range(100):
            with step("work", root=True):
                pass
        tracing.flush()
        before = time.monotonic()
        tracing.flush()
        assert time.monotonic() - before < 0.3
    assert time.process_time() - started < 2
    assert [line["event"] for line in lines] == [
        "traces are lost: nobody answers at OTEL_EXPORTER_OTLP_ENDPOINT"
    ]
    assert [record for record in caplog.records if record.levelname != "CRITICAL"] == []
    tracing.close()


def test_a_wrong_variable_costs_the_traces_and_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "soon")
    monkeypatch.setattr(telemetry, "_tracing", None)
    with capture_logs() as lines:
        start_tracing("test")
    assert lines[0]["event"] == "no traces: a variable OTEL_* is wrong"
    with step("work", GIVEN):
        assert carried() == {"request_id": "r1"}


def test_the_defaults_give_way_to_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    assert set(DEFAULTS) == {"OTEL_BSP_SCHEDULE_DELAY", "OTEL_EXPORTER_OTLP_TIMEOUT"}
    for name in DEFAULTS:
        monkeypatch.setenv(name, "7")
    Tracing("test", Refusing()).close()
    assert {os.environ[name] for name in DEFAULTS} == {"7"}


def test_opentelemetry_can_be_switched_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://127.0.0.1:9")
    assert is_on()
    monkeypatch.setenv("OTEL_SDK_DISABLED", "true")
    assert not is_on()


def test_without_the_setting_nothing_is_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in telemetry.ENDPOINTS:
        monkeypatch.delenv(name, raising=False)
    code = """if True:
        import sys
        from orthoray.telemetry import carried, start_tracing, step
        start_tracing("test")
        with step("work", {"run_id": "7"}, root=True):
            assert carried() == {"run_id": "7"}
        assert not [name for name in sys.modules if name.startswith(("opentelemetry", "grpc"))]
    """
    subprocess.run([sys.executable, "-c", code], check=True)
