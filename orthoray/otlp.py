"""Spans to an OpenTelemetry collector by OTLP over gRPC. Imported only where traces are wanted."""

from __future__ import annotations

import atexit
import logging
import os
import socket
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.metadata import version

import structlog
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.trace import SpanKind, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from orthoray.telemetry import Attributes

KINDS = {"internal": SpanKind.INTERNAL, "server": SpanKind.SERVER, "consumer": SpanKind.CONSUMER}
# OpenTelemetry's own variables where they are not set. Its defaults, 5 s and 10 s, are longer than Ray keeps an idle process and
# than anybody waits for one to end.
DEFAULTS = {"OTEL_BSP_SCHEDULE_DELAY": "1000", "OTEL_EXPORTER_OTLP_TIMEOUT": "3"}

log = structlog.get_logger(__name__)


class CalmExporter(SpanExporter):
    """Says once that spans do not arrive, and once that they do again."""

    def __init__(self, exporter: SpanExporter) -> None:
        self._exporter = exporter
        self.is_arriving = True
        # These would tell of every attempt.
        for name in ("opentelemetry.exporter", "opentelemetry.sdk._shared_internal"):
            logging.getLogger(name).setLevel(logging.CRITICAL)

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        result = self._exporter.export(spans)
        arrived = result is SpanExportResult.SUCCESS
        if self.is_arriving and not arrived:
            log.warning("traces are lost: nobody answers at OTEL_EXPORTER_OTLP_ENDPOINT")
        if arrived and not self.is_arriving:
            log.info("traces arrive again")
        self.is_arriving = arrived
        return result

    def shutdown(self) -> None:
        self._exporter.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        return self._exporter.force_flush(timeout_millis)


class Tracing:
    """The spans of one process. Sampling is OTEL_TRACES_SAMPLER's, by default all; a caller's decision is kept."""

    def __init__(self, service: str, exporter: SpanExporter | None = None) -> None:
        for name, value in DEFAULTS.items():
            os.environ.setdefault(name, value)
        resource = Resource.create(
            {
                "service.name": service,
                "service.namespace": "orthoray",
                "service.version": version("orthoray"),
                "service.instance.id": f"{socket.gethostname()}:{os.getpid()}",
            }
        )
        self._exporter = CalmExporter(exporter or OTLPSpanExporter())
        self._provider = TracerProvider(resource=resource, shutdown_on_exit=False)
        self._provider.add_span_processor(BatchSpanProcessor(self._exporter))
        self._tracer = self._provider.get_tracer("orthoray")
        self._propagator = TraceContextTextMapPropagator()
        # Instead of its shutdown, which waits for half a minute where nobody answers.
        atexit.register(self.flush)

    def inject(self, carrier: dict[str, str]) -> None:
        """Add `traceparent` and `tracestate` of the span that is under way."""
        self._propagator.inject(carrier)

    @contextmanager
    def span(
        self,
        name: str,
        given: Mapping[str, str],
        *,
        kind: str,
        root: bool,
        attributes: Attributes,
    ) -> Iterator[None]:
        """See `orthoray.telemetry.step`."""
        context = self._propagator.extract(given) if "traceparent" in given else None
        if not (root or trace.get_current_span(context).get_span_context().is_valid):
            yield
            return
        with self._tracer.start_as_current_span(
            name,
            context=context,
            kind=KINDS[kind],
            attributes=attributes,
            record_exception=False,
            set_status_on_exception=False,
        ) as span:
            try:
                yield
            except BaseException as error:
                span.set_attribute("error.type", type(error).__name__)
                span.set_status(StatusCode.ERROR)
                raise

    def note(self, attributes: Attributes, name: str | None, *, failed: bool) -> None:
        """See `orthoray.telemetry.note`."""
        span = trace.get_current_span()
        span.set_attributes(attributes)
        if name:
            span.update_name(name)
        if failed:
            span.set_status(StatusCode.ERROR)

    def trace_id(self) -> str | None:
        context = trace.get_current_span().get_span_context()
        return trace.format_trace_id(context.trace_id) if context.is_valid else None

    def flush(self) -> None:
        """Send what there is; takes as long as OTEL_EXPORTER_OTLP_TIMEOUT at most, and no time where nobody answered last."""
        if self._exporter.is_arriving:
            self._provider.force_flush()

    def close(self) -> None:
        """Send what there is, and end."""
        atexit.unregister(self.flush)
        self.flush()
        self._provider.shutdown()

    def flush_soon(self) -> None:
        threading.Thread(target=self.flush, name="flush traces", daemon=True).start()
