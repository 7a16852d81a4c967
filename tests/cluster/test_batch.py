"""A batch over nodes: one is lost, some have GPUs, and two drivers have it at once."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from batches import a_request, write_images
from nodes import AddNode
from ray.cluster_utils import Cluster

from orthoray.errors import WrongState
from pipelines.batch import find_items, make_job
from pipelines.campaign import Spread, Tally, in_turn, on_ray, run_campaign
from pipelines.images import Ended, Job
from pipelines.raster import Placement
from pipelines.sources import Items

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


def test_images_are_decoded_on_cpus_and_their_index_is_computed_on_gpus(
    add_node: AddNode, tmp_path: Path
) -> None:
    """Neither kind of node could do it alone: as long as there is a GPU, images wait for it."""
    folder = write_images(tmp_path / "images", 6, broken=True, side=600)
    add_node(num_cpus=1, labels={"role": "decoder"})
    add_node(num_cpus=0, num_gpus=1, labels={"role": "gpu"})
    placement = Placement("array_api_strict", cpu_labels={"role": "decoder"}, gpu_labels={"role": "gpu"})

    def on_gpus(job: Job, items: Items) -> Iterator[Ended]:
        return on_ray(job, items, placement)

    def done(out: Path, spread: Spread) -> list[dict[str, Any]]:
        job = make_job(a_request(folder), out)
        tally = run_campaign(job, find_items(job), spread=spread)
        assert (tally.completed, tally.failed) == (6, 1)
        return pq.read_table(out / "statistics.parquet").to_pylist()

    many, one = done(tmp_path / "gpu", on_gpus), done(tmp_path / "cpu", in_turn)
    for ours, theirs in zip(many, one, strict=True):
        told = json.loads(ours.pop("provenance") or "null"), json.loads(theirs.pop("provenance") or "null")
        assert ours == theirs
        if ours["status"] == "completed":
            assert [provenance["device"] for provenance in told] == ["array_api_strict", "cpu"]
            for name in (ours["heatmap"], ours["index_raster"]):
                assert (tmp_path / "gpu" / name).read_bytes() == (tmp_path / "cpu" / name).read_bytes()


def test_images_go_on_when_the_only_gpu_is_lost(cluster: Cluster, add_node: AddNode, tmp_path: Path) -> None:
    add_node(num_cpus=1, labels={"role": "decoder"})
    gpus = add_node(num_cpus=0, num_gpus=1, labels={"role": "gpu"})
    cluster.wait_for_nodes()
    placement = Placement("array_api_strict", cpu_labels={"role": "decoder"}, gpu_labels={"role": "gpu"})
    job = make_job(a_request(write_images(tmp_path / "images", 4, side=200)), tmp_path / "out")
    lost: list[object] = []

    def on_gpus(job: Job, items: Items) -> Iterator[Ended]:
        for end in on_ray(job, items, placement):
            if not lost:
                lost.append(cluster.remove_node(gpus, allow_graceful=False))
            yield end

    assert run_campaign(job, find_items(job), spread=on_gpus).completed == 4


def test_two_drivers_at_once(add_node: AddNode, tmp_path: Path) -> None:
    """The second takes the batch over while images of the first are under way; all are done, and nothing is lost."""
    folder, out = write_images(tmp_path / "images", 24, side=200), tmp_path / "out"
    add_node(num_cpus=2)
    second: list[Tally] = []

    def take_over(over: int, _total: int) -> None:
        if over == 3:
            job = make_job(a_request(folder), out)
            second.append(run_campaign(job, find_items(job), spread=on_ray))

    first = make_job(a_request(folder), out)
    with pytest.raises(WrongState, match="Another job has taken over"):
        run_campaign(first, find_items(first), spread=on_ray, tell=take_over)
    assert second[0].completed == 24
    assert len(list((out / "heatmaps").iterdir())) == 24
    assert pq.read_table(out / "statistics.parquet").num_rows == 24
