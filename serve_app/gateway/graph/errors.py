"""What clients hear of errors: the same table as REST's (`serve_app.gateway.problems`), in the form of GraphQL."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import structlog
from graphql import GraphQLError

from orthoray.errors import BadInput, OrthoRayError
from serve_app.gateway.graph.limits import too_many_tokens
from serve_app.gateway.problems import INTERNAL, status_of

MAX_ERRORS = 10
"""Of one answer; the first are the telling ones."""
MAX_MESSAGE = 1000

log = structlog.get_logger(__name__)


def shown(error: GraphQLError) -> dict[str, Any]:
    """One entry of `errors`, as the specification has it, with code and status in its extensions."""
    cause = _cause(error)
    found = status_of(cause) if cause else None
    if cause is None or found is None:
        log.error("unexpected error", field=_field(error), exc_info=error.original_error or error)
        entry = _entry(INTERNAL, "INTERNAL", 500, "Internal error", {})
    else:
        kind = type(cause).__name__
        fields = {**cause.fields, "type": f"urn:orthoray:{kind}"}
        entry = _entry(cause.detail, code_of(kind), *found, fields)
    if error.locations:
        entry["locations"] = [{"line": place.line, "column": place.column} for place in error.locations]
    if error.path is not None:
        entry["path"] = error.path
    return entry


def code_of(kind: str) -> str:
    """The name of an exception as a code: MissingBands is MISSING_BANDS."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", kind).upper()


def _cause(error: GraphQLError) -> OrthoRayError | None:
    """The exception of ours that an error stands for; None where nobody foresaw it."""
    original = error.original_error
    while isinstance(original, GraphQLError):
        original = original.original_error
    if isinstance(original, OrthoRayError):
        return original
    if "Document contains more than" in error.message and "tokens" in error.message:
        return too_many_tokens()
    is_of_a_value = error.path is None and error.locations
    if original is None or is_of_a_value:
        # GraphQL's own words of the query or a value in it, which quote nothing but them.
        return BadInput(error.message)
    return None


def _field(error: GraphQLError) -> str:
    return ".".join(str(part) for part in error.path or ())


def _entry(message: str, code: str, status: int, title: str, fields: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "message": _printable(message),
        "extensions": {**fields, "code": code, "status": status, "title": title},
    }


def _printable(message: str) -> str:
    """Within bounds, and without halves of characters, which a client may send in an escape and nobody can write."""
    cut = message if len(message) <= MAX_MESSAGE else f"{message[:MAX_MESSAGE]}..."
    return cut.encode("utf-8", "replace").decode("utf-8")
