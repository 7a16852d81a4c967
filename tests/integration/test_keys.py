"""API keys from their making to their end, on a real PostgreSQL."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Mapping
from typing import Any

import pytest
from installations import settings_of
from rich.console import Console
from wired import Services

from orthoray.errors import BadInput, ConfigurationError, NotAuthenticated
from orthoray.settings import Settings
from serve_app.local.keychain import create_key, list_keys, revoke_key

pytestmark = pytest.mark.anyio
NOTES = Console(file=io.StringIO())


@pytest.fixture
def settings(dsns: Mapping[str, str]) -> Settings:
    return settings_of(dsns)


def make(settings: Settings, name: str = "drone", expires: str | None = None, tenant: str = "farm") -> str:
    scopes = ["imagery:write", "imagery:read"]
    return create_key(settings, name=name, scopes=scopes, expires=expires, tenant=tenant, notes=NOTES)


def shown(settings: Settings, tenant: str | None = None) -> str:
    console = Console(width=200, record=True, file=io.StringIO())
    console.print(list_keys(settings, tenant))
    return console.export_text()


async def test_a_key_opens_what_it_was_made_for(services: Services, settings: Settings) -> None:
    key = make(settings, expires="90d")
    caller = await services.imagery.identify(key)
    assert (caller.tenant, caller.scopes) == ("farm", {"imagery:read", "imagery:write"})
    assert caller.expires_at is not None
    assert key not in str(services.query("imagery", "select * from api_keys"))
    assert key[:10] in shown(settings)
    assert key not in shown(settings)
    assert key[:10] not in shown(settings, "default")


async def test_a_key_that_has_expired_says_so(services: Services, settings: Settings) -> None:
    key = make(settings, expires="1m")
    services.query("imagery", "update api_keys set expires_at = now() returning id")
    with pytest.raises(NotAuthenticated, match="expired at 20"):
        await services.imagery.identify(key)
    assert "expired" in shown(settings)


@pytest.mark.parametrize("by", ["prefix", "shown", "name"])
async def test_a_key_is_revoked_by_what_the_list_shows(
    services: Services, settings: Settings, by: str
) -> None:
    key = make(settings)
    revoke_key(settings, {"prefix": key[:10], "shown": f"{key[:10]}…", "name": "drone"}[by], NOTES)
    with pytest.raises(NotAuthenticated, match="revoked"):
        await services.imagery.identify(key)
    assert "revoked" in shown(settings)
    revoke_key(settings, "drone", NOTES)


async def test_one_of_two_keys_of_a_name_is_not_guessed(services: Services, settings: Settings) -> None:
    first, second = make(settings), make(settings)
    with pytest.raises(BadInput, match=f"2 keys.*{first[:10]}.*{second[:10]}"):
        revoke_key(settings, "drone", NOTES)
    with pytest.raises(BadInput, match="no key 'or_nobody'"):
        revoke_key(settings, "or_nobody", NOTES)
    assert (await services.imagery.identify(first)).tenant == "farm"


async def test_its_last_use_is_written_once_a_minute(services: Services, settings: Settings) -> None:
    key = make(settings)

    async def used() -> Any:
        await services.imagery.identify(key)
        await asyncio.gather(*services.imagery._under_way)
        return services.query("imagery", "select last_used_at, now() - last_used_at as since from api_keys")[
            0
        ]

    first = (await used())["last_used_at"]
    assert first is not None
    assert (await used())["last_used_at"] == first
    services.query("imagery", "update api_keys set last_used_at = now() - interval '61 s' returning id")
    assert (await used())["since"].total_seconds() < 30


@pytest.mark.parametrize("tenant", ["*", "", "Farm", "a/b", "imagery", "..", "x" * 64, "farm\n"])
def test_some_names_are_no_tenants(settings: Settings, tenant: str) -> None:
    with pytest.raises(BadInput, match="tenant's name"):
        make(settings, tenant=tenant)


@pytest.mark.parametrize("name", ["", " ", "a\nb", "x" * 101])
def test_some_names_are_no_names_of_keys(settings: Settings, name: str) -> None:
    with pytest.raises(BadInput, match="key's name"):
        make(settings, name=name)


def test_a_database_that_is_away_is_one_line(settings: Settings) -> None:
    with pytest.raises(ConfigurationError, match="imagery_db cannot be reached"):
        list_keys(settings.model_copy(update={"imagery_db_port": 1}), None)
    with pytest.raises(ConfigurationError, match="orthoray up"):
        list_keys(Settings(_env_file=None, orthoray_home="/nonexistent"), None)
