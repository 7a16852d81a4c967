"""Files that are made to do harm, and files with any bytes changed: nothing comes of them but what `orthoray.errors` names."""

from __future__ import annotations

import io
import struct
import tempfile
import time
import tracemalloc
import zlib
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from jpeg2000 import noisy_field, write_jp2
from PIL import Image

from orthoray.errors import NotAnImage, OrthoRayError, TooLarge
from orthoray.spectral import jp2, tiff
from orthoray.spectral.integrity import check_complete
from orthoray.spectral.metadata import ImageMetadata, read_metadata
from orthoray.spectral.raster import inspect

SIDE = 60_000
XMP = (
    '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    '<rdf:Description xmlns:DLS="http://micasense.com/DLS/1.0/" DLS:Yaw="-2.75">{}</rdf:Description></rdf:RDF></x:xmpmeta>'
)


def png(side: int = SIDE, *chunks: tuple[bytes, bytes]) -> bytes:
    """It claims `side` x `side` pixels; 50 kB of compressed zeros are 50 MB of them."""
    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    parts = [(b"IHDR", header), *chunks, (b"IDAT", zlib.compress(bytes(50_000_000), 9)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in parts
    )


def jpeg() -> bytes:
    """A photo of 8 x 8 pixels whose frame header claims more."""
    file = io.BytesIO()
    Image.new("RGB", (8, 8)).save(file, "JPEG")
    content = bytearray(file.getvalue())
    struct.pack_into(">HH", content, content.index(b"\xff\xc0") + 5, SIDE, SIDE)
    return bytes(content)


def plain_tiff(samples: int = 1, block: int = SIDE) -> bytes:
    """One strip or tile of zeros, and nothing behind its header."""
    tags = [
        (256, 4, SIDE), (257, 4, SIDE), (258, 3, 8), (259, 3, 8), (262, 3, 1), (277, 3, samples),
        (322, 4, block), (323, 4, block), (324, 4, 8), (325, 4, 8),
    ]  # fmt: skip
    table = b"".join(
        struct.pack("<HHI", tag, kind, 1) + struct.pack("<I", value) for tag, kind, value in tags
    )
    return b"II*\0" + struct.pack("<I", 16) + zlib.compress(b"\0")[:8].ljust(8) + struct.pack(
        "<H", len(tags)
    ) + table + bytes(4)  # fmt: skip


BOMBS: dict[str, Callable[[], bytes]] = {
    "bomb.png": png,
    "bomb.jpg": jpeg,
    "strip.tif": plain_tiff,
    "bands.tif": lambda: plain_tiff(samples=65_535, block=16),
    "tile.tif": lambda: plain_tiff(block=32_768),
}


@pytest.mark.parametrize("name", BOMBS)
def test_a_small_file_that_claims_to_be_huge_is_refused_before_it_is_decoded(
    tmp_path: Path, name: str
) -> None:
    path = tmp_path / name
    path.write_bytes(BOMBS[name]())
    assert path.stat().st_size < 60_000
    tracemalloc.start()
    began = time.process_time()
    try:
        with pytest.raises((TooLarge, NotAnImage)):
            inspect(path)
        assert tracemalloc.get_traced_memory()[1] < 20_000_000
    finally:
        tracemalloc.stop()
    assert time.process_time() - began < 2


@pytest.mark.parametrize(
    "packet",
    [
        XMP.format("<rdf:li>" * 20_000),
        XMP.format("<a>" * 50_000 + "</a>" * 50_000),
        XMP.format("x" * 2_000_000),
        '<!DOCTYPE a [<!ENTITY b "' + "c" * 1000 + '"><!ENTITY d "' + "&b;" * 1000 + '">]>' + XMP.format("&d;" * 1000),
        '<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]>' + XMP.format("&b;"),
        '<!DOCTYPE a SYSTEM "http://127.0.0.1:1/a.dtd">' + XMP.format(""),
    ],
    ids=["open", "deep", "long", "entities", "file", "network"],
)  # fmt: skip
def test_xmp_that_is_made_to_do_harm_takes_no_time_and_tells_nothing(tmp_path: Path, packet: str) -> None:
    chunk = b"XML:com.adobe.xmp\0\0\0\0\0" + packet.encode()
    path = tmp_path / "photo.png"
    path.write_bytes(png(8, (b"iTXt", chunk)))
    began = time.process_time()
    found = read_metadata(path)
    assert time.process_time() - began < 2
    assert found.sensor in ({}, {"DLS:Yaw": "-2.75"})
    assert "root:" not in str(found)


def test_compressed_xmp_and_exif_are_not_blown_up(tmp_path: Path) -> None:
    """50 kB of a compressed text are 50 MB."""
    blown = zlib.compress(XMP.format("x" * 50_000_000).encode(), 9)
    path = tmp_path / "photo.png"
    path.write_bytes(png(8, (b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + blown)))
    tracemalloc.start()
    try:
        assert read_metadata(path) == ImageMetadata()
        assert tracemalloc.get_traced_memory()[1] < 20_000_000
    finally:
        tracemalloc.stop()


@cache
def whole(suffix: str) -> bytes:
    """A small file with everything in it that we read."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"image.{suffix}"
        exif = Image.Exif()
        exif.update({271: "DJI", 272: "FC3682", 274: 1, 306: "2024:05:31 12:30:15"})
        exif.get_ifd(0x8769).update({0x9003: "2024:05:31 12:30:15", 0x9011: "+03:00"})
        exif.get_ifd(0x8825).update({1: "N", 2: (47.0, 1.0, 30.0), 3: "E", 4: (28.0, 49.0, 0.0)})
        if suffix in {"jp2", "j2k"}:
            write_jp2(path, noisy_field(3), blockxsize=32, blockysize=32)
        elif suffix == "big.tif":
            tifffile.imwrite(
                path, np.zeros((40, 50, 3), np.uint8), photometric="rgb", bigtiff=True, tile=(16, 16)
            )
        elif suffix == "tif":
            Image.new("RGB", (50, 40)).save(path, exif=exif, tiffinfo={700: XMP.format("").encode()})
        else:
            options = {} if suffix == "bmp" else {"exif": exif}
            Image.new("RGB", (50, 40), (10, 200, 30)).save(path, **options)
        return path.read_bytes()


def test_a_photo_whose_exif_is_damaged_is_read_or_refused(tmp_path: Path) -> None:
    """GDAL reads EXIF when it is asked for colours, and what it says then is no error of reading."""
    content = bytearray(whole("jpg"))
    at = content.index(b"Exif\0\0") + 6
    path = tmp_path / "photo.jpg"
    for place in range(8):
        damaged = bytearray(content)
        damaged[at + place] = 0x4D
        path.write_bytes(damaged)
        with suppress(OrthoRayError):
            inspect(path)


READERS = (read_metadata, inspect, check_complete)
CHANGES = st.lists(
    st.tuples(
        st.floats(0, 1, exclude_max=True), st.sampled_from([0, 1, 0x7F, 0x80, 0xFF]) | st.integers(0, 255)
    ),
    min_size=1,
    max_size=12,
)


@pytest.mark.parametrize("suffix", ["jpg", "png", "bmp", "tif", "big.tif", "jp2", "j2k"])
@settings(max_examples=40, deadline=None)
@given(changes=CHANGES, at_head=st.booleans(), kept=st.floats(0.02, 1) | st.just(1.0))
def test_whatever_bytes_are_changed(
    suffix: str, changes: list[tuple[float, int]], at_head: bool, kept: float
) -> None:
    content = bytearray(whole(suffix))
    # Headers are where it matters, and they are short.
    reach = min(len(content), 400) if at_head else len(content)
    for place, value in changes:
        content[4 + int(place * (reach - 4))] = value
    del content[int(kept * len(content)) :]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"image.{suffix}"
        path.write_bytes(content)
        for read in READERS:
            with suppress(OrthoRayError):
                read(path)


ENTRIES = st.lists(
    st.tuples(
        st.sampled_from([256, 257, 273, 279, 322, 324, 325, 330, 34665, 34853, 271, 700]),
        st.integers(0, 20),
        st.integers(0, 2**32 - 1) | st.integers(0, 300),
        st.integers(0, 2**32 - 1) | st.integers(0, 300),
    ),
    max_size=12,
)


@settings(max_examples=200, deadline=None)
@given(
    order=st.sampled_from("<>"), entries=ENTRIES, following=st.integers(0, 200), rest=st.binary(max_size=200)
)
def test_whatever_a_directory_says(
    order: str, entries: list[tuple[int, int, int, int]], following: int, rest: bytes
) -> None:
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "I", 8)
    table = b"".join(struct.pack(order + "HHII", *entry) for entry in entries)
    content = (
        head + struct.pack(order + "H", len(entries)) + table + struct.pack(order + "I", following) + rest
    )
    with suppress(OrthoRayError):
        list(tiff.directories(io.BytesIO(content), len(content)))


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=300), st.sampled_from([b"", b"\xff\x4f\xff\x51", b"\0\0\0\x0cjP  \r\n\x87\n"]))
def test_whatever_a_jpeg_2000_says(rest: bytes, start: bytes) -> None:
    content = start + rest
    with suppress(OrthoRayError):
        jp2.read_header(io.BytesIO(content), len(content))
    with suppress(OrthoRayError):
        jp2.check_parts(io.BytesIO(content), len(content))
