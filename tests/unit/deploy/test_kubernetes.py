"""deploy/k8s: complete, without root, with limits and probes, and in step with the other files."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import ray
import yaml
from jsonschema import Draft202012Validator
from ray.autoscaler._private.kuberay.autoscaling_config import _derive_autoscaling_config_from_ray_cr
from ray.serve.schema import ServeDeploySchema

from orthoray.callbacks import new_secret
from orthoray.settings import Settings
from serve_app.local.ingress import ingress_environment
from serve_app.workers import BESIDE_SERVICES

ROOT = Path(__file__).parents[3]
FOLDER = ROOT / "deploy" / "k8s"
FILES = sorted(FOLDER.glob("*.yaml"))
Document = dict[str, Any]


def documents(path: Path) -> list[Document]:
    return list(yaml.safe_load_all(path.read_text(encoding="utf-8")))


def named(kind: str, name: str) -> Document:
    found = [
        document
        for path in FILES
        for document in documents(path)
        if document["kind"] == kind and document["metadata"]["name"] == name
    ]
    assert len(found) == 1
    return found[0]


SERVICE = named("RayService", "orthoray")["spec"]
CLUSTER = SERVICE["rayClusterConfig"]
GROUPS = {group["groupName"]: group for group in CLUSTER["workerGroupSpecs"]}
PODS = {
    "head": CLUSTER["headGroupSpec"]["template"],
    **{name: group["template"] for name, group in GROUPS.items()},
    "migrate": named("Job", "orthoray-migrate")["spec"]["template"],
}


def references(value: Any) -> Iterator[tuple[str, str, str | None]]:
    """(kind, name, key) of every Secret and ConfigMap that is referred to."""
    kinds = {
        "secretKeyRef": "Secret",
        "secretRef": "Secret",
        "configMapRef": "ConfigMap",
        "configMapKeyRef": "ConfigMap",
    }
    if isinstance(value, dict):
        for key, inner in value.items():
            if key in kinds:
                yield kinds[key], inner["name"], inner.get("key")
            elif key == "secret" and "secretName" in inner:
                yield from (("Secret", inner["secretName"], item["key"]) for item in inner["items"])
            yield from references(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from references(inner)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_every_object_says_what_it_is(path: Path) -> None:
    for document in documents(path):
        assert document["apiVersion"]
        if document["kind"] == "Kustomization":
            assert set(document["resources"]) == {file.name for file in FILES} - {
                path.name,
                "secret.example.yaml",
            }
        else:
            assert document["metadata"]["name"].startswith("orthoray")
            if document["kind"] != "Namespace":
                assert document["metadata"]["namespace"] == "orthoray"


@pytest.mark.parametrize("pod", PODS.values(), ids=PODS.keys())
def test_pods_run_without_privileges(pod: Document) -> None:
    """What Pod Security `restricted` asks for, which the namespace enforces."""
    assert pod["spec"]["securityContext"]["runAsNonRoot"] is True
    assert pod["spec"]["securityContext"]["runAsUser"] == 1000
    assert pod["spec"]["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    for container in pod["spec"]["containers"]:
        assert container["securityContext"]["allowPrivilegeEscalation"] is False
        assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}


@pytest.mark.parametrize("pod", PODS.values(), ids=PODS.keys())
def test_containers_have_bounds_and_an_image_of_ours(pod: Document) -> None:
    for container in pod["spec"]["containers"]:
        assert re.fullmatch(r"registry\.example/orthoray(-gpu)?:\d+\.\d+\.\d+", container["image"])
        assert container["resources"]["requests"].keys() >= {"cpu", "memory"}
        # Ray is told of the limit; with a lower request the node would run out of memory first.
        limits = container["resources"]["limits"]
        assert limits["memory"] == container["resources"]["requests"]["memory"] or pod is PODS["migrate"]


@pytest.mark.parametrize("name", ["head", *GROUPS])
def test_nodes_are_probed_by_http(name: str) -> None:
    """The operator's own probes call wget, which the image does not have."""
    (container,) = PODS[name]["spec"]["containers"]
    assert container["livenessProbe"]["httpGet"] == {"path": "/api/healthz", "port": 52365}
    wanted = (
        {"path": "/-/healthz", "port": "serve"}
        if name == "services"
        else container["livenessProbe"]["httpGet"]
    )
    assert container["readinessProbe"]["httpGet"] == wanted


