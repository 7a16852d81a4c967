"""What answers tell browsers, and whose pages may call."""

from __future__ import annotations

import base64
import hashlib
import re
from typing import Any

import pytest

from serve_app.gateway.api import create_api
from serve_app.gateway.context import GatewayConfig

MAPS = "https://maps.example.org"


def with_config(house: Any, **settings: Any) -> Any:
    """A client of the same gateway with other settings, and no key."""
    config = GatewayConfig(auth_mode="key", max_upload_bytes=1000, imagery_bucket="imagery", **settings)
    state = house.app.state
    house.app = create_api(state.services, state.storage, config)
    return house.client_with({})


@pytest.mark.parametrize("path", ["/imagery", "/indices", "/no-such-path"])
def test_private_json_is_stored_nowhere_and_never_run_or_framed(house: Any, path: str) -> None:
    for client in (house.client, house.client_with({})):
        headers = client.get(path).headers
        assert headers["cache-control"] == "no-store"
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"
        assert headers["content-security-policy"] == "default-src 'none'; frame-ancestors 'none'"
        assert "strict-transport-security" not in headers


def test_files_keep_the_headers_that_they_set(house: Any) -> None:
    image = house.upload().json()["id"]
    headers = house.client.get(f"/imagery/{image}/content").headers
    assert headers["cache-control"] == "private, max-age=604800, immutable"
    assert headers["x-content-type-options"] == "nosniff"
    assert "frame-ancestors 'none'" in headers["content-security-policy"]


def test_the_documentation_runs_its_own_script_and_no_other(house: Any) -> None:
    answer = house.client_with({}).get("/docs")
    policy = answer.headers["content-security-policy"]
    (script,) = re.findall(r"<script>(.*?)</script>", answer.text, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"'sha256-{digest}'" in policy
    assert "script-src https://cdn.jsdelivr.net" in policy
    assert "unsafe" not in policy.partition("style-src")[0]
    assert "frame-ancestors 'none'" in policy
    assert "cache-control" not in house.client_with({}).get("/openapi.json").headers


def test_https_is_told_to_browsers_only_where_a_setting_says_so(house: Any) -> None:
    answer = with_config(house, is_behind_https=True).get("/api/ping")
    assert answer.headers["strict-transport-security"] == "max-age=31536000"


def test_no_other_site_may_call_by_itself(house: Any) -> None:
    preflight = {
        "Origin": MAPS,
        "Access-Control-Request-Method": "GET",
        "Access-Control-Request-Headers": "x-api-key",
    }
    for answer in (
        house.client_with({}).options("/imagery", headers=preflight),
        house.client.get("/imagery", headers={"Origin": MAPS}),
    ):
        assert not [name for name in answer.headers if name.startswith("access-control")]


def test_sites_that_are_named_may_call(house: Any) -> None:
    client = with_config(house, cors_origins=(MAPS,))
    preflight = {
        "Origin": MAPS,
        "Access-Control-Request-Method": "DELETE",
        "Access-Control-Request-Headers": "x-api-key",
    }
    answer = client.options("/imagery", headers=preflight)
    assert (answer.status_code, answer.headers["access-control-allow-origin"]) == (200, MAPS)
    assert "access-control-allow-credentials" not in answer.headers
    answer = client.get("/imagery", headers={"Origin": MAPS})
    assert (answer.status_code, answer.headers["access-control-allow-origin"]) == (401, MAPS)
    assert "Link" in answer.headers["access-control-expose-headers"]
    stranger = client.options(
        "/imagery", headers={**preflight, "Origin": "https://maps.example.org.evil.example"}
    )
    assert stranger.status_code == 400
    assert "access-control-allow-origin" not in stranger.headers
