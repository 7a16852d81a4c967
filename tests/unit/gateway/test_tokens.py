"""Tokens of an identity provider: really signed, with keys from a real server."""

from __future__ import annotations

import asyncio
import base64
import json
import time
from collections.abc import Iterator
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from jwt.algorithms import RSAAlgorithm
from provider import AUDIENCE, ISSUER, Provider, provider

from orthoray.errors import NotAllowed, NotAuthenticated, Unavailable
from orthoray.ports import Caller
from serve_app.gateway import auth
from serve_app.gateway.api import create_api
from serve_app.gateway.context import GatewayConfig
from serve_app.gateway.tokens import PublishedKeys, TokenConfig, TokenVerifier, verifier_of

NOW = int(time.time())


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture(scope="module")
def shared() -> Iterator[Provider]:
    with provider() as found:
        found.make("rsa")
        found.make("ec", "ES256")
        yield found


@pytest.fixture
def source(shared: Provider) -> Iterator[Provider]:
    """The provider with two keys; what a test does to it is undone."""
    keys, published = dict(shared.keys), list(shared.published["keys"])
    shared.asked = 0
    yield shared
    shared.keys, shared.published, shared.status = keys, {"keys": published}, 200


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def verifier(source: Provider, clock: Clock) -> TokenVerifier:
    config = TokenConfig(ISSUER, AUDIENCE, jwks_url=source.url)
    return TokenVerifier(config, PublishedKeys(source.url, clock=clock))


def identify(verifier: TokenVerifier, token: str) -> Caller:
    return asyncio.run(verifier.identify(token))


def refused(verifier: TokenVerifier, token: str, reason: str) -> None:
    with pytest.raises(NotAuthenticated, match=reason):
        identify(verifier, token)


@pytest.mark.parametrize(("kid", "algorithm"), [("rsa", "RS256"), ("ec", "ES256")])
def test_a_token_says_who_calls_and_what_they_may(
    verifier: TokenVerifier, source: Provider, kid: str, algorithm: str
) -> None:
    token = source.token(kid, algorithm=algorithm, scope="openid imagery:read reports:read other:thing")
    caller = identify(verifier, token)
    assert (caller.tenant, caller.subject, caller.name) == ("farm", "ana", "token:ana")
    assert caller.scopes == {"imagery:read", "reports:read"}
    assert caller.expires_at is not None
    assert source.asked == 1


@pytest.mark.parametrize(
    ("claims", "scopes"),
    [
        ({"scp": ["imagery:read", 5, None]}, {"imagery:read"}),
        ({"scp": "imagery:read admin"}, {"imagery:read", "admin"}),
        ({}, set()),
        ({"scope": {"admin": True}}, set()),
        ({"scope": "ADMIN admin:x"}, set()),
    ],
)
def test_scopes(verifier: TokenVerifier, source: Provider, claims: dict[str, Any], scopes: set[str]) -> None:
    without = () if "scope" in claims else ("scope",)
    assert identify(verifier, source.token(without=without, **claims)).scopes == scopes


@pytest.mark.parametrize(
    ("claims", "reason"),
    [
        ({"exp": NOW - 60}, "expired"),
        ({"nbf": NOW + 600}, "not valid yet"),
        ({"iss": "https://id.example.org/realms/other"}, "issuer"),
        ({"aud": "another-service"}, "audience"),
        ({"aud": []}, "audience|claims"),
        ({"exp": "soon"}, "malformed"),
        ({"exp": 10**30}, "no moment|malformed"),
        ({"nbf": "soon"}, "malformed"),
        ({"without": ("exp",)}, "lacks"),
        ({"without": ("iss",)}, "lacks"),
        ({"without": ("aud",)}, "lacks"),
    ],
)
def test_claims_that_do_not_fit(
    verifier: TokenVerifier, source: Provider, claims: dict[str, Any], reason: str
) -> None:
    refused(verifier, source.token(**claims), reason)


def test_clocks_may_differ_a_little(verifier: TokenVerifier, source: Provider) -> None:
    assert (
        identify(verifier, source.token(exp=int(time.time()) - 10, nbf=int(time.time()) + 10)).tenant
        == "farm"
    )
    assert identify(verifier, source.token(aud=["account", AUDIENCE])).tenant == "farm"


@pytest.mark.parametrize(
    "claims", [{"without": ("tenant",)}, {"tenant": "*"}, {"tenant": ["farm"]}, {"tenant": "Farm"}]
)
def test_a_token_without_a_tenant_opens_nothing(
    verifier: TokenVerifier, source: Provider, claims: dict[str, Any]
) -> None:
    with pytest.raises(NotAllowed, match="claim `tenant`"):
        identify(verifier, source.token(**claims))


