"""The OpenAPI document tells everything: examples that fit their schemas, and every error of every operation."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from orthoray.contracts import AnalysisRequest, ReportRequest
from serve_app.gateway.audit import READ_BY_POST
from serve_app.gateway.document import PROBLEM, kinds
from serve_app.gateway.problems import status_of
from serve_app.gateway.routes.uploads import UploadRequest

ERRORS_PAGE = Path(__file__).parents[3] / "docs" / "reference" / "errors.md"
# Why a run failed; no request is refused by it.
OF_WORKERS = {"NoNode"}
JSON = re.compile(r"application/(\w+\+)?json")


@pytest.fixture
def document(house: Any) -> dict[str, Any]:
    found: dict[str, Any] = house.client_with({}).get("/openapi.json").json()
    return found


def operations(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield f"{method.upper()} {path}", operation


def misfits(document: dict[str, Any], media: dict[str, Any], value: Any) -> list[str]:
    whole = {**media["schema"], "components": document["components"]}
    return [error.message for error in Draft202012Validator(whole).iter_errors(value)]


def resolved(document: dict[str, Any], one: dict[str, Any]) -> dict[str, Any]:
    if "$ref" not in one:
        return one
    found: Any = document
    for word in one["$ref"].removeprefix("#/").split("/"):
        found = found[word]
    return dict(found)


def test_every_json_answer_and_body_has_an_example_that_fits(document: dict[str, Any]) -> None:
    seen = 0
    for name, operation in operations(document):
        spoken = [
            (f"{name} {status}", answer.get("content", {}))
            for status, answer in operation["responses"].items()
            if status.startswith("2")
        ]
        if "requestBody" in operation:
            spoken.append((f"body of {name}", operation["requestBody"]["content"]))
        for where, contents in spoken:
            for kind, media in contents.items():
                if JSON.fullmatch(kind) or kind in {"multipart/form-data", "text/event-stream"}:
                    assert media.get("example") not in (None, {}, [], ""), f"{where}: no example"
                    if "schema" in media and kind != "text/event-stream":
                        assert misfits(document, media, media["example"]) == [], where
                    seen += 1
    assert seen > 25


def test_every_operation_tells_its_errors_with_examples(document: dict[str, Any]) -> None:
    told = set()
    for name, operation in operations(document):
        answers = operation["responses"]
        assert answers["default"]["content"][PROBLEM]["schema"]["$ref"].endswith("/Problem"), name
        assert operation["summary"], name
        if operation["security"]:
            assert {"401", "503"} <= answers.keys(), name
        if any(scope for needs in operation["security"] for scope in needs.values()):
            assert "403" in answers, name
        if "{" in name:
            assert "404" in answers, name
        if name.startswith("POST ") and name.removeprefix("POST ") not in READ_BY_POST:
            assert {"400", "409", "413", "422"} <= answers.keys(), name
            assert "Idempotency-Key" in [one["name"] for one in operation["parameters"]], name
        for status, answer in answers.items():
            if status.startswith(("4", "5")):
                media = answer["content"][PROBLEM]
                assert media["examples"], (name, status)
                for word, one in media["examples"].items():
                    value = resolved(document, one)["value"]
                    assert misfits(document, media, value) == [], (name, word)
                    assert value["status"] == int(status), (name, word)
                    told.add(word)
    assert told == {kind.__name__ for kind in kinds()} - OF_WORKERS


def test_lists_name_their_link_and_ids_their_place(document: dict[str, Any]) -> None:
    lists = 0
    for name, operation in operations(document):
        headers = {
            header
            for status, answer in operation["responses"].items()
            if status.startswith("2")
            for header in answer.get("headers", {})
        }
        if any(one["name"] == "next" for one in operation.get("parameters", ())):
            assert "Link" in headers, name
            lists += 1
        if operation["responses"].keys() & {"201", "202"} and name.startswith("POST "):
            assert {"Location", "Idempotency-Replayed"} <= headers, name
    assert lists >= 4


def test_bodies_of_examples_are_accepted(document: dict[str, Any]) -> None:
    for model in (AnalysisRequest, ReportRequest, UploadRequest):
        example = next(
            media["example"]
            for _, operation in operations(document)
            for media in operation.get("requestBody", {}).get("content", {}).values()
            if media["schema"].get("$ref", "").endswith(f"/{model.__name__}")
        )
        model.model_validate(example)


def test_every_error_is_on_the_reference_page() -> None:
    text = ERRORS_PAGE.read_text(encoding="utf-8")
    told = dict(re.findall(r"^\| `urn:orthoray:(\w+)` \| (\d+) \|", text, re.MULTILINE))
    table = {kind.__name__: found for kind in kinds() if (found := status_of(kind()))}
    assert told == {name: str(status) for name, (status, _) in table.items()}
    for status, title in table.values():
        assert re.search(rf"^\| {status} \| [^|]*{title}", text, re.MULTILINE), (status, title)


def test_ids_of_operations_are_unique(document: dict[str, Any]) -> None:
    ids = [operation["operationId"] for _, operation in operations(document)]
    assert len(set(ids)) == len(ids)
