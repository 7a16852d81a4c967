"""A batch over nodes of which one is lost."""

from __future__ import annotations

from pathlib import Path

import pyarrow.parquet as pq
import pytest
from batches import a_request, write_images
from nodes import AddNode
from ray.cluster_utils import Cluster

from pipelines.batch import find_items, make_job
from pipelines.campaign import on_ray, run_campaign

pytestmark = [
    pytest.mark.timeout(240),
    # Ray Data's own: it warns of its defaults, and leaves sockets to the collector
    pytest.mark.filterwarnings("ignore::DeprecationWarning:ray.data"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


def test_a_node_is_lost_in_the_middle(cluster: Cluster, add_node: AddNode, tmp_path: Path) -> None:
    folder, out = write_images(tmp_path / "images", 40, broken=True, side=200), tmp_path / "out"
    nodes = [add_node(num_cpus=1) for _ in range(2)]
    cluster.wait_for_nodes()
    job = make_job(a_request(folder, report=True), out)
    lost = []

    def lose_a_node(over: int, _total: int) -> None:
        if not lost and over >= 3:
            lost.append(cluster.remove_node(nodes[0], allow_graceful=False))

    tally = run_campaign(job, find_items(job), spread=on_ray, tell=lose_a_node)
    assert lost
    assert (tally.total, tally.completed, tally.failed, tally.known) == (41, 40, 1, 0)
    rows = pq.read_table(out / "statistics.parquet").to_pylist()
    assert [row["source"] for row in rows if row["status"] == "failed"] == ["broken.tif"]
    assert len({row["heatmap"] for row in rows if row["heatmap"]}) == 40
    assert len(list((out / "heatmaps").iterdir())) == 40

    again = run_campaign(job, find_items(job), spread=on_ray)
    assert (again.completed, again.known) == (40, 40)
