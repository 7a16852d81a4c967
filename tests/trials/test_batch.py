"""A batch of 500 images and one that is none, while a part of the cluster is killed: each is done once."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from batches import a_request, write_images

from pipelines.batch import find_items, make_job
from pipelines.campaign import on_ray, run_campaign
from pipelines.ledger import FileLedger

IMAGES, KILL_AFTER = 500, 150
AWAY_S = 8.0


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_images(tmp_path_factory.mktemp("batch") / "images", IMAGES, broken=True, side=200)


def test_a_node_is_killed(cluster: Any, images: Path, tmp_path: Path, tell: Callable[[str], None]) -> None:
    nodes = [cluster.add_node(num_cpus=1) for _ in range(2)]
    cluster.wait_for_nodes()
    tell(carried_through(images, tmp_path, lambda: cluster.remove_node(nodes[0], allow_graceful=False)))


def test_the_gcs_of_the_head_is_killed(
    lasting_cluster: Any, images: Path, tmp_path: Path, tell: Callable[[str], None]
) -> None:
    for _ in range(2):
        lasting_cluster.add_node(num_cpus=1)
    lasting_cluster.wait_for_nodes()

    def kill() -> None:
        lasting_cluster.head_node.kill_gcs_server()
        time.sleep(AWAY_S)
        lasting_cluster.head_node.start_gcs_server()

    tell(carried_through(images, tmp_path, kill))


def carried_through(images: Path, folder: Path, kill: Callable[[], object]) -> str:
    """The figures of a batch in whose middle something is killed, and of the same batch once more."""
    out, killed = folder / "out", []
    job = make_job(a_request(images, report=True), out)

    def watch(over: int, _total: int) -> None:
        if over >= KILL_AFTER and not killed:
            killed.append(over)
            kill()

    began = time.monotonic()
    tally = run_campaign(job, find_items(job), spread=on_ray, tell=watch)
    seconds = time.monotonic() - began
    assert killed
    assert (tally.total, tally.completed, tally.failed) == (IMAGES + 1, IMAGES, 1)
    assert isinstance(job.ledger, FileLedger)
    more = sum(path.stat().st_size > 1 for path in job.ledger.folder.glob("*.begun"))
    table = pq.read_table(out / "statistics.parquet").to_pylist()
    assert [row["source"] for row in table if row["status"] == "failed"] == ["broken.tif"]
    assert len({row["heatmap"] for row in table if row["heatmap"]}) == IMAGES
    assert len(list((out / "heatmaps").iterdir())) == IMAGES

    before = {path: path.stat().st_mtime_ns for path in (out / "heatmaps").iterdir()}
    began = time.monotonic()
    again = run_campaign(job, find_items(job), spread=on_ray)
    assert (again.completed, again.known) == (IMAGES, IMAGES)
    assert before == {path: path.stat().st_mtime_ns for path in before}, "nothing is done twice"
    return (
        f"killed after {killed[0]} images; {tally.completed} completed, {tally.failed} failed, {more} begun more than once, "
        f"{seconds:.0f} s; the same batch again: {again.known} known, {time.monotonic() - began:.0f} s"
    )