def test_only_the_services_and_the_migration_know_the_settings() -> None:
    told = {name for name, pod in PODS.items() if "envFrom" in pod["spec"]["containers"][0]}
    assert told == {"services", "migrate"}
    assert GROUPS["services"]["labels"] == {"role": "services"}
    assert {group["labels"]["role"] for group in GROUPS.values()} == {"services", "cpu", "gpu"}


def test_what_is_referred_to_is_in_the_pattern_and_empty() -> None:
    patterns = {
        document["metadata"]["name"]: document["stringData"]
        for document in documents(FOLDER / "secret.example.yaml")
    }
    for kind, name, key in references([SERVICE, PODS]):
        if kind == "Secret":
            assert name in patterns
            assert key is None or key in patterns[name]
        else:
            assert named("ConfigMap", name)
    assert "auth_token" in patterns[CLUSTER["authOptions"]["secretName"]]
    assert {value for secret in patterns.values() for value in secret.values()} == {""}


def test_settings_exist_and_are_enough() -> None:
    known = {field.upper() for field in Settings.model_fields}
    secret, config = named("Secret", "orthoray")["stringData"], named("ConfigMap", "orthoray")["data"]
    assert (secret.keys() | config.keys()) - known == set()
    assert secret.keys() & config.keys() == set()
    values = {
        **config,
        **dict.fromkeys(secret, "x"),
        "WEBHOOK_SECRET": new_secret(),
        "REDIS_URL": "redis://x",
    }
    settings = Settings(_env_file=None, **{name.lower(): value for name, value in values.items()})
    assert settings.external_databases
    assert settings.storage().endpoint == "https://s3.example"


def test_the_cluster_is_closed_and_survives_its_head() -> None:
    assert CLUSTER["authOptions"]["mode"] == "token"
    assert CLUSTER["gcsFaultToleranceOptions"]["redisPassword"]["valueFrom"]
    assert CLUSTER["rayVersion"] == ray.__version__
    assert SERVICE["excludeHeadPodFromServeSvc"] is True


def test_the_application_is_that_of_the_other_deployments_but_for_spare_replicas() -> None:
    ours = yaml.safe_load((ROOT / "deploy" / "serve.yaml").read_text(encoding="utf-8"))
    for deployment in ours["applications"][0]["deployments"]:
        deployment["autoscaling_config"] = deployment["autoscaling_config"] | {"min_replicas": 2}
    assert yaml.safe_load(SERVICE["serveConfigV2"]) == ours
    assert GROUPS["services"]["minReplicas"] == 2


def test_the_gateway_finds_the_pods_that_serve() -> None:
    gateway = named("Service", "orthoray-gateway")["spec"]
    assert gateway["selector"].items() <= PODS["services"]["metadata"]["labels"].items()
    ports = {
        port["name"]: port["containerPort"] for port in PODS["services"]["spec"]["containers"][0]["ports"]
    }
    served = yaml.safe_load(SERVICE["serveConfigV2"])
    assert [ports[port["targetPort"]] for port in gateway["ports"]] == [
        served["http_options"]["port"],
        served["grpc_options"]["port"],
    ]


@pytest.mark.parametrize("name", ["head", *GROUPS])
def test_metrics_are_where_prometheus_looks(name: str) -> None:
    start = CLUSTER["headGroupSpec"] if name == "head" else GROUPS[name]
    ports = {
        port["name"]: str(port["containerPort"]) for port in PODS[name]["spec"]["containers"][0]["ports"]
    }
    assert ports["metrics"] == start["rayStartParams"]["metrics-export-port"]


