"""How much one caller may ask for, and how strangers are slowed down."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from typing import Any

import pytest
from starlette.testclient import TestClient

from orthoray.errors import TooMany, Unavailable
from orthoray.ports import Caller
from serve_app.gateway import auth
from serve_app.gateway.api import create_api
from serve_app.gateway.context import GatewayConfig, Services
from serve_app.gateway.limits import Limiter
from serve_app.gateway.rates import Rates

Make = Callable[..., Callable[..., TestClient]]


@pytest.fixture
def limited(house: Any) -> Make:
    """The same API with limits; then a client of it."""

    def make(**limits: int) -> Callable[..., TestClient]:
        services = Services(house.imagery, house.analysis, house.report, house.batches)
        config = GatewayConfig(
            auth_mode="key", max_upload_bytes=1_000_000, imagery_bucket="imagery", **limits
        )  # type: ignore[arg-type]  # the limits are numbers
        app = create_api(services, house.storage, config)
        return lambda key="", address="203.0.113.9": TestClient(
            app, headers={"X-API-Key": key} if key else {}, client=(address, 1)
        )

    return make


def test_a_caller_that_asks_too_often_is_told_when_to_come_back(house: Any, limited: Make) -> None:
    client_of = limited(requests_per_minute=3)
    client = client_of(house.key)
    for left in (2, 1, 0):
        answer = client.get("/indices")
        assert answer.status_code == 200
        assert answer.headers["ratelimit-policy"] == '"requests";q=3;w=60'
        assert re.fullmatch(rf'"requests";r={left};t=\d+', answer.headers["ratelimit"])
    refused = client.get("/indices")
    assert refused.status_code == 429
    assert refused.headers["content-type"] == "application/problem+json"
    assert refused.headers["x-content-type-options"] == "nosniff"
    assert 1 <= int(refused.headers["retry-after"]) <= 20
    assert refused.headers["ratelimit"] == f'"requests";r=0;t={refused.headers["retry-after"]}'
    problem = refused.json()
    assert problem["type"] == "urn:orthoray:TooMany"
    assert problem["requests_per_minute"] == 3
    assert client_of(house.other_key).get("/indices").status_code == 200


def test_what_is_refused_is_neither_read_nor_audited(house: Any, limited: Make) -> None:
    client = limited(requests_per_minute=1)(house.key)
    client.get("/indices")
    before = list(house.calls)
    answer = client.post("/imagery", files={"file": ("a.png", house.png)})
    assert answer.status_code == 429
    assert house.calls == before
    assert house.objects == []


@pytest.mark.parametrize("path", ["/health", "/api/ping", "/ready"])
def test_probes_are_not_counted(house: Any, limited: Make, path: str) -> None:
    client = limited(requests_per_minute=1)(house.key)
    for _ in range(3):
        assert client.get(path).status_code == 200
    assert "ratelimit" not in client.get(path).headers
    assert client.get("/indices").status_code == 200


def test_a_caller_has_so_many_requests_at_once_and_no_more() -> None:
    limiter = Limiter(Rates(1000), at_once=2)
    one, other = Caller(tenant="a", subject="x"), Caller(tenant="b", subject="x")
    with limiter.admitted(one), limiter.admitted(one):
        with pytest.raises(TooMany, match="2 requests at once"), limiter.admitted(one):
            pass
        with limiter.admitted(other):
            pass
    with limiter.admitted(one):
        pass


def test_a_request_that_breaks_gives_its_place_back(house: Any, limited: Make) -> None:
    client = limited(requests_at_once=1)(house.key)
    house.fail(Unavailable())
    for _ in range(3):
        assert client.get("/reports").status_code == 503
    house.fail(ZeroDivisionError())
    for _ in range(3):
        assert client.get("/reports").status_code == 500


def test_an_address_may_guess_so_often_and_its_guesses_are_not_looked_at_any_more(
    house: Any, limited: Make
) -> None:
    client_of = limited(failed_logins_per_minute=5)
    assert client_of(house.key).get("/indices").status_code == 200
    statuses = [client_of(f"or_guess-{number}").get("/indices").status_code for number in range(8)]
    assert statuses == [401] * 5 + [429] * 3
    looked_at = house.calls.count("identify")
    refused = client_of().get("/indices")
    assert refused.status_code == 429
    assert refused.json()["type"] == "urn:orthoray:TooMany"
    assert int(refused.headers["retry-after"]) >= 1
    assert house.calls.count("identify") == looked_at
    # Whoever was let in before stays in, and so does everybody elsewhere.
    assert client_of(house.key).get("/indices").status_code == 200
    assert client_of("or_wrong", "203.0.113.10").get("/indices").status_code == 401
    assert client_of(house.other_key).get("/indices").status_code == 429
    assert client_of(house.other_key, "203.0.113.10").get("/indices").status_code == 200


def test_who_was_let_in_before_is_looked_at_again_beside_guesses(
    house: Any, limited: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    client_of = limited(failed_logins_per_minute=1)
    client_of(house.key).get("/indices")
    assert client_of().get("/indices").status_code == 401
    monkeypatch.setattr(auth, "REMEMBER_S", -1.0)
    assert client_of(house.key).get("/indices").status_code == 200
    house.imagery.keys = {}
    assert client_of(house.key).get("/indices").status_code == 401
    assert client_of(house.key).get("/indices").status_code == 429, "a revoked key is a guess"


def test_right_credentials_are_no_guesses(house: Any, limited: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    client_of = limited(failed_logins_per_minute=1)
    for key in (house.key, house.other_key, house.key):
        assert client_of(key).get("/indices").status_code == 200
    with monkeypatch.context() as away:

        async def identify(key: str) -> None:
            raise Unavailable

        away.setattr(house.imagery, "identify", identify)
        assert client_of("or_unknown").get("/indices").status_code == 503
    assert client_of("or_unknown").get("/indices").status_code == 401


def test_a_hundred_guesses_at_once_are_a_hundred(house: Any) -> None:
    authenticator = auth.Authenticator(house.imagery, "key", failures=Rates(10))

    async def guess() -> list[Any]:
        tries = (authenticator.identify(f"or_{number}", "203.0.113.9") for number in range(100))
        return await asyncio.gather(*tries, return_exceptions=True)

    errors = asyncio.run(guess())
    assert sum(isinstance(error, TooMany) for error in errors) == 90
    assert house.calls.count("identify") == 10
