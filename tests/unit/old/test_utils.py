from datetime import datetime
from pathlib import Path

import numpy as np
import pypdf
import pytest
from PIL import Image
from PIL.ExifTags import GPS, IFD, Base
from PIL.TiffImagePlugin import IFDRational

import OLD.utils
from OLD.utils import generate_pdf_report, get_gps_from_image


def write_photo(path, position=None, **options):
    exif = Image.Exif()
    exif[Base.Make] = "Test"
    if position is not None:
        exif.get_ifd(IFD.GPSInfo).update(position)
        exif[IFD.GPSInfo] = 0  # Pillow writes the directory into TIFF only where its tag is there
    picture = Image.fromarray(np.full((40, 60, 3), (60, 140, 40), dtype=np.uint8))
    picture.save(path, exif=exif, **options)
    return str(path)


def dms(degrees, minutes, seconds):
    return (IFDRational(degrees, 1), IFDRational(minutes, 1), IFDRational(*seconds))


@pytest.mark.parametrize(
    ("position", "expected"),
    [
        (
            {GPS.GPSLatitudeRef: "N", GPS.GPSLatitude: dms(47, 1, (3000, 100))}
            | {GPS.GPSLongitudeRef: "E", GPS.GPSLongitude: dms(28, 51, (0, 1))},
            (47 + 1 / 60 + 30 / 3600, 28.85),
        ),
        (
            {GPS.GPSLatitudeRef: "S", GPS.GPSLatitude: dms(33, 30, (0, 1))}
            | {GPS.GPSLongitudeRef: "W", GPS.GPSLongitude: dms(70, 15, (36, 1))},
            (-33.5, -70.26),
        ),
        ({GPS.GPSLatitude: dms(47, 0, (0, 1)), GPS.GPSLongitude: dms(28, 30, (0, 1))}, (47.0, 28.5)),
    ],
    ids=["north-east", "south-west", "without references"],
)
@pytest.mark.parametrize("name", ["photo.jpg", "photo.png", "photo.tif", "снимок.jpeg"])
def test_gps_in_signed_decimal_degrees(tmp_path, name, position, expected):
    gps = get_gps_from_image(write_photo(tmp_path / name, position))
    assert list(gps) == ["latitude", "longitude"]
    assert all(type(value) is float for value in gps.values())
    assert tuple(gps.values()) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize(
    "position", [None, {}, {GPS.GPSLatitudeRef: "N"}, {GPS.GPSLatitude: dms(47, 0, (0, 1))}]
)
def test_no_position_is_none(tmp_path, position):
    assert get_gps_from_image(write_photo(tmp_path / "photo.jpg", position)) is None


def test_a_position_that_divides_by_zero_is_none(tmp_path):
    nowhere = (IFDRational(0, 0), IFDRational(0, 1), IFDRational(0, 1))
    position = {GPS.GPSLatitude: nowhere, GPS.GPSLongitude: nowhere}
    assert get_gps_from_image(write_photo(tmp_path / "photo.jpg", position)) is None


def test_a_file_that_is_no_picture_has_no_position(tmp_path):
    (tmp_path / "notes.txt").write_text("field")
    (tmp_path / "empty.jpg").touch()
    for name in ("notes.txt", "empty.jpg", "missing.jpg"):
        assert get_gps_from_image(str(tmp_path / name)) is None


def pdf_text(path):
    return "".join(page.extract_text() for page in pypdf.PdfReader(path).pages)


