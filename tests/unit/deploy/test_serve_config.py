"""deploy/serve.yaml: what Ray Serve accepts, for the application as the code builds it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from ray.serve.schema import ServeDeploySchema

from orthoray.remote import APPLICATION
from orthoray.settings import Settings
from serve_app.app import _replicas
from serve_app.rpc.server import grpc_options

ROOT = Path(__file__).parents[3]
TEXT = (ROOT / "deploy" / "serve.yaml").read_text(encoding="utf-8")
CONFIG: dict[str, Any] = yaml.safe_load(TEXT)


def test_serve_accepts_it() -> None:
    config = ServeDeploySchema.model_validate(CONFIG)
    assert [application.name for application in config.applications] == [APPLICATION]
    assert config.applications[0].import_path == "serve_app.app:build"
    assert config.http_options.port == 8080
    assert config.grpc_options is not None
    code = grpc_options(config.grpc_options.port).model_dump()
    assert config.grpc_options.model_dump() == code


def test_its_deployments_are_those_of_the_code() -> None:
    code = (ROOT / "serve_app" / "app.py").read_text(encoding="utf-8")
    services = {f"{name}-service" for name in re.findall(r'_service\(\s*"(\w+)"', code)}
    named = {deployment["name"] for deployment in CONFIG["applications"][0]["deployments"]}
    assert services
    assert named == services | {"api-gateway"}


@pytest.mark.parametrize(
    "deployment", CONFIG["applications"][0]["deployments"], ids=lambda entry: entry["name"]
)
def test_all_run_where_the_settings_are(deployment: dict[str, Any]) -> None:
    """Serve builds the application on the nodes of the label that all deployments share, and anywhere if they differ."""
    assert deployment["ray_actor_options"] == {"num_cpus": 0.1, "label_selector": {"role": "services"}}


def test_no_setting_travels_in_it() -> None:
    assert CONFIG["applications"][0]["args"] == {}
    assert "runtime_env" not in CONFIG["applications"][0]


def test_replicas_follow_their_callers_as_they_do_by_the_setting() -> None:
    """The file says for a cluster what MAX_REPLICAS says for `orthoray up`."""
    code = _replicas(Settings(max_replicas=4))["autoscaling_config"].model_dump()
    for deployment in CONFIG["applications"][0]["deployments"]:
        told = deployment["autoscaling_config"]
        assert told == {name: code[name] for name in told}
    assert _replicas(Settings()) == {}
