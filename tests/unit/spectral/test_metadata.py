from __future__ import annotations

import json
import struct
import time
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
import tifffile
from PIL import Image
from PIL.TiffImagePlugin import IFDRational

from orthoray.errors import NotAnImage
from orthoray.spectral.metadata import Camera, GpsPosition, ImageMetadata, read_metadata

EXIF, GPS = 0x8769, 0x8825
XMP = """<?xpacket begin="" id="W5M0MpCehiHzreSzNTczkc9d"?><x:xmpmeta xmlns:x="adobe:ns:meta/">
<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
<rdf:Description rdf:about="" xmlns:c="http://pix4d.com/camera/1.0/"
 xmlns:DLS="http://micasense.com/DLS/1.0/" xmlns:drone-dji="http://www.dji.com/drone-dji/1.0/"
 xmlns:tiff="http://ns.adobe.com/tiff/1.0/"
 drone-dji:GimbalYawDegree="+12.30" tiff:Make="Maker" c:Yaw="1.5">
<DLS:Yaw>-2.75</DLS:Yaw>
<c:BandName><rdf:Seq><rdf:li>NIR</rdf:li><rdf:li>Red</rdf:li></rdf:Seq></c:BandName>
</rdf:Description></rdf:RDF></x:xmpmeta><?xpacket end="w"?>"""
SENSOR = {
    "drone-dji:GimbalYawDegree": "+12.30",
    "Camera:Yaw": "1.5",
    "DLS:Yaw": "-2.75",
    "Camera:BandName": ["NIR", "Red"],
}


def photo(
    folder: Path,
    tags: dict[int, Any] | None = None,
    details: dict[int, Any] | None = None,
    gps: dict[int, Any] | None = None,
    suffix: str = "jpg",
) -> Path:
    path = folder / f"photo.{suffix}"
    if suffix == "tif":
        directories = {EXIF: details, GPS: gps}
        fields = (tags or {}) | {tag: value for tag, value in directories.items() if value}
        Image.new("RGB", (8, 8)).save(path, tiffinfo=fields)
        return path
    exif = Image.Exif()
    exif.update(tags or {})
    if details:
        exif.get_ifd(EXIF).update(details)
    if gps:
        exif.get_ifd(GPS).update(gps)
    Image.new("RGB", (8, 8)).save(path, exif=exif)
    return path


FIX = {1: "N", 2: (47.0, 1.0, 30.0), 3: "E", 4: (28.0, 49.0, 0.0)}


@pytest.mark.parametrize("suffix", ["jpg", "png", "tif"])
def test_everything_at_once(tmp_path: Path, suffix: str) -> None:
    path = photo(
        tmp_path,
        {0x010F: "DJI\0\0", 0x0110: " FC3682 ", 0x0112: 1},
        {0x9003: "2024:05:31 12:30:15", 0x9011: "+03:00", 0xA434: "24mm", 0xA431: "SN1"},
        FIX | {5: b"\0", 6: 123.5},
        suffix,
    )
    assert read_metadata(path) == ImageMetadata(
        captured_at="2024-05-31T12:30:15+03:00",
        captured_at_is_local=False,
        gps=GpsPosition(pytest.approx(47.025), pytest.approx(28 + 49 / 60), 123.5),
        camera=Camera("DJI", "FC3682", "24mm", "SN1"),
        orientation=1,
    )
    json.dumps(read_metadata(path).to_dict(), allow_nan=False)


