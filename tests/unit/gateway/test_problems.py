"""Every error leaves as a problem document that tells no secrets."""

from __future__ import annotations

import errno
import inspect
from typing import Any

import pytest

from orthoray import errors
from orthoray.errors import MissingBands, OrthoRayError, Unavailable, WrongState
from serve_app.gateway.problems import STATUS

AN_ID = "9b2f0a56-6a3b-4c5e-9d9f-0d9c6f6a1c11"
MEMBERS = {"type", "title", "status", "detail", "instance"}
KINDS = [kind for _, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, OrthoRayError)]
OURS = {errors.ConfigurationError, OrthoRayError}
EXPECTED = {
    "BadInput": 400, "NotAuthenticated": 401, "NotAllowed": 403, "NotFound": 404, "WrongState": 409, "TooLarge": 413,
    "NotAnImage": 415, "TruncatedImage": 415, "Impossible": 422, "MissingBands": 422, "UnknownIndex": 422,
    "InFlight": 409, "KeyReused": 422, "TooSlow": 408, "TooMany": 429,
    "Unavailable": 503, "NoNode": 503, "TimedOut": 504, "ConfigurationError": 500, "OrthoRayError": 500,
}  # fmt: skip


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_every_exception_has_its_status_and_shape(house: Any, kind: type[OrthoRayError]) -> None:
    house.fail(kind("What is wrong and what to do.", help_field=[1, 2]))
    answer = house.client.get(f"/imagery/{AN_ID}")
    body = answer.json()
    assert answer.status_code == body["status"] == EXPECTED[kind.__name__]
    assert answer.headers["content-type"] == "application/problem+json"
    assert set(body) >= MEMBERS
    assert body["instance"] == f"/imagery/{AN_ID}"
    if kind in OURS:
        assert "What is wrong" not in answer.text
    else:
        assert body["detail"] == "What is wrong and what to do."
        assert body["help_field"] == [1, 2]
        assert body["type"] == f"urn:orthoray:{kind.__name__}"


def test_the_table_is_total() -> None:
    for kind in set(KINDS) - OURS:
        assert any(base in STATUS for base in kind.__mro__), kind


@pytest.mark.parametrize(
    ("error", "header", "value"),
    [
        (errors.TooMany("Wait.", retry_after_s=7), "retry-after", "7"),
        (errors.Unavailable("Away.", retry_after_s=60), "retry-after", "60"),
        (errors.Unavailable(), "retry-after", "5"),
        (errors.TimedOut(), "retry-after", "5"),
        (errors.TooSlow(), "connection", "close"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_may_pass_says_when(house: Any, error: OrthoRayError, header: str, value: str) -> None:
    house.fail(error)
    assert house.client.get(f"/imagery/{AN_ID}").headers[header] == value


def test_fields_cannot_replace_the_members_of_a_problem(house: Any) -> None:
    house.fail(WrongState("Not now.", status="queued", title="x"))
    body = house.client.get(f"/imagery/{AN_ID}").json()
    assert (body["status"], body["title"]) == (409, "Wrong state")


def test_fields_of_a_special_error_reach_the_client(house: Any) -> None:
    house.fail(MissingBands("NDVI needs N.", missing_bands=["N"]))
    assert house.client.get(f"/imagery/{AN_ID}").json()["missing_bands"] == ["N"]


def test_a_service_that_is_away_says_when_to_come_back(house: Any) -> None:
    house.fail(Unavailable())
    answer = house.client.get("/imagery")
    assert answer.status_code == 503
    assert int(answer.headers["retry-after"]) > 0


@pytest.mark.parametrize(
    "error", [RuntimeError("/secret/path of postgresql://u:p@h"), PermissionError(13, "no", "/secret/path")]
)
def test_an_unexpected_error_tells_the_log_but_not_the_client(
    house: Any, error: Exception, logs: Any
) -> None:
    house.fail(error)
    answer = house.client.get("/imagery")
    assert answer.status_code == 500
    assert answer.headers["content-type"] == "application/problem+json"
    assert set(answer.json()) == MEMBERS
    for secret in ("secret", "postgresql", "Error", "Traceback"):
        assert secret not in answer.text.replace("Internal error", "")
    assert answer.headers["x-request-id"]
    told = [line for line in logs if line["log_level"] == "error"]
    assert [line["exc_info"] for line in told] == [True]
    assert [line["status"] for line in logs if line["event"] == "request"] == [500]


def test_a_full_disk_is_not_the_clients_fault(house: Any) -> None:
    house.fail(OSError(errno.ENOSPC, "No space left on device", "/secret/path"))
    answer = house.client.get("/imagery")
    assert answer.status_code == 503
    assert "disk is full" in answer.json()["detail"]
    assert "secret" not in answer.text


@pytest.mark.parametrize(
    ("method", "path", "options", "status"),
    [
        ("POST", "/analysis-runs", {"content": b'{"imagery_id": ', "headers": {"content-type": "application/json"}}, 400),
        ("POST", "/analysis-runs", {"json": {}}, 422),
        ("POST", "/analysis-runs", {"json": {"imagery_id": AN_ID, "colour": "red"}}, 422),
        ("POST", "/analysis-runs", {"json": {"imagery_id": "7"}}, 422),
        ("POST", "/analysis-runs", {"json": {"imagery_id": AN_ID, "thresholds": [1, 2]}}, 422),
        ("POST", "/analysis-runs", {"json": {"imagery_id": AN_ID, "language": "de"}}, 422),
        ("POST", "/analysis-runs", {"json": {"imagery_id": AN_ID, "index_type": ""}}, 422),
        ("POST", "/analysis-runs", {"json": {"imagery_id": AN_ID}}, 404),
        ("POST", "/reports", {"json": {"analysis_run_id": AN_ID, "x": 1}}, 422),
        ("POST", "/reports", {"json": {"analysis_run_id": AN_ID}}, 404),
        ("POST", "/reports", {"content": b"\xff\xfe", "headers": {"content-type": "application/json"}}, 400),
        ("GET", "/imagery/7", {}, 404),
        ("GET", f"/imagery/{AN_ID}", {}, 404),
        ("GET", "/imagery?limit=0", {}, 422),
        ("GET", "/imagery?limit=201", {}, 422),
        ("GET", "/imagery?next=nonsense", {}, 400),
        ("GET", "/analysis-runs?status=done", {}, 422),
        ("GET", f"/analysis-runs/{AN_ID}?expand=secrets", {}, 400),
        ("GET", "/indices?imagery_id=x", {}, 422),
        ("PUT", "/imagery", {}, 405),
        ("GET", "/nothing", {}, 404),
    ],
)  # fmt: skip
def test_what_a_client_does_wrong(
    house: Any, method: str, path: str, options: dict[str, Any], status: int
) -> None:
    answer = house.client.request(method, path, **options)
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert set(answer.json()) >= MEMBERS
    assert answer.headers["x-request-id"]


def test_validation_names_the_field(house: Any) -> None:
    body = house.client.post("/analysis-runs", json={"imagery_id": AN_ID, "colour": "red"}).json()
    assert [item["where"] for item in body["errors"]] == ["body.colour"]


def test_a_method_that_is_not_allowed_names_those_that_are(house: Any) -> None:
    assert house.client.put("/imagery").headers["allow"] == "GET, HEAD, POST"
