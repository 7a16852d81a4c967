"""POST /imagery: what becomes of a form, and that a refused one leaves nothing."""

from __future__ import annotations

from typing import Any

import pytest

from orthoray.errors import NotFound, Unavailable


def test_an_upload_becomes_a_record_and_an_object(house: Any) -> None:
    answer = house.upload(
        captured_at="2026-05-01T10:00:00", gps_lat="47.1", gps_lon="-28.5", bands="R,G,B", sensor=""
    )
    record = answer.json()
    assert answer.status_code == 201
    assert answer.headers["location"] == f"/imagery/{record['id']}"
    assert record["status"] == "uploaded"
    assert record["object_key"] == f"imagery/{record['id']}/field.png"
    assert record["bands"] == {"R": 1, "G": 2, "B": 3}
    assert record["captured_at"] == "2026-05-01T10:00:00Z"
    assert (record["gps"]["latitude"], record["gps"]["longitude"]) == (47.1, -28.5)
    assert house.storage.get_bytes(record["bucket"], record["object_key"]) == house.png
    assert house.client.get(answer.headers["location"]).json() == record


@pytest.mark.parametrize(
    "name",
    [
        "../../etc/passwd",
        "/etc/passwd",
        "..\\..\\evil.png",
        "..",
        "a/../../b.png",
        "поле.png",
        "x" * 400 + ".png",
    ],
)
def test_no_filename_leads_elsewhere(house: Any, name: str) -> None:
    record = house.upload(name).json()
    prefix, _, filename = record["object_key"].rpartition("/")
    assert prefix == f"imagery/{record['id']}"
    assert filename == record["original_filename"]
    assert ".." not in filename
    assert house.client.get(f"/imagery/{record['id']}/content").content == house.png


@pytest.mark.parametrize(
    ("fields", "names"),
    [
        ({"gps_lat": "47"}, "gps_lat and gps_lon"),
        ({"gps_lon": "28"}, "gps_lat and gps_lon"),
        ({"gps_lat": "91", "gps_lon": "28"}, "gps_lat"),
        ({"gps_lat": "x", "gps_lon": "28"}, "gps_lat"),
        ({"captured_at": "yesterday"}, "captured_at"),
        ({"bands": "R,G"}, "band"),
        ({"bands": "R,G,R"}, "R"),
        ({"sensor": "no such sensor"}, "sensor"),
        ({"bands": "R" * 600}, "bands"),
    ],
)
def test_fields_that_do_not_fit_are_named(house: Any, fields: dict[str, str], names: str) -> None:
    answer = house.upload(**fields)
    assert answer.status_code == 422
    assert names in answer.json()["detail"]
    assert house.objects == []
    assert not house.imagery.rows


@pytest.mark.parametrize("content", [b"", b"not an image", b"\x89PNG\r\n\x1a\n"])
def test_what_is_not_an_image_is_refused_and_not_kept(house: Any, content: bytes) -> None:
    assert house.upload(content=content).status_code == 415
    assert house.objects == []


def test_a_truncated_image_is_refused_and_not_kept(house: Any) -> None:
    answer = house.upload(content=house.png[:-20])
    assert answer.status_code == 415
    assert house.objects == []


@pytest.mark.parametrize(
    "options",
    [
        {"content": b"x", "headers": {"content-type": "image/png"}},
        {"json": {"file": "x"}},
        {},
        {"content": b"x", "headers": {"content-type": "multipart/form-data"}},
        {"content": b"--b\r\nbroken", "headers": {"content-type": "multipart/form-data; boundary=b"}},
        {"files": {"picture": ("a.png", b"x")}},
        {"files": {"other": ("", b"")}, "data": {"file": "just text"}},
        {"files": {"file": ("a.png", b"x")}, "data": {"bands": "R" * 5000}},
        {"files": {"file": ("a.png", b"x")}, "data": {f"field{n}": "x" for n in range(40)}},
    ],
)
def test_a_malformed_form_is_refused(house: Any, options: dict[str, Any]) -> None:
    answer = house.client.post("/imagery", **options)
    assert answer.status_code == 400, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert house.objects == []


def test_two_files_are_two_requests(house: Any) -> None:
    answer = house.client.post(
        "/imagery", files=[("file", ("a.png", house.png)), ("file", ("b.png", house.png))]
    )
    assert answer.status_code == 422
    assert house.objects == []


@pytest.mark.parametrize(("error", "status"), [(RuntimeError("/secret"), 500), (NotFound(), 404)])
def test_a_failed_registration_leaves_no_file(
    house: Any, monkeypatch: pytest.MonkeyPatch, error: Exception, status: int
) -> None:
    async def register(tenant: str, upload: object) -> None:
        assert house.objects, "the file is stored before it is catalogued"
        raise error

    monkeypatch.setattr(house.imagery, "register", register)
    assert house.upload().status_code == status
    assert house.objects == []


def test_a_registration_whose_answer_was_lost_leaves_neither_row_nor_file(
    house: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    register = house.imagery.register

    async def register_and_die(tenant: str, upload: Any) -> None:
        await register(tenant, upload)
        raise Unavailable

    monkeypatch.setattr(house.imagery, "register", register_and_die)
    assert house.upload().status_code == 503
    assert house.objects == []
    assert not house.imagery.rows
