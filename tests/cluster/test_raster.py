"""A large raster over the nodes of a cluster: the raster of one process, whatever happens to the nodes."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import pytest
import ray
from collector import collector
from nodes import AddNode
from orders import order_of
from rasters import RGBN, UTM, fields, write_bands
from ray.cluster_utils import Cluster
from ray.exceptions import RayTaskError, TaskCancelledError
from stack import eventually

from orthoray import telemetry
from orthoray.contracts import Outcome
from orthoray.errors import TruncatedImage
from orthoray.otlp import Tracing
from orthoray.ports import RunOrder
from orthoray.spectral.bands import BandMap
from orthoray.spectral.engine import analyse_bands
from orthoray.spectral.stack import Stack, inspect_stack
from orthoray.spectral.survey import IndexResult
from orthoray.storage.config import StorageConfig
from pipelines import raster
from pipelines.large import analyse_large_object, task_for
from pipelines.raster import BYTES_PER_PIXEL, PROCESS_BYTES, OnRay, Placement, best_placement
from pipelines.tasks import analyse_order
from pipelines.windows import LocalFiles
from serve_app.local.objectstore import EmbeddedS3

# 27 megapixels: the statistics are those of a large raster, from a histogram, and there are nine blocks.
SIDE = 5200
NAMES = BandMap(("R", "N"), "caller")
TILED = {"tiled": True, "blockxsize": 512, "blockysize": 512, "compress": "zstd"}
BLOCK_BYTES = PROCESS_BYTES + BYTES_PER_PIXEL * 2048 * 2048
LAYOUTS: dict[str, dict[str, Any]] = {
    "tiles": TILED,
    "tiles, band after band": TILED | {"interleave": "band"},
    "strips": {"blockysize": 16, "compress": "lzw"},
}


@pytest.fixture(scope="module")
def bands() -> npt.NDArray[np.uint16]:
    """Red and near infrared, with an edge that is masked, and smooth enough to be stored quickly."""
    ramp = np.linspace(0, 4000, SIDE).astype(np.uint16)
    made = np.empty((2, SIDE, SIDE), np.uint16)
    made[0] = 400 + ramp[:, None] % 500
    made[1] = 500 + ramp[None, :]
    made[:, :, :70] = 9
    return made


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("rasters")


@pytest.fixture(scope="module")
def tiled(folder: Path, bands: npt.NDArray[np.uint16]) -> Path:
    return write_bands(folder / "tiles.tif", bands, ("red", "nir"), nodata=9, **UTM, **TILED)


@pytest.fixture(scope="module")
def expected(folder: Path, tiled: Path) -> tuple[IndexResult, bytes]:
    """What one process makes of `tiled`."""
    return analyse(inspect_stack([tiled]), folder / "one.tif", None)


def analyse(
    stack: Stack, target: Path, placement: Placement | None, **options: Any
) -> tuple[IndexResult, bytes]:
    """The result and the bytes of the index raster; without `placement` by one process."""
    elsewhere = None
    if placement is not None:
        paths = [*stack.files, *(mask for mask in stack.masks if mask is not None)]
        elsewhere = OnRay(LocalFiles(tuple(paths)), paths, placement)
    found = analyse_bands(
        stack, "NDVI", band_map=NAMES, cuts=(0.6, 0.4, 0.2), index_path=target, elsewhere=elsewhere, **options
    )
    return found, target.read_bytes()


def expect_equal(found: tuple[IndexResult, bytes], expected: tuple[IndexResult, bytes]) -> None:
    assert found[1] == expected[1], "the rasters differ"
    assert found[0].statistics == expected[0].statistics
    np.testing.assert_array_equal(found[0].picture, expected[0].picture)


def wait_for_cpus(count: float) -> None:
    """Until so many CPUs are free."""
    deadline = time.monotonic() + 60
    while ray.available_resources().get("CPU", 0) < count:
        assert time.monotonic() < deadline, "tasks go on"
        time.sleep(0.2)


@pytest.mark.usefixtures("workers")
@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_raster_of_one_process(tmp_path: Path, bands: npt.NDArray[np.uint16], layout: str) -> None:
    path = write_bands(tmp_path / "a.tif", bands, nodata=9, **UTM, **LAYOUTS[layout])
    stack = inspect_stack([path])
    expect_equal(
        analyse(stack, tmp_path / "many.tif", Placement()), analyse(stack, tmp_path / "one.tif", None)
    )


@pytest.mark.usefixtures("workers")
def test_several_files_of_which_one_has_a_mask(tmp_path: Path, bands: npt.NDArray[np.uint16]) -> None:
    red, near = (
        write_bands(tmp_path / f"{name}.tif", bands[place : place + 1], **UTM, **TILED)
        for place, name in enumerate(("red", "nir"))
    )
    shown = np.full((1, SIDE, SIDE), 255, np.uint8)
    shown[:, :300] = 0
    stack = inspect_stack([red, near], masks=[write_bands(tmp_path / "red.tif.msk", shown, **TILED), None])
    many = analyse(stack, tmp_path / "many.tif", Placement())
    expect_equal(many, analyse(stack, tmp_path / "one.tif", None))
    assert many[0].statistics.nodata_pixels == 300 * SIDE


def test_blocks_of_a_node_that_dies_are_computed_again(
    cluster: Cluster, add_node: AddNode, tmp_path: Path, tiled: Path, expected: tuple[IndexResult, bytes]
) -> None:
    first, _ = (add_node(labels={"role": "mortal"}) for _ in range(2))
    killed = []

    def kill(fraction: float) -> None:
        if fraction > 0.25 and not killed:
            killed.append(fraction)
            cluster.remove_node(first, allow_graceful=False)

    placement = Placement(cpu_labels={"role": "mortal"})
    found = analyse(inspect_stack([tiled]), tmp_path / "many.tif", placement, progress=kill)
    expect_equal(found, expected)
    assert killed


def test_a_node_is_not_given_more_blocks_than_its_memory_holds(
    add_node: AddNode, tmp_path: Path, tiled: Path, expected: tuple[IndexResult, bytes]
) -> None:
    add_node(num_cpus=4, memory=int(1.5 * BLOCK_BYTES), labels={"role": "narrow"})
    before, free = ray.available_resources()["CPU"], []
    found = analyse(
        inspect_stack([tiled]),
        tmp_path / "many.tif",
        Placement(cpu_labels={"role": "narrow"}),
        progress=lambda _: free.append(ray.available_resources().get("CPU", 0)),
    )
    expect_equal(found, expected)
    assert min(free) == before - 1, "one block at a time"


@pytest.mark.usefixtures("workers")
def test_decoded_on_cpus_and_computed_on_gpus(
    add_node: AddNode, tmp_path: Path, tiled: Path, expected: tuple[IndexResult, bytes]
) -> None:
    add_node(num_cpus=0, num_gpus=1, labels={"role": "gpu"})  # neither kind of node could do it alone
    placement = Placement("array_api_strict", cpu_labels={"role": "worker"}, gpu_labels={"role": "gpu"})
    free = []
    found = analyse(
        inspect_stack([tiled]),
        tmp_path / "many.tif",
        placement,
        progress=lambda _: free.append(ray.available_resources().get("GPU", 0)),
    )
    expect_equal(found, expected)
    assert min(free) < 1
    assert best_placement() == Placement(), "there is a GPU, but no CuPy"


def test_blocks_have_spans_in_the_trace_of_their_run(
    add_node: AddNode, tmp_path: Path, tiled: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with collector() as found:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", found.endpoint)
        add_node(num_cpus=1, labels={"role": "traced"})  # its processes have the variable
        tracing = Tracing("driver")
        monkeypatch.setattr(telemetry, "_tracing", tracing)
        monkeypatch.setattr(raster, "TRACED_BLOCKS", 3)
        with telemetry.step("compute", root=True):
            trace = telemetry.trace_id()
            analyse(inspect_stack([tiled]), tmp_path / "i.tif", Placement(cpu_labels={"role": "traced"}))
        tracing.close()
        assert trace is not None
        eventually(lambda: len(found.of(trace)) == 4, 20, "three of nine blocks have a span")
        (whole,) = (span for span in found.of(trace) if span.name == "compute")
        assert whole.attributes == {"orthoray.blocks": 9, "orthoray.blocks_for_each_span": 3}
        blocks = [span for span in found.of(trace) if span.name == "block"]
        assert {(span.service, span.parent) for span in blocks} == {("compute", whole.id)}


@pytest.mark.usefixtures("workers")
def test_a_broken_tile_is_told_at_once_and_nothing_goes_on(tmp_path: Path, tiled: Path) -> None:
    content = bytearray(tiled.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 50_000] = b"\xff" * 50_000
    broken = tmp_path / "broken.tif"
    broken.write_bytes(content)
    with pytest.raises(TruncatedImage, match="incomplete or damaged"):
        analyse(inspect_stack([broken]), tmp_path / "index.tif", Placement())
    assert not (tmp_path / "index.tif").exists()
    wait_for_cpus(2)


@pytest.fixture
def config(tmp_path: Path) -> StorageConfig:
    return StorageConfig(root=tmp_path / "storage")


@pytest.fixture
def s3_config(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StorageConfig]:
    home = tmp_path_factory.mktemp("s3")
    server = EmbeddedS3(home)
    facts = server.start()
    yield StorageConfig(home, facts.endpoint, facts.access_key, facts.secret_key)
    server.stop()


def outcome_of(config: StorageConfig, order: RunOrder, task: Any) -> Outcome:
    node, *steps, outcome = (ray.get(reference) for reference in task.remote(config, order, {}))
    assert isinstance(node, str)
    # where one task hands over to another, its node is told too
    fractions = [step for step in steps if not isinstance(step, str)]
    assert fractions == sorted(fractions)
    assert isinstance(outcome, Outcome)
    return outcome


@pytest.mark.parametrize("storage", ["config", "s3_config"])
@pytest.mark.usefixtures("workers")
def test_a_large_run_has_the_result_of_a_small_one(
    request: pytest.FixtureRequest, tiled: Path, storage: str
) -> None:
    config = cast(StorageConfig, request.getfixturevalue(storage))
    order = order_of(config, tiled)
    assert task_for(order, SIDE * SIDE + 1)[0] is not analyse_large_object
    many = outcome_of(config, order, task_for(order, SIDE * SIDE)[0])
    index = config.open().get_bytes("heatmaps", many.index_key)
    picture = config.open().get_bytes("heatmaps", many.heatmap_key)
    *_, one = analyse_order(config, order)
    assert isinstance(one, Outcome)
    assert config.open().get_bytes("heatmaps", many.index_key) == index
    assert config.open().get_bytes("heatmaps", many.heatmap_key) == picture
    assert (many.provenance.pop("way"), one.provenance.pop("way")) == ("blocks", "one task")
    many.seconds = one.seconds = 0.0
    assert many == one


@pytest.mark.usefixtures("workers")
def test_what_does_not_go_by_blocks_goes_as_ever(config: StorageConfig, tmp_path: Path) -> None:
    order = order_of(config, write_bands(tmp_path / "a.tif", fields(), RGBN), options={"blend": 0.5})
    assert outcome_of(config, order, analyse_large_object).provenance["way"] == "one task"


@pytest.mark.usefixtures("workers")
def test_a_cancelled_run_leaves_nothing(config: StorageConfig, tiled: Path) -> None:
    stream = analyse_large_object.remote(config, order_of(config, tiled), {})
    ray.get(next(stream))
    ray.cancel(stream)
    with pytest.raises((TaskCancelledError, RayTaskError)):
        ray.get(list(stream))
    wait_for_cpus(2)
    assert list(config.open().list("heatmaps")) == []
