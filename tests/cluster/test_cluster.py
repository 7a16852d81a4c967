"""The cluster of these tests is what they take it for."""

from __future__ import annotations

from typing import Any

import ray
from nodes import AddNode
from ray.cluster_utils import Cluster


@ray.remote(max_retries=3)
def node_id() -> Any:
    return ray.get_runtime_context().get_node_id()


def test_work_goes_where_there_are_cpus(cluster: Cluster, add_node: AddNode) -> None:
    node = add_node(labels={"role": "extra"})
    there = node_id.options(label_selector={"role": "extra"})
    assert ray.get(there.remote()) == node.node_id
    cluster.remove_node(node, allow_graceful=False)
    cluster.wait_for_nodes()
    late = there.remote()
    assert ray.wait([late], timeout=1) == ([], [late])
    another = add_node(labels={"role": "extra"})
    assert ray.get(late) == another.node_id