@pytest.mark.parametrize("suffix", ["jpg", "png", "bmp", "tif"])
def test_nothing_at_all(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"plain.{suffix}"
    Image.new("RGB", (4, 4)).save(path)
    assert read_metadata(path) == ImageMetadata()


@pytest.mark.parametrize(
    ("details", "gps", "expected"),
    [
        ({0x9003: "2024:05:31 12:30:15"}, {}, ("2024-05-31T12:30:15", True)),
        ({0x9003: "2024-05-31T12:30:15"}, {}, ("2024-05-31T12:30:15", True)),
        ({0x9003: "2024:05:31 12:30:15", 0x9010: "-05:00"}, {}, ("2024-05-31T12:30:15-05:00", False)),
        ({0x9003: "2024:05:31 12:30:15", 0x9011: "Z"}, {}, ("2024-05-31T12:30:15+00:00", False)),
        ({0x9003: "2024:05:31 12:30:15", 0x9011: "   :  "}, {}, ("2024-05-31T12:30:15", True)),
        ({0x9003: "2024:05:31 12:30:15", 0x9011: "+99:00"}, {}, ("2024-05-31T12:30:15", True)),
        (
            {0x9003: "2024:05:31 12:30:15"},
            {29: "2024:05:31", 7: (9.0, 30.0, 14.5)},
            ("2024-05-31T09:30:14+00:00", False),
        ),
        (
            {0x9003: "2024:05:31 12:30:15"},
            {29: "1980:01:06", 7: (0.0, 0.0, 0.0)},
            ("2024-05-31T12:30:15", True),
        ),
        ({}, {29: "2024:05:31", 7: (9.0, 0.0, 0.0)}, ("2024-05-31T09:00:00+00:00", False)),
        ({}, {29: "2024:13:31", 7: (9.0, 0.0, 0.0)}, (None, False)),
        ({0x9003: "0000:00:00 00:00:00"}, {}, (None, False)),
        ({0x9003: "    :  :     :  :  "}, {}, (None, False)),
        ({0x9004: "2024:05:31 12:30:15"}, {}, ("2024-05-31T12:30:15", True)),
    ],
)
def test_time(
    tmp_path: Path, details: dict[int, Any], gps: dict[int, Any], expected: tuple[str | None, bool]
) -> None:
    found = read_metadata(photo(tmp_path, {}, details, gps))
    assert (found.captured_at, found.captured_at_is_local) == expected


def test_file_time_is_the_last_resort(tmp_path: Path) -> None:
    assert (
        read_metadata(photo(tmp_path, {0x0132: "2024:05:31 12:30:15"})).captured_at == "2024-05-31T12:30:15"
    )


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, (47.025, 28 + 49 / 60, None)),
        ({1: "S", 3: "W"}, (-47.025, -28 - 49 / 60, None)),
        ({1: b"s\0"}, (-47.025, 28 + 49 / 60, None)),
        ({1: None, 3: None}, (47.025, 28 + 49 / 60, None)),
        ({2: (IFDRational(47, 1), IFDRational(3, 2), IFDRational(0, 1))}, (47.025, 28 + 49 / 60, None)),
        ({2: (Fraction(47), 1.5, 0)}, (47.025, 28 + 49 / 60, None)),
        ({2: (47.5,)}, (47.5, 28 + 49 / 60, None)),
        ({2: (47.0, 30.0)}, (47.5, 28 + 49 / 60, None)),
        ({6: 80.0, 5: b"\1"}, (47.025, 28 + 49 / 60, -80.0)),
        ({6: 80.0}, (47.025, 28 + 49 / 60, 80.0)),
        ({6: IFDRational(80, 0)}, (47.025, 28 + 49 / 60, None)),
        ({2: (IFDRational(47, 0), 0.0, 0.0)}, None),
        ({2: (IFDRational(0, 0), 0.0, 0.0)}, None),
        ({2: (47.0, IFDRational(0, 0), 0.0)}, (47.0, 28 + 49 / 60, None)),
        ({2: (47.0, 1.5, IFDRational(0, 0))}, (47.025, 28 + 49 / 60, None)),
        ({2: (47.0, IFDRational(3, 0), 0.0)}, None),
        ({4: (28.0, 49.0, IFDRational(5, 0))}, None),
        ({2: (91.0, 0.0, 0.0)}, None),
        ({4: (180.0, 0.0, 1.0)}, None),
        ({2: None}, None),
    ],
)
def test_position(
    tmp_path: Path, changes: dict[int, Any], expected: tuple[float, float, float | None] | None
) -> None:
    gps = {tag: value for tag, value in (FIX | changes).items() if value is not None}
    found = read_metadata(photo(tmp_path, gps=gps)).gps
    if expected is None:
        assert found is None
    else:
        assert found is not None
        assert (found.latitude, found.longitude, found.altitude_m) == pytest.approx(expected)


