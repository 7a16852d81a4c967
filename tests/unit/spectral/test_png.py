import io
import struct
import zlib

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from orthoray.spectral import png as module
from orthoray.spectral.png import (
    combined_adler32,
    drawn_palette_png,
    drawn_png,
    rgb_png,
)

COLOURS = np.random.default_rng(1).integers(0, 256, (256, 3), dtype=np.uint8)
SHAPES = [(1, 1), (1, 70_000), (70_000, 1), (37, 53), (1201, 1003)]


def noise(*shape):
    return np.random.default_rng(2).integers(0, 256, shape, dtype=np.uint8)


def copied(pixels):
    def draw(rows, out):
        out[...] = pixels[rows]

    return draw


def palette_png(indices, colours=COLOURS, transparent=None):
    return drawn_palette_png(*indices.shape, copied(indices), colours, transparent)


def rgba_png(pixels):
    return drawn_png(*pixels.shape, copied(pixels))


def chunks(png):
    """(kind, data) of every chunk; fails where a length or a CRC is wrong."""
    assert png.startswith(b"\x89PNG\r\n\x1a\n")
    at, found = 8, []
    while at < len(png):
        size, kind = struct.unpack_from(">I4s", png, at)
        data = png[at + 8 : at + 8 + size]
        assert struct.unpack_from(">I", png, at + 8 + size)[0] == zlib.crc32(kind + data)
        found.append((kind, data))
        at += 12 + size
    assert at == len(png)
    return found


def by_pillow(png, mode):
    with Image.open(io.BytesIO(png)) as picture:
        picture.verify()
    with Image.open(io.BytesIO(png)) as picture:
        return np.asarray(picture.convert(mode))


def by_opencv(png):
    return cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_UNCHANGED)


@pytest.mark.parametrize("shape", SHAPES)
def test_a_palette_picture_reads_as_its_colours(shape):
    indices = noise(*shape)
    png = palette_png(indices, COLOURS)
    np.testing.assert_array_equal(by_pillow(png, "RGB"), COLOURS[indices])
    np.testing.assert_array_equal(by_opencv(png)[..., ::-1], COLOURS[indices])


@pytest.mark.parametrize("shape", SHAPES)
def test_pictures_in_true_colour_read_as_they_are(shape):
    pixels = noise(*shape, 4)
    png = rgba_png(pixels)
    np.testing.assert_array_equal(by_pillow(png, "RGBA"), pixels)
    np.testing.assert_array_equal(by_opencv(png)[..., [2, 1, 0, 3]], pixels)
    png = rgb_png(pixels[..., :3])
    np.testing.assert_array_equal(by_pillow(png, "RGB"), pixels[..., :3])
    np.testing.assert_array_equal(by_opencv(png)[..., ::-1], pixels[..., :3])


@pytest.mark.parametrize(
    "make", [lambda x: palette_png(x[..., 0], COLOURS, 0), lambda x: rgb_png(x[..., :3]), rgba_png]
)
def test_the_chunks_are_those_of_the_standard(make):
    found = chunks(make(noise(1500, 1000, 4)))
    kinds = [kind for kind, _ in found]
    assert kinds[0] == b"IHDR"
    assert kinds[-1] == b"IEND"
    assert kinds[1:3] == [b"PLTE", b"tRNS"] or kinds[1] == b"IDAT"
    first = kinds.index(b"IDAT")
    assert set(kinds[first:-1]) == {b"IDAT"}
    assert len(kinds[first:-1]) > 2
    stream = zlib.decompressobj()
    raw = stream.decompress(b"".join(data for kind, data in found if kind == b"IDAT"))
    assert stream.eof, "the checksum of the whole stream was checked"
    assert stream.unused_data == b""
    width, height, depth, kind, *rest = struct.unpack(">IIBBBBB", found[0][1])
    assert (width, height, depth, rest) == (1000, 1500, 8, [0, 0, 0])
    assert len(raw) == height * (1 + width * {3: 1, 2: 3, 6: 4}[kind])


