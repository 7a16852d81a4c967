"""POST /imagery: what becomes of a form, and that a refused one leaves nothing."""

from __future__ import annotations

import hashlib
import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from rasters import UTM, fields, write_bands

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
        ({"scale": "x"}, "scale"),
        ({"scale": "0"}, "scale"),
        ({"scale": "nan"}, "scale"),
        ({"scale": "1,2"}, "scale"),
        ({"offset": "1,2,3,"}, "offset"),
        ({"offset": ",".join(["1"] * 65)}, "offset"),
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


def send(house: Any, *files: tuple[str, bytes], **fields: str) -> Any:
    return house.client.post("/imagery", files=[("file", file) for file in files], data=fields)


def bands_apart(folder: Path, size: tuple[int, int] = (8, 6)) -> list[tuple[str, bytes]]:
    """Red and near infrared of one place in files of their own."""
    scene = (fields(*size) * 10_000).astype(np.uint16)
    return [
        (name, write_bands(folder / name, scene[number : number + 1], **UTM).read_bytes())
        for name, number in (("field_red.tif", 0), ("field_nir.tif", 3))
    ]


def test_several_files_are_one_imagery(house: Any, tmp_path: Path) -> None:
    files = bands_apart(tmp_path)
    answer = send(house, *files, scale="0.0001")
    record = answer.json()
    assert answer.status_code == 201, answer.text
    assert record["bands"] == {"R": 1, "N": 2}
    assert record["band_count"] == 2
    assert [asset["filename"] for asset in record["assets"]] == ["field_red.tif", "field_nir.tif"]
    assert [asset["sha256"] for asset in record["assets"]] == [sha256(content) for _, content in files]
    assert record["sha256"] == sha256("".join(asset["sha256"] for asset in record["assets"]).encode())
    assert record["size_bytes"] == sum(len(content) for _, content in files)
    first = record["assets"][0]
    assert (record["object_key"], record["original_filename"]) == (first["object_key"], first["filename"])
    assert record["calibration"]["state"] == "reflectance"
    assert record["calibration"]["scales"] == [0.0001, 0.0001]
    place = answer.headers["location"]
    assert house.client.get(f"{place}/content").content == files[0][1]
    for number, (name, content) in enumerate(files):
        got = house.client.get(f"{place}/content?asset={number}")
        assert got.content == content
        assert name in got.headers["content-disposition"]
    for beyond, status in (("2", 404), ("-1", 422), ("x", 422)):
        assert house.client.get(f"{place}/content?asset={beyond}").status_code == status
    assert house.client.get(f"{place}/thumbnail").content.startswith(b"\x89PNG")
    run = {"imagery_id": record["id"], "index_type": "NDVI"}
    assert house.client.post("/analysis-runs", json=run).status_code == 202
    assert house.client.delete(place).status_code == 204
    assert house.objects == []


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@pytest.mark.parametrize("names", [("a.tif", "../A.tif"), ("field_red.tif", "field_red.tif")])
def test_two_files_of_one_name_are_refused(house: Any, tmp_path: Path, names: tuple[str, str]) -> None:
    contents = [content for _, content in bands_apart(tmp_path)]
    for bands in ({"bands": "R,N"}, {}):
        answer = send(house, *zip(names, contents, strict=True), **bands)
        assert answer.status_code == 422
        assert "Two files are called" in answer.json()["detail"]
        assert "names that tell them apart" in answer.json()["detail"]
    assert house.objects == []


