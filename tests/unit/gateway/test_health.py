"""Is it up, and can it work?"""

from __future__ import annotations

from typing import Any

import pytest

from orthoray.errors import Unavailable


@pytest.mark.parametrize("path", ["/api/ping", "/health"])
def test_alive(house: Any, path: str) -> None:
    house.fail(Unavailable())
    assert house.client_with({}).get(path).json() == {"status": "ok", "service": "api-gateway"}


def test_ready(house: Any) -> None:
    assert house.client.get("/ready").json() == {"status": "ready"}


def test_not_ready_names_what_does_not_answer(house: Any) -> None:
    house.imagery.failures = {"storage": "The storage does not answer."}
    house.report.error = Unavailable("The report-service does not answer.")
    answer = house.client.get("/ready")
    assert answer.status_code == 503
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["failures"] == {
        "storage": "The storage does not answer.",
        "report-service": "The report-service does not answer.",
    }
    assert "storage, report-service" in answer.json()["detail"]


def test_the_document_describes_every_route_with_credentials_and_errors(house: Any) -> None:
    document = house.client.get("/openapi.json").json()
    for path, operations in document["paths"].items():
        for operation in operations.values():
            assert "application/problem+json" in operation["responses"]["default"]["content"]
            assert bool(operation["security"]) == (path not in {"/api/ping", "/health"})
    form = document["paths"]["/imagery"]["post"]["requestBody"]["content"]["multipart/form-data"]["schema"]
    assert set(form["properties"]) == {
        "file", "captured_at", "gps_lat", "gps_lon", "sensor", "bands", "scale", "offset",
    }  # fmt: skip
    assert form["properties"]["file"]["items"]["format"] == "binary"
