"""A collector of traces: OTLP over gRPC, as OpenTelemetry's exporters speak it."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import grpc
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2 as messages
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2_grpc as service


@dataclass(frozen=True)
class Span:
    service: str
    name: str
    trace: str
    id: str
    parent: str
    attributes: dict[str, Any]
    failed: bool


@dataclass
class Collector(service.TraceServiceServicer):
    """What has arrived at `endpoint`."""

    endpoint: str = ""
    spans: list[Span] = field(default_factory=list)

    def Export(self, request: Any, _context: Any) -> Any:  # noqa: N802 - the protocol's name
        for resource in request.resource_spans:
            about = _values(resource.resource.attributes)
            for scope in resource.scope_spans:
                for span in scope.spans:
                    ids = span.trace_id.hex(), span.span_id.hex(), span.parent_span_id.hex()
                    found = _values(span.attributes), span.status.code == span.status.STATUS_CODE_ERROR
                    self.spans.append(Span(about["service.name"], span.name, *ids, *found))
        return messages.ExportTraceServiceResponse()

    def of(self, trace: str) -> list[Span]:
        return [span for span in self.spans if span.trace == trace]

    def way_to(self, span: Span) -> list[tuple[str, str]]:
        """(service, name) of the span and its ancestors, the oldest first."""
        known = {span.id: span for span in self.spans}
        way = [span]
        while way[-1].parent in known:
            way.append(known[way[-1].parent])
        return [(span.service, span.name) for span in reversed(way)]


def _values(attributes: Any) -> dict[str, Any]:
    return {pair.key: getattr(pair.value, pair.value.WhichOneof("value")) for pair in attributes}


@contextmanager
def collector(port: int = 0) -> Iterator[Collector]:
    found = Collector()
    server = grpc.server(ThreadPoolExecutor(max_workers=2))
    service.add_TraceServiceServicer_to_server(found, server)
    found.endpoint = f"http://127.0.0.1:{server.add_insecure_port(f'127.0.0.1:{port}')}"
    server.start()
    try:
        yield found
    finally:
        server.stop(grace=None)
