"""Errors of ours as codes, sentences and details."""

from __future__ import annotations

from typing import Any

import grpc
import pytest
from google.rpc import error_details_pb2, status_pb2

from orthoray.errors import (
    BadInput,
    ConfigurationError,
    Impossible,
    MissingBands,
    NotAllowed,
    NotFound,
    OrthoRayError,
    TooLarge,
    TruncatedImage,
    Unavailable,
    WrongState,
)
from serve_app.gateway.problems import STATUS
from serve_app.rpc.statuses import CODES, MAX_DETAILS_BYTES, MAX_SENTENCE, status_of_error


def told(error: Exception) -> tuple[status_pb2.Status, dict[str, Any]]:
    """google.rpc.Status, and its details by name."""
    status = status_pb2.Status.FromString(status_of_error(error, "mine").details)
    found = {}
    for packed in status.details:
        kind = getattr(error_details_pb2, packed.type_url.rpartition(".")[2])
        found[kind.__name__] = kind.FromString(packed.value)
    return status, found


def test_every_status_of_the_one_table_has_a_code() -> None:
    assert {http for http, _ in STATUS.values()} <= set(CODES)


@pytest.mark.parametrize(
    ("error", "code", "reason"),
    [
        (BadInput(), "INVALID_ARGUMENT", "BAD_INPUT"),
        (NotAllowed(), "PERMISSION_DENIED", "NOT_ALLOWED"),
        (NotFound(), "NOT_FOUND", "NOT_FOUND"),
        (WrongState(), "FAILED_PRECONDITION", "WRONG_STATE"),
        (TooLarge(), "INVALID_ARGUMENT", "TOO_LARGE"),
        (TruncatedImage(), "INVALID_ARGUMENT", "TRUNCATED_IMAGE"),
        (MissingBands(), "INVALID_ARGUMENT", "MISSING_BANDS"),
        (Unavailable(), "UNAVAILABLE", "UNAVAILABLE"),
    ],
)
def test_codes_and_reasons(error: OrthoRayError, code: str, reason: str) -> None:
    status, found = told(error)
    assert status_of_error(error, "mine").code.name == code
    assert (status.code, status.message) == (getattr(grpc.StatusCode, code).value[0], error.detail)
    assert (found["ErrorInfo"].reason, found["ErrorInfo"].domain) == (reason, "orthoray")
    assert found["RequestInfo"].request_id == "mine"
    assert ("RetryInfo" in found) == (code == "UNAVAILABLE")


def test_fields_travel_along() -> None:
    _, found = told(MissingBands("No N.", missing_bands=["N", "RE1"], index="NDRE"))
    assert dict(found["ErrorInfo"].metadata) == {
        "http_status": "422",
        "missing_bands": '["N", "RE1"]',
        "index": "NDRE",
    }
    _, found = told(Impossible("x", errors=[{"where": "limit", "problem": "too large"}]))
    (violation,) = found["BadRequest"].field_violations
    assert (violation.field, violation.description) == ("limit", "too large")


@pytest.mark.parametrize(
    "error", [ValueError("/srv/secret"), OrthoRayError("select 1"), ConfigurationError("x")]
)
def test_of_the_unforeseen_nothing_is_told(error: Exception) -> None:
    status = status_of_error(error, "mine")
    assert status.code is grpc.StatusCode.INTERNAL
    assert status.sentence == "Something went wrong on our side. It has been logged."
    assert str(error).encode() not in status.details


def test_long_ones_fit_into_metadata() -> None:
    error = Impossible("я" * 5000, errors=[{"where": "x" * 900, "problem": "y" * 900}] * 50, more="z" * 9000)
    status = status_of_error(error, "mine")
    assert len(status.sentence) == MAX_SENTENCE
    assert len(status.details) <= MAX_DETAILS_BYTES
    assert told(error)[1]["ErrorInfo"].metadata["http_status"] == "422"
