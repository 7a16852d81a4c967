"""Where a request comes from: what the connection says, and what proxies say of it."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orthoray.callbacks import parse_networks
from serve_app.gateway.peers import address_of, address_of_peer


def scope(client: Any, *forwarded: str) -> dict[str, Any]:
    headers = [(b"x-forwarded-for", value.encode("latin-1")) for value in forwarded]
    return {"type": "http", "client": client, "headers": headers}


TRUSTED = parse_networks("10.0.0.0/8, fd00::/8")


@pytest.mark.parametrize(
    ("client", "forwarded", "address"),
    [
        (("203.0.113.9", 1), [], "203.0.113.9"),
        (("203.0.113.9", 1), ["198.51.100.1"], "203.0.113.9"),
        (("10.0.0.1", 1), [], "10.0.0.1"),
        (("10.0.0.1", 1), ["198.51.100.1"], "198.51.100.1"),
        (("10.0.0.1", 1), ["6.6.6.6, 198.51.100.1"], "198.51.100.1"),
        (("10.0.0.1", 1), ["6.6.6.6", "198.51.100.1, 10.0.0.7"], "198.51.100.1"),
        (("10.0.0.1", 1), ["6.6.6.6, rubbish"], "10.0.0.1"),
        (("10.0.0.1", 1), ["10.0.0.3"], "10.0.0.3"),
        (("fd00::1", 1), ["2001:db8:1:2:3:4:5:6"], "2001:db8:1:2::/64"),
        (("2001:db8::1", 1), [], "2001:db8::/64"),
        (("::ffff:203.0.113.9", 1), [], "203.0.113.9"),
        (None, ["198.51.100.1"], "unknown"),
        (("testclient", 1), [], "unknown"),
    ],
)
def test_only_a_trusted_proxys_word_counts(client: Any, forwarded: list[str], address: str) -> None:
    assert address_of(scope(client, *forwarded), TRUSTED) == address


def test_nobody_is_trusted_unless_somebody_is_named() -> None:
    assert address_of(scope(("127.0.0.1", 1), "198.51.100.1")) == "127.0.0.1"


@given(st.lists(st.text(st.characters(max_codepoint=255), max_size=60), max_size=4), st.text(max_size=40))
def test_whatever_the_header_says(forwarded: list[str], client: str) -> None:
    found = address_of(scope((client, 0), *forwarded), TRUSTED)
    assert found
    assert address_of(scope(("10.0.0.1", 0), *forwarded), TRUSTED)


@pytest.mark.parametrize(
    ("peer", "address"),
    [
        ("ipv4:192.0.2.1:50000", "192.0.2.1"),
        ("ipv6:[2001:db8::1]:50000", "2001:db8::/64"),
        ("ipv6:%5B2001:db8::1%5D:50000", "2001:db8::/64"),
        ("unix:/tmp/socket", "unknown"),
        ("", "unknown"),
    ],
)
def test_the_other_end_of_a_call(peer: str, address: str) -> None:
    assert address_of_peer(peer) == address