def test_the_file_does_not_depend_on_the_number_of_threads(monkeypatch):
    indices = noise(3000, 1100)
    files = set()
    for count in ("1", "2"):
        monkeypatch.setenv("OMP_NUM_THREADS", count)
        files.add(palette_png(indices, COLOURS))
    assert len(files) == 1


def test_transparency():
    indices = np.arange(256, dtype=np.uint8)[None]
    for transparent in (None, 0, 7, 255):
        png = palette_png(indices, COLOURS, transparent)
        expected = np.where(np.arange(256) == transparent, 0, 255)
        np.testing.assert_array_equal(by_pillow(png, "RGBA")[0, :, 3], expected)
        with Image.open(io.BytesIO(png)) as picture:
            assert ("transparency" in picture.info) == (transparent is not None)
    assert len(dict(chunks(palette_png(indices, COLOURS, 7)))[b"tRNS"]) == 8


def test_views_are_written_as_they_look():
    indices = noise(40, 60)[::-1, ::2].T
    np.testing.assert_array_equal(by_pillow(palette_png(indices, COLOURS), "RGB"), COLOURS[indices])
    pixels = noise(40, 60, 4).transpose(1, 0, 2)[..., 2::-1]
    np.testing.assert_array_equal(by_pillow(rgb_png(pixels), "RGB"), pixels)


def test_pictures_drawn_piece_by_piece(monkeypatch):
    monkeypatch.setattr(module, "_PIECE_BYTES", 500)
    rows = np.arange(90, dtype=np.uint8)

    def draw(part, out):
        assert out.shape[:2] == (part.stop - part.start, 30)
        out[...] = rows[part].reshape(-1, *[1] * (out.ndim - 1))

    assert (by_opencv(drawn_png(90, 30, 3, draw)) == rows[:, None, None]).all()
    png = drawn_palette_png(90, 30, draw, COLOURS)
    np.testing.assert_array_equal(by_pillow(png, "RGB"), np.repeat(COLOURS[rows][:, None], 30, axis=1))


def test_what_fails_to_draw_fails_the_picture():
    def draw(_rows, _out):
        raise ArithmeticError

    with pytest.raises(ArithmeticError):
        drawn_png(5000, 300, 3, draw)


@pytest.mark.parametrize(
    "make",
    [
        lambda: palette_png(np.zeros((0, 3), np.uint8), COLOURS),
        lambda: palette_png(np.zeros((3, 0), np.uint8), COLOURS),
        lambda: palette_png(np.zeros((3, 3), np.uint8), COLOURS[:16]),
        lambda: palette_png(np.zeros((3, 3), np.uint8), COLOURS.astype(np.float32)),
        lambda: rgb_png(np.zeros((3, 3), np.uint8)),
        lambda: rgb_png(np.zeros((3, 3, 4), np.uint8)),
        lambda: rgb_png(np.zeros((3, 3, 3), np.uint16)),
        lambda: rgb_png(np.zeros((0, 3, 3), np.uint8)),
        lambda: drawn_png(3, 3, 2, lambda rows, out: None),
    ],
)
def test_what_is_no_picture_is_refused(make):
    with pytest.raises(ValueError, match=r"uint8|pixel|channels"):
        make()


@settings(max_examples=50, deadline=None)
@given(st.lists(st.binary(max_size=300), max_size=5))
def test_checksums_of_pieces_make_that_of_the_whole(pieces):
    checksum = 1
    for piece in pieces:
        checksum = combined_adler32(checksum, zlib.adler32(piece), len(piece))
    assert checksum == zlib.adler32(b"".join(pieces))


def test_checksums_of_big_pieces():
    piece = b"\xff" * 3_000_000
    assert combined_adler32(zlib.adler32(piece), zlib.adler32(piece), len(piece)) == zlib.adler32(piece * 2)
