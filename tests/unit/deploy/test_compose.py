"""docker-compose.yml: nothing open that should not be, no secret in it, and no setting that nobody reads."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from orthoray.settings import Settings

ROOT = Path(__file__).parents[3]
FILE = ROOT / "docker-compose.yml"
TEXT = FILE.read_text(encoding="utf-8")
COMPOSE: dict[str, Any] = yaml.safe_load(TEXT)
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
EXAMPLE = (ROOT / "deploy" / "env.example").read_text(encoding="utf-8")

# They do their work and end, so there is nothing to be healthy.
DOCKER_COMPOSE = shutil.which("docker-compose")
ONE_SHOT = {"migrate", "buckets", "serve"}
DATABASES = ("imagery", "analysis", "report")
VARIABLE = re.compile(r"(?<!\$)\$\{([A-Z_]+)(:[?-][^}]*)?\}")
# Of Ray, Grafana and our own commands; all others have to be OrthoRay's settings.
FOREIGN = re.compile(r"RAY_|GF_|(REDIS|WATCHER)_PASSWORD$|WORKER_CPUS$|GPU_COUNT$|LOG_|OTEL_")


def example_keys(*, empty: bool = False) -> set[str]:
    return set(re.findall(r"^([A-Z_]+)=" + ("$" if empty else ""), EXAMPLE, re.MULTILINE))


def test_it_follows_the_compose_specification() -> None:
    """The schema is that of the specification, which comes with the checker."""
    checker = Path(sys.executable).with_name("check-jsonschema")
    answer = subprocess.run(
        [checker, "--builtin-schema", "vendor.compose-spec", FILE],
        capture_output=True,
        text=True,
        check=False,
    )
    assert answer.returncode == 0, answer.stdout + answer.stderr


def test_its_services_are_those_of_the_product() -> None:
    assert SERVICES.keys() >= {
        "ray-head",
        "ray-worker",
        "ray-gpu-worker",
        "minio",
        "redis",
        "prometheus",
        "grafana",
    }
    assert SERVICES.keys() >= ONE_SHOT | {f"{name}-db" for name in DATABASES}


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_what_stays_is_watched_and_what_ends_is_not_restarted(name: str) -> None:
    service = SERVICES[name]
    if name in ONE_SHOT:
        assert service["restart"] == "no"
    else:
        assert service["restart"] == "unless-stopped"
        assert service["healthcheck"]["test"][0] in {"CMD", "CMD-SHELL"}


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_who_is_waited_for_can_say_that_it_is_ready(name: str) -> None:
    for other, wanted in SERVICES[name].get("depends_on", {}).items():
        expected = "service_completed_successfully" if other in ONE_SHOT else "service_healthy"
        assert wanted["condition"] == expected


def test_only_the_gateway_is_reached_from_other_machines() -> None:
    published = {port for service in SERVICES.values() for port in service.get("ports", [])}
    others = {port for port in published if not port.startswith("127.0.0.1:")}
    assert others == {
        "${GATEWAY_BIND:-0.0.0.0}:${GATEWAY_PORT:-8080}:8080",
        "${GRPC_BIND:-127.0.0.1:50051}:50051",
    }
    assert not any(
        port.startswith("127.0.0.1:") and re.search(r":(5432|6379|9000)$", port) for port in published
    )


def test_no_secret_stands_in_it() -> None:
    for service in SERVICES.values():
        for key, value in service.get("environment", {}).items():
            if re.search(r"PASSWORD|TOKEN|SECRET|_KEY$", key) and key != "MINIO_ACCESS_KEY":
                assert value is None or VARIABLE.fullmatch(value), key
    assert re.search(r"://[^/\s]*:[^/\s$]+@", TEXT) is None


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_no_secret_comes_into_a_command_line(name: str) -> None:
    """There every user of the machine reads it; a here-document is none."""
    parts = [SERVICES[name].get(key, []) for key in ("command", "entrypoint")]
    words = " ".join(word for part in parts for word in part)
    assert not re.search(r"PASSWORD|SECRET|TOKEN", re.sub(r"<<END\n.*\nEND\n", "", words, flags=re.DOTALL))


def test_it_does_not_start_without_its_secrets() -> None:
    needed = {name for name, rest in VARIABLE.findall(TEXT) if rest.startswith(":?")}
    assert needed == example_keys(empty=True)
    # One without a message would be replaced by nothing, with a warning.
    assert [name for name, rest in VARIABLE.findall(TEXT) if not rest] == []


def test_every_variable_is_told_with_its_default() -> None:
    defaults = {name: rest[2:] for name, rest in VARIABLE.findall(TEXT) if rest.startswith(":-")}
    images = {"ORTHORAY_IMAGE", "ORTHORAY_GPU_IMAGE"}
    assert {name for name, _ in VARIABLE.findall(TEXT)} - images == example_keys()
    told = dict(re.findall(r"^([A-Z_]+)=(.+)$", EXAMPLE, re.MULTILINE))
    assert told == {name: value for name, value in defaults.items() if name not in images}


@pytest.mark.parametrize("name", ["ray-head", "ray-worker", "ray-gpu-worker", "migrate", "serve"])
def test_the_containers_of_orthoray_get_settings_that_exist(name: str) -> None:
    known = {field.upper() for field in Settings.model_fields}
    keys = SERVICES[name]["environment"].keys()
    assert [key for key in keys if key not in known and not FOREIGN.match(key)] == []


def test_the_head_and_the_migration_have_all_that_a_cluster_needs() -> None:
    for name in ("ray-head", "migrate"):
        environment = {**SERVICES[name]["environment"]}
        given = {key: value for key, value in environment.items() if value is not None}
        values = {key.lower(): VARIABLE.sub("1", str(value)) for key, value in given.items()}
        values["default_language"], values["log_level"], values["serve_ingress"] = "ru", "INFO", "haproxy"
        settings = Settings(_env_file=None, **values)
        assert settings.external_databases
        assert settings.storage().endpoint == "http://minio:9000"
        for service in DATABASES:
            assert SERVICES[f"{service}-db"]["environment"]["SERVICE_DATABASE"] == getattr(
                settings, f"{service}_db_name"
            )
            assert SERVICES[f"{service}-db"]["environment"]["SERVICE_ROLE"] == getattr(
                settings, f"{service}_db_user"
            )


def test_workers_know_no_password() -> None:
    for name in ("ray-worker", "ray-gpu-worker"):
        keys = SERVICES[name]["environment"].keys()
        assert [key for key in keys if re.search("PASSWORD|SECRET|_DB_|REDIS|MINIO", key)] == []


def test_every_ray_node_asks_for_the_same_token() -> None:
    nodes = [service for service in SERVICES.values() if "ray-node" in str(service.get("command"))]
    assert len(nodes) == 3
    assert {node["environment"]["RAY_AUTH_MODE"] for node in nodes} == {"token"}
    assert len({node["environment"]["RAY_AUTH_TOKEN"] for node in nodes}) == 1


def test_every_node_that_is_started_has_the_same_ingress() -> None:
    nodes = {name for name, service in SERVICES.items() if "ray-node" in str(service.get("command"))}
    assert nodes == {"ray-head", "ray-worker", "ray-gpu-worker"}
    assert {SERVICES[name]["environment"]["SERVE_INGRESS"] for name in nodes} == {"${SERVE_INGRESS:-haproxy}"}
    assert not [name for name, service in SERVICES.items() if "ray start" in str(service.get("command"))]


def test_ours_run_without_privileges() -> None:
    ours = [service for service in SERVICES.values() if service["image"].startswith("${ORTHORAY")]
    assert len(ours) == 5
    for service in ours:
        assert service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges:true"]
        assert "privileged" not in service
        assert "user" not in service  # the image's own, 1000


def test_images_are_pinned() -> None:
    foreign = [service["image"] for service in SERVICES.values() if not service["image"].startswith("${")]
    assert foreign
    assert [image for image in foreign if not re.search(r":[\w.-]*\d[\w.-]*$", image)] == []
    assert "quay.io/minio/minio:RELEASE.2025-09-07T16-13-09Z" in foreign


def test_what_is_mounted_is_there() -> None:
    mounts = [mount for service in SERVICES.values() for mount in service.get("volumes", [])]
    for mount in mounts:
        source = mount.split(":")[0]
        if source.startswith("./"):
            assert (ROOT / source).is_dir()
            assert mount.endswith(":ro")
        else:
            assert source in COMPOSE["volumes"]


@pytest.mark.slow
@pytest.mark.skipif(DOCKER_COMPOSE is None, reason="docker-compose is not installed")
def test_docker_compose_reads_it(tmp_path: Path) -> None:
    whole, partial = tmp_path / "whole", tmp_path / "partial"
    subprocess.run([ROOT / "deploy" / "make-env", whole], check=True, capture_output=True)
    partial.write_text(re.sub("^REDIS_PASSWORD=.*$", "", whole.read_text(), flags=re.MULTILINE))
    answers = [
        subprocess.run(
            [DOCKER_COMPOSE, "--file", FILE, "--env-file", env, "config", "--quiet"],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
        for env in (whole, partial)
    ]
    assert answers[0].returncode == 0, answers[0].stderr
    assert "REDIS_PASSWORD" in answers[1].stderr
    assert "run deploy/make-env first" in answers[1].stderr