# The fields of KubeRay's API that are used here. The API server rejects or, worse, drops what it does not know.
SMALL = {"type": "integer", "minimum": 0}
TEXTS = {"type": "object", "additionalProperties": {"type": "string"}}
GROUP: Document = {"labels": TEXTS, "rayStartParams": TEXTS, "template": {"type": "object"}}
RAY_SERVICE = {
    "type": "object",
    "required": ["serveConfigV2", "rayClusterConfig"],
    "additionalProperties": False,
    "properties": {
        "excludeHeadPodFromServeSvc": {"type": "boolean"},
        "serveConfigV2": {"type": "string"},
        "rayClusterConfig": {
            "type": "object",
            "required": ["headGroupSpec", "rayVersion"],
            "additionalProperties": False,
            "properties": {
                "rayVersion": {"type": "string"},
                "enableInTreeAutoscaling": {"type": "boolean"},
                "authOptions": {
                    "type": "object",
                    "additionalProperties": False,
                    "properties": {"mode": {"enum": ["token", "disabled"]}, "secretName": {"type": "string"}},
                },
                "gcsFaultToleranceOptions": {
                    "type": "object",
                    "required": ["redisAddress"],
                    "additionalProperties": False,
                    "properties": {
                        "redisAddress": {"type": "string"},
                        "redisPassword": {"type": "object", "required": ["valueFrom"]},
                    },
                },
                "autoscalerOptions": {
                    "type": "object",
                    "additionalProperties": False,
                    "properties": {
                        "version": {"enum": ["v1", "v2"]},
                        "idleTimeoutSeconds": SMALL,
                        "resources": {"type": "object"},
                        "securityContext": {"type": "object"},
                    },
                },
                "headGroupSpec": {
                    "type": "object",
                    "required": ["rayStartParams", "template"],
                    "additionalProperties": False,
                    "properties": GROUP,
                },
                "workerGroupSpecs": {
                    "type": "array",
                    "items": {
                        "type": "object",
                        "required": ["groupName", "minReplicas", "maxReplicas", "rayStartParams", "template"],
                        "additionalProperties": False,
                        "properties": {
                            **GROUP,
                            "groupName": {"type": "string"},
                            "replicas": SMALL,
                            "minReplicas": SMALL,
                            "maxReplicas": SMALL,
                        },
                    },
                },
            },
        },
    },
}


def test_every_field_is_one_of_the_operator() -> None:
    Draft202012Validator.check_schema(RAY_SERVICE)
    assert [error.message for error in Draft202012Validator(RAY_SERVICE).iter_errors(SERVICE)] == []


def test_serve_accepts_the_application() -> None:
    ServeDeploySchema.model_validate(yaml.safe_load(SERVICE["serveConfigV2"]))


def test_the_autoscaler_reads_what_the_groups_have() -> None:
    """By the function that Ray's autoscaler calls in the head's pod."""
    config = _derive_autoscaling_config_from_ray_cr(
        {"metadata": {"name": "orthoray", "namespace": "orthoray"}, "spec": CLUSTER}
    )
    kinds = config["available_node_types"]
    assert {name: kind["labels"]["role"] for name, kind in kinds.items()} == {
        "headgroup": "head",
        "services": "services",
        "cpu": "cpu",
        "gpu": "gpu",
    }
    assert (kinds["gpu"]["min_workers"], kinds["gpu"]["resources"]["GPU"]) == (0, 1)
    assert (kinds["headgroup"]["resources"]["CPU"], kinds["services"]["resources"]["CPU"]) == (0, 1)
    assert kinds["cpu"]["resources"]["CPU"] == 4
    assert "GPU" not in kinds["cpu"]["resources"]


def test_workers_of_the_queues_keep_to_the_pods_that_know_the_settings() -> None:
    avoided = set(re.findall(r"\w+", BESIDE_SERVICES["role"].removeprefix("!in")))
    roles = {CLUSTER["headGroupSpec"]["labels"]["role"]} | {
        group["labels"]["role"] for group in GROUPS.values()
    }
    assert roles - avoided == {"services"}


@pytest.mark.parametrize("name", ["head", *GROUPS])
def test_every_node_has_the_same_ingress(name: str) -> None:
    (container,) = PODS[name]["spec"]["containers"]
    told = {entry["name"]: entry.get("value") for entry in container["env"]}
    assert ingress_environment("haproxy").items() <= told.items()
