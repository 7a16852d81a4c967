"""Which nodes of the cluster a task may go to, and how much memory it asks for there.

Nodes labelled `role=services` or `role=head` hold the services; what computes goes to the others, as long as there are any.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import ray
from ray.exceptions import RayError

from orthoray.errors import NoNode

_NOT_BESIDE_SERVICES = {"role": "!in(head,services)"}
_BESIDE_SERVICES = {"role": "in(head,services)"}
# What services and their replicas take of the CPUs of such a node.
_SERVICES_CPUS = 0.5
# How long a task waits for a node that could take it: a machine of a cloud needs some minutes to start.
PATIENCE_S = 600.0
LOOK_S = 20.0

Node = Mapping[str, Any]
"""As `ray.nodes()` describes it."""


@dataclass(frozen=True)
class Demand:
    """What a task asks for. `memory` is in bytes, but no more than the `share` of it that a node has: tasks that wait for
    others leave these some."""

    cpus: float
    memory: int
    gpus: float = 0
    share: float = 1.0


def cluster_resources() -> dict[str, float]:
    """What all nodes have, used or not: "CPU", "GPU", "memory" ..."""
    found: dict[str, float] = ray.cluster_resources()  # type: ignore[no-untyped-call]  # Ray's own
    return found


def alive_nodes() -> list[Node]:
    """Asks Ray's GCS."""
    nodes: list[Node] = ray.nodes()  # type: ignore[no-untyped-call]  # Ray's own
    return [node for node in nodes if node["Alive"]]


def placed(demand: Demand, nodes: Sequence[Node]) -> dict[str, Any]:
    """Ray's options for a task: where it may run, with memory that a node can give.

    It keeps off the nodes of the services. Only where no other node can take it, and one of theirs has a CPU to spare, it may go
    there too; were that always so, Ray would take such a node whenever the others are busy.
    """
    takers = _takers(demand, nodes)
    most = max((demand.share * _memory(node) for node in takers), default=float("inf"))
    options: dict[str, Any] = {
        "num_cpus": demand.cpus,
        "memory": int(min(demand.memory, most)),
        "label_selector": _NOT_BESIDE_SERVICES,
    }
    if demand.gpus:
        options["num_gpus"] = demand.gpus
    if takers and all(map(_holds_services, takers)):
        options["fallback_strategy"] = [{"label_selector": _BESIDE_SERVICES}]
    return options


class Patience:
    """How long tasks that have not begun may still wait: they are given up when, for `PATIENCE_S`, there was no node that could
    take one of them even if it had nothing else to do."""

    def __init__(self, *demands: Demand) -> None:
        self._demands = demands
        self._hopeful_at = time.monotonic()

    def check(self, nodes: Sequence[Node] | None = None) -> None:
        """
        Raises:
            NoNode: they have waited long enough.
        """
        now = time.monotonic()
        try:
            found = alive_nodes() if nodes is None else nodes
        except RayError:  # the GCS is away, which says nothing of the nodes
            return
        if all(_takers(demand, found) for demand in self._demands):
            self._hopeful_at = now
        elif now - self._hopeful_at >= PATIENCE_S:
            raise NoNode


def _takers(demand: Demand, nodes: Sequence[Node]) -> list[Node]:
    """Nodes with the processors for a task: those that compute, or else those of the services with CPUs to spare."""
    able = [node for node in nodes if _has(node, "CPU") and _has(node, "GPU") >= demand.gpus]
    computing = [node for node in able if not _holds_services(node) and _has(node, "CPU") >= demand.cpus]
    return computing or [
        node for node in able if _holds_services(node) and _has(node, "CPU") >= demand.cpus + _SERVICES_CPUS
    ]


def _holds_services(node: Node) -> bool:
    return node["Labels"].get("role") in ("head", "services")


def _has(node: Node, resource: str) -> float:
    return float(node["Resources"].get(resource, 0))


def _memory(node: Node) -> float:
    return _has(node, "memory") or float("inf")
