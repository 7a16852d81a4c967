"""A raster on a real S3 server, of which only what is needed is read."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import rasterio
from counting import CountingStorage
from orders import order_of
from rasterio.enums import Resampling
from rasters import UTM, write_bands

from orthoray.contracts import Outcome
from orthoray.storage.config import StorageConfig
from pipelines.facts import PREVIEW_SIDE
from pipelines.planning import plan_of_record
from pipelines.readable import for_bands, for_preview
from pipelines.tasks import analyse_order
from serve_app.local.objectstore import EmbeddedS3

NAMES = ("red", "green", "blue", "nir", "red edge")


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StorageConfig]:
    server = EmbeddedS3(tmp_path_factory.mktemp("home"))
    facts = server.start()
    yield StorageConfig(Path("/nowhere"), facts.endpoint, facts.access_key, facts.secret_key, facts.region)
    server.stop()


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """41 MB: five bands, one after another, and overviews."""
    values = np.random.default_rng(1).integers(1, 10_000, (5, 2048, 2048), dtype=np.uint16)
    tiles = {"tiled": True, "blockxsize": 256, "blockysize": 256, "interleave": "band"}
    path = write_bands(tmp_path_factory.mktemp("scene") / "scene.tif", values, NAMES, **UTM, **tiles)
    with rasterio.open(path, "r+") as dataset:
        dataset.build_overviews([2, 4, 8], Resampling.average)
    return path


def test_an_analysis_reads_two_bands_of_five(
    config: StorageConfig, scene: Path, tmp_path: Path, record_property: Any
) -> None:
    order = order_of(config, scene)
    storage = CountingStorage(config.open())
    with for_bands(cast(Any, storage), order, plan_of_record(order.imagery, order.run.wish)):
        share = storage.read / scene.stat().st_size
    record_property("share_read", share)
    assert 0.2 < share < 0.4
    *_, far = analyse_order(config, order)
    here = StorageConfig(tmp_path)
    *_, near = analyse_order(here, order_of(here, scene))
    assert isinstance(far, Outcome)
    assert isinstance(near, Outcome)
    assert far.statistics == near.statistics


def test_to_describe_a_raster_with_overviews_takes_little_of_it(config: StorageConfig, scene: Path) -> None:
    order = order_of(config, scene)
    storage, key = CountingStorage(config.open()), order.imagery.object_key
    with for_preview(cast(Any, storage), config.imagery, key, PREVIEW_SIDE // 4):
        assert storage.read < 0.3 * scene.stat().st_size