def masked(folder: Path, bands: int = 1, size: tuple[int, int] = (8, 6)) -> bytes:
    """A mask file that hides the upper half."""
    values = np.full((bands, *size), 255, dtype=np.uint8)
    values[:, : size[0] // 2] = 0
    return write_bands(folder / "mask.tif", values, **UTM).read_bytes()


def test_a_mask_comes_with_its_image(house: Any, tmp_path: Path) -> None:
    red, near_infrared = bands_apart(tmp_path)
    mask = ("field_red.tif.msk", masked(tmp_path))
    answer = send(house, mask, red, near_infrared, scale="0.0001")
    record = answer.json()
    assert answer.status_code == 201, answer.text
    assert record["bands"] == {"R": 1, "N": 2}
    assert record["band_count"] == 2
    assert [(asset["filename"], asset["role"]) for asset in record["assets"]] == [
        ("field_red.tif", "data"),
        ("field_nir.tif", "data"),
        ("field_red.tif.msk", "mask"),
    ]
    assert record["original_filename"] == "field_red.tif"
    assert record["sha256"] == sha256("".join(asset["sha256"] for asset in record["assets"]).encode())
    assert record["size_bytes"] == sum(len(content) for _, content in (red, near_infrared, mask))
    place = answer.headers["location"]
    assert house.client.get(f"{place}/content?asset=2").content == mask[1]
    thumbnail = np.asarray(Image.open(io.BytesIO(house.client.get(f"{place}/thumbnail").content)))
    assert (thumbnail[:4, :, 3] == 0).all()
    assert (thumbnail[4:, :, 3] == 255).all()
    assert house.client.delete(place).status_code == 204
    assert house.objects == []


def test_reflectance_beside_camera_numbers_is_refused_before_there_is_a_run(
    house: Any, tmp_path: Path
) -> None:
    red = write_bands(tmp_path / "field_red.tif", fields()[:1], **UTM).read_bytes()
    near_infrared = bands_apart(tmp_path)[1]
    record = send(house, ("field_red.tif", red), near_infrared).json()
    run = {"imagery_id": record["id"], "index_type": "NDVI"}
    answer = house.client.post("/analysis-runs", json=run)
    assert answer.status_code == 422
    assert "N (uint16) in plain camera numbers, but R (float32)" in answer.json()["detail"]
    assert "scale with one number per band" in answer.json()["detail"]
    assert house.client.post("/analysis-runs", json=run | {"scale": 0.0001}).status_code == 422
    assert house.client.post("/analysis-runs", json=run | {"scale": [1, 0.0001]}).status_code == 202
    scaled = send(house, ("field_red.tif", red), near_infrared, scale="1,0.0001").json()
    assert house.client.post("/analysis-runs", json=run | {"imagery_id": scaled["id"]}).status_code == 202


def test_masks_that_are_refused(house: Any, tmp_path: Path) -> None:
    red, _ = bands_apart(tmp_path)
    for name, content, words, status in (
        ("other.tif.msk", masked(tmp_path), "its image is missing", 422),
        ("field_red.tif.msk", masked(tmp_path, size=(8, 7)), "differ in size: 7 x 8 and 6 x 8", 422),
        ("field_red.tif.msk", masked(tmp_path, bands=2), "has 2 bands", 422),
        ("field_red.tif.msk", house.png, "is not a mask", 422),
        ("field_red.tif.msk", masked(tmp_path)[:-20], "incomplete", 415),
    ):
        answer = send(house, red, (name, content))
        assert answer.status_code == status, answer.text
        assert words in answer.json()["detail"]
        assert house.objects == []
    alone = send(house, ("field.tif.msk", masked(tmp_path)))
    assert alone.status_code == 422
    assert "send field.tif and its mask together" in alone.json()["detail"]


def test_masks_are_not_counted_as_files(house: Any) -> None:
    images = [(f"{number}.png", house.png) for number in range(16)]
    masks = [(f"{name}.msk", house.png) for name, _ in images]
    assert "is not a mask" in send(house, *images, *masks).json()["detail"], "there may be so many"
    for files in ((*images, ("16.png", house.png), masks[0]), (*images, *masks, ("16.png", house.png))):
        answer = send(house, *files)
        assert answer.status_code == 422
        assert "at most 16 files" in answer.json()["detail"]
    assert house.objects == []


def test_files_that_do_not_belong_together(house: Any, tmp_path: Path) -> None:
    red, near_infrared = bands_apart(tmp_path)
    (tmp_path / "b").mkdir()
    other_size = bands_apart(tmp_path / "b", size=(9, 6))[1]
    refused = {
        "size": (red, other_size),
        "both": (red, ("again_red.tif", near_infrared[1])),
        "which bands": (("a.png", house.png), ("b.png", house.png)),
    }
    for words, files in refused.items():
        answer = send(house, *files)
        assert answer.status_code == 422, words
        assert words in answer.json()["detail"]
        assert house.objects == []
    assert send(house, red, ("field_nir.tif", near_infrared[1][:200])).status_code == 415
    assert send(house, red, ("field_nir.tif", b"")).status_code == 415
    assert house.objects == []


def test_the_limits_count_for_all_files_together(house: Any) -> None:
    half = b"x" * (house.max_upload_bytes // 2 + 1)
    assert send(house, ("a.tif", half), ("b.tif", half)).status_code == 413
    answer = send(house, *((f"{number}.png", house.png) for number in range(17)))
    assert answer.status_code == 422
    assert "16" in answer.json()["detail"]
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
