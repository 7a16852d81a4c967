"""Ray's cluster of several nodes on one machine, for machines that are slow."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import ray
from ray._private import services
from ray.cluster_utils import Cluster

START_S = 150.0


class PatientCluster(Cluster):  # type: ignore[misc]  # Ray gives it no types
    """Ray's, whose nodes may take longer than half a minute to start on a machine that is slow."""

    def add_node(self, wait: bool = True, **options: Any) -> Any:
        asked = services.get_node

        def patiently(*arguments: Any) -> Any:
            deadline = time.monotonic() + START_S
            while True:
                try:
                    return asked(*arguments)
                except RuntimeError:  # it has not registered yet
                    if time.monotonic() > deadline:
                        raise
                    time.sleep(0.2)

        services.get_node = patiently
        try:
            return super().add_node(wait, **options)
        finally:
            services.get_node = asked

    def wait_for_nodes(self, timeout: float = START_S) -> None:
        super().wait_for_nodes(timeout)


@contextmanager
def started() -> Iterator[PatientCluster]:
    """The head of a cluster, to which this process is connected as the driver. It has no CPU: what computes is on other nodes."""
    cluster = PatientCluster(
        initialize_head=True,
        head_node_args={"num_cpus": 0, "include_dashboard": False, "object_store_memory": 200_000_000},
    )
    try:
        ray.init(address=cluster.address, log_to_driver=False, logging_level="WARNING")
        yield cluster
    finally:
        ray.shutdown()
        cluster.shutdown()
