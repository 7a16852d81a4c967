"""The one table from exceptions to HTTP: every error leaves as RFC 9457 `application/problem+json`."""

from __future__ import annotations

import errno
from collections.abc import Mapping
from typing import Any

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from orthoray.errors import (
    BadInput,
    Impossible,
    NotAllowed,
    NotAnImage,
    NotAuthenticated,
    NotFound,
    OrthoRayError,
    TooLarge,
    Unavailable,
    WrongState,
)

STATUS: Mapping[type[OrthoRayError], tuple[int, str]] = {
    BadInput: (400, "Malformed request"),
    NotAuthenticated: (401, "Not authenticated"),
    NotAllowed: (403, "Not allowed"),
    NotFound: (404, "Not found"),
    WrongState: (409, "Wrong state"),
    TooLarge: (413, "Too large"),
    NotAnImage: (415, "Not an image"),
    Impossible: (422, "Cannot be done"),
    Unavailable: (503, "Unavailable"),
}
_HEADERS = {401: {"WWW-Authenticate": "Bearer"}, 503: {"Retry-After": "5"}}

log = structlog.get_logger(__name__)


class Problem(JSONResponse):
    """One problem document."""

    media_type = "application/problem+json"


def problem(
    status: int,
    title: str,
    detail: str,
    *,
    path: str,
    kind: str = "about:blank",
    fields: Mapping[str, Any] | None = None,
) -> Problem:
    content = {"type": kind, "title": title, "status": status, "detail": detail, "instance": path}
    return Problem({**(fields or {}), **content}, status_code=status, headers=_HEADERS.get(status))


def problem_of(error: OrthoRayError, path: str) -> Problem:
    """By the most special class that the table names."""
    for kind in type(error).__mro__:
        if kind in STATUS:
            status, title = STATUS[kind]
            name = type(error).__name__
            return problem(
                status, title, error.detail, path=path, kind=f"urn:orthoray:{name}", fields=error.fields
            )
    log.error("exception without a status", error=type(error).__name__)
    return _internal(path)


def _internal(path: str) -> Problem:
    return problem(500, "Internal error", "Something went wrong on our side. It has been logged.", path=path)


def install(app: FastAPI) -> None:
    """Let every exception of a route leave as a problem."""

    @app.exception_handler(OrthoRayError)
    async def ours(request: Request, error: OrthoRayError) -> Problem:
        return problem_of(error, request.url.path)

    @app.exception_handler(RequestValidationError)
    async def validation(request: Request, error: RequestValidationError) -> Problem:
        """What cannot be parsed is malformed (400); what parses but does not fit is impossible (422)."""
        path = request.url.path
        errors = [
            {"where": ".".join(str(part) for part in item["loc"]), "problem": item["msg"]}
            for item in error.errors()
        ]
        first = f"{errors[0]['where']}: {errors[0]['problem']}" if errors else "The request does not fit."
        if any(item["type"] == "json_invalid" for item in error.errors()):
            return problem(400, "Malformed request", f"The body is not JSON: {first}", path=path)
        return problem(422, "Cannot be done", first, path=path, fields={"errors": errors})

    @app.exception_handler(HTTPException)
    async def http(request: Request, error: HTTPException) -> Problem:
        answer = problem(error.status_code, str(error.detail), str(error.detail), path=request.url.path)
        answer.headers.update(error.headers or {})
        return answer

    @app.exception_handler(OSError)
    async def system(request: Request, error: OSError) -> Problem:
        if error.errno in {errno.ENOSPC, errno.EDQUOT}:
            return problem_of(Unavailable("The server's disk is full: nothing was stored."), request.url.path)
        return await unexpected(request, error)

    @app.exception_handler(Exception)
    async def unexpected(request: Request, error: Exception) -> Problem:
        log.exception("unexpected error", path=request.url.path, error=type(error).__name__)
        return _internal(request.url.path)
