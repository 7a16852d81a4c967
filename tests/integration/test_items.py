"""Searches by place and time on a real PostgreSQL, of images and of results alike."""

from __future__ import annotations

import json
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from wired import Services

from orthoray.contracts import Page
from orthoray.errors import BadInput
from orthoray.items import Area, Bounds, Extent, ItemQuery

pytestmark = pytest.mark.anyio

Search = Callable[[ItemQuery], Coroutine[Any, Any, Page[Any]]]
MAY = datetime(2026, 5, 1, 10, 0, 0, 123456, tzinfo=UTC)
# West, south, east, north: two fields, one in two parts across the antimeridian, a photo with a position only, one without.
PLACES: dict[str, Bounds | None] = {
    "field": (28.0, 46.0, 29.0, 47.0),
    "other": (28.5, 46.5, 30.0, 48.0),
    "fiji": (179.0, -18.0, -179.0, -17.0),
    "photo": (10.0, 10.0, 10.0, 10.0),
    "nowhere": None,
}


def box(west: float, south: float, east: float, north: float) -> list[list[float]]:
    return [[west, south], [east, south], [east, north], [west, north], [west, south]]


def footprint(name: str) -> dict[str, Any] | None:
    if name in {"photo", "nowhere"} or (bounds := PLACES[name]) is None:
        return None
    west, south, east, north = bounds
    if west > east:
        parts = [[box(west, south, 180, north)], [box(-180, south, east, north)]]
        return {"type": "MultiPolygon", "coordinates": parts}
    return {"type": "Polygon", "coordinates": [box(west, south, east, north)]}


async def placed(services: Services) -> dict[UUID, str]:
    """A result of an image at each of the places, and their names by the id of the image; captured a day apart, where known."""
    names = {}
    for day, (name, bounds) in enumerate(PLACES.items()):
        run = await services.completed(index_type="NDVI" if day % 2 else "GNDVI")
        gps = {"latitude": 10.0, "longitude": 10.0, "altitude_m": None} if name == "photo" else None
        captured_at = None if name == "other" else MAY + timedelta(days=day)
        facts = {
            "bounds_wgs84": bounds if footprint(name) else None,
            "footprint": footprint(name),
            "gps": gps,
            "captured_at": captured_at.isoformat() if captured_at else None,
        }
        services.query(
            "analysis",
            "update analysis_runs set imagery = imagery || %s::jsonb, captured_at = %s where id = %s returning id",
            *(json.dumps(facts), captured_at, run.id),
        )
        services.query(
            "imagery",
            "update imagery set bounds_wgs84 = %s::float8[], footprint = %s::jsonb, gps = %s::jsonb, captured_at = %s"
            " where id = %s returning id",
            *(list(bounds) if bounds and footprint(name) else None, json.dumps(footprint(name))),
            *(json.dumps(gps) if gps else None, captured_at, run.imagery_id),
        )
        names[run.imagery_id] = name
    return names


@pytest.fixture
async def searches(services: Services) -> Callable[..., Coroutine[Any, Any, str]]:
    """What images and results of a query are called, newest first: the same of both."""
    names = await placed(services)

    async def found(**query: Any) -> str:
        asked = ItemQuery(**query)
        images = await services.imagery.search_items("default", asked)
        results = await services.analysis.search_results("default", asked, None)
        of_images = [names[image.id] for image in images.items]
        assert [names[result.run.imagery_id] for result in results.items] == of_images
        assert all(result.imagery.id == result.run.imagery_id for result in results.items)
        return " ".join(of_images)

    return found


Found = Callable[..., Coroutine[Any, Any, str]]


@pytest.mark.parametrize(
    ("bbox", "expected"),
    [
        (None, "nowhere photo fiji other field"),
        ((28.6, 46.6, 28.7, 46.7), "other field"),
        ((29.0, 47.0, 29.0, 47.0), "other field"),
        ((9.0, 9.0, 11.0, 11.0), "photo"),
        ((-180.0, -90.0, 180.0, 90.0), "photo fiji other field"),
        ((179.5, -19.0, 179.9, -16.0), "fiji"),
        ((-179.5, -19.0, -179.1, -16.0), "fiji"),
        ((178.0, -19.0, -178.0, -16.0), "fiji"),
        ((170.0, -90.0, 10.0, 90.0), "photo fiji"),
        ((29.5, -90.0, -179.5, 90.0), "fiji other"),
        ((-178.0, -19.0, 178.0, -16.0), ""),
    ],
)
async def test_boxes(searches: Found, bbox: Bounds | None, expected: str) -> None:
    assert await searches(bbox=bbox) == expected


