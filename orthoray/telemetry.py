"""Traces and the ids of log lines: what belongs to one request stays together over processes, queues and days.

It travels as a small mapping: W3C `traceparent` and `tracestate` (https://www.w3.org/TR/trace-context/), and the ids that log
lines bear. Traces are made where `OTEL_EXPORTER_OTLP_ENDPOINT` is set; elsewhere nothing of OpenTelemetry is imported.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Literal

import structlog

if TYPE_CHECKING:
    from orthoray.otlp import Tracing

Kind = Literal["internal", "server", "consumer"]
Attributes = Mapping[str, str | int]

IDS = ("request_id", "imagery_id", "run_id", "report_id", "batch_id")
"""What log lines and spans are found by."""
TRACE = ("traceparent", "tracestate")
"""The headers of W3C Trace Context."""
TRACED_AS = "compute"
"""What all tasks that compute are called in traces."""
ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")

log = structlog.get_logger(__name__)

# One a process, as OpenTelemetry means it: whoever starts a process says what it is called, all others only make steps.
_tracing: Tracing | None = None


def is_on() -> bool:
    """Whether the environment says where traces go."""
    if os.environ.get("OTEL_SDK_DISABLED", "").lower() == "true":
        return False
    return any(os.environ.get(name) for name in ENDPOINTS)


def start_tracing(service: str) -> None:
    """Let this process tell of its steps under the name `service`. May be called again: the first name stays."""
    global _tracing  # noqa: PLW0603 - see above
    if _tracing is not None or not is_on():
        return
    from orthoray.otlp import Tracing  # here: most installations run without it

    try:
        _tracing = Tracing(service)
    except Exception as error:  # a wrong OTEL_* variable must not keep a service from its work
        log.warning("no traces: a variable OTEL_* is wrong", reason=str(error)[:200])


def carried(*, traced: bool = True) -> dict[str, str]:
    """What goes along with a call, a job or a task that this one causes; empty outside of any request.

    Without `traced` only the ids: what follows has no span.
    """
    bound = structlog.contextvars.get_contextvars()
    found = {name: str(bound[name]) for name in IDS if name in bound}
    if traced and _tracing is not None:
        _tracing.inject(found)
    return found


@contextmanager
def step(
    name: str,
    given: Mapping[str, str] | None = None,
    *,
    kind: Kind = "internal",
    root: bool = False,
    attributes: Attributes | None = None,
) -> Iterator[None]:
    """One step of the work: a span, with the ids of `given` on it and on every log line within.

    The span continues the trace of `given`, else the one that is under way here. Where there is neither, a step that may be
    `root` begins a trace, and any other has no span. An exception is told by its class alone: messages may hold keys and paths.
    """
    given = given or {}
    with structlog.contextvars.bound_contextvars(**{key: given[key] for key in IDS if key in given}):
        if _tracing is None:
            yield
            return
        bound = structlog.contextvars.get_contextvars()
        ids = {f"orthoray.{key}": str(bound[key]) for key in IDS if key in bound}
        with _tracing.span(name, given, kind=kind, root=root, attributes={**ids, **(attributes or {})}):
            yield


def note(attributes: Attributes, *, name: str | None = None, failed: bool = False) -> None:
    """Say more about the span that is under way, if there is one; `name` is a better name for it."""
    if _tracing is not None:
        _tracing.note(attributes, name, failed=failed)


def trace_id() -> str | None:
    """32 hexadecimal digits; None outside of a trace."""
    return _tracing.trace_id() if _tracing is not None else None


def flush_soon() -> None:
    """Send what there is, beside the work: Ray may end this process soon after its task."""
    if _tracing is not None:
        _tracing.flush_soon()
