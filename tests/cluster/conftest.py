"""One Ray cluster for all tests here: a head that computes nothing, to which tests add nodes and from which they take them."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

# Ray reads these when it is imported; explicit, so that no token of the developer's own is taken for ours.
os.environ |= {
    "RAY_AUTH_MODE": "token",
    "RAY_AUTH_TOKEN": secrets.token_hex(32),
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    # A node that was killed refuses connections, and is known to be dead after some seconds rather than a quarter of a
    # minute; one on a machine that is slow answers late, and is given half a minute.
    "RAY_health_check_initial_delay_ms": "1000",
    "RAY_health_check_period_ms": "1000",
    "RAY_health_check_timeout_ms": "10000",
    "RAY_health_check_failure_threshold": "3",
}

import pytest
import ray
from nodes import AddNode
from ray.cluster_utils import Cluster


def pytest_configure(config: pytest.Config) -> None:
    """Ray leaves sockets and pipes of the nodes that it starts to the garbage collector."""
    config.addinivalue_line("filterwarnings", "ignore::ResourceWarning")


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """The head, to which this process is connected as the driver. It has no CPU: what computes is on nodes of tests."""
    cluster = Cluster(
        initialize_head=True,
        head_node_args={"num_cpus": 0, "include_dashboard": False, "object_store_memory": 200_000_000},
    )
    try:
        ray.init(address=cluster.address, log_to_driver=False, logging_level="WARNING")
        yield cluster
    finally:
        ray.shutdown()
        cluster.shutdown()


@pytest.fixture(scope="session")
def workers(cluster: Cluster) -> None:
    """Two nodes with a CPU each, labelled `role: worker`, that stay: for tests that only need some."""
    for _ in range(2):
        cluster.add_node(labels={"role": "worker"})


@pytest.fixture
def add_node(cluster: Cluster) -> Iterator[AddNode]:
    """Adds a node of the test's own; those that are left when the test ends are killed."""
    added = []

    def add(**options: Any) -> Any:
        added.append(cluster.add_node(**options))
        return added[-1]

    yield add
    for node in added:
        with suppress(KeyError):  # the test has removed it
            cluster.remove_node(node, allow_graceful=False)
    cluster.wait_for_nodes()
