"""Where runs go on nodes with and without services, by Ray itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import ray
from nodes import AddNode
from orders import order_of
from rasters import RGBN, UTM, fields, write_bands

from orthoray.contracts import Outcome
from orthoray.storage.config import StorageConfig
from pipelines.large import task_for
from pipelines.nodes import Demand, alive_nodes, placed


@ray.remote(max_retries=0)
def role() -> str:
    node = ray.get_runtime_context().get_node_id()
    return next(str(one["Labels"].get("role")) for one in ray.nodes() if one["NodeID"] == node)


def roles(demand: Demand, count: int) -> list[str]:
    """Where so many tasks with a demand run, asked for at once."""
    task = role.options(**placed(demand, alive_nodes()))
    found: list[str] = ray.get([task.remote() for _ in range(count)], timeout=60)
    return found


def test_runs_keep_off_the_services_but_where_there_is_nothing_else(add_node: AddNode) -> None:
    demand = Demand(1, 10**12)  # more than any node has
    add_node(num_cpus=3, memory=2_000_000_000, labels={"role": "services"})
    assert roles(demand, 1) == ["services"]
    add_node(num_cpus=1, memory=500_000_000, labels={"role": "cpu"})
    assert roles(demand, 4) == ["cpu"] * 4, "though the other node is idle"
    assert roles(Demand(0.5, 1), 4) == ["cpu"] * 4


@pytest.mark.parametrize(
    "wishes", [{}, {"options": {"blend": 0.5}}], ids=["by blocks", "in one task after all"]
)
def test_a_large_run_ends_though_all_nodes_hold_services_and_have_little_memory(
    add_node: AddNode, tmp_path: Path, wishes: dict[str, Any]
) -> None:
    """Its tasks wait for one another, and each would take more than there is."""
    add_node(num_cpus=3, memory=300_000_000, labels={"role": "services"})
    config = StorageConfig(root=tmp_path / "storage")
    order = order_of(config, write_bands(tmp_path / "a.tif", fields(), RGBN, **UTM), **wishes)
    task, demand = task_for(order, 1)
    stream: Any = task.options(**placed(demand, alive_nodes())).remote(config, order, {})
    *_, outcome = (ray.get(reference) for reference in stream)
    assert isinstance(outcome, Outcome)
    assert outcome.provenance["way"] == ("one task" if wishes else "blocks")
