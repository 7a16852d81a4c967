"""The catalogue over HTTP."""

from __future__ import annotations

from typing import Any

import pytest


def test_pages_follow_each_other_by_token_and_by_link(house: Any) -> None:
    made = [house.upload().json()["id"] for _ in range(5)]
    first = house.client.get("/imagery?limit=2")
    assert [item["id"] for item in first.json()["items"]] == made[:2:-1]
    link = first.headers["link"]
    assert link.endswith('; rel="next"')
    second = house.client.get(link[1 : link.index(">")])
    assert [item["id"] for item in second.json()["items"]] == made[2:0:-1]
    last = house.client.get("/imagery", params={"limit": 2, "next": second.json()["next"]})
    assert [item["id"] for item in last.json()["items"]] == made[:1]
    assert last.json()["next"] is None
    assert "link" not in last.headers


def test_the_link_keeps_the_filters(house: Any) -> None:
    for _ in range(2):
        house.upload()
    link = house.client.get("/imagery?limit=1&bbox=1,2,3,4").headers["link"]
    assert "limit=1" in link
    assert "bbox=1" in link


def test_filters_reach_the_service(house: Any) -> None:
    house.client.get(
        "/imagery", params={"bbox": "28.1,46.9,29,47.5", "captured_after": "2026-01-01T00:00:00Z", "limit": 7}
    )
    assert house.imagery.query.bbox == (28.1, 46.9, 29.0, 47.5)
    assert house.imagery.query.captured_after.isoformat() == "2026-01-01T00:00:00+00:00"
    assert house.imagery.query.limit == 7


@pytest.mark.parametrize(
    "bbox",
    [
        "",
        "1,2,3",
        "1,2,3,4,5",
        "a,b,c,d",
        "3,2,1,4",
        "1,4,3,2",
        "-181,0,0,0",
        "0,0,0,91",
        "nan,0,0,0",
        "0,0,inf,0",
    ],
)
def test_a_bbox_that_is_none(house: Any, bbox: str) -> None:
    answer = house.client.get("/imagery", params={"bbox": bbox})
    assert answer.status_code == 400
    assert "west,south,east,north" in answer.json()["detail"]


def test_deleting_removes_the_record_and_the_files(house: Any) -> None:
    place = house.upload().headers["location"]
    assert house.client.delete(place).status_code == 204
    assert house.client.get(place).status_code == 404
    assert house.client.delete(place).status_code == 404
    assert house.objects == []


def test_the_thumbnail_is_a_png(house: Any) -> None:
    answer = house.client.get(f"{house.upload().headers['location']}/thumbnail")
    assert answer.headers["content-type"] == "image/png"
    assert answer.content.startswith(b"\x89PNG")


def test_indices_say_what_can_be_computed(house: Any) -> None:
    plain = house.client.get("/indices").json()
    assert {"NDVI", "NDVI_emp", "VARI", "GLI", "ExG", "CIVE", "MGRVI"} <= {entry["name"] for entry in plain}
    assert all("missing_bands" not in entry for entry in plain)
    marked = {
        entry["name"]: entry
        for entry in house.client.get(f"/indices?imagery_id={house.upload().json()['id']}").json()
    }
    assert marked["NDVI_emp"]["computable"] is True
    assert marked["NDVI"]["computable"] is False
    assert marked["NDVI"]["missing_bands"] == ["N"]


def test_indices_by_domain_and_name(house: Any) -> None:
    def names(**query: str) -> set[str]:
        return {entry["name"] for entry in house.client.get("/indices", params=query).json()}

    assert len(names()) > 280
    assert "NDWI" in names(domain="water")
    assert "NDVI" not in names(domain="water")
    assert "NDVI_emp" in names(q="NGRDI")
    assert names(domain="water", q="NGRDI") == set()
    assert house.client.get("/indices", params={"q": "x" * 65}).status_code == 422


@pytest.mark.parametrize("moment", ["9999-12-31T23:59:59-14:00", "0001-01-01T00:00:00+14:00"])
def test_a_moment_beyond_the_calendar_is_refused(house: Any, moment: str) -> None:
    answer = house.client.get("/imagery", params={"captured_after": moment})
    assert answer.status_code == 422
    assert "years 1 to 9999" in answer.json()["detail"]


def test_head_is_get_without_the_body(house: Any) -> None:
    got, head = house.client.get("/imagery"), house.client.head("/imagery")
    assert head.status_code == got.status_code == 200
    assert head.content == b""
    assert head.headers["content-length"] == got.headers["content-length"]
