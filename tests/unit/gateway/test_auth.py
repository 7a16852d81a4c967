"""Nothing is done for a caller without credentials."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest

from orthoray.errors import Unavailable
from serve_app.gateway import auth

PUBLIC = {"/api/ping", "/health", "/docs", "/openapi.json"}
AN_ID = "9b2f0a56-6a3b-4c5e-9d9f-0d9c6f6a1c11"


def operations(app: Any) -> list[tuple[str, str]]:
    """Every operation of the OpenAPI document, and every other route that there is."""
    documented = [
        (method.upper(), path) for path, methods in app.openapi()["paths"].items() for method in methods
    ]
    plain = [
        (method, route.path)
        for route in app.routes
        if hasattr(route, "path")
        for method in getattr(route, "methods", None) or {"GET"}
    ]
    return [
        (method, re.sub(r"{[^}]*}", AN_ID, path)) for method, path in dict.fromkeys([*documented, *plain])
    ]


def protected(app: Any) -> list[tuple[str, str]]:
    found = [(method, path) for method, path in operations(app) if path not in PUBLIC]
    assert len(found) > 15, "the routes are not found any more"
    return found


@pytest.mark.parametrize(
    "headers", [{}, {"X-API-Key": ""}, {"Authorization": "Bearer "}, {"Authorization": "Basic eDp5"}]
)
def test_without_a_key_every_route_answers_401_and_no_service_is_asked(
    house: Any, headers: dict[str, str]
) -> None:
    client = house.client_with(headers)
    for method, path in protected(house.app):
        answer = client.request(method, path)
        assert answer.status_code == 401, (method, path)
        assert answer.headers["www-authenticate"] == "Bearer"
        if method != "HEAD":
            assert answer.json()["type"] == "urn:orthoray:NotAuthenticated"
    assert house.calls == []


@pytest.mark.parametrize("headers", [{"X-API-Key": "or_wrong"}, {"Authorization": "Bearer or_wrong"}])
def test_with_a_wrong_key_every_route_answers_401_and_nothing_but_the_key_is_looked_up(
    house: Any, headers: dict[str, str]
) -> None:
    client = house.client_with(headers)
    for method, path in protected(house.app):
        assert client.request(method, path).status_code == 401, (method, path)
    assert set(house.calls) == {"identify"}


@pytest.mark.parametrize("header", ["X-API-Key", "Authorization"])
def test_a_key_opens_every_route(house: Any, header: str) -> None:
    client = house.client_with({header: house.key if header == "X-API-Key" else f"bearer {house.key}"})
    for method, path in protected(house.app):
        assert client.request(method, path).status_code not in {401, 403, 500}, (method, path)


def test_a_path_without_a_route_says_nothing_to_strangers(house: Any) -> None:
    assert house.client_with({}).get("/no-such-path").status_code == 401
    assert house.client.get("/no-such-path").status_code == 404


@pytest.mark.parametrize("path", sorted(PUBLIC))
def test_public_paths_need_no_key(house: Any, path: str) -> None:
    assert house.client_with({}).get(path).status_code == 200
    assert house.calls == []


def test_a_key_that_was_right_a_moment_ago_is_not_looked_up_again(
    house: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(3):
        house.client.get("/indices")
    assert house.calls.count("identify") == 1
    monkeypatch.setattr(auth, "REMEMBER_S", -1.0)
    house.client.get("/indices")
    assert house.calls.count("identify") == 2


def test_a_revoked_key_stops_working(house: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    assert house.client.get("/indices").status_code == 200
    house.imagery.keys = {}
    monkeypatch.setattr(auth, "REMEMBER_S", -1.0)
    assert house.client.get("/indices").status_code == 401


def test_a_key_that_is_too_long_is_not_looked_up(house: Any) -> None:
    assert house.client_with({"X-API-Key": "k" * 300}).get("/indices").status_code == 401
    assert house.calls == []


def test_keys_that_cannot_be_checked_now_are_neither_right_nor_wrong(
    house: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away(key: str) -> None:
        raise Unavailable

    monkeypatch.setattr(house.imagery, "identify", away)
    assert house.client.get("/indices").status_code == 503


def test_without_authentication_everybody_is_the_default_tenant(make_house: Callable[..., Any]) -> None:
    house = make_house("none")
    answer = house.client_with({}).post("/imagery", files={"file": ("field.png", house.png)})
    assert answer.status_code == 201
    assert [tenant for tenant, _ in house.imagery.rows.values()] == ["default"]
    assert "identify" not in house.calls


def test_another_tenant_sees_nothing(house: Any) -> None:
    run = house.run(completed=True)
    report = house.report_of(run, completed=True)
    other = house.client_with({"X-API-Key": house.other_key})
    for path in (
        f"/imagery/{run['imagery_id']}",
        f"/imagery/{run['imagery_id']}/content",
        f"/imagery/{run['imagery_id']}/thumbnail",
        f"/indices?imagery_id={run['imagery_id']}",
        f"/analysis-runs/{run['id']}",
        f"/analysis-runs/{run['id']}/heatmap",
        f"/reports/{report['id']}",
        f"/reports/{report['id']}/pdf",
    ):
        assert other.get(path).status_code == 404, path
    for path in ("/imagery", "/analysis-runs", "/reports"):
        assert other.get(path).json()["items"] == []
    for path in (f"/imagery/{run['imagery_id']}", f"/analysis-runs/{run['id']}", f"/reports/{report['id']}"):
        assert other.delete(path).status_code == 404
        assert house.client.get(path).status_code == 200
