"""Pictures brought to the size at which they are printed, so that the report of a large field stays small.

Pillow's own limit on the pixels of one image (`Image.MAX_IMAGE_PIXELS`, with its factor of two) holds here
too: what is larger counts as unreadable.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Final

import numpy as np
from PIL import Image, ImageOps

_JPEG_QUALITY: Final = 88
# Below this many pixels a heatmap stays lossless: JPEG's ringing shows where each pixel is printed large.
_LOSSLESS_PIXELS: Final = 1 << 18
# Modes that cannot be averaged are first thinned to this many samples per printed pixel and axis.
_SAMPLES: Final = 4
_WITHOUT_AVERAGE: Final = ("1", "P", "PA", "I", "F")


@dataclass(frozen=True, slots=True)
class Picture:
    """An encoded JPEG or PNG of `width` x `height` pixels, ready to be embedded; `empty`: nothing of it is opaque."""

    data: bytes
    width: int
    height: int
    empty: bool = False


def picture_size(source: bytes | Path) -> tuple[int, int] | None:
    """Width and height in pixels as shown (EXIF orientation applied), or None where Pillow reads no image."""
    try:
        with Image.open(_opened(source)) as image:
            width, height = image.size
            return (height, width) if image.getexif().get(0x0112) in {5, 6, 7, 8} else (width, height)
    except Exception:  # what Pillow's readers raise on damaged files is of many kinds
        return None


def print_picture(source: bytes | Path, box: tuple[int, int], *, photo: bool) -> Picture | None:
    """The picture within `box` (width, height in pixels), never enlarged; None where Pillow cannot read it.

    A photo becomes JPEG, on white where it is transparent. A heatmap (`photo=False`) keeps its transparency
    as PNG; an opaque one becomes JPEG with full colour resolution, or PNG when it is small. Pixels of more
    than 8 bits are stretched between their 2nd and 98th percentile.
    """
    try:
        with Image.open(_opened(source)) as image:
            longest = max(box)
            image.draft("RGB", (longest, longest))
            ImageOps.exif_transpose(image, in_place=True)
            return _encoded(_reduced(image, box), photo=photo)
    except Exception:  # as above: the report is made all the same
        return None


def _opened(source: bytes | Path) -> BytesIO | Path:
    return BytesIO(source) if isinstance(source, bytes) else source


def _reduced(image: Image.Image, box: tuple[int, int]) -> Image.Image:
    """RGB, or RGBA where something is transparent, within the box."""
    scale = min(1.0, box[0] / image.width, box[1] / image.height)
    size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    if image.mode in _WITHOUT_AVERAGE or image.mode.startswith("I;"):
        thinned = (min(image.width, size[0] * _SAMPLES), min(image.height, size[1] * _SAMPLES))
        if thinned != image.size:
            image = image.resize(thinned, Image.Resampling.NEAREST)
    image = _eight_bit(image)
    if image.size != size:
        image = image.resize(size, Image.Resampling.LANCZOS, reducing_gap=3.0)
    return image


def _eight_bit(image: Image.Image) -> Image.Image:
    if image.mode in {"I", "F"} or image.mode.startswith("I;"):
        return _stretched(np.asarray(image, dtype=np.float32))
    if image.mode in {"LA", "PA", "RGBA", "RGBa", "La"} or "transparency" in image.info:
        with_alpha = image.convert("RGBA")
        alpha = with_alpha.getchannel("A").getextrema()
        return with_alpha.convert("RGB") if alpha == (255, 255) else with_alpha
    return image.convert("RGB")


def _stretched(values: np.ndarray) -> Image.Image:
    """Grey levels between the 2nd and 98th percentile of the finite values (float32, H x W)."""
    finite = values[np.isfinite(values)]
    low, high = np.percentile(finite, (2, 98)) if finite.size else (0.0, 1.0)
    span = high - low if math.isfinite(high - low) and high > low else 1.0
    grey = np.clip((np.nan_to_num(values, nan=low) - low) / span, 0, 1) * 255
    return Image.fromarray(grey.astype(np.uint8)).convert("RGB")


def _encoded(image: Image.Image, *, photo: bool) -> Picture:
    stream = BytesIO()
    # A fresh image leaves EXIF (positions, serial numbers) and colour profiles of the upload behind.
    bare = Image.frombytes(image.mode, image.size, image.tobytes())
    empty = bare.mode == "RGBA" and bare.getchannel("A").getextrema()[1] == 0
    if photo and bare.mode == "RGBA":
        paper = Image.new("RGB", bare.size, "white")
        paper.paste(bare, mask=bare.getchannel("A"))
        bare = paper
    if bare.mode == "RGBA" or (not photo and image.width * image.height <= _LOSSLESS_PIXELS):
        bare.save(stream, "PNG")
    else:
        bare.save(stream, "JPEG", quality=_JPEG_QUALITY, subsampling=2 if photo else 0, optimize=True)
    return Picture(stream.getvalue(), image.width, image.height, empty)
