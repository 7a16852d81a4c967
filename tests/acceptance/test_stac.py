"""The catalogue of a running installation, browsed as users browse it: pystac-client, and GDAL for the rasters."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pystac
import pytest
import rasterio
from journey import finished, start_run, upload
from pystac_client import Client
from pystac_client.exceptions import APIError
from rasters import RGBN, UTM, fields, write_bands
from stac_rules import expect_valid
from stack import Stack

pytestmark = pytest.mark.timeout(240)
SCOPES = "imagery:read,imagery:write,analysis:run"


@pytest.fixture
def farmer(stack: Stack) -> Iterator[httpx2.Client]:
    """A tenant that has nothing yet."""
    answer = stack.run("key", "create", "--name", "maps", "--tenant", "cartographer", "--scope", SCOPES)
    assert answer.returncode == 0, answer.stderr
    with httpx2.Client(base_url=stack.url, headers={"X-API-Key": answer.stdout.strip()}, timeout=60) as api:
        yield api
        for record in api.get("/imagery").json()["items"]:
            api.delete(f"/imagery/{record['id']}")


def browse(api: httpx2.Client) -> Client:
    return Client.open(
        f"{str(api.base_url).rstrip('/')}/stac", headers={"X-API-Key": api.headers["X-API-Key"]}
    )


def dicts(search: Any) -> list[dict[str, Any]]:
    return list(search.items_as_dicts())


def test_a_catalogue_as_pystac_client_sees_it(stack: Stack, farmer: httpx2.Client, tmp_path: Path) -> None:
    empty = browse(farmer)
    assert [collection.id for collection in empty.get_collections()] == ["imagery"]
    assert dicts(empty.search()) == []

    image = write_bands(tmp_path / "field.tif", fields(64, 64), RGBN, **UTM)
    placed = upload(farmer, "field.tif", image, captured_at="2026-05-01T10:00:00Z")
    bare = upload(farmer, "bare.tif", write_bands(tmp_path / "bare.tif", fields(48, 48), RGBN))
    runs = [start_run(farmer, placed["id"], index) for index in ("NDVI", "NDVI", "GNDVI")]
    done = [finished(farmer, f"/analysis-runs/{run['id']}") for run in runs]

    catalogue = browse(farmer)
    assert {link.rel for link in catalogue.links} >= {"search", "data", "conformance", "service-desc"}
    collections = {collection.id: collection for collection in catalogue.get_collections()}
    assert list(collections) == ["imagery", "index-GNDVI", "index-NDVI"]
    for collection in collections.values():
        expect_valid(farmer.get(collection.get_self_href() or "").json())
    assert {item.id for item in collections["imagery"].get_items()} == {placed["id"], bare["id"]}

    found = dicts(catalogue.search(limit=2))
    assert len(found) == 5, "pages of two"
    for item in found:
        expect_valid(item)
    assert dicts(catalogue.search(limit=2, method="GET")) == found
    assert {item["id"] for item in found} == {placed["id"], bare["id"], *(run["id"] for run in runs)}

    west, south, east, north = placed["bounds_wgs84"]
    ring = [[west, south], [east, south], [east, north], [west, north], [west, south]]
    everywhere = {item["id"] for item in dicts(catalogue.search(bbox=[-180, -90, 180, 90]))}
    assert everywhere == {item["id"] for item in found} - {bare["id"]}, "what has no place"
    assert len(dicts(catalogue.search(intersects={"type": "Polygon", "coordinates": [ring]}))) == 4
    assert dicts(catalogue.search(bbox=[west - 2, south, west - 1, north])) == []
    assert len(dicts(catalogue.search(datetime="2026-05"))) == 4 + _is_uploaded_after_may(bare)
    assert len(dicts(catalogue.search(collections=["index-NDVI"], datetime="2026-05-01"))) == 2
    assert [item["id"] for item in dicts(catalogue.search(ids=[runs[2]["id"]]))] == [runs[2]["id"]]
    with pytest.raises(APIError, match="south <= north"):
        dicts(catalogue.search(bbox=[0, 1, 1, 0]))

    (result,) = catalogue.search(collections=["index-GNDVI"]).items()
    assert result.properties["proj:code"] == "EPSG:32635"
    assert result.geometry == placed["footprint"]
    (source,) = (link for link in result.links if link.rel == pystac.RelType.DERIVED_FROM)
    assert farmer.get(source.href).json()["id"] == placed["id"]
    with (
        rasterio.Env(GDAL_HTTP_HEADERS=f"X-API-Key: {farmer.headers['X-API-Key']}"),
        rasterio.open(f"/vsicurl/{result.assets['index'].href}") as raster,
    ):
        mean = float(raster.read(1, masked=True).mean())
    assert math.isclose(mean, done[2]["statistics"]["mean"], rel_tol=1e-5)

    with stack.client() as other:
        assert browse(other).get_collection("index-GNDVI") is None
        assert dicts(browse(other).search(ids=[runs[0]["id"], placed["id"]])) == []
        assert other.get(result.self_href).status_code == 404
    assert httpx2.get(f"{stack.url}/stac").status_code == 401


def _is_uploaded_after_may(record: dict[str, Any]) -> bool:
    """Without a time of capture it may be of any time until it was uploaded."""
    return str(record["created_at"]) >= "2026-05-01"
