"""One Ray cluster for all tests here: a head that computes nothing, to which tests add nodes and from which they take them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from nodes import ENVIRONMENT, AddNode

os.environ |= ENVIRONMENT

import pytest
from patient import started
from ray.cluster_utils import Cluster


def pytest_configure(config: pytest.Config) -> None:
    """Ray leaves sockets and pipes of the nodes that it starts to the garbage collector."""
    config.addinivalue_line("filterwarnings", "ignore::ResourceWarning")


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """See `started`: nodes with CPUs are of tests."""
    with started() as cluster:
        yield cluster


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
