"""How much of a file that lies far away is read."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import rasterio
from counting import CountingStorage
from orders import order_of
from rasterio.enums import Resampling
from rasters import UTM, write_bands

from orthoray.errors import TruncatedImage
from orthoray.ports import Upload
from orthoray.storage.memory import MemoryStorage
from pipelines.facts import describe
from pipelines.planning import plan_of_record
from pipelines.readable import for_bands, for_preview

NAMES = ("red", "green", "blue", "nir", "red edge")
TILES = {"tiled": True, "blockxsize": 256, "blockysize": 256}


@dataclass
class Far:
    """Stands for a `StorageConfig` whose storage is far away."""

    storage: CountingStorage = field(default_factory=lambda: CountingStorage(MemoryStorage()))
    buckets = ("imagery", "heatmaps", "reports")
    imagery = "imagery"

    def open(self) -> CountingStorage:
        return self.storage


def scene(path: Path, side: int = 768, **profile: Any) -> Path:
    """Five bands of noise, 2 bytes each."""
    values = np.random.default_rng(1).integers(1, 10_000, (5, side, side), dtype=np.uint16)
    return write_bands(path, values, NAMES, **UTM, **profile)


def share_read(source: Path, **wishes: Any) -> tuple[float, bool]:
    """Of the file, and whether red and near infrared are what they were."""
    far = Far()
    order = order_of(cast(Any, far), source, **wishes)
    far.storage.read = 0
    plan = plan_of_record(order.imagery, order.run.wish)
    with (
        for_bands(cast(Any, far.storage), order, plan) as (path,),
        rasterio.open(path) as found,
        rasterio.open(source) as meant,
    ):
        same = bool((found.read([1, 4]) == meant.read([1, 4])).all())
    return far.storage.read / source.stat().st_size, same


@pytest.mark.parametrize(
    ("profile", "wishes", "most"),
    [
        ({"interleave": "band", **TILES}, {}, 0.45),
        ({"interleave": "band"}, {}, 0.45),
        ({"interleave": "band", **TILES}, {"index_type": "GNDVI"}, None),
        ({"interleave": "pixel", **TILES}, {}, 1.1),
        ({"interleave": "band", **TILES}, {"options": {"blend": 0.5}}, 1.1),
    ],
)
def test_the_bands_that_are_needed_are_what_is_read(
    tmp_path: Path, profile: dict[str, Any], wishes: dict[str, Any], most: float | None
) -> None:
    share, same = share_read(scene(tmp_path / "field.tif", **profile), **wishes)
    if most is None:
        assert not same, "red was not asked for"
        assert share < 0.45
    else:
        assert same
        assert most / 2 < share < most


def described(source: Path, storage: Any, size: int | None = None) -> tuple[dict[str, Any], bytes]:
    content = source.read_bytes()[:size]
    storage.put_bytes("imagery", "a/field.tif", content)
    file = {"filename": "field.tif", "object_key": "a/field.tif", "size_bytes": len(content), "sha256": "x"}
    upload = Upload.model_validate({"id": "0" * 32, "files": [file]})
    with for_preview(storage, "imagery", "a/field.tif", 4 * 90) as path:
        return describe([path], upload, bucket="imagery", max_pixels=10**9)


def test_a_raster_with_overviews_is_described_without_most_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipelines.facts.THUMBNAIL_SIDE", 90)
    source = scene(tmp_path / "field.tif", **TILES)
    with rasterio.open(source, "r+") as dataset:
        dataset.build_overviews([2, 4, 8], Resampling.nearest)
    far, near = CountingStorage(MemoryStorage()), MemoryStorage()
    monkeypatch.setattr("pipelines.readable.SMALL_BYTES", 10**9)
    whole = described(source, near)
    monkeypatch.undo()
    monkeypatch.setattr("pipelines.facts.THUMBNAIL_SIDE", 90)
    assert described(source, far) == whole
    assert far.read < 0.45 * source.stat().st_size


def test_a_raster_that_was_cut_off_is_told(tmp_path: Path) -> None:
    source = scene(tmp_path / "field.tif", **TILES)
    with pytest.raises(TruncatedImage):
        described(source, CountingStorage(MemoryStorage()), source.stat().st_size - 1000)
