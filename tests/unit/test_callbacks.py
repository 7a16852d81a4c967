"""Where callbacks may go, and how they are signed."""

from __future__ import annotations

import base64
import re
import textwrap
import time
from pathlib import Path
from typing import Any

import pytest

from orthoray.callbacks import (
    MAX_ATTEMPTS,
    CallbackPolicy,
    check_url,
    new_secret,
    parse_networks,
    secret_bytes,
    secret_of_tenant,
    signed_headers,
    wait_after,
)
from orthoray.errors import Impossible

POLICY = CallbackPolicy(new_secret())

PUBLIC = ["8.8.8.8", "2606:4700::1111", "64:ff9b::808:808", "::ffff:8.8.8.8", "1.1.1.1"]
PRIVATE = [
    "127.0.0.1", "127.1.2.3", "0.0.0.0", "10.0.0.1", "172.16.0.1", "192.168.1.1", "100.64.0.1", "169.254.169.254",  # noqa: S104
    "100.100.100.200", "192.0.0.192", "168.63.129.16", "198.18.0.1", "224.0.0.1", "240.0.0.1", "255.255.255.255",
    "192.0.2.1", "::", "::1", "fe80::1", "fe80::1%1", "fc00::1", "fd00:ec2::254", "fec0::1", "ff02::1", "2001:db8::1",
    "::ffff:127.0.0.1", "::ffff:169.254.169.254", "::127.0.0.1", "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe",
    "2002:7f00:1::", "2001:0:7f00:1::", "64:ff9b:1::1", "::ffff:168.63.129.16",
]  # fmt: skip


@pytest.mark.parametrize("address", PUBLIC)
def test_public_addresses_are_allowed(address: str) -> None:
    assert POLICY.allows(address)


@pytest.mark.parametrize("address", PRIVATE)
def test_addresses_within_are_not(address: str) -> None:
    assert not POLICY.allows(address)


def test_networks_can_be_allowed_and_nothing_beside_them() -> None:
    policy = CallbackPolicy(new_secret(), parse_networks("10.1.0.0/16, 127.0.0.1,fd00::/8"))
    assert all(
        policy.allows(one) for one in ("10.1.2.3", "127.0.0.1", "::ffff:127.0.0.1", "fd12::1", "8.8.8.8")
    )
    assert not any(policy.allows(one) for one in ("10.2.0.1", "127.0.0.2", "::1", "169.254.169.254"))
    assert parse_networks("") == ()
    with pytest.raises(ValueError, match=r"10\.0\.0\.1/8 is no network"):
        parse_networks("10.0.0.1/8")


@pytest.mark.parametrize(
    "url",
    [
        "https://example.org/hook?token=1",
        "http://example.org:8080",
        "https://8.8.8.8/",
        "https://[2606:4700::1111]:443/x",
        "https://xn--bcher-kva.example/",
    ],
)
def test_urls_that_may_be_called(url: str) -> None:
    assert check_url(url, POLICY).geturl() == url


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("ftp://example.org/", "https://"),
        ("example.org/hook", "https://"),
        ("https:///hook", "host"),
        ("file:///etc/passwd", "https://"),
        ("gopher://example.org/", "https://"),
        ("https://user:word@example.org/", "user or password"),
        ("https://example.org@127.0.0.1/", "user or password"),
        ("https://example.org/#x", "fragment"),
        ("https://example.org:25/", "port 25"),
        ("https://example.org:0/", "port 0"),
        ("https://example.org:99999/", "not a URL"),
        ("https://[::1/", "not a URL"),
        ("https://bücher.example/", "ASCII"),
        ("https://example.org/a b", "ASCII"),
        ("https://example.org\\@127.0.0.1/", "ASCII"),
        ("https://example.org/\r\nx: y", "ASCII"),
        ("https://example.org/" + "x" * 2048, "2048"),
        ("http://localhost:8000/", "private"),
        ("http://api.localhost./", "private"),
        ("http://127.0.0.1/", "private"),
        ("http://2130706433/", "private"),
        ("http://0x7f000001/", "private"),
        ("http://0177.0.0.1/", "private"),
        ("http://127.1/", "private"),
        ("http://0/", "private"),
        ("http://[::1]/", "private"),
        ("http://[::ffff:7f00:1]/", "private"),
        ("http://[::ffff:169.254.169.254]/", "private"),
        ("http://169.254.169.254/latest/meta-data/", "private"),
    ],
)
def test_urls_that_may_not_be_called(url: str, reason: str) -> None:
    with pytest.raises(Impossible) as refused:
        check_url(url, POLICY)
    assert reason in refused.value.detail
    assert refused.value.fields == {"parameter": "callback"}


def test_the_signature_is_that_of_the_standard() -> None:
    """The example of the reference implementations (github.com/standard-webhooks/standard-webhooks)."""
    headers = signed_headers(
        "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        "msg_p5jXN8AQM9LWM0D4loKWxJek",
        1614265330,
        b'{"test": 2432232314}',
    )
    assert headers == {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }


def test_each_tenant_has_its_own_secret() -> None:
    secret = new_secret()
    assert secret_of_tenant(secret, "default") == secret
    found = {secret_of_tenant(secret, tenant) for tenant in ("default", "a", "b")}
    assert len(found) == 3
    assert all(len(secret_bytes(one)) == 32 for one in found)
    assert secret_of_tenant(secret, "a") == secret_of_tenant(secret, "a")


@pytest.mark.parametrize(
    "secret",
    ["", "secret", "whsec_", "whsec_not base64", "sk_" + base64.b64encode(bytes(32)).decode(), "whsec_AAAA"],
)
def test_weak_secrets_are_refused(secret: str) -> None:
    with pytest.raises(ValueError, match="openssl rand"):
        secret_bytes(secret)


def test_a_secret_is_not_shown() -> None:
    assert POLICY.secret not in repr(POLICY)


def test_attempts_end() -> None:
    waits = [wait_after(number) for number in range(1, MAX_ATTEMPTS + 2)]
    assert waits[0] == 5
    assert waits[-3] is not None
    assert waits[-2:] == [None, None]


def test_the_snippet_of_the_guide_verifies() -> None:
    guide = (Path(__file__).parents[2] / "docs" / "how-to" / "receive-callbacks.md").read_text(
        encoding="utf-8"
    )
    (code,) = re.findall(r"```python\n(.*?)```", guide, re.DOTALL)
    scope: dict[str, Any] = {}
    exec(textwrap.dedent(code), scope)  # noqa: S102 - our own guide
    verified = scope["verified"]
    body, now = b'{"type": "analysis.completed"}', int(time.time())
    headers = signed_headers(POLICY.secret, "e1", now, body)
    assert verified(POLICY.secret, headers, body) == {"type": "analysis.completed"}
    several = {**headers, "webhook-signature": "v1,AAAA " + headers["webhook-signature"]}
    assert verified(POLICY.secret, several, body)
    for secret, given, text in [
        (new_secret(), headers, body),
        (POLICY.secret, headers, body + b" "),
        (POLICY.secret, {**headers, "webhook-id": "e2"}, body),
        (POLICY.secret, {**headers, "webhook-timestamp": str(now + 1)}, body),
        (POLICY.secret, signed_headers(POLICY.secret, "e1", now - 1000, body), body),
    ]:
        with pytest.raises(ValueError, match=r"too old|not signed"):
            verified(secret, given, text)
