"""JSON Web Tokens of an identity provider: who signed them, for whom, until when, and what they allow (RFC 7519, 8725)."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Protocol

import httpx2
import jwt
import structlog
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

from orthoray.errors import BadInput, NotAllowed, NotAuthenticated, Unavailable
from orthoray.ports import Caller
from orthoray.scopes import SCOPES
from orthoray.tenants import checked_tenant

# Clocks of two machines differ.
LEEWAY_S = 30
MAX_TOKEN_LENGTH = 8192
MAX_SUBJECT_LENGTH = 255
# Keys are asked for anew when they are this old, and for an unknown `kid`, but never more often than this.
REFRESH_S = 600.0
FETCH_AGAIN_S = 10.0
# While the provider does not answer, the last keys are good for this long.
STALE_S = 24 * 3600.0
FETCH_TIMEOUT_S = 5.0
MAX_JWKS_BYTES = 256 * 1024
MIN_RSA_BITS = 2048

_NOT_VALID = "This token is not valid"

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class TokenConfig:
    """Whose tokens are taken: by published keys (`jwks_url`), or by a shared secret in development."""

    issuer: str
    audience: str
    tenant_claim: str = "tenant"
    jwks_url: str | None = None
    secret: str | None = field(default=None, repr=False)


@dataclass(frozen=True)
class SigningKey:
    """A key and the one algorithm that it is used with: the token's own word for it counts for nothing."""

    key: Any
    algorithm: str


class KeySource(Protocol):
    async def find(self, kid: str | None) -> SigningKey:
        """
        Raises:
            NotAuthenticated: there is no such key.
            Unavailable: that cannot be known now.
        """


class SharedSecret:
    """For development: everybody who can check a token can make one."""

    def __init__(self, secret: str) -> None:
        self._key = SigningKey(secret.encode(), "HS256")

    async def find(self, kid: str | None) -> SigningKey:
        return self._key