@pytest.mark.parametrize("suffix", ["jpg", "png", "tif"])
def test_sensor_properties_keep_their_namespace(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"xmp.{suffix}"
    if suffix == "tif":
        tifffile.imwrite(
            path, np.zeros((5, 5), np.uint16), extratags=[(700, 1, len(XMP), XMP.encode(), True)]
        )
    elif suffix == "png":
        from PIL.PngImagePlugin import PngInfo

        info = PngInfo()
        info.add_itxt("XML:com.adobe.xmp", XMP)
        Image.new("L", (4, 4)).save(path, pnginfo=info)
    else:
        Image.new("L", (4, 4)).save(path, xmp=XMP.encode())
    assert read_metadata(path).sensor == SENSOR


@pytest.mark.parametrize(
    "packet",
    [
        b"",
        b"<unclosed",
        b"\xff\xfe\0",
        b'<!DOCTYPE x [<!ENTITY a "aa"><!ENTITY b "&a;&a;">]><x>&b;</x>',
        b'<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/hostname">]><x>&a;</x>',
    ],
)
def test_broken_or_hostile_xmp_is_nothing(tmp_path: Path, packet: bytes) -> None:
    path = tmp_path / "x.jpg"
    Image.new("L", (4, 4)).save(path, xmp=packet)
    assert read_metadata(path).sensor == {}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("6", 6),
        ("12/2", 6),
        (" +0.6e1 ", 6),
        ("1e12000000", None),
        ("1e12000000/3", None),
        ("9" * 1_000_000, None),
        ("9" * 100_000 + "/7", None),
        ("1/0", None),
        ("nan", None),
        ("upright", None),
    ],
    ids=lambda value: str(value)[:12],
)
def test_numbers_told_in_words_cost_no_time(tmp_path: Path, text: str, expected: int | None) -> None:
    path = tmp_path / "photo.tif"
    tifffile.imwrite(path, np.zeros((5, 5), np.uint8), extratags=[(274, 2, 0, text, True)])
    began = time.process_time()
    assert read_metadata(path).orientation == expected
    assert time.process_time() - began < 1


def test_elements_within_elements_cost_no_time(tmp_path: Path) -> None:
    head, foot = XMP.partition("<c:BandName>")[0], "</rdf:Description></rdf:RDF></x:xmpmeta>"
    packet = head + "<rdf:Description>" * 20_000 + "</rdf:Description>" * 20_000 + foot
    path = tmp_path / "x.tif"
    tifffile.imwrite(
        path, np.zeros((5, 5), np.uint8), extratags=[(700, 1, len(packet), packet.encode(), True)]
    )
    began = time.process_time()
    found = read_metadata(path).sensor
    assert time.process_time() - began < 1
    assert found["Camera:Yaw"] == "1.5"


def test_a_packet_beyond_all_measure_is_nothing(tmp_path: Path) -> None:
    path = tmp_path / "x.tif"
    packet = XMP + " " * 1024 * 1024
    tifffile.imwrite(
        path, np.zeros((5, 5), np.uint8), extratags=[(700, 1, len(packet), packet.encode(), True)]
    )
    assert read_metadata(path).sensor == {}


def test_broken_exif_never_raises(tmp_path: Path) -> None:
    path = photo(tmp_path, {0x010F: "Maker", 0x0110: "Model"}, {0x9003: "2024:05:31 12:30:15"}, FIX)
    content = path.read_bytes()
    start = content.index(b"Exif\0\0")
    for position in range(start, start + 250):
        for value in (0x00, 0xFF):
            damaged = bytearray(content)
            damaged[position] = value
            path.write_bytes(damaged)
            json.dumps(read_metadata(path).to_dict(), allow_nan=False)


