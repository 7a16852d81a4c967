"""Log lines that a person can read, and a machine too where LOG_FORMAT=json."""

from __future__ import annotations

import logging
import os
import sys

import structlog

from orthoray.telemetry import trace_id


def configure_logs(level: str | None = None) -> None:
    """One line an event on standard error, with the request, run and trace it belongs to. May be called again."""
    chosen = (level or os.environ.get("LOG_LEVEL", "INFO")).upper()
    as_json = os.environ.get("LOG_FORMAT", "").lower() == "json"
    renderer: structlog.typing.Processor = (
        structlog.processors.JSONRenderer() if as_json else structlog.dev.ConsoleRenderer(colors=False)
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            _add_trace_id,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(
            logging.getLevelNamesMapping().get(chosen, logging.INFO)
        ),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
    # The queue tells of every job at INFO; that is the database's history, not news.
    logging.getLogger("procrastinate").setLevel(logging.WARNING)


def _add_trace_id(
    _logger: object, _method: str, event: structlog.typing.EventDict
) -> structlog.typing.EventDict:
    if trace := trace_id():
        event["trace_id"] = trace
    return event
