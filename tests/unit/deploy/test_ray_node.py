"""deploy/ray-node: a node starts with what its settings mean to Ray, or not at all."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from serve_app.local.ingress import ingress_environment

SCRIPT = Path(__file__).parents[3] / "deploy" / "ray-node"
TOKEN = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": "secret"}


def start(folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """The script with a `ray` and a `python` that tell how they were called."""
    for name in ("ray", "python"):
        program = folder / name
        program.write_text('#!/bin/sh\necho "$RAY_SERVE_ENABLE_HA_PROXY|$*"; env >&2\n')
        program.chmod(0o755)
    return subprocess.run(
        [SCRIPT, "--head", "--labels=role=services"],
        env={"PATH": f"{folder}:/usr/bin:/bin", **environment},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize(
    ("settings", "flag"),
    [({}, "0"), ({"SERVE_INGRESS": "proxy"}, "0"), ({"SERVE_INGRESS": "haproxy"}, "1")],
    ids=["none", "proxy", "haproxy"],
)
def test_the_ingress_is_what_the_setting_says(tmp_path: Path, settings: dict[str, str], flag: str) -> None:
    answer = start(tmp_path, **TOKEN, **settings)
    assert answer.stdout == f"{flag}|start --head --labels=role=services\n"
    told = dict(line.split("=", 1) for line in answer.stderr.splitlines())
    assert ingress_environment(settings.get("SERVE_INGRESS", "proxy")).items() <= told.items()


@pytest.mark.parametrize(
    ("environment", "remedy"),
    [
        ({**TOKEN, "SERVE_INGRESS": "nginx"}, "set it to proxy or haproxy"),
        ({"RAY_AUTH_MODE": "token"}, "set RAY_AUTH_MODE=token and RAY_AUTH_TOKEN"),
        ({"RAY_AUTH_TOKEN": "secret"}, "set RAY_AUTH_MODE=token and RAY_AUTH_TOKEN"),
    ],
)
def test_a_node_that_would_be_open_or_odd_does_not_start(
    tmp_path: Path, environment: dict[str, str], remedy: str
) -> None:
    answer = start(tmp_path, **environment)
    assert answer.returncode == 1
    assert answer.stdout == ""
    assert remedy in answer.stderr
    assert "secret" not in answer.stderr


def test_a_redis_with_a_password_is_joined_without_showing_it(tmp_path: Path) -> None:
    answer = start(tmp_path, **TOKEN, RAY_REDIS_ADDRESS="redis:6379", REDIS_PASSWORD="p4ss")
    assert answer.stdout == "0|-m serve_app.head --head --labels=role=services\n"
