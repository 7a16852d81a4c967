"""cluster.yaml: what `ray up` accepts, checked as it checks it, without asking any cloud."""

from __future__ import annotations

import copy
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import ValidationError
from ray.autoscaler._private.util import prepare_config, validate_config

ROOT = Path(__file__).parents[3]
TEXT = (ROOT / "cluster.yaml").read_text(encoding="utf-8")
CONFIG: dict[str, Any] = yaml.safe_load(TEXT)
NODES: dict[str, dict[str, Any]] = CONFIG["available_node_types"]


def test_ray_accepts_it() -> None:
    prepared = prepare_config(copy.deepcopy(CONFIG))
    validate_config(prepared)
    assert prepared["head_node_type"] == "head"
    assert prepared["available_node_types"]["head"]["max_workers"] == 0
    assert prepared["available_node_types"]["gpu-worker"]["min_workers"] == 0


def test_the_check_sees_a_wrong_key() -> None:
    wrong = copy.deepcopy(CONFIG)
    wrong["available_node_types"]["head"]["labls"] = {}
    with pytest.raises(ValidationError):
        validate_config(prepare_config(wrong))


def test_services_stay_on_the_head_and_computing_does_not() -> None:
    assert NODES["head"]["labels"] == {"role": "services"}
    assert NODES["head"]["resources"] == {"CPU": 1}
    assert {node["labels"]["role"] for node in NODES.values()} == {"services", "cpu", "gpu"}


def test_every_node_takes_the_token_from_the_file() -> None:
    assert CONFIG["file_mounts"] == {"~/orthoray.env": ".env"}
    for commands in (CONFIG["head_start_ray_commands"], CONFIG["worker_start_ray_commands"]):
        assert "set -a && . ~/orthoray.env && set +a" in commands[-1]
        assert "PASSWORD" not in commands[-1], "there every user of the machine reads it"
    assert re.search(r"(PASSWORD|TOKEN|SECRET)=[^\"$]", TEXT) is None


def test_disks_are_encrypted_and_the_dashboard_is_not_open() -> None:
    for node in NODES.values():
        assert node["node_config"]["BlockDeviceMappings"][0]["Ebs"]["Encrypted"] is True
    assert "--dashboard-host=127.0.0.1" in CONFIG["head_start_ray_commands"][-1]


def test_machines_with_a_gpu_run_only_while_they_are_asked_for() -> None:
    assert NODES["gpu-worker"]["min_workers"] == 0
    assert NODES["gpu-worker"]["docker"]["worker_image"].endswith("-gpu")
    assert NODES["cpu-worker"]["min_workers"] >= 1


def test_every_node_starts_by_the_script_of_the_image() -> None:
    for commands in (CONFIG["head_start_ray_commands"], CONFIG["worker_start_ray_commands"]):
        assert commands[0] == "ray stop"
        assert " ray-node --" in commands[-1]
    assert "COPY deploy/ray-node deploy/smoke /usr/local/bin/" in (ROOT / "deploy" / "Dockerfile").read_text()
