"""Callbacks: where the end of a run or report may be told to, and how such a message is signed. Pure.

The signature is that of https://www.standardwebhooks.com.

Whoever asks for one names an address that a machine inside the network then talks to. So every address is checked, by
what it is and not by how it is written, both here and again at the moment of connecting (`actors.callbacks`).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import ipaddress
import secrets
import socket
from dataclasses import dataclass, field
from urllib.parse import SplitResult, urlsplit

from orthoray.contracts import DEFAULT_TENANT, CallbackStatus
from orthoray.errors import Impossible

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

NO_CALLBACKS = "This installation sends no callbacks: its operator has to set WEBHOOK_SECRET."
MAX_URL = 2048
WAITS_S = (5, 30, 120, 600, 1800, 3600, 7200, 14_400, 28_800)
"""Between the attempts to deliver: the last one follows after about 16 hours."""
MAX_ATTEMPTS = len(WAITS_S) + 1

SECRET_PREFIX = "whsec_"  # noqa: S105 - what secrets begin with
SECRET_BYTES = 32
_ALLOWED_LENGTHS = range(24, 65)
_RULE = (
    "give whsec_ and 24 to 64 random bytes in base64, for instance what this prints: "
    "echo whsec_$(openssl rand -base64 32)"
)

# Ports below 1024 belong to other protocols, which a POST could be mistaken for.
_LOW_PORTS = {80, 443}
_FIRST_FREE_PORT = 1024
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
_NOT_PUBLIC = [
    ipaddress.ip_network(network)
    for network in (
        # What older releases of Python take for public; a cloud's metadata service is in the first one.
        *("192.0.0.0/24", "64:ff9b:1::/48", "3fff::/20", "5f00::/16", "fec0::/10"),
        # Where Azure's machines find their host, though it is a public address.
        "168.63.129.16/32",
        # IPv6 addresses with an IPv4 address in them (compatible, Teredo, 6to4): ways around, which nobody is called by.
        *("::/96", "2001::/32", "2002::/16"),
    )
]


@dataclass(frozen=True)
class CallbackPolicy:
    """What an installation allows, and the secret that it signs with."""

    secret: str = field(repr=False)
    networks: tuple[Network, ...] = ()
    """Private networks that callbacks may go to."""

    def allows(self, address: str) -> bool:
        """Whether a connection to this numeric address may be made: public ones, and those of `networks`."""
        found = _plain(ipaddress.ip_address(address))
        return is_public(found) or any(
            found.version == network.version and found in network for network in self.networks
        )


def parse_networks(text: str) -> tuple[Network, ...]:
    """Networks and single addresses, separated by commas.

    Raises:
        ValueError: names the part that is neither.
    """
    found = []
    for part in filter(None, (word.strip() for word in text.split(","))):
        try:
            found.append(ipaddress.ip_network(part))
        except ValueError:
            raise ValueError(f"{part} is no network such as 10.0.0.0/8, fd00::/8 or 192.168.1.20") from None
    return tuple(found)


def is_public(address: Address) -> bool:
    """Whether an address belongs to the open Internet."""
    address = _plain(address)
    if any(address.version == network.version and address in network for network in _NOT_PUBLIC):
        return False
    return address.is_global and not (address.is_multicast or address.is_reserved)


def _plain(address: Address) -> Address:
    """The IPv4 address that stands within an IPv6 one, where a network would unwrap it too."""
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped:
            return address.ipv4_mapped
        if address in _NAT64:
            return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address


def check_callback(url: str | None, policy: CallbackPolicy | None) -> None:
    """
    Raises:
        Impossible: a callback is wanted, and this installation sends none, or none to such a URL.
    """
    if url is None:
        return
    if policy is None:
        raise Impossible(NO_CALLBACKS, parameter="callback")
    check_url(url, policy)


def host_of(url: str) -> str:
    """The host of a callback that was checked."""
    return urlsplit(url).hostname or ""


def check_url(url: str, policy: CallbackPolicy) -> SplitResult:
    """The parts of a callback's URL.

    A name is not looked up here, for it may mean something else later; a numeric host is judged at once, also one that is
    written as a single or a hexadecimal number.

    Raises:
        Impossible: says what is wrong with it.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise _refused("is not a URL") from None
    if len(url) > MAX_URL or not url.isascii() or not url.isprintable() or " " in url or "\\" in url:
        raise _refused(f"may have up to {MAX_URL} ASCII characters without spaces and backslashes")
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise _refused("has to begin with https:// or http:// and a host")
    if "@" in parts.netloc:
        raise _refused("may not hold a user or password: every callback is signed instead")
    if parts.fragment:
        raise _refused("may not hold a fragment (#...)")
    if port is not None and port not in _LOW_PORTS and port < _FIRST_FREE_PORT:
        raise _refused(f"may not use port {port}: 80, 443, and those from {_FIRST_FREE_PORT} on can be used")
    host = parts.hostname.rstrip(".")
    addresses = ["127.0.0.1", "::1"] if host.endswith("localhost") else _numeric(host)
    if addresses and not any(policy.allows(address) for address in addresses):
        raise _refused(
            "leads to a private address: use a public one, or have the operator list its network in CALLBACK_NETWORKS"
        )
    return parts


def _numeric(host: str) -> list[str]:
    """The addresses of a host that is a number in any notation; none for a name."""
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)
    except (OSError, UnicodeError):
        return []
    return [str(entry[4][0]) for entry in found]


def _refused(what: str) -> Impossible:
    return Impossible(f"The callback {what}.", parameter="callback")


def new_secret() -> str:
    return SECRET_PREFIX + base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode()


def secret_bytes(secret: str) -> bytes:
    """The key within a secret.

    Raises:
        ValueError: says what it has to be.
    """
    prefix, _, rest = secret.partition("_")
    try:
        key = base64.b64decode(rest, validate=True)
    except binascii.Error:
        key = b""
    if f"{prefix}_" != SECRET_PREFIX or len(key) not in _ALLOWED_LENGTHS:
        raise ValueError(_RULE)
    return key


def secret_of_tenant(secret: str, tenant: str) -> str:
    """What one tenant verifies with: no tenant can sign messages to another."""
    if tenant == DEFAULT_TENANT:
        return secret
    key = hmac.digest(secret_bytes(secret), b"tenant " + tenant.encode(), hashlib.sha256)
    return SECRET_PREFIX + base64.b64encode(key).decode()


def signed_headers(secret: str, message_id: str, timestamp: int, body: bytes) -> dict[str, str]:
    """The headers of Standard Webhooks; `timestamp` in seconds since 1970."""
    signed = f"{message_id}.{timestamp}.".encode() + body
    digest = hmac.digest(secret_bytes(secret), signed, hashlib.sha256)
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": "v1," + base64.b64encode(digest).decode(),
    }


def wait_after(attempts: int) -> int | None:
    """Seconds until the next attempt when so many have failed; None when that was the last."""
    return WAITS_S[attempts - 1] if attempts < MAX_ATTEMPTS else None


def callback_status(error: str | None, given_up: bool) -> CallbackStatus:
    """How a callback stands after an attempt."""
    return "given_up" if given_up else "waiting" if error else "delivered"