def test_the_tenants_claim_has_the_name_of_the_setting(source: Provider) -> None:
    config = TokenConfig(ISSUER, AUDIENCE, tenant_claim="organisation", jwks_url=source.url)
    verifier = verifier_of(config)
    assert verifier is not None
    assert identify(verifier, source.token(organisation="coop")).tenant == "coop"


def test_a_wrong_signature(verifier: TokenVerifier, source: Provider) -> None:
    stranger = rsa.generate_private_key(65537, 2048)
    refused(verifier, source.token(key=stranger), "signature")
    head, _, signature = source.token().split(".")
    other = base64.urlsafe_b64encode(b'{"tenant": "other"}').decode().rstrip("=")
    refused(verifier, f"{head}.{other}.{signature}", "signature|malformed")


def test_the_key_says_the_algorithm_not_the_token(verifier: TokenVerifier, source: Provider) -> None:
    """`none`, a public key used as a shared secret, and a token that brings its own key."""
    unsigned = jwt.encode({"iss": ISSUER, "aud": AUDIENCE, "exp": NOW + 600, "tenant": "farm"}, None, "none")
    refused(verifier, unsigned, "no key|algorithm")
    refused(verifier, source.token("rsa", algorithm="RS512"), "algorithm")
    refused(verifier, source.token("rsa", key=source.keys["ec"], algorithm="ES256"), "algorithm")
    public = source.keys["rsa"].public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    refused(verifier, hmac_token(public, source), "algorithm")
    stranger = rsa.generate_private_key(65537, 2048)
    own = RSAAlgorithm.to_jwk(stranger.public_key(), as_dict=True)
    brought = {"jwk": own, "jku": "http://127.0.0.1:9/", "x5u": "http://127.0.0.1:9/"}
    refused(verifier, source.token(key=stranger, headers=brought), "signature")
    refused(verifier, source.token("theirs", key=stranger, headers=brought), "no key")


def hmac_token(secret: bytes, source: Provider) -> str:
    """HS256 by hand: PyJWT itself refuses a PEM as a secret."""
    import hashlib
    import hmac

    def encoded(data: bytes) -> str:
        return base64.urlsafe_b64encode(data).decode().rstrip("=")

    _, body, _ = source.token().split(".")
    head = encoded(json.dumps({"alg": "HS256", "typ": "JWT", "kid": "rsa"}).encode())
    return f"{head}.{body}.{encoded(hmac.digest(secret, f'{head}.{body}'.encode(), hashlib.sha256))}"


@pytest.mark.parametrize(
    "token",
    [
        "..",
        "a.b.c",
        "eyJhbGciOiJSUzI1NiJ9..",
        "x" * 9000,
        "eyJhbGciOiJSUzI1NiIsImtpZCI6NX0.e30.AA",
        "\u0416.\u0416.\u0416",
    ],
)
def test_what_is_no_token(verifier: TokenVerifier, token: str) -> None:
    refused(verifier, token, "not valid")


def test_a_key_that_is_new_is_fetched_and_one_that_is_gone_is_forgotten(
    verifier: TokenVerifier, source: Provider, clock: Clock
) -> None:
    identify(verifier, source.token())
    source.make("next", "ES256")
    fresh = source.token("next", algorithm="ES256")
    refused(verifier, fresh, "no key")  # asked a moment ago
    clock.now += 11
    assert identify(verifier, fresh).tenant == "farm"
    source.published["keys"] = source.published["keys"][-1:]
    assert identify(verifier, source.token()).tenant == "farm"
    clock.now += 601
    refused(verifier, source.token(), "no key")


def test_made_up_keys_do_not_become_questions_to_the_provider(
    verifier: TokenVerifier, source: Provider, clock: Clock
) -> None:
    for number in range(30):
        refused(verifier, source.token(f"made-up-{number}", key=source.keys["rsa"]), "no key")
    assert source.asked == 1


def test_calls_at_the_same_time_ask_the_provider_once(verifier: TokenVerifier, source: Provider) -> None:
    async def all_at_once() -> list[Caller]:
        return await asyncio.gather(*(verifier.identify(source.token()) for _ in range(20)))

    assert len(asyncio.run(all_at_once())) == 20
    assert source.asked == 1


def test_while_the_provider_is_away_the_last_keys_are_good_for_a_day(
    verifier: TokenVerifier, source: Provider, clock: Clock
) -> None:
    identify(verifier, source.token())
    source.status = 500
    clock.now += 3600
    assert identify(verifier, source.token()).tenant == "farm"
    clock.now += 60
    with pytest.raises(Unavailable, match="identity provider"):
        identify(verifier, source.token("unknown", key=source.keys["rsa"]))
    clock.now += 24 * 3600
    with pytest.raises(Unavailable):
        identify(verifier, source.token())
    source.status = 200
    clock.now += 11
    assert identify(verifier, source.token()).tenant == "farm"


