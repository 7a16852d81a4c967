"""Spans that stay in memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
import structlog
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from orthoray import telemetry
from orthoray.otlp import Tracing

Spans = Callable[[], dict[str, ReadableSpan]]


@pytest.fixture
def spans(monkeypatch: pytest.MonkeyPatch) -> Iterator[Spans]:
    """Traces are on in this process; the function gives the spans that have ended, by name."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")
    exporter = InMemorySpanExporter()
    tracing = Tracing("test", exporter)
    monkeypatch.setattr(telemetry, "_tracing", tracing)

    def ended() -> dict[str, ReadableSpan]:
        tracing.flush()
        return {span.name: span for span in exporter.get_finished_spans()}

    yield ended
    structlog.contextvars.clear_contextvars()
    tracing.close()
