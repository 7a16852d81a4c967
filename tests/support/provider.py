"""An identity provider: real keys, published by a real HTTP server, and tokens signed with them."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

ISSUER, AUDIENCE = "https://id.example.org/realms/farm", "orthoray"


class Provider:
    """`keys` by `kid`, private; what is published of them is `published`, unless a test replaces it."""

    def __init__(self) -> None:
        self.keys: dict[str, Any] = {}
        self.published: dict[str, Any] = {"keys": []}
        self.status = 200
        self.asked = 0
        self.url = ""

    def make(self, kid: str, kind: str = "RS256") -> Any:
        """A new key, published besides those that are there."""
        key: Any
        if kind == "RS256":
            key = rsa.generate_private_key(65537, 2048)
            public = RSAAlgorithm.to_jwk(key.public_key(), as_dict=True)
        else:
            key = ec.generate_private_key(ec.SECP256R1())
            public = ECAlgorithm.to_jwk(key.public_key(), as_dict=True)
        self.keys[kid] = key
        self.published["keys"].append({**public, "kid": kid, "use": "sig", "alg": kind})
        return key

    def token(
        self,
        kid: str | None = "rsa",
        *,
        algorithm: str = "RS256",
        key: Any = None,
        headers: dict[str, Any] | None = None,
        without: tuple[str, ...] = (),
        **claims: Any,
    ) -> str:
        """A token for an hour that may do everything for tenant `farm`, but for the claims that are given."""
        body = {
            "iss": ISSUER,
            "aud": AUDIENCE,
            "exp": int(time.time()) + 3600,
            "iat": int(time.time()),
            "sub": "ana",
            "tenant": "farm",
            "scope": "openid admin",
            **claims,
        }
        kept = {name: value for name, value in body.items() if name not in without}
        named = {**({"kid": kid} if kid else {}), **(headers or {})}
        return jwt.encode(kept, key or self.keys[kid or ""], algorithm, headers=named)


@contextmanager
def provider() -> Iterator[Provider]:
    """Serving on a free port until the block ends."""
    found = Provider()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            found.asked += 1
            body = json.dumps(found.published).encode()
            self.send_response(found.status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        found.url = f"http://127.0.0.1:{server.server_port}/certs"
        try:
            yield found
        finally:
            server.shutdown()
            thread.join()
