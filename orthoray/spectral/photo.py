"""Photos in memory: the bytes of a picture file to RGB pixels, as OpenCV decodes them, and faster where that can be."""

from __future__ import annotations

import struct

import cv2
import numpy as np
import simplejpeg
from numpy.typing import NDArray

from orthoray.spectral.formats import JPEG
from orthoray.spectral.orientation import UPRIGHT

# Encoders write a few dozen segments and no fill bytes; whoever writes thousands wants the walk to last.
_MOST_STEPS = 1 << 16
# baseline to lossless; C4, C8 and CC among them are other segments
_START_OF_FRAME = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
# as OpenCV converts them; it has a way of its own with CMYK
_CONVERTED = frozenset({"YCbCr", "RGB", "Gray"})


def decode_whole(encoded: bytes, orientation: int = UPRIGHT) -> NDArray[np.uint8] | None:
    """The picture of a JPEG that is proved whole by decoding it, as `decode_photo` gives it.

    Returns:
        None for another format, for CMYK, for a picture that is to be turned, and for a
        file that libjpeg-turbo complains of, however little.
    """
    # OpenCV has a limit of its own; this decoder would fill the memory
    if orientation != UPRIGHT or not 0 < _jpeg_pixels(encoded) <= JPEG.max_pixels:
        return None
    try:
        height, width, colours, _ = simplejpeg.decode_jpeg_header(encoded)
        if colours not in _CONVERTED:
            return None
        pixels = np.empty((height, width, 3), np.uint8)
        # the same arithmetic as OpenCV's, in two thirds of its time
        simplejpeg.decode_jpeg(encoded, "RGB", buffer=pixels)
    except ValueError:
        return None
    return pixels


def decode_photo(encoded: bytes) -> NDArray[np.uint8] | None:
    """The picture as uint8 (H, W, 3), RGB, turned as its EXIF orientation says; 16 bits are scaled to 8.

    The decoder fills in what is missing from a damaged file: `check_complete` has to tell.

    Args:
        encoded: the whole file.

    Returns:
        None where it is no picture that OpenCV reads.

    Raises:
        cv2.error: so says OpenCV of some broken files.
    """
    return cv2.imdecode(np.frombuffer(encoded, dtype=np.uint8), cv2.IMREAD_COLOR_RGB)  # type: ignore[return-value]  # the stub does not know that 8-bit flags give uint8


def _jpeg_pixels(encoded: bytes) -> int:
    """The pixels that the frame header of a JPEG declares (ITU-T T.81, B.2.2).

    0 where none is found behind at most `_MOST_STEPS` segments and fill bytes.
    """
    at = 2 if encoded.startswith(JPEG.magic) else len(encoded)
    for _ in range(_MOST_STEPS):
        if at + 9 > len(encoded) or encoded[at] != 0xFF:
            break
        marker, length = struct.unpack_from(">BH", encoded, at + 1)
        if marker == 0xFF:  # any number of these may fill the gap before a marker
            at += 1
        elif marker in _START_OF_FRAME:
            height, width = struct.unpack_from(">HH", encoded, at + 5)
            return int(height * width)
        else:
            at += 2 + length
    return 0
