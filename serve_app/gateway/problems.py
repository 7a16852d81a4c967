"""The one table from exceptions to HTTP: every error leaves as RFC 9457 `application/problem+json`."""

from __future__ import annotations

import errno
from collections.abc import Iterable, Mapping
from typing import Any

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import ValidationError
from starlette.exceptions import HTTPException
from starlette.routing import Match, Route

from orthoray.errors import (
    BadInput,
    Impossible,
    NotAllowed,
    NotAnImage,
    NotAuthenticated,
    NotFound,
    OrthoRayError,
    TimedOut,
    TooLarge,
    TooMany,
    TooSlow,
    Unavailable,
    WrongState,
)

STATUS: Mapping[type[OrthoRayError], tuple[int, str]] = {
    BadInput: (400, "Malformed request"),
    NotAuthenticated: (401, "Not authenticated"),
    NotAllowed: (403, "Not allowed"),
    NotFound: (404, "Not found"),
    TooSlow: (408, "Request timeout"),
    WrongState: (409, "Wrong state"),
    TooLarge: (413, "Too large"),
    NotAnImage: (415, "Not an image"),
    Impossible: (422, "Cannot be done"),
    TooMany: (429, "Too many requests"),
    Unavailable: (503, "Unavailable"),
    TimedOut: (504, "Timed out"),
}
# What Starlette and FastAPI refuse by themselves; without a detail here, theirs is shown.
_HTTP: Mapping[int, tuple[str, str | None]] = {
    400: ("Malformed request", None),
    404: ("Not found", "There is nothing at this path: /docs shows what there is."),
    405: ("Method not allowed", "This path does not know this method: /docs shows which it knows."),
    411: ("Length required", None),
}
# What a path says to a method that it does not know, where that is more than usual.
_OTHER_METHODS: Mapping[str, str] = {
    "/graphql": "GraphQL is asked by POST with a JSON body, such as "
    '{"query": "{ runs(first: 10) { nodes { id status } } }"}: docs/reference/graphql.md describes it.',
}
INTERNAL = "Something went wrong on our side. It has been logged."
_HEADERS = {
    401: {"WWW-Authenticate": "Bearer"},
    # Nobody waits for the rest of the body (RFC 9110, 15.5.9).
    408: {"Connection": "close"},
    503: {"Retry-After": "5"},
    504: {"Retry-After": "5"},
}
# Of a thousand fields that do not fit, a person reads the first few; their names are the client's own.
MAX_ERRORS_TOLD = 20
MAX_PLACE = 200

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
    headers = dict(_HEADERS.get(status, {}))
    if wait_s := (fields or {}).get("retry_after_s"):
        headers["Retry-After"] = str(wait_s)
    return Problem({**(fields or {}), **content}, status_code=status, headers=headers)


def status_of(error: OrthoRayError) -> tuple[int, str] | None:
    """Status and title by the most special class that the table names."""
    return next((STATUS[kind] for kind in type(error).__mro__ if kind in STATUS), None)


def problem_of(error: OrthoRayError, path: str) -> Problem:
    found, name = status_of(error), type(error).__name__
    if found is None:
        log.error("exception without a status", error=name)
        return internal_problem(path)
    status, title = found
    return problem(status, title, error.detail, path=path, kind=f"urn:orthoray:{name}", fields=error.fields)


def internal_problem(path: str) -> Problem:
    """What a client hears of an error that nobody foresaw: nothing but that there was one."""
    return problem(500, "Internal error", INTERNAL, path=path)


def misfits(items: Iterable[Mapping[str, Any]]) -> list[dict[str, str]]:
    """What pydantic found, as clients read it: where, and what is wrong there."""
    return [
        {"where": ".".join(str(part) for part in item["loc"])[:MAX_PLACE], "problem": _words(item)}
        for item in items
    ]


def misfit(error: ValidationError) -> Impossible:
    """What pydantic refuses, as an error of ours."""
    errors = misfits(error.errors())
    return Impossible(f"{errors[0]['where']}: {errors[0]['problem']}", errors=errors)


def full_disk(error: OSError) -> Unavailable | None:
    """The one failure of the system that a client is told of; None: it is another."""
    if error.errno in {errno.ENOSPC, errno.EDQUOT}:
        return Unavailable("The server's disk is full: nothing was stored.")
    return None


def _words(item: Mapping[str, Any]) -> str:
    """Pydantic's message, or ours where a person would not understand it."""
    if item["type"] == "extra_forbidden":
        return "There is no field of this name: /docs shows those that there are."
    return str(item["msg"])


def _methods_of(app: FastAPI, request: Request) -> set[str]:
    """Every method that a route at the request's path knows; Starlette names those of one route only.

    Where a route has the path in so many words, those that would take a part of it for an id do not count.
    """
    known: dict[int, set[str]] = {}
    for entry in app.routes:
        # FastAPI keeps an included router as one entry.
        routes = entry.original_router.routes if hasattr(entry, "original_router") else [entry]
        for route in routes:
            if isinstance(route, Route) and route.matches(request.scope)[0] is not Match.NONE:
                known.setdefault(len(route.param_convertors), set()).update(route.methods or ())
    found = known[min(known)] if known else set()
    return found | ({"HEAD"} if "GET" in found else set())


def install(app: FastAPI) -> None:
    """Let every exception that is foreseen leave as a problem; the others are the middleware's."""

    @app.exception_handler(OrthoRayError)
    async def ours(request: Request, error: OrthoRayError) -> Problem:
        return problem_of(error, request.url.path)

    @app.exception_handler(RequestValidationError)
    async def validation(request: Request, error: RequestValidationError) -> Problem:
        """What cannot be parsed is malformed (400); what parses but does not fit is impossible (422)."""
        path = request.url.path
        if any(item["loc"][0] == "path" for item in error.errors()):
            if request.method not in _methods_of(app, request):  # `/imagery/uploads` taken for an id
                return await http(request, HTTPException(405))
            return problem_of(NotFound("There is nothing here: this is not an id that OrthoRay gave."), path)
        found = error.errors()
        errors = misfits(found[:MAX_ERRORS_TOLD])
        first = f"{errors[0]['where']}: {errors[0]['problem']}" if errors else "The request does not fit."
        if any(item["type"] == "json_invalid" for item in error.errors()):
            return problem(400, "Malformed request", f"The body is not JSON: {first}", path=path)
        if isinstance(error.body, bytes):  # FastAPI has not read it as JSON, since nothing said that it is
            detail = "Send the body as JSON with the header Content-Type: application/json."
            return problem(400, "Malformed request", detail, path=path)
        fields = {"errors": errors, **({"count": len(found)} if len(found) > len(errors) else {})}
        return problem(422, "Cannot be done", first, path=path, fields=fields)

    @app.exception_handler(HTTPException)
    async def http(request: Request, error: HTTPException) -> Problem:
        title, detail = _HTTP.get(error.status_code, ("Error", str(error.detail)))
        if error.status_code == 405:
            detail = _OTHER_METHODS.get(request.url.path, detail)
        answer = problem(error.status_code, title, detail or str(error.detail), path=request.url.path)
        answer.headers.update(error.headers or {})
        if error.status_code == 405:
            answer.headers["Allow"] = ", ".join(sorted(_methods_of(app, request)))
        return answer

    @app.exception_handler(OSError)
    async def system(request: Request, error: OSError) -> Problem:
        if told := full_disk(error):
            return problem_of(told, request.url.path)
        raise error
