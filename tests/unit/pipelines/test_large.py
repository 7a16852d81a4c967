"""Which task a run is given to."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from orders import order_of
from PIL import Image
from rasters import RGBN, UTM, fields, write_bands

from orthoray.storage.config import StorageConfig
from pipelines.large import LARGE_AT_ONCE, analyse_large_object, task_for
from pipelines.nodes import placed
from pipelines.planning import plan_of_record
from pipelines.single import obstacle
from pipelines.tasks import analyse_object


@pytest.fixture
def config(tmp_path: Path) -> StorageConfig:
    return StorageConfig(root=tmp_path / "storage")


def test_size_decides_for_tiffs_alone(config: StorageConfig, tmp_path: Path) -> None:
    order = order_of(config, write_bands(tmp_path / "a.tif", fields(), RGBN, **UTM))
    assert task_for(order, 48)[0] is analyse_large_object
    assert task_for(order, 49)[0] is analyse_object
    Image.new("RGB", (8, 6)).save(tmp_path / "a.png")
    assert task_for(order_of(config, tmp_path / "a.png", index_type="VARI"), 48)[0] is analyse_object


def test_what_is_held_as_a_whole_asks_for_more_memory(config: StorageConfig, tmp_path: Path) -> None:
    raster = order_of(config, write_bands(tmp_path / "a.tif", fields(), RGBN, **UTM))
    Image.new("RGB", (8, 6)).save(tmp_path / "a.png")
    photo = order_of(config, tmp_path / "a.png", index_type="NGRDI")
    by_old = order_of(config, tmp_path / "a.png", index_type="ndvi_emp")
    asked = [task_for(order, 10**9)[1] for order in (raster, photo, by_old)]
    assert [demand.cpus for demand in asked] == [1, 1, 1]
    least = asked[0].memory
    assert [demand.memory - least for demand in asked] == [0, 12 * 48, 30 * 48]


def test_two_that_join_blocks_leave_half_of_a_node_to_the_blocks(
    config: StorageConfig, tmp_path: Path
) -> None:
    order = order_of(config, write_bands(tmp_path / "a.tif", fields(), RGBN, **UTM))
    joining = task_for(order, 48)[1]
    node = {"Labels": {}, "Resources": {"CPU": 2.0, "memory": 1e9}}
    assert LARGE_AT_ONCE * placed(joining, [node])["memory"] == 5e8


OBSTACLES: dict[str, tuple[dict[str, Any], str]] = {
    "an index of photos": ({"index_type": "ExG"}, "whole photos"),
    "a blend": ({"options": {"blend": 0.5}}, "over the photo"),
    "tall strips": ({}, "strips"),
    "nothing": ({}, ""),
}


@pytest.mark.parametrize("case", OBSTACLES)
def test_what_is_in_the_way_of_blocks(
    config: StorageConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, case: str
) -> None:
    wishes, words = OBSTACLES[case]
    layout = {"blockysize": 1200, "compress": "deflate"} if case == "tall strips" else {}
    bands = (fields(1200, 60) * 250).astype("uint8")
    path = write_bands(tmp_path / "a.tif", bands, RGBN, **layout)
    monkeypatch.setattr("orthoray.spectral.work._SMALL_PIXELS", 0)
    order = order_of(config, path, **wishes)
    found = obstacle([path], ["a.tif"], plan_of_record(order.imagery, order.run.wish))
    assert words in (found or "")
    assert (found is None) == (case == "nothing")
