import io
import struct
import time

import cv2
import numpy as np
import pytest
import simplejpeg
from PIL import Image

from orthoray.spectral.photo import _jpeg_pixels, decode_photo, decode_whole

NOISE = np.random.default_rng(6).integers(0, 256, (9, 14, 3), dtype=np.uint8)
PIXELS = cv2.resize(NOISE, (203, 117), interpolation=cv2.INTER_CUBIC)


def jpeg(mode="RGB", orientation=None, **options):
    exif = Image.Exif()
    if orientation is not None:
        exif[0x0112] = orientation
    out = io.BytesIO()
    Image.fromarray(PIXELS).convert(mode).save(out, "JPEG", exif=exif, **options)
    return out.getvalue()


def by_opencv(encoded):
    return cv2.imdecode(np.frombuffer(encoded, np.uint8), cv2.IMREAD_COLOR_RGB)


@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
@pytest.mark.parametrize(
    "options",
    [
        {"quality": 95, "subsampling": 0},
        {"quality": 90, "subsampling": 1},
        {"quality": 75, "subsampling": 2},
        {"quality": 20},
        {"progressive": True},
        {"restart_marker_blocks": 5},
        {"keep_rgb": True},
    ],
)
def test_a_jpeg_is_what_opencv_reads(mode, options):
    encoded = jpeg(mode, **options)
    np.testing.assert_array_equal(decode_photo(encoded), by_opencv(encoded))
    whole = decode_whole(encoded)
    if mode == "CMYK":
        assert whole is None
    else:
        np.testing.assert_array_equal(whole, by_opencv(encoded))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_photos_stand_upright(orientation):
    encoded = jpeg(orientation=orientation)
    assert (decode_whole(encoded, orientation) is None) == (orientation > 1)
    pixels = decode_photo(encoded)
    assert pixels.flags.c_contiguous
    assert pixels.shape == ((117, 203, 3) if orientation < 5 else (203, 117, 3))
    np.testing.assert_array_equal(pixels, by_opencv(encoded))


@pytest.mark.parametrize("kind", ["PNG", "BMP", "TIFF"])
def test_other_formats(kind):
    out = io.BytesIO()
    Image.fromarray(PIXELS).save(out, kind)
    np.testing.assert_array_equal(decode_photo(out.getvalue()), PIXELS)
    assert decode_whole(out.getvalue()) is None


def test_what_is_damaged_is_not_whole():
    encoded = jpeg()
    assert decode_whole(encoded + b"what cameras write behind the picture") is not None
    half = encoded[: len(encoded) // 2]
    for damaged in (half, half + b"\xff\xd9", encoded[:-2], encoded[:-40], half + bytes(99) + encoded[-300:]):
        assert decode_whole(damaged) is None


def test_what_is_no_picture():
    assert decode_photo(b"a field of wheat") is None
    assert decode_photo(b"\xff\xd8\xff\xe0 and no more") is None
    assert decode_photo(jpeg()[:30]) is None


def with_size(encoded, height, width):
    at = encoded.index(b"\xff\xc0")
    return encoded[: at + 5] + struct.pack(">HH", height, width) + encoded[at + 9 :]


def test_sizes_are_read_from_the_frame_header():
    assert _jpeg_pixels(jpeg(orientation=1)) == 203 * 117
    assert _jpeg_pixels(jpeg(progressive=True)) == 203 * 117
    assert _jpeg_pixels(jpeg()[:2] + b"\xff\xff\xff" + jpeg()[3:]) == 203 * 117
    assert _jpeg_pixels(with_size(jpeg(), 65_000, 65_001)) == 65_000 * 65_001
    for broken in (b"", b"\xff\xd8\xff", b"\xff\xd8\xff\xe0\x00\x00", jpeg()[:40], b"\x89PNG\r\n\x1a\n" * 9):
        assert _jpeg_pixels(broken) == 0


def test_the_way_to_the_frame_header_is_not_endless():
    start, rest = jpeg()[:2], jpeg()[2:]
    assert _jpeg_pixels(start + b"\xff" * 60_000 + rest) == 203 * 117
    assert _jpeg_pixels(start + b"\xff" * 70_000 + rest) == 0
    assert _jpeg_pixels(start + b"\xff\xfe\x00\x02" * 70_000 + rest) == 0
    began = time.process_time()
    assert _jpeg_pixels(start + b"\xff" * 20_000_000) == 0
    assert time.process_time() - began < 1


def test_a_size_beyond_the_limit_is_left_to_opencv(monkeypatch):
    monkeypatch.setattr(simplejpeg, "decode_jpeg", None)
    huge = with_size(jpeg(), 65_000, 65_000)
    assert decode_whole(huge) is None
    with pytest.raises(cv2.error):
        decode_photo(huge)
