"""Where tasks may go, and what they ask for, without Ray."""

from __future__ import annotations

from typing import Any

import pytest

from orthoray.errors import NoNode
from pipelines import nodes
from pipelines.nodes import Demand, Patience, placed

RUN = Demand(1, 400)


def a_node(cpus: float, role: str | None = None, memory: float = 1000, gpus: float = 0) -> dict[str, Any]:
    labels = {} if role is None else {"role": role}
    return {"Labels": labels, "Resources": {"CPU": cpus, "memory": memory, "GPU": gpus}}


SERVICES = a_node(1, "services", memory=5000)
LARGE_SERVICES = a_node(4, "services", memory=5000)
CPU = a_node(4, "cpu")


@pytest.mark.parametrize(
    ("there", "beside_services"),
    [
        ([a_node(2)], False),
        ([SERVICES, CPU], False),
        ([LARGE_SERVICES, CPU], False),
        ([LARGE_SERVICES], True),
        # its CPU is the replicas', so the task waits for a node that computes
        ([SERVICES], False),
        ([a_node(0, "head")], False),
        ([], False),
    ],
)
def test_tasks_keep_off_the_services_as_long_as_others_compute(
    there: list[dict[str, Any]], beside_services: bool
) -> None:
    options = placed(RUN, there)
    assert options["label_selector"] == {"role": "!in(head,services)"}
    assert ("fallback_strategy" in options) == beside_services


@pytest.mark.parametrize(
    ("there", "memory"),
    [([CPU], 400), ([a_node(2, memory=300)], 300), ([LARGE_SERVICES, a_node(2, memory=300)], 300), ([], 400)],
)
def test_no_more_memory_than_one_of_the_nodes_has(there: list[dict[str, Any]], memory: int) -> None:
    assert placed(RUN, there)["memory"] == memory


def test_a_share_leaves_memory_to_the_tasks_that_are_waited_for() -> None:
    assert placed(Demand(0, 400, share=0.25), [CPU])["memory"] == 250


def test_patience_ends_only_where_no_node_could_ever_take_it(monkeypatch: pytest.MonkeyPatch) -> None:
    moments = iter([0, 700, 1200, 1400])
    monkeypatch.setattr(nodes.time, "monotonic", lambda: next(moments))
    patience = Patience(RUN)
    patience.check([CPU])  # busy, but it can
    patience.check([SERVICES])  # for 500 s
    with pytest.raises(NoNode, match="role=cpu"):
        patience.check([SERVICES])


def test_patience_with_a_gpu_that_is_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nodes, "PATIENCE_S", 0.0)
    patience = Patience(RUN, Demand(0, 400, gpus=0.25))
    patience.check([CPU, a_node(1, "gpu", gpus=1)])
    with pytest.raises(NoNode):
        patience.check([CPU])