@pytest.mark.parametrize(
    "published", [{}, [], {"keys": {}}, {"keys": []}, {"keys": [5, {"kty": "oct", "k": "AA"}]}, "big"]
)
def test_what_is_no_set_of_keys_is_as_good_as_none(
    verifier: TokenVerifier, source: Provider, published: Any
) -> None:
    source.published = {"keys": [], "pad": "x" * 300_000} if published == "big" else published
    with pytest.raises(Unavailable):
        identify(verifier, source.token())


def test_keys_for_other_purposes_are_not_taken(verifier: TokenVerifier, source: Provider) -> None:
    weak = rsa.generate_private_key(65537, 1024)  # noqa: S505  # that is what is tested
    entries = source.published["keys"]
    entries[0] = {**entries[0], "use": "enc"}
    entries.append({**RSAAlgorithm.to_jwk(weak.public_key(), as_dict=True), "kid": "weak"})
    refused(verifier, source.token(), "no key")
    with pytest.warns(Warning, match="below"):
        token = source.token("weak", key=weak)
    refused(verifier, token, "no key")


def test_a_provider_with_one_key_need_not_name_it(verifier: TokenVerifier, source: Provider) -> None:
    refused(verifier, source.token(None, key=source.keys["rsa"]), "no key")
    source.published["keys"] = [
        {name: value for name, value in source.published["keys"][0].items() if name != "kid"}
    ]
    verifier = TokenVerifier(TokenConfig(ISSUER, AUDIENCE), PublishedKeys(source.url))
    assert identify(verifier, source.token(None, key=source.keys["rsa"])).tenant == "farm"


def test_a_shared_secret_for_development(source: Provider) -> None:
    secret = "s" * 32
    verifier = verifier_of(TokenConfig(ISSUER, AUDIENCE, secret=secret))
    assert verifier is not None
    assert identify(verifier, source.token("any", key=secret, algorithm="HS256")).tenant == "farm"
    refused(verifier, source.token("any", key="t" * 32, algorithm="HS256"), "signature")
    refused(verifier, source.token(), "algorithm")
    assert secret not in repr(TokenConfig(ISSUER, AUDIENCE, secret=secret))


@pytest.fixture
def token_house(house: Any, source: Provider) -> Any:
    """A gateway that takes keys and tokens."""
    config = GatewayConfig(
        auth_mode="key",
        max_upload_bytes=100_000,
        imagery_bucket="imagery",
        tokens=TokenConfig(ISSUER, AUDIENCE, jwks_url=source.url),
    )
    state = house.app.state
    house.app = create_api(state.services, state.storage, config)
    house.client = house.client_with({"X-API-Key": house.key})
    return house


def test_tokens_and_keys_side_by_side(token_house: Any, source: Provider) -> None:
    assert token_house.client.get("/imagery").status_code == 200
    by_token = token_house.client_with({"Authorization": f"Bearer {source.token()}"})
    assert by_token.get("/imagery").json()["items"] == []
    record = by_token.post("/imagery", files={"file": ("field.png", token_house.png)}).json()
    assert record["object_key"].startswith("farm/")
    assert token_house.client.get(f"/imagery/{record['id']}").status_code == 404
    reader = token_house.client_with({"Authorization": f"Bearer {source.token(scope='imagery:read')}"})
    assert reader.get(f"/imagery/{record['id']}").status_code == 200
    assert reader.delete(f"/imagery/{record['id']}").status_code == 403
    stranger = token_house.client_with({"Authorization": f"Bearer {source.token(without=('tenant',))}"})
    assert stranger.get("/imagery").status_code == 403
    assert token_house.client_with({"Authorization": "Bearer a.b.c"}).get("/imagery").status_code == 401


def test_a_token_that_is_remembered_ends_all_the_same(
    token_house: Any, source: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = token_house.client_with({"Authorization": f"Bearer {source.token(exp=int(time.time()) + 3)}"})
    assert client.get("/imagery").status_code == 200
    monkeypatch.setattr(auth, "_has_expired", lambda caller: True)
    source.published = {"keys": []}
    assert client.get("/imagery").status_code == 200  # checked anew, by the keys that are known


def test_a_provider_that_is_away_from_the_start(token_house: Any, source: Provider) -> None:
    source.status = 503
    client = token_house.client_with({"Authorization": f"Bearer {source.token()}"})
    assert client.get("/imagery").status_code == 503
    assert token_house.client.get("/imagery").status_code == 200


def test_without_the_setting_a_token_is_an_unknown_key(house: Any, source: Provider) -> None:
    assert house.client_with({"Authorization": f"Bearer {source.token()}"}).get("/imagery").status_code == 401
