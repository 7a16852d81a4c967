"""The catalogue as STAC, over services in memory: documents against the schemas, searches against what is asked for."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import pytest
from batches import an_imagery
from fakes import an_outcome
from stac_rules import expect_valid

from orthoray.contracts import Asset, Camera, Gps
from orthoray.errors import Unavailable
from orthoray.items import Extent, ItemQuery
from orthoray.ports import Caller
from serve_app.gateway.context import GatewayConfig
from serve_app.gateway.stac.documents import imagery_collection, imagery_item, results_collection
from serve_app.gateway.stac.site import Site

SITE = Site("https://maps.example.org/orthoray")
SQUARE = {"type": "Polygon", "coordinates": [[[28, 47], [29, 47], [29, 48], [28, 48], [28, 47]]]}


def get(house: Any, path: str, **parameters: Any) -> dict[str, Any]:
    answer = house.client.get(path, params=parameters or None)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def link(document: dict[str, Any], rel: str) -> str:
    (found,) = (one["href"] for one in document["links"] if one["rel"] == rel)
    assert isinstance(found, str)
    return found


def test_from_the_landing_page_to_the_files(house: Any) -> None:
    run = house.run(completed=True)
    page = get(house, "/stac")
    expect_valid({**page, "stac_extensions": [], "assets": {}})
    base = "http://testserver"
    assert link(page, "self") == f"{base}/stac"
    assert get(house, link(page, "conformance"))["conformsTo"] == page["conformsTo"]
    assert {one["href"] for one in page["links"] if one["rel"] == "search"} == {f"{base}/stac/search"}
    assert get(house, link(page, "service-desc"))["openapi"]
    listed = get(house, link(page, "data"))["collections"]
    assert [found["id"] for found in listed] == ["imagery", f"index-{run['index_type']}"]
    assert [one["href"] for one in page["links"] if one["rel"] == "child"] == [
        link(found, "self") for found in listed
    ]
    for collection in listed:
        expect_valid(collection)
        assert get(house, link(collection, "self")) == collection
        (item,) = get(house, link(collection, "items"))["features"]
        expect_valid(item)
        assert get(house, link(item, "self")) == item
        for asset in item["assets"].values():
            answer = house.client.get(asset["href"])
            assert answer.status_code == 200, asset
            assert asset["type"].startswith(answer.headers["content-type"].partition(";")[0])
        assert house.client.get(link(item, "alternate")).json()["id"] == item["id"]
        if collection["id"] != "imagery":
            assert get(house, link(item, "derived_from"))["id"] == run["imagery_id"]


def test_items_are_geojson_and_are_kept_nowhere(house: Any) -> None:
    house.upload()
    answer = house.client.get("/stac/search")
    assert answer.headers["content-type"] == "application/geo+json"
    assert answer.headers["cache-control"] == "no-store"


PLACED = {"footprint": SQUARE, "bounds_wgs84": [28.0, 47.0, 29.0, 48.0]}


@pytest.mark.parametrize(
    ("facts", "geometry", "bbox"),
    [
        ({}, None, None),
        (PLACED, SQUARE, [28.0, 47.0, 29.0, 48.0]),
        ({**PLACED, "gps": Gps(latitude=1, longitude=2)}, SQUARE, [28.0, 47.0, 29.0, 48.0]),
        (
            {"gps": Gps(latitude=47.5, longitude=28.5, altitude_m=90)},
            {"type": "Point", "coordinates": [28.5, 47.5]},
            [28.5, 47.5, 28.5, 47.5],
        ),
    ],
)
def test_where_an_item_is(facts: dict[str, Any], geometry: Any, bbox: Any) -> None:
    item = imagery_item(SITE, an_imagery(**facts))
    expect_valid(item)
    assert item["geometry"] == geometry
    assert item.get("bbox") == bbox


def test_every_file_is_an_asset_with_its_bands() -> None:
    same = {
        "content_type": "image/tiff",
        "size_bytes": 1,
        "sha256": "0",
        "width": 2,
        "height": 2,
        "dtype": "uint8",
    }
    files = [
        Asset(filename=name, object_key="k/one.tif", band_count=1, role=role, **same)  # type: ignore[arg-type]
        for name, role in (("a.tif", "data"), ("b.tif", "data"), ("b.tif.msk", "mask"))
    ]
    item = imagery_item(
        SITE, an_imagery(assets=files, crs={"epsg": 32635, "name": "UTM"}, camera=Camera(make="DJI"))
    )
    expect_valid(item)
    assert list(item["assets"]) == ["data", "data_2", "mask", "thumbnail"]
    assert [band["name"] for key in ("data", "data_2") for band in item["assets"][key]["bands"]] == ["R", "N"]
    assert item["assets"]["mask"]["href"].endswith("/content?asset=2")
    assert item["assets"]["data"]["type"] == "image/tiff; application=geotiff"
    assert item["properties"]["proj:code"] == "EPSG:32635"
    assert item["properties"]["instruments"] == ["DJI"]


def test_collections_say_where_and_when() -> None:
    bounds, since = (28.0, 46.0, 29.0, 47.0), datetime(2026, 5, 1, tzinfo=UTC)
    told = imagery_collection(SITE, Extent(count=1, bbox=bounds, since=since, until=since))
    expect_valid(told)
    assert told["extent"]["spatial"]["bbox"] == [[28.0, 46.0, 29.0, 47.0]]
    assert told["extent"]["temporal"]["interval"] == [["2026-05-01T00:00:00.000Z"] * 2]
    empty = results_collection(SITE, "a/b c", Extent(count=0))
    expect_valid(empty)
    assert empty["extent"]["spatial"]["bbox"] == [[-180.0, -90.0, 180.0, 90.0]]
    assert empty["extent"]["temporal"]["interval"] == [[None, None]]
    assert link(empty, "items") == "https://maps.example.org/orthoray/stac/collections/index-a%2Fb%20c/items"


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_pages_are_made_of_both_kinds(house: Any, method: str) -> None:
    ids = {
        record
        for _ in range(3)
        for run in [house.run(completed=True)]
        for record in (run["id"], run["imagery_id"])
    }
    page = (
        house.client.get("/stac/search", params={"limit": 4, "collections": "imagery,index-NDVI_emp"})
        if method == "GET"
        else house.client.post(
            "/stac/search", json={"limit": 4, "collections": ["imagery", "index-NDVI_emp"]}
        )
    ).json()
    seen = []
    while True:
        seen += page["features"]
        assert page["numberReturned"] == len(page["features"]) > 0
        following = [one for one in page["links"] if one["rel"] == "next"]
        if not following:
            break
        assert following[0]["method"] == method
        page = (
            house.client.get(following[0]["href"])
            if method == "GET"
            else house.client.post(following[0]["href"], json=following[0]["body"])
        ).json()
    assert len(seen) == 6
    assert {item["id"] for item in seen} == ids
    # a run is newer than its image, and images and runs take turns
    assert [item["collection"] for item in seen] == ["index-NDVI_emp", "imagery"] * 3


def test_the_next_page_of_items_keeps_the_filters(house: Any) -> None:
    for _ in range(2):
        house.upload()
    page = get(house, "/stac/collections/imagery/items", limit=1, datetime="2020-01-01T00:00:00Z/..")
    again = get(house, link(page, "next"))
    assert again["features"][0]["id"] != page["features"][0]["id"]
    assert house.imagery.asked.since == datetime(2020, 1, 1, tzinfo=UTC)


def asked(house: Any, **body: Any) -> ItemQuery:
    answer = house.client.post("/stac/search", json=body)
    assert answer.status_code == 200, answer.text
    by_body: ItemQuery = house.imagery.asked
    lists = {name: ",".join(map(str, value)) for name, value in body.items() if isinstance(value, list)}
    objects = {name: json.dumps(value) for name, value in body.items() if isinstance(value, dict)}
    get(house, "/stac/search", **{**body, **lists, **objects})
    assert house.imagery.asked == by_body
    return by_body


def test_what_is_asked_of_the_services(house: Any) -> None:
    wanted = uuid4()
    assert asked(house) == ItemQuery()
    assert asked(house, limit=10_000).limit == 200
    assert asked(house, ids=[str(wanted), "what is no id"]).ids == [wanted]
    assert asked(house, bbox=[179.5, -10, -179.5, 10]).bbox == (179.5, -10, -179.5, 10)
    assert asked(house, bbox=[1, 2, 0, 3, 4, 100]).bbox == (1, 2, 3, 4)
    assert asked(house, intersects={"type": "Point", "coordinates": [1, 2, 3]}).areas[0].outline == [(1, 2)]  # type: ignore[index]


MAY = datetime(2026, 5, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "since", "until"),
    [
        ("2026-05-01T00:00:00Z", MAY, MAY),
        ("2026-05-01t02:00:00.000+02:00", MAY, MAY),
        ("../2026-05-01T00:00:00z", None, MAY),
        ("2026-05-01T00:00:00Z/", MAY, None),
        ("/2026-05-01T00:00:00.000000000Z", None, MAY),
        ("2026-05-01T00:00:00Z/2026-05-01T00:00:00Z", MAY, MAY),
    ],
)
def test_times(house: Any, text: str, since: Any, until: Any) -> None:
    query = asked(house, datetime=text)
    assert (query.since, query.until) == (since, until)


RING = [[0, 0], [1, 0], [1, 1], [0, 0]]
BAD = [
    *(
        {"datetime": text}
        for text in ("", "/", "../..", "2026-05-01", "2026-05-01T00:00:00", "2026-13-01T00:00:00Z")
    ),
    *(
        {"datetime": text}
        for text in ("2026-05-01T00:00:00Z/2026-04-01T00:00:00Z", "a/b/c", "0000-01-01T00:00:00Z")
    ),
    *(
        {"bbox": numbers}
        for numbers in ([], [1], [1, 2, 3], [1, 2, 3, 4, 5], [0, 1, 1, 0], [0, 0, 181, 1], [0, 0, 10**400, 1])
    ),
    {"bbox": [0, 0, 1, 1], "intersects": {"type": "Point", "coordinates": [0, 0]}},
    {"limit": 0},
    {"limit": -1},
    {"ids": ["x"] * 501},
    {"collections": ["x"] * 101},
    {"collections": ["x" * 257]},
    {"next": "rubbish"},
    *({"intersects": {"type": kind, "coordinates": 1}} for kind in ("Point", "Polygon", "Circle", "Feature")),
    {"intersects": {"type": "Point", "coordinates": [0, 91]}},
    {"intersects": {"type": "Point", "coordinates": [True, 1]}},
    {"intersects": {"type": "Point", "coordinates": [10**400, 1]}},
    {"intersects": {"type": "LineString", "coordinates": [[0, 0]]}},
    {"intersects": {"type": "Polygon", "coordinates": []}},
    {"intersects": {"type": "Polygon", "coordinates": [RING[:3]]}},
    {"intersects": {"type": "Polygon", "coordinates": [[*RING[:3], [2, 2]]]}},
    {"intersects": {"type": "MultiPoint", "coordinates": []}},
    {"intersects": {"type": "MultiPoint", "coordinates": [[0, 0]] * 501}},
    {
        "intersects": {
            "type": "GeometryCollection",
            "geometries": [{"type": "GeometryCollection", "geometries": []}],
        }
    },
    {"filter": "eo:cloud_cover < 10"},
    {"query": {"gsd": {"lt": 1}}},
    {"sortby": "datetime"},
]


@pytest.mark.parametrize("body", BAD, ids=lambda body: json.dumps(body)[:50])
def test_what_is_malformed(house: Any, body: dict[str, Any]) -> None:
    lists = {name: ",".join(map(str, value)) for name, value in body.items() if isinstance(value, list)}
    objects = {name: json.dumps(value) for name, value in body.items() if isinstance(value, dict)}
    answers = [
        house.client.post("/stac/search", json=body),
        house.client.get("/stac/search", params={**body, **lists, **objects}),
    ]
    for answer in answers:
        assert answer.status_code == 400, answer.text
        assert answer.headers["content-type"] == "application/problem+json"
    assert "search_items" not in house.calls or "next" in body


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999"])
def test_numbers_that_are_none(house: Any, number: str) -> None:
    for body in (
        f'{{"bbox": [{number}, 0, 1, 1]}}',
        f'{{"intersects": {{"type": "Point", "coordinates": [{number}, 0]}}}}',
    ):
        answer = house.client.post("/stac/search", content=body, headers={"Content-Type": "application/json"})
        assert answer.status_code == 400, body
    assert house.client.get("/stac/search", params={"bbox": f"{number},0,1,1"}).status_code == 400
    assert house.client.get("/stac/search", params={"intersects": "[" * 20_000}).status_code == 400


def test_fields_that_are_not_there(house: Any) -> None:
    answer = house.client.post("/stac/search", json={"colections": ["imagery"]})
    assert answer.status_code == 400
    assert "colections: there is no field of this name" in answer.json()["detail"]
    assert house.client.get("/stac/collections/imagery/items?sortby=gsd").status_code == 400


def test_all_kinds_of_geometries_are_taken(house: Any) -> None:
    parts = [
        {"type": "Point", "coordinates": [0, 0]},
        {"type": "MultiPoint", "coordinates": [[0, 0], [1, 1]]},
        {"type": "LineString", "coordinates": [[0, 0], [1, 1], [2, 0]]},
        {"type": "MultiLineString", "coordinates": [[[0, 0], [1, 1]]]},
        {"type": "Polygon", "coordinates": [RING, RING]},
        {"type": "MultiPolygon", "coordinates": [[RING], [RING]]},
    ]
    areas = asked(house, intersects={"type": "GeometryCollection", "geometries": parts}).areas or []
    assert len(areas) == 1 + 2 + 1 + 1 + 1 + 2
    assert areas[3].outline == [(0, 0), (1, 1), (2, 0), (1, 1)]
    assert len(areas[5].holes) == 1


@pytest.mark.parametrize(
    ("scope", "sees"),
    [
        ("imagery:read", {"imagery"}),
        ("reports:read", {"index-NDVI_emp"}),
        ("analysis:run", {"index-NDVI_emp"}),
    ],
)
def test_credentials_see_the_collections_that_they_open(house: Any, scope: str, sees: set[str]) -> None:
    house.run(completed=True)
    house.imagery.limited["or_limited"] = Caller(tenant="default", scopes=frozenset({scope}))
    client = house.client_with({"X-API-Key": "or_limited"})
    assert {found["id"] for found in client.get("/stac/collections").json()["collections"]} == sees
    assert {item["collection"] for item in client.get("/stac/search").json()["features"]} == sees
    (hidden,) = {"imagery", "index-NDVI_emp"} - sees
    for answer in (
        client.get("/stac/search", params={"collections": hidden}),
        client.post("/stac/search", json={"collections": [hidden, *sees]}),
        client.get(f"/stac/collections/{hidden}"),
        client.get(f"/stac/collections/{hidden}/items"),
    ):
        assert answer.status_code == 403
        assert answer.json()["needed_scopes"]


def test_what_is_not_there(house: Any) -> None:
    run = house.run()  # queued
    for path in (
        "/stac/collections/landsat",
        "/stac/collections/landsat/items",
        "/stac/collections/index-NDVI_emp",
        "/stac/collections/index-NDVI_emp/items",
        f"/stac/collections/index-NDVI_emp/items/{run['id']}",
        f"/stac/collections/landsat/items/{run['id']}",
        f"/stac/collections/imagery/items/{uuid4()}",
        "/stac/collections/imagery/items/field",
    ):
        answer = house.client.get(path)
        assert answer.status_code == 404, path
        assert answer.headers["content-type"] == "application/problem+json"
    assert get(house, "/stac/search", collections="landsat,index-GLI")["features"] == []
    assert get(house, "/stac/search", ids="")["features"] == []


def test_a_result_belongs_to_the_collection_of_its_index(house: Any) -> None:
    run = house.run(completed=True)
    other = house.run(completed=True, index_type="GLI")
    assert house.client.get(f"/stac/collections/index-GLI/items/{run['id']}").status_code == 404
    assert get(house, f"/stac/collections/index-GLI/items/{other['id']}")["id"] == other["id"]
    found = get(house, "/stac/search", collections="index-GLI")["features"]
    assert [item["id"] for item in found] == [other["id"]]


def test_searching_is_no_write(house: Any) -> None:
    house.client.post("/stac/search", json={})
    assert house.imagery.writes == {}


def test_a_service_that_is_away(house: Any) -> None:
    house.fail(Unavailable())
    for path in ("/stac", "/stac/collections", "/stac/search"):
        assert house.client.get(path).status_code == 503


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, "http://field.example:8080"),
        ({"is_behind_https": True}, "https://field.example:8080"),
        ({"public_url": "https://maps.example.org/orthoray"}, "https://maps.example.org/orthoray"),
    ],
)
def test_links_lead_to_where_clients_reach_the_api(
    house: Any, settings: dict[str, Any], expected: str
) -> None:
    given = {"auth_mode": "key", "max_upload_bytes": 1, "imagery_bucket": "imagery"}
    house.app.state.config = GatewayConfig(**given, **settings)
    page = house.client.get("/stac", headers={"Host": "field.example:8080"}).json()
    assert link(page, "self") == f"{expected}/stac"
    assert all(one["href"].startswith(f"{expected}/") for one in page["links"])


def test_a_result_without_statistics_of_its_own_is_still_an_item(house: Any) -> None:
    run = house.run(completed=True)
    record = house.analysis.rows[UUID(run["id"])][1]
    outcome = an_outcome(record.id)
    record.provenance = {**outcome.provenance, "formula": None}
    item = get(house, f"/stac/collections/index-NDVI_emp/items/{run['id']}")
    expect_valid(item)
    assert item["properties"]["processing:datetime"] == item["properties"]["created"]
