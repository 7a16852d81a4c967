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
    first, second = add_node(), add_node(labels={"role": "second"})
    where = {ray.get(node_id.options(label_selector={"role": "second"}).remote()) for _ in range(2)}
    assert where == {second.node_id}
    cluster.remove_node(second, allow_graceful=False)
    cluster.wait_for_nodes()
    assert ray.get(node_id.remote()) == first.node_id
