"""One Ray cluster for all tests here: a head that computes nothing, to which tests add nodes and from which they take them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from nodes import ENVIRONMENT, AddNode

os.environ |= ENVIRONMENT

import pytest
import ray
from patient import PatientCluster
from ray.cluster_utils import Cluster


def pytest_configure(config: pytest.Config) -> None:
    """Ray leaves sockets and pipes of the nodes that it starts to the garbage collector."""
    config.addinivalue_line("filterwarnings", "ignore::ResourceWarning")


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """The head, to which this process is connected as the driver. It has no CPU: what computes is on nodes of tests."""
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
