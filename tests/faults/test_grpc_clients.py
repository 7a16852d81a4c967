"""Clients of gRPC that break off, are strangers or send garbage, through Serve's own proxy."""

from __future__ import annotations

from pathlib import Path

from faults import Site
from rpc_journey import (
    everybody_else_stays_outside,
    health_and_reflection,
    nothing_does_harm,
    the_way_of_an_image,
)


def test_through_the_proxy(site: Site, tmp_path: Path) -> None:
    the_way_of_an_image(site.stack, tmp_path)
    everybody_else_stays_outside(site.stack)
    nothing_does_harm(site.stack)
    health_and_reflection(site.stack)
