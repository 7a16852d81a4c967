"""Files over HTTP: ranges and validators (RFC 9110)."""

from __future__ import annotations

from typing import Any

import pytest


@pytest.fixture
def place(house: Any) -> str:
    """An index raster of the bytes 0 to 99."""
    return f"/analysis-runs/{house.run(completed=True)['id']}/index.tif"


def test_the_whole_file(house: Any, place: str) -> None:
    answer = house.client.get(place)
    assert answer.status_code == 200
    assert answer.content == bytes(range(100))
    assert answer.headers["content-length"] == "100"
    assert answer.headers["content-type"] == "image/tiff"
    assert answer.headers["accept-ranges"] == "bytes"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["content-disposition"].startswith('attachment; filename="NDVI_emp-')


@pytest.mark.parametrize(
    ("wanted", "first", "last"),
    [
        ("0-9", 0, 9),
        ("10-", 10, 99),
        ("-5", 95, 99),
        ("90-200", 90, 99),
        ("-500", 0, 99),
        ("99-99", 99, 99),
        ("0-0", 0, 0),
    ],
)
def test_a_range(house: Any, place: str, wanted: str, first: int, last: int) -> None:
    answer = house.client.get(place, headers={"Range": f"bytes={wanted}"})
    assert answer.status_code == 206
    assert answer.content == bytes(range(first, last + 1))
    assert answer.headers["content-range"] == f"bytes {first}-{last}/100"
    assert answer.headers["content-length"] == str(last - first + 1)


@pytest.mark.parametrize("wanted", ["100-", "500-600", "-0"])
def test_a_range_beyond_the_file(house: Any, place: str, wanted: str) -> None:
    answer = house.client.get(place, headers={"Range": f"bytes={wanted}"})
    assert answer.status_code == 416
    assert answer.headers["content-range"] == "bytes */100"
    assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize(
    "wanted", ["bytes=-", "bytes=0-1,5-6", "lines=0-1", "bytes=a-b", "bytes=5-2", f"bytes={'9' * 5000}-"]
)
def test_a_range_that_is_not_understood_is_the_whole_file(house: Any, place: str, wanted: str) -> None:
    answer = house.client.get(place, headers={"Range": wanted})
    assert answer.status_code == 200
    assert len(answer.content) == 100


@pytest.mark.parametrize("form", ["{0}", "W/{0}", '"other", {0}', "*"])
def test_a_client_that_has_the_file_gets_304(house: Any, place: str, form: str) -> None:
    etag = house.client.get(place).headers["etag"]
    answer = house.client.get(place, headers={"If-None-Match": form.format(etag)})
    assert answer.status_code == 304
    assert answer.content == b""
    assert answer.headers["etag"] == etag
    assert house.client.get(place, headers={"If-None-Match": '"other"'}).status_code == 200


def test_a_range_of_another_version_is_the_whole_new_file(house: Any, place: str) -> None:
    etag = house.client.get(place).headers["etag"]
    assert house.client.get(place, headers={"Range": "bytes=50-", "If-Range": etag}).status_code == 206
    assert house.client.get(place, headers={"Range": "bytes=50-", "If-Range": '"old"'}).status_code == 200


def test_an_object_that_is_gone_is_404(house: Any, place: str) -> None:
    house.storage.delete_prefix("heatmaps", "indices")
    assert house.client.get(place).status_code == 404


def test_a_filename_cannot_break_the_header(house: Any) -> None:
    imagery = house.upload('поле "1"\r\nX-Evil: 1.png').json()
    answer = house.client.get(f"/imagery/{imagery['id']}/content")
    assert answer.status_code == 200
    assert "x-evil" not in answer.headers
    assert answer.headers["content-disposition"].isascii()
