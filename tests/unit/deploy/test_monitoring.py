"""Prometheus and Grafana look where compose puts things."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import yaml
from ray.util.metrics import Counter, Gauge, Histogram

from actors.failures import MEANING
from actors.metrics import ALL

ROOT = Path(__file__).parents[3]
GRAFANA = ROOT / "deploy" / "grafana"
DASHBOARD: dict[str, Any] = json.loads((GRAFANA / "dashboards/orthoray.json").read_text(encoding="utf-8"))
SERVICES: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))[
    "services"
]
PROMETHEUS: dict[str, Any] = yaml.safe_load(
    (ROOT / "deploy/prometheus/prometheus.yml").read_text(encoding="utf-8")
)
SOURCES: list[dict[str, Any]] = yaml.safe_load(
    (GRAFANA / "provisioning/datasources/orthoray.yaml").read_text(encoding="utf-8")
)["datasources"]


def test_prometheus_asks_every_ray_node_at_its_port() -> None:
    nodes = {name for name, service in SERVICES.items() if "ray-node" in str(service.get("command"))}
    (discovery,) = next(job for job in PROMETHEUS["scrape_configs"] if job["job_name"] == "ray")[
        "dns_sd_configs"
    ]
    assert set(discovery["names"]) == nodes
    for name in nodes:
        assert f"--metrics-export-port={discovery['port']}" in " ".join(SERVICES[name]["command"])


def test_everything_that_is_asked_is_a_service() -> None:
    targets = [
        target.split(":")[0]
        for job in PROMETHEUS["scrape_configs"]
        for static in job.get("static_configs", [])
        for target in static["targets"]
    ]
    targets += [re.sub(r"^\w+://", "", source["url"]).split(":")[0] for source in SOURCES]
    assert targets
    assert [target for target in targets if target not in SERVICES] == []


def test_grafana_shows_ours_and_the_dashboards_that_ray_writes() -> None:
    providers = yaml.safe_load(
        (GRAFANA / "provisioning/dashboards/orthoray.yaml").read_text(encoding="utf-8")
    )["providers"]
    paths = {provider["options"]["path"] for provider in providers}
    mounted = {mount.split(":")[1] for mount in SERVICES["grafana"]["volumes"]}
    assert paths <= mounted
    assert SERVICES["ray-head"]["environment"]["RAY_METRICS_GRAFANA_DASHBOARD_OUTPUT_DIR"] in paths
    names = {source["name"] for source in SOURCES}
    assert SERVICES["ray-head"]["environment"].get("RAY_PROMETHEUS_NAME", "Prometheus") in names


def test_panels_ask_sources_that_there_are_and_do_not_overlap() -> None:
    known = {source["uid"] for source in SOURCES}
    cells: set[tuple[int, int]] = set()
    for panel in DASHBOARD["panels"]:
        assert {target["datasource"]["uid"] for target in panel["targets"]} <= known
        place = panel["gridPos"]
        own = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not own & cells
        assert max(x for x, _ in own) < 24
        cells |= own


def test_grafana_reads_the_databases_as_a_role_that_only_reads() -> None:
    databases = [source for source in SOURCES if source["type"] == "postgres"]
    assert {source["user"] for source in databases} == {"watcher"}
    assert {source["secureJsonData"]["password"] for source in databases} == {"$WATCHER_PASSWORD"}
    for source in databases:
        assert "WATCHER_PASSWORD" in SERVICES[source["url"].split(":")[0]]["environment"]


def test_panels_ask_for_metrics_and_labels_that_workers_tell() -> None:
    told = {}
    for metric in ALL:
        name, labels = f"ray_{metric.info['name']}", set(metric.info["tag_keys"])
        endings = {Counter: ["_total"], Gauge: [""], Histogram: ["_bucket", "_sum", "_count"]}[type(metric)]
        told |= {name + ending: labels | {"le"} for ending in endings}
    shown = set()
    for panel in DASHBOARD["panels"]:
        for query in (target["expr"] for target in panel["targets"] if "expr" in target):
            for name, selector in re.findall(r"(ray_\w+)(\{[^}]*\})?", query):
                shown.add(name)
                assert name in told, query
                grouped = re.findall(r"by \(([^)]*)\)", query)
                labels = re.findall(r"(\w+)=", selector) + [
                    label for group in grouped for label in group.split(", ")
                ]
                assert set(labels) <= told[name], query
    unseen = {re.sub("_(bucket|sum|count)$", "", name) for name in told.keys() - shown} - {
        re.sub("_(bucket|sum|count)$", "", name) for name in shown
    }
    assert unseen == set()


def test_the_reference_tells_every_metric_and_every_reason() -> None:
    page = (ROOT / "docs/reference/metrics.md").read_text(encoding="utf-8")
    names = [f"ray_{metric.info['name']}" for metric in ALL]
    words = [label for metric in ALL for label in metric.info["tag_keys"]] + [
        code for _, code in MEANING.values()
    ]
    assert [word for word in names + words if not re.search(rf"`{word}(_total)?`", page)] == []