class PublishedKeys:
    """The keys at a provider's JWKS address (RFC 7517), remembered."""

    def __init__(self, url: str, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._url = url
        self._clock = clock
        self._keys: Mapping[str | None, SigningKey] = {}
        self._fetched_at: float | None = None
        self._tried_at: float | None = None
        self._failed = False
        self._lock = asyncio.Lock()

    async def find(self, kid: str | None) -> SigningKey:
        if self._age(self._fetched_at) > REFRESH_S or kid not in self._keys:
            await self._refresh(kid)
        if self._age(self._fetched_at) > STALE_S or (self._failed and kid not in self._keys):
            raise Unavailable(
                "The identity provider's keys cannot be read at the moment: try again in a few seconds."
            )
        try:
            return self._keys[kid]
        except KeyError:
            raise NotAuthenticated(f"{_NOT_VALID}: the identity provider has no key of its `kid`.") from None

    def _age(self, since: float | None) -> float:
        return float("inf") if since is None else self._clock() - since

    async def _refresh(self, kid: str | None) -> None:
        """Fetch the keys, unless somebody has tried a moment ago; the old ones stay when that fails."""
        async with self._lock:
            fresh = self._age(self._fetched_at) <= REFRESH_S and kid in self._keys
            if fresh or self._age(self._tried_at) < FETCH_AGAIN_S:
                return
            self._tried_at = self._clock()
            try:
                self._keys = read_keys(await self._fetch())
            except (httpx2.HTTPError, TimeoutError, ValueError) as error:
                self._failed = True
                log.warning("keys of the identity provider not read", url=self._url, reason=str(error)[:200])
            else:
                self._failed = False
                self._fetched_at = self._clock()

    async def _fetch(self) -> Any:
        async with (
            asyncio.timeout(FETCH_TIMEOUT_S),
            httpx2.AsyncClient(timeout=FETCH_TIMEOUT_S, follow_redirects=False) as client,
            client.stream("GET", self._url, headers={"Accept": "application/json"}) as answer,
        ):
            answer.raise_for_status()
            document = b""
            async for piece in answer.aiter_bytes():
                document += piece
                if len(document) > MAX_JWKS_BYTES:
                    raise ValueError("the document is too large")
        return json.loads(document)


def read_keys(document: Any) -> dict[str | None, SigningKey]:
    """The keys of a JWKS by `kid` that can check RS256 or ES256; others are passed over.

    A set of one key is also found by tokens that name none.

    Raises:
        ValueError: there is none, or it is no JWKS.
    """
    listed = document.get("keys") if isinstance(document, dict) else None
    found: dict[str | None, SigningKey] = {}
    for entry in listed if isinstance(listed, list) else []:
        if isinstance(entry, dict) and (key := _signing_key(entry)):
            found[str(entry["kid"]) if "kid" in entry else None] = key
    if not found:
        raise ValueError("it has no list `keys` with one for RS256 or ES256")
    if len(found) == 1:
        found[None] = next(iter(found.values()))
    return found


def _signing_key(entry: Mapping[str, Any]) -> SigningKey | None:
    if (
        entry.get("use", "sig") != "sig" or "d" in entry
    ):  # not for signatures, or a private key that should not be there
        return None
    kind = (entry.get("kty"), entry.get("crv"))
    try:
        if kind == ("RSA", None) and entry.get("alg", "RS256") == "RS256":
            rsa: Any = RSAAlgorithm.from_jwk(dict(entry))
            return SigningKey(rsa, "RS256") if rsa.key_size >= MIN_RSA_BITS else None
        if kind == ("EC", "P-256") and entry.get("alg", "ES256") == "ES256":
            return SigningKey(ECAlgorithm.from_jwk(dict(entry)), "ES256")
    except (jwt.PyJWTError, ValueError):
        return None
    return None


class TokenVerifier:
    """Turns a token into a caller. Only the key says which algorithm is right; `jku`, `jwk` and `x5u` are never read."""

    def __init__(self, config: TokenConfig, keys: KeySource) -> None:
        self._config = config
        self._keys = keys

    async def identify(self, token: str) -> Caller:
        """
        Raises:
            NotAuthenticated: it is malformed, not signed by the provider, not for us, too old or too new.
            NotAllowed: it names no tenant.
            Unavailable: the provider's keys are not known.
        """
        if len(token) > MAX_TOKEN_LENGTH:
            raise NotAuthenticated(f"{_NOT_VALID}: it is too long.")
        try:
            kid = jwt.get_unverified_header(token).get("kid")
        except (jwt.PyJWTError, ValueError, TypeError):
            raise NotAuthenticated(f"{_NOT_VALID}: it is malformed.") from None
        if kid is not None and not isinstance(kid, str):
            raise NotAuthenticated(f"{_NOT_VALID}: it is malformed.")
        return self._caller(self._claims(token, await self._keys.find(kid)))

    def _claims(self, token: str, key: SigningKey) -> dict[str, Any]:
        try:
            return jwt.decode(
                token,
                key.key,
                algorithms=[key.algorithm],
                audience=self._config.audience,
                issuer=self._config.issuer,
                leeway=LEEWAY_S,
                options={"require": ["exp", "iss", "aud"]},
            )
        except jwt.ExpiredSignatureError:
            raise NotAuthenticated(
                "This token has expired: get a new one from the identity provider."
            ) from None
        except jwt.PyJWTError as error:
            raise NotAuthenticated(f"{_NOT_VALID}: {_reason(error)}") from None
        except (ValueError, TypeError, OverflowError):  # claims of kinds that nobody expects
            raise NotAuthenticated(f"{_NOT_VALID}: a claim is malformed.") from None

    def _caller(self, claims: Mapping[str, Any]) -> Caller:
        tenant = claims.get(self._config.tenant_claim)
        try:
            tenant = checked_tenant(tenant if isinstance(tenant, str) else "")
        except BadInput:
            raise NotAllowed(
                f"The claim `{self._config.tenant_claim}` of this token names no tenant: "
                "the identity provider has to put it there, as text."
            ) from None
        subject = claims.get("sub") or claims.get("client_id") or claims.get("azp")
        try:
            expires_at = datetime.fromtimestamp(int(claims["exp"]), UTC)
        except (ValueError, OverflowError, OSError):
            raise NotAuthenticated(f"{_NOT_VALID}: its `exp` is no moment.") from None
        return Caller(
            tenant=tenant,
            subject=str(subject or "unknown")[:MAX_SUBJECT_LENGTH],
            scopes=frozenset(_scopes(claims)) & frozenset(SCOPES),
            expires_at=expires_at,
        )


def _scopes(claims: Mapping[str, Any]) -> list[str]:
    """Of `scope` (RFC 8693: words), else `scp` (words or a list); those that are not ours are another service's."""
    given = claims.get("scope", claims.get("scp", ""))
    words = given.split() if isinstance(given, str) else given if isinstance(given, list) else []
    return [word for word in words if isinstance(word, str)]


_REASONS: tuple[tuple[type[Exception], str], ...] = (
    (jwt.InvalidAudienceError, "its audience is another."),
    (jwt.InvalidIssuerError, "its issuer is another."),
    (jwt.ImmatureSignatureError, "it is not valid yet."),
    (jwt.InvalidAlgorithmError, "it is signed with another algorithm than its key is for."),
    (jwt.InvalidSignatureError, "its signature is wrong."),
    (jwt.MissingRequiredClaimError, "it lacks one of the claims exp, iss, aud."),
)


def _reason(error: Exception) -> str:
    return next((words for kind, words in _REASONS if isinstance(error, kind)), "it is malformed.")


def looks_like_token(credentials: str) -> bool:
    """API keys have no dots; a token in compact form has two."""
    return credentials.count(".") == 2


def verifier_of(config: TokenConfig | None) -> TokenVerifier | None:
    """None where tokens are not taken."""
    if config is None:
        return None
    if config.jwks_url:
        return TokenVerifier(config, PublishedKeys(config.jwks_url))
    assert config.secret is not None, "the settings ask for one of the two"
    return TokenVerifier(config, SharedSecret(config.secret))
