"""Items and collections of results against the schemas of STAC and its extensions."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from batches import BATCH, a_result, an_imagery
from stac_rules import EO_NAMES, expect_valid

from orthoray.batches import ItemResult
from orthoray.contracts import Asset, Findings
from pipelines.stac import Collection, item_dict
from pipelines.stac_fields import COMMON_NAMES, EXTENSIONS


def expect_projection(item: dict[str, Any]) -> None:
    properties = item["properties"]
    assert EXTENSIONS["proj"] in item["stac_extensions"]
    rows, columns = properties["proj:shape"]
    assert isinstance(rows, int)
    assert isinstance(columns, int)
    assert len(properties.get("proj:transform", range(6))) in {6, 9}
    code = properties.get("proj:code")
    assert code is None or code.startswith("EPSG:")
    assert code or isinstance(properties.get("proj:wkt2", ""), str)


def a_result_of(**facts: object) -> ItemResult:
    return a_result().model_copy(update={"imagery": an_imagery(**facts)})


FOOTPRINT = {"type": "Polygon", "coordinates": [[[28, 47], [29, 47], [29, 48], [28, 48], [28, 47]]]}
PLACED = {
    "footprint": FOOTPRINT,
    "bounds_wgs84": [28.0, 47.0, 29.0, 48.0],
    "gsd_m": 10.0,
    "transform": [10.0, 0.0, 500000.0, 0.0, -10.0, 5200000.0],
    "crs": {"epsg": 32635, "name": "UTM 35N"},
    "captured_at": "2026-05-01T10:00:00Z",
}


@pytest.mark.parametrize(
    "facts",
    [
        {},
        {"bucket": "imagery", "object_key": "2026/a b.tif"},
        PLACED,
        {**PLACED, "crs": {"epsg": None, "name": "own", "wkt": "PROJCS[]"}},
        {"bands": {}, "bucket": "imagery"},
        {"camera": {"make": "DJI", "model": "FC6310"}},
    ],
)
def test_items_keep_to_the_schemas(facts: dict[str, Any]) -> None:
    item = item_dict(a_result_of(**facts), Path("/results"))
    expect_valid(item)
    expect_projection(item)
    assert all(
        not link["href"].startswith(("/", "file:")) for link in (*item["links"], *item["assets"].values())
    )


def test_classes_of_a_users_own_old_have_names_that_stac_takes() -> None:
    result = a_result()
    told = result.findings.model_dump()
    told["statistics"]["classes"][0] |= {"name": "Здоровые", "label": "Здоровые", "percent": 100.00000001}
    item = item_dict(result.model_copy(update={"findings": Findings.model_validate(told)}))
    expect_valid(item)
    first = item["assets"]["index"]["classification:classes"][0]
    assert (first["name"], first["title"], first["percentage"]) == ("class_1", "Здоровые", 100.0)


def test_a_file_on_the_server_is_linked_only_from_the_same_disk() -> None:
    result = a_result_of(object_key="/data/may/a #1.tif")
    assert item_dict(result, Path("/data/out"))["assets"]["source"]["href"] == "../../may/a%20%231.tif"
    item = item_dict(result)
    assert "source" not in item["assets"]
    assert "/data" not in json.dumps(item)
    expect_valid(item)


def test_the_collection_keeps_to_the_schemas() -> None:
    collection = Collection(BATCH)
    collection.add(a_result_of())
    expect_valid(collection.to_dict())
    assert collection.to_dict()["extent"]["spatial"]["bbox"] == [[-180.0, -90.0, 180.0, 90.0]]
    collection.add(a_result_of(**PLACED))
    collection.add(
        a_result_of(**{**PLACED, "bounds_wgs84": [30.0, 45.0, 31.0, 46.0], "captured_at": "2026-04-01"})
    )
    told = collection.to_dict()
    expect_valid(told)
    assert told["extent"]["spatial"]["bbox"] == [[28.0, 45.0, 31.0, 48.0]]
    assert told["extent"]["temporal"]["interval"] == [
        ["2026-04-01T00:00:00.000Z", "2026-05-01T10:00:00.000Z"]
    ]
    collection.add(a_result_of(**{**PLACED, "bounds_wgs84": [179.0, 45.0, -179.0, 46.0]}))
    assert collection.to_dict()["extent"]["spatial"]["bbox"] == [[-180.0, -90.0, 180.0, 90.0]]


def test_every_band_has_a_name_that_eo_knows() -> None:
    assert set(COMMON_NAMES.values()) <= EO_NAMES


def test_bands_are_numbered_through_all_files() -> None:
    part = {
        "content_type": "image/tiff",
        "size_bytes": 1,
        "sha256": "0",
        "width": 2,
        "height": 2,
        "dtype": "uint8",
    }
    files = [Asset(filename=f"{name}.tif", object_key=f"k/{name}.tif", band_count=1, **part) for name in "ab"]
    assets = item_dict(a_result_of(bucket="imagery", assets=files))["assets"]
    assert assets["source_2"]["href"] == "s3://imagery/k/b.tif"
    assert [band["eo:common_name"] for band in assets["source_2"]["bands"]] == ["nir"]