@pytest.mark.parametrize(
    ("areas", "expected"),
    [
        ([box(27, 45, 27.5, 49)], ""),
        ([[(28.25, 46.25)]], "field"),
        ([[(10.0, 10.0)]], "photo"),
        ([[(10.0, 10.1)]], ""),
        # a line, there and back
        ([[(27, 46.9), (31, 47.1), (27, 46.9)]], "other field"),
        # its envelope meets both, it meets one
        ([[(28.0, 48.0), (28.0, 47.05), (28.4, 47.05), (28.0, 48.0)], [(28.1, 46.1)]], "field"),
        ([box(178, -20, 180, -10)], "fiji"),
        ([box(-180, -20, -179.5, -10)], "fiji"),
        ([box(-170, -20, -160, -10), box(0, 0, 20, 20)], "photo"),
        # around all of one
        ([box(27, 45, 29.2, 47.2)], "other field"),
    ],
)
async def test_areas(searches: Found, areas: list[list[Any]], expected: str) -> None:
    assert await searches(areas=[Area(outline=outline) for outline in areas]) == expected


async def test_what_lies_in_a_hole_is_not_in_the_area(searches: Found) -> None:
    outline = box(20, 40, 40, 60)
    assert await searches(areas=[Area(outline=outline, holes=[box(27, 45, 29.2, 47.2)])]) == "other"
    assert await searches(areas=[Area(outline=outline, holes=[box(27, 45, 31, 49)])]) == ""
    # where it is another area's, the hole hides nothing of this one
    both = [Area(outline=outline, holes=[box(27, 45, 31, 49)]), Area(outline=box(28.1, 46.1, 28.2, 46.2))]
    assert await searches(areas=both) == "field"


async def test_times_are_those_that_items_show(searches: Found) -> None:
    shown = MAY.replace(microsecond=123000)
    always = "other "  # it may have been captured at any time until it was catalogued
    assert await searches(since=shown, until=shown) == f"{always}field"
    assert await searches(until=shown - timedelta(milliseconds=1)) == always.strip()
    assert await searches(since=shown + timedelta(milliseconds=1)) == "nowhere photo fiji other"
    assert (
        await searches(since=shown + timedelta(days=2), until=shown + timedelta(days=3)) == "photo fiji other"
    )
    assert await searches(until=datetime(1960, 1, 1, tzinfo=UTC)) == ""
    assert await searches(since=datetime.now(UTC) + timedelta(days=1000)) == ""


async def test_pages_follow_one_another_in_one_order(searches: Found, services: Services) -> None:
    seen, token = [], None
    for _ in range(9):
        page = await services.analysis.search_results("default", ItemQuery(limit=2, next=token), None)
        seen += [result.run.id for result in page.items]
        token = page.next
        if token is None:
            break
    assert len(seen) == len(set(seen)) == 5
    first = await services.analysis.search_results("default", ItemQuery(limit=1), None)
    rest = await services.imagery.search_items("default", ItemQuery(next=first.next))
    # The image is older than its run, so the token of the newest run comes before it.
    assert len(rest.items) == 5
    with pytest.raises(BadInput, match="next"):
        await services.imagery.search_items("default", ItemQuery(next="rubbish"))


async def test_ids_and_indices(searches: Found, services: Services) -> None:
    page = await services.analysis.search_results("default", ItemQuery(), ["NDVI"])
    assert {result.run.index_type for result in page.items} == {"NDVI"}
    assert len(page.items) == 2
    wanted = page.items[0].run.id
    for indices, count in ((None, 1), (["NDVI"], 1), (["GNDVI"], 0), ([], 0)):
        query = ItemQuery(ids=[wanted, uuid4()])
        assert len((await services.analysis.search_results("default", query, indices)).items) == count
    assert (await services.imagery.search_items("default", ItemQuery(ids=[]))).items == []


async def test_only_what_is_completed_is_a_result(services: Services) -> None:
    await services.run()
    failed = await services.run()
    await services.analysis.start_run(failed.id)
    await services.fail(failed.id)
    assert (await services.analysis.search_results("default", ItemQuery(), None)).items == []
    assert await services.analysis.result_extents("default", None) == {}
    assert (await services.imagery.extent("default")).count == 2
    assert await services.imagery.extent("another") == Extent(count=0)


async def test_extents(searches: Found, services: Services) -> None:
    whole = await services.imagery.extent("default")
    assert whole.bbox == (-180.0, -18.0, 180.0, 48.0)
    assert (whole.count, whole.since) == (5, None)
    assert whole.until == max(
        image.captured_at.replace(microsecond=123000) if image.captured_at else image.created_at
        for image in (await services.imagery.search_items("default", ItemQuery())).items
    ).replace(microsecond=whole.until.microsecond if whole.until else 0)
    found = await services.analysis.result_extents("default", None)
    assert {index: extent.count for index, extent in found.items()} == {"GNDVI": 3, "NDVI": 2}
    assert found["NDVI"].bbox == (10.0, 10.0, 30.0, 48.0)
    assert await services.analysis.result_extents("default", ["GNDVI"]) == {"GNDVI": found["GNDVI"]}
    assert found["GNDVI"].since == MAY.replace(microsecond=123000)


async def test_another_tenants_items_are_not_there(searches: Found, services: Services) -> None:
    (first, *_) = (await services.imagery.search_items("default", ItemQuery())).items
    assert (await services.imagery.search_items("another", ItemQuery(ids=[first.id]))).items == []
    assert (await services.analysis.search_results("another", ItemQuery(), None)).items == []
    assert await services.analysis.result_extents("another", None) == {}