@pytest.mark.parametrize("damage", [b"\0\0", b"\xff\xff\xff\xff"])
def test_a_broken_directory_leaves_the_rest(tmp_path: Path, damage: bytes) -> None:
    path = photo(tmp_path, {0x010F: "Maker"}, gps=FIX)
    content = path.read_bytes()
    pointer = content.index(struct.pack(">HHI", GPS, 4, 1)) + 8
    path.write_bytes(content[:pointer] + (damage * 2)[:4] + content[pointer + 4 :])
    found = read_metadata(path)
    assert found.gps is None
    assert found.camera == Camera(make="Maker")


def test_a_tiff_that_pillow_cannot_show_still_has_metadata(tmp_path: Path) -> None:
    path = tmp_path / "five.tif"
    tifffile.imwrite(
        path, np.zeros((4, 4, 5), np.float64), planarconfig="contig", photometric="minisblack",
        extratags=[(0x010F, 2, 9, "MicaSense", True)],
    )  # fmt: skip
    assert read_metadata(path).camera == Camera(make="MicaSense")


def test_a_picture_of_any_size_is_only_described(tmp_path: Path) -> None:
    path = photo(tmp_path, {0x010F: "Maker"})
    content = bytearray(path.read_bytes())
    frame = content.index(b"\xff\xc0")
    content[frame + 5 : frame + 9] = b"\xff\xff\xff\xff"
    path.write_bytes(content)
    assert read_metadata(path).camera == Camera(make="Maker")


def test_not_an_image(tmp_path: Path) -> None:
    path = tmp_path / "x.jpg"
    path.write_text("text")
    with pytest.raises(NotAnImage):
        read_metadata(path)


def test_real_files(sample: Callable[[str], Path]) -> None:
    assert read_metadata(sample("rgbn.tif")).gps is None


@pytest.mark.parametrize("suffix", ["jpg", "png", "tif"])
def test_void_seconds_in_every_format(tmp_path: Path, suffix: str) -> None:
    void = IFDRational(0, 0)
    gps = FIX | {2: (47.0, 30.0, void), 4: (28.0, void, void)}
    found = read_metadata(photo(tmp_path, {0x010F: "Maker"}, gps=gps, suffix=suffix))
    assert found.gps == GpsPosition(47.5, 28.0)


def test_an_orientation_in_xmp_alone_counts_for_nothing(tmp_path: Path) -> None:
    path = tmp_path / "photo.jpg"
    packet = XMP.replace('tiff:Make="Maker"', 'tiff:Make="Maker" tiff:Orientation="6"')
    Image.new("RGB", (8, 8)).save(path, xmp=packet.encode())
    assert read_metadata(path).orientation is None


@pytest.mark.parametrize("byteorder", ["<", ">"])
@pytest.mark.parametrize("raw", [False, True])
def test_what_is_tiff_in_structure_has_the_metadata_of_one(
    tmp_path: Path, byteorder: Literal["<", ">"], raw: bool
) -> None:
    path = tmp_path / "shell.tif"
    dng_version = [(50706, 1, 4, bytes([1, 4, 0, 0]), True)] if raw else []
    tifffile.imwrite(
        path, np.zeros((8, 8), np.uint16), byteorder=byteorder,
        extratags=[(271, 2, 0, "Maker", True), (272, 2, 0, "Model", True), *dng_version],
    )  # fmt: skip
    assert read_metadata(path).camera == Camera("Maker", "Model")


def test_a_big_tiff_has_its_main_tags(tmp_path: Path) -> None:
    path = tmp_path / "big.tif"
    packet = XMP.encode()
    tags = [(271, 2, 0, "Maker", True), (700, 1, len(packet), packet, True)]
    tifffile.imwrite(path, np.zeros((8, 8), np.uint16), bigtiff=True, extratags=tags)
    found = read_metadata(path)
    assert (found.camera, found.sensor) == (Camera("Maker"), SENSOR)


def test_jpeg_2000_has_none(tmp_path: Path) -> None:
    path = tmp_path / "plain.jp2"
    Image.new("L", (32, 32)).save(path)
    assert read_metadata(path) == ImageMetadata()
