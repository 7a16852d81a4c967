"""Errors as gRPC has them: a status code and a sentence, and beside them google.rpc.Status with what a program can read.

Which code an error has follows from its HTTP status, so there is one table of errors, that of `serve_app.gateway.problems`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import grpc
from google.protobuf.any_pb2 import Any as Packed
from google.protobuf.message import Message
from google.rpc import error_details_pb2 as details
from google.rpc import status_pb2

from orthoray.errors import OrthoRayError
from serve_app.gateway.problems import INTERNAL, status_of

# 413, 415 and 422 are no matter of time: the same call will not succeed later, which is what other codes would tell clients.
CODES: Mapping[int, grpc.StatusCode] = {
    400: grpc.StatusCode.INVALID_ARGUMENT,
    401: grpc.StatusCode.UNAUTHENTICATED,
    403: grpc.StatusCode.PERMISSION_DENIED,
    404: grpc.StatusCode.NOT_FOUND,
    408: grpc.StatusCode.ABORTED,
    409: grpc.StatusCode.FAILED_PRECONDITION,
    413: grpc.StatusCode.INVALID_ARGUMENT,
    415: grpc.StatusCode.INVALID_ARGUMENT,
    422: grpc.StatusCode.INVALID_ARGUMENT,
    429: grpc.StatusCode.RESOURCE_EXHAUSTED,
    503: grpc.StatusCode.UNAVAILABLE,
    504: grpc.StatusCode.DEADLINE_EXCEEDED,
}
DOMAIN = "orthoray"
DETAILS_KEY = "grpc-status-details-bin"
RETRY_S = 5
# All metadata of an answer have 8 kB with many clients; these travel in base64, and the sentence percent-encoded beside them.
MAX_DETAILS_BYTES = 2048
MAX_SENTENCE = 400
MAX_VIOLATIONS = 16


@dataclass(frozen=True)
class Status:
    """How an RPC that failed ends; `http` is what REST would have answered."""

    code: grpc.StatusCode
    http: int
    sentence: str
    details: bytes


def status_of_error(error: Exception, request_id: str) -> Status:
    """Of what nobody foresaw a client hears nothing but that it happened."""
    found = status_of(error) if isinstance(error, OrthoRayError) else None
    if found is None or not isinstance(error, OrthoRayError) or found[0] not in CODES:
        http, code, reason = 500, grpc.StatusCode.INTERNAL, "INTERNAL"
        sentence, fields = INTERNAL, {}
    else:
        http, code, fields = found[0], CODES[found[0]], error.fields
        reason = re.sub(r"(?<!^)(?=[A-Z])", "_", type(error).__name__).upper()
        sentence = error.detail
    if len(sentence) > MAX_SENTENCE:
        sentence = sentence[: MAX_SENTENCE - 3] + "..."
    return Status(code, http, sentence, _details(code, sentence, reason, http, fields, request_id))


def _details(
    code: grpc.StatusCode, sentence: str, reason: str, http: int, fields: Mapping[str, Any], request_id: str
) -> bytes:
    """google.rpc.Status, as bytes: without the fields where it would be too long with them."""
    always: list[Message] = [details.RequestInfo(request_id=request_id)]
    if code is grpc.StatusCode.UNAVAILABLE:
        wait = details.RetryInfo()
        wait.retry_delay.seconds = RETRY_S
        always.append(wait)
    facts = {"http_status": str(http)}
    more = {name: _text(value) for name, value in fields.items() if name != "errors"}
    violations = _violations(fields.get("errors"))
    for told, listed in (({**facts, **more}, violations), ({**facts, **more}, []), (facts, [])):
        info = details.ErrorInfo(reason=reason, domain=DOMAIN, metadata=told)
        packed = _packed(code, sentence, [info, *listed, *always])
        if len(packed) <= MAX_DETAILS_BYTES:
            break
    return packed


def _packed(code: grpc.StatusCode, sentence: str, parts: Iterable[Message]) -> bytes:
    status = status_pb2.Status(code=code.value[0], message=sentence)
    for part in parts:
        packed = Packed()
        packed.Pack(part)
        status.details.append(packed)
    data: bytes = status.SerializeToString()
    return data


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, default=str, ensure_ascii=False)


def _violations(errors: Any) -> list[Message]:
    """BadRequest of the fields that do not fit."""
    listed = [one for one in errors if isinstance(one, Mapping)] if isinstance(errors, list) else []
    if not listed:
        return []
    bad = details.BadRequest()
    for one in listed[:MAX_VIOLATIONS]:
        bad.field_violations.add(field=str(one.get("where", "")), description=str(one.get("problem", "")))
    return [bad]