def test_the_report_shows_pictures_text_and_position(tmp_path):
    photo = write_photo(tmp_path / "photo.jpg")
    heatmap = write_photo(tmp_path / "heatmap.png")
    target = tmp_path / "отчет.pdf"
    gps = {"latitude": 47.0105, "longitude": 28.8638}
    generate_pdf_report(
        str(target), photo, heatmap, "Преобладает легкий стресс.\nПроверьте полив.", gps, "GLI"
    )
    reader = pypdf.PdfReader(target)
    assert len(reader.pages) == 1
    assert [float(side) for side in reader.pages[0].mediabox[2:]] == pytest.approx([595.3, 841.9], abs=0.1)
    assert len(reader.pages[0].images) == 2
    text = pdf_text(target)
    for part in (
        "Преобладает легкий стресс.",
        "Проверьте полив.",
        "GLI",
        str(datetime.now().astimezone().year),
    ):
        assert part in text
    assert sorted(path.name for path in tmp_path.iterdir()) == ["heatmap.png", "photo.jpg", "отчет.pdf"]


@pytest.mark.parametrize("picture", ["missing.jpg", "broken.jpg", "", None])
def test_a_picture_that_cannot_be_read_leaves_the_report_whole(tmp_path, picture):
    (tmp_path / "broken.jpg").write_bytes(b"\xff\xd8\xff nothing more")
    path = str(tmp_path / picture) if picture else picture
    generate_pdf_report(str(tmp_path / "r.pdf"), path, path, "Текст", None)
    reader = pypdf.PdfReader(tmp_path / "r.pdf")
    assert len(reader.pages[0].images) == 0
    assert "Текст" in pdf_text(tmp_path / "r.pdf")
    assert "NDVI_emp" in pdf_text(tmp_path / "r.pdf")


@pytest.mark.parametrize("gps", [None, "47.0, 28.8", (47.0, 28.8), 5, {}, {"latitude": "north"}])
@pytest.mark.parametrize("words", [None, "", 12.5])
def test_without_a_text_or_a_position_the_report_is_whole(tmp_path, gps, words):
    generate_pdf_report(str(tmp_path / "r.pdf"), None, None, words, gps)
    text = pdf_text(tmp_path / "r.pdf")
    assert "нет данных GPS" in text
    assert ("12.5" in text) is (words == 12.5)
    assert "None" not in text


def test_the_report_has_the_colours_of_the_styles(tmp_path, monkeypatch):
    monkeypatch.setattr(OLD.utils.styles, "PRIMARY_COLOR", "#FF0000")
    monkeypatch.delattr(OLD.utils.styles, "TEXT_COLOR")
    generate_pdf_report(str(tmp_path / "r.pdf"), None, None, "Текст", None)
    page = pypdf.PdfReader(tmp_path / "r.pdf").pages[0]
    assert b"1 0 0 rg" in page.get_contents().get_data()


def test_the_report_replaces_the_old_file_whole_or_not_at_all(tmp_path, monkeypatch):
    target = tmp_path / "r.pdf"
    target.write_bytes(b"before")

    def refuse(self, other):
        raise OSError("no space left")

    monkeypatch.setattr(Path, "replace", refuse)
    with pytest.raises(OSError, match="no space"):
        generate_pdf_report(str(target), None, None, "Текст", None)
    assert target.read_bytes() == b"before"
    assert [path.name for path in tmp_path.iterdir()] == ["r.pdf"]


def test_the_report_is_as_readable_as_any_new_file(tmp_path):
    (tmp_path / "other").touch()
    generate_pdf_report(str(tmp_path / "r.pdf"), None, None, "Текст", None)
    assert (tmp_path / "r.pdf").stat().st_mode == (tmp_path / "other").stat().st_mode


def test_the_report_is_made_by_the_reporting_package(tmp_path, monkeypatch):
    asked = {}

    def page(**arguments):
        asked.update(arguments)
        return b"%PDF"

    monkeypatch.setattr(OLD.utils, "simple_report_pdf", page)
    generate_pdf_report(
        str(tmp_path / "r.pdf"), "a.jpg", "b.png", "Текст", {"latitude": 1.0, "longitude": 2.0}
    )
    assert (tmp_path / "r.pdf").read_bytes() == b"%PDF"
    assert (asked["original"], asked["heatmap"]) == (Path("a.jpg"), Path("b.png"))
    assert asked["index_type"] == "NDVI_emp"
    assert asked["created_at"].utcoffset() is not None
