"""Files that arrive in parts, as the API takes them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any

import pytest

CONTENT = bytes(range(256)) * 10  # 2560 bytes: three parts


def begin(house: Any, **fields: Any) -> dict[str, Any]:
    answer = house.client.post("/imagery/uploads", json={"filename": "field.png", **fields})
    assert answer.status_code == 201, answer.text
    record: dict[str, Any] = answer.json()
    assert answer.headers["location"] == f"/imagery/uploads/{record['id']}"
    return record


def test_a_file_in_parts_becomes_a_record(house: Any) -> None:
    size = len(house.png)
    upload = begin(house, size=size, scale=0.5, gps_lat=46.9, gps_lon=28.1)
    (part,) = upload["parts"]
    assert (part["size_bytes"], part["received"]) == (size, False)
    stored = house.client.put(part["url"], content=house.png)
    assert stored.status_code == 200, stored.text
    digest = hashlib.sha256(house.png).hexdigest()
    assert stored.json() == {"number": 1, "size_bytes": size, "etag": digest}
    assert house.client.get(f"/imagery/uploads/{upload['id']}").json()["parts"][0]["etag"] == digest
    for body in ({}, {"json": {"sha256": digest, "parts": [{"number": 1, "etag": digest}]}}):
        answer = house.client.post(f"/imagery/uploads/{upload['id']}/complete", **body)
        assert answer.status_code == 201, answer.text
        assert answer.json()["sha256"] == digest
        assert answer.json()["gps"]["latitude"] == 46.9
        assert answer.headers["location"] == f"/imagery/{answer.json()['id']}"


def test_a_part_has_to_be_whole(house: Any) -> None:
    upload = begin(house, size=len(CONTENT))
    first, second, third = upload["parts"]
    assert [part["size_bytes"] for part in upload["parts"]] == [1000, 1000, 560]

    def chunked() -> Iterator[bytes]:
        yield CONTENT[:1000]

    for content, status in ((CONTENT[:999], 400), (CONTENT[:1001], 400), (b"", 400), (chunked(), 411)):
        answer = house.client.put(second["url"], content=content)
        assert answer.status_code == status, answer.text
        assert answer.headers["content-type"] == "application/problem+json"
    assert house.client.put(third["url"], content=CONTENT[2000:]).status_code == 200
    known = house.client.get(f"/imagery/uploads/{upload['id']}").json()
    assert [part["received"] for part in known["parts"]] == [False, False, True]
    assert known["received_bytes"] == 560
    assert first["url"] == known["parts"][0]["url"]


@pytest.mark.parametrize("number", ["0", "4", "10001", "x", "-1"])
def test_parts_that_there_are_not(house: Any, number: str) -> None:
    upload = begin(house, size=len(CONTENT))
    answer = house.client.put(f"/imagery/uploads/{upload['id']}/parts/{number}", content=CONTENT[:1000])
    assert answer.status_code == 404


def test_a_part_larger_than_any_is_refused_before_it_is_read(house: Any) -> None:
    upload = begin(house, size=len(CONTENT))
    headers = {"Content-Length": str(10**9)}
    answer = house.client.put(upload["parts"][0]["url"], content=b"", headers=headers)
    assert answer.status_code == 413


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"size": 10}, 422),
        ({"filename": "a.tif"}, 422),
        ({"filename": "a.tif", "size": 0}, 422),
        ({"filename": "a.tif", "size": 10, "sha256": "xyz"}, 422),
        ({"filename": "a.tif", "size": 10, "gps_lat": 1}, 422),
        ({"filename": "a.tif", "size": 10, "colour": "red"}, 422),
    ],
)
def test_what_cannot_begin(house: Any, body: dict[str, Any], status: int) -> None:
    assert house.client.post("/imagery/uploads", json=body).status_code == status


def test_an_upload_belongs_to_its_tenant(house: Any) -> None:
    upload = begin(house, size=len(CONTENT))
    other = house.client_with({"X-API-Key": house.other_key})
    path = f"/imagery/uploads/{upload['id']}"
    for answer in (
        other.get(path),
        other.delete(path),
        other.post(f"{path}/complete"),
        other.put(upload["parts"][0]["url"], content=CONTENT[:1000]),
    ):
        assert answer.status_code == 404
    assert house.client.delete(path).status_code == 204
    assert house.client.get(path).status_code == 404
