"""Where a request comes from, as far as that can be known."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence

from starlette.datastructures import Headers
from starlette.types import Scope

from orthoray.callbacks import Address, Network

# Of a list that is longer only its end counts, which trusted proxies wrote.
MAX_HOPS = 16
# A subscriber has a network of this size and may take any address of it.
_SUBSCRIBER_BITS = 64


def address_of(scope: Scope, trusted: Sequence[Network] = ()) -> str:
    """The address that a request is counted under; of IPv6 its /64.

    That of the other end of the connection. Only where it belongs to one of the `trusted` proxies, the last address in
    X-Forwarded-For that does not, for everybody may write the others.
    """
    client = scope.get("client")
    peer = _parsed(client[0]) if client else None
    if peer is None:
        return "unknown"
    hops = ",".join(Headers(scope=scope).getlist("x-forwarded-for")).split(",")[-MAX_HOPS:]
    while hops and any(peer in network for network in trusted):
        behind = _parsed(hops.pop().strip())
        if behind is None:
            break
        peer = behind
    return _counted(peer)


def address_of_peer(peer: str) -> str:
    """The same of the other end of a gRPC call, as gRPC writes it: `ipv4:192.0.2.1:50000`, `ipv6:[2001:db8::1]:50000`. No
    proxy is believed."""
    kind, _, place = peer.partition(":")
    host = place.rpartition(":")[0].removeprefix("%5B").removesuffix("%5D").strip("[]")
    found = _parsed(host) if kind in {"ipv4", "ipv6"} else None
    return "unknown" if found is None else _counted(found)


def _counted(address: Address) -> str:
    if isinstance(address, ipaddress.IPv6Address):
        return str(ipaddress.ip_network((address, _SUBSCRIBER_BITS), strict=False))
    return str(address)


def _parsed(text: str) -> Address | None:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address
