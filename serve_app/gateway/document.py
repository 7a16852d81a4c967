"""The OpenAPI document: what FastAPI knows, with credentials, headers, examples and every error that an operation may give.

Examples stand in `examples.json`: of a schema by its name, else of an answer, a body or an error. A test walks the document, so
a new schema or route without its example fails.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from orthoray import errors
from orthoray.errors import OrthoRayError
from orthoray.idempotency import MAX_KEY_LENGTH
from serve_app.gateway.audit import READ_BY_POST
from serve_app.gateway.problems import status_of
from serve_app.gateway.scopes import NEEDED, PUBLIC_PATHS

PROBLEM = "application/problem+json"
_WRITES = {"post", "put", "patch"}

# What an operation may answer beside what follows from its path and body, by the names of `orthoray.errors`.
_RESULT = ("WrongState",)
_ANALYSED = ("MissingBands", "UnknownIndex")
_IMAGE = ("NotAnImage", "TruncatedImage", "MissingBands")
_ERRORS: Mapping[str, tuple[str, ...]] = {
    "POST /imagery": _IMAGE,
    "POST /imagery/uploads": ("WrongState",),
    "PUT /imagery/uploads/{upload_id}/parts/{number}": ("WrongState",),
    "POST /imagery/uploads/{upload_id}/complete": ("WrongState", *_IMAGE),
    "DELETE /imagery/uploads/{upload_id}": ("WrongState",),
    "POST /analysis-runs": (*_ANALYSED, "NotFound"),
    "GET /analysis-runs/{run_id}": ("BadInput",),
    "GET /analysis-runs/{run_id}/events": ("BadInput",),
    "GET /analysis-runs/{run_id}/heatmap": _RESULT,
    "GET /analysis-runs/{run_id}/index.tif": _RESULT,
    "GET /analysis-runs/{run_id}/statistics": _RESULT,
    "GET /analysis-runs/{run_id}/legend": _RESULT,
    "POST /reports": ("WrongState", "NotFound"),
    "GET /reports/{report_id}/pdf": _RESULT,
    "GET /indices": ("NotFound",),
}
_PROBLEM_SCHEMA = {
    "type": "object",
    "required": ["type", "title", "status", "detail", "instance"],
    "properties": {
        "type": {
            "type": "string",
            "description": "for programs: `urn:orthoray:...`, or about:blank where the status says it",
        },
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string", "description": "what is wrong and what to do, for people"},
        "instance": {"type": "string", "description": "the path"},
    },
}
_TEXT = {"schema": {"type": "string"}}
_NUMBER = {"schema": {"type": "integer"}}
_HEADERS: Mapping[str, dict[str, Any]] = {
    "ETag": {**_TEXT, "description": "for If-None-Match"},
    "Link": {**_TEXT, "description": 'the next page: `<...>; rel="next"`'},
    "Location": {**_TEXT, "description": "where it is"},
    "Retry-After": {**_NUMBER, "description": "seconds"},
    "Idempotency-Replayed": {**_TEXT, "description": "`true`: this is the answer that the first request got"},
    "Preference-Applied": {**_TEXT, "description": "what was honoured of Prefer"},
}
_KEY_PARAMETER = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": "a new one for each request, the same when it is sent again: it is carried out once, and the first answer "
    "repeated for a day",
    "schema": {"type": "string", "minLength": 1, "maxLength": MAX_KEY_LENGTH, "pattern": "^[!-~]+$"},
    "example": "0f3c1d6e-5a0f-4e1b-9d57-0f0d1f1c2a66",
}


def kinds() -> Iterator[type[OrthoRayError]]:
    """Every exception that clients may meet, from the one table."""
    for kind in vars(errors).values():
        if isinstance(kind, type) and issubclass(kind, OrthoRayError) and status_of(kind()):
            yield kind


def describe(app: FastAPI) -> dict[str, Any]:
    """The document of an application whose routes are all there."""
    examples = json.loads(Path(__file__).with_name("examples.json").read_text(encoding="utf-8"))
    document = get_openapi(
        title=app.title,
        version=app.version,
        description=app.description,
        routes=app.routes,
        separate_input_output_schemas=False,
    )
    components = document.setdefault("components", {})
    components["securitySchemes"] = {
        "apiKey": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
        "bearer": {"type": "http", "scheme": "bearer"},
    }
    components.setdefault("schemas", {})["Problem"] = _PROBLEM_SCHEMA
    components["headers"] = dict(_HEADERS)
    components["examples"] = {kind.__name__: _example_of(kind, examples["errors"]) for kind in kinds()}
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            name = f"{method.upper()} {path}"
            _secure(operation, name, path)
            _tell_headers(operation, method, repeats=method == "post" and path not in READ_BY_POST)
            _give_examples(operation, name, examples)
            _tell_errors(operation, name)
    return document


def _secure(operation: dict[str, Any], name: str, path: str) -> None:
    """One requirement for each scope that is enough. OpenAPI 3.1 lets every scheme name roles."""
    operation["security"] = [
        {scheme: [scope] if scope else []}
        for scheme in (() if path in PUBLIC_PATHS else ("apiKey", "bearer"))
        for scope in NEEDED[name] or ("",)
    ]


def _tell_headers(operation: dict[str, Any], method: str, *, repeats: bool) -> None:
    """`repeats`: it takes an Idempotency-Key."""
    answers = operation["responses"]
    for status, answer in answers.items():
        if not status.startswith("2"):
            continue
        kinds = answer.get("content", {})
        told = ["ETag"] if method == "get" and kinds and "text/event-stream" not in kinds else []
        if repeats:
            told += ["Idempotency-Replayed"]
            told += ["Location"] if answers.keys() & {"201", "202"} else []
        if any(one.get("name") == "prefer" for one in operation.get("parameters", ())):
            told += ["Preference-Applied"]
        if any(one.get("name") == "next" for one in operation.get("parameters", ())):
            told += ["Link"]
        if told:
            answer["headers"] = {name: {"$ref": f"#/components/headers/{name}"} for name in told}
    if repeats:
        operation.setdefault("parameters", []).append(_KEY_PARAMETER)
        if "202" in answers and "200" in answers:  # the same, when it is done in time
            answers["200"]["content"] = {
                kind: {"schema": media["schema"]} for kind, media in answers["202"]["content"].items()
            }


def _give_examples(operation: dict[str, Any], name: str, examples: Mapping[str, Any]) -> None:
    for status, answer in operation["responses"].items():
        for media in answer.get("content", {}).values():
            given = examples["answers"].get(f"{name} {status}")
            found = given if given is not None else _of_schema(media.get("schema", {}), examples)
            if found is not None:
                media["example"] = found
    for media in operation.get("requestBody", {}).get("content", {}).values():
        found = examples["bodies"].get(name) or _of_schema(media.get("schema", {}), examples)
        if found is not None:
            media["example"] = found


def _of_schema(schema: Mapping[str, Any], examples: Mapping[str, Any]) -> Any:
    for option in schema.get("anyOf", ()):
        if (found := _of_schema(option, examples)) is not None:
            return found
    name = schema.get("$ref", "").rpartition("/")[2]
    if name.startswith("Page_"):
        item = examples["schemas"].get(name.removeprefix("Page_").removesuffix("_"))
        return None if item is None else {"items": [item], "next": None}
    return examples["schemas"].get(name)


def _tell_errors(operation: dict[str, Any], name: str) -> None:
    """Every status with its kinds of problems; what FastAPI tells of 422 is not how it is here."""
    operation["responses"].pop("422", None)
    found: dict[tuple[int, str], list[str]] = {}
    for word in _kinds_of(operation, name):
        kind: type[OrthoRayError] = getattr(errors, word)
        told = status_of(kind())
        assert told is not None, word
        found.setdefault(told, []).append(word)
    for (status, title), words in sorted(found.items()):
        known = operation["responses"].get(str(status), {})
        answer: dict[str, Any] = {
            "description": known.get("description", title),
            "content": {
                **known.get("content", {}),
                PROBLEM: {
                    "schema": {"$ref": "#/components/schemas/Problem"},
                    "examples": {
                        word: {"$ref": f"#/components/examples/{word}"} for word in dict.fromkeys(words)
                    },
                },
            },
        }
        if status in {409, 429, 503, 504}:
            answer["headers"] = {"Retry-After": {"$ref": "#/components/headers/Retry-After"}}
        operation["responses"][str(status)] = answer
    operation["responses"]["default"] = {
        "description": "Another error (RFC 9457): what is wrong and what to do",
        "content": {PROBLEM: {"schema": {"$ref": "#/components/schemas/Problem"}}},
    }


def _kinds_of(operation: dict[str, Any], name: str) -> Iterator[str]:
    method, _, path = name.partition(" ")
    if path in PUBLIC_PATHS:
        return
    yield from ("NotAuthenticated", "TooMany", "Unavailable", "TimedOut")
    if NEEDED[name]:
        yield "NotAllowed"
    if "{" in path:
        yield "NotFound"
    places = {one["in"] for one in operation.get("parameters", ())}
    if method.lower() in _WRITES:
        yield from ("BadInput", "TooLarge", "TooSlow")
    if method.lower() in _WRITES or "query" in places:
        yield "Impossible"
    if any(one["name"] in {"next", "bbox"} for one in operation.get("parameters", ())):
        yield "BadInput"
    if method == "POST" and path not in READ_BY_POST:
        yield from ("InFlight", "KeyReused")
    yield from _ERRORS.get(name, ())


def _example_of(kind: type[OrthoRayError], told: Mapping[str, Any]) -> dict[str, Any]:
    status, title = status_of(kind()) or (500, "")
    own = told.get(kind.__name__, {})
    problem = {
        "type": f"urn:orthoray:{kind.__name__}",
        "title": title,
        "status": status,
        "detail": own.get("detail", ""),
        "instance": "/analysis-runs",
    }
    return {"summary": (kind.__doc__ or "").strip().partition(":")[0], "value": {**own, **problem}}
