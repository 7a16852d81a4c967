"""Settings of installations that tests have made."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from orthoray.settings import SERVICES, Settings


def settings_of(dsns: Mapping[str, str]) -> Settings:
    """As of an installation with a PostgreSQL of its own."""
    found: dict[str, Any] = {}
    for service in SERVICES:
        place = urlsplit(dsns[service])
        found |= {
            f"{service}_db_host": place.hostname,
            f"{service}_db_port": place.port,
            f"{service}_db_password": place.password,
        }
    return Settings(_env_file=None, **found)
