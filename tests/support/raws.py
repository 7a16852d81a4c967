"""Camera raw files for tests: small DNGs that LibRaw develops."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import tifffile

_DNG_VERSION, _DNG_BACKWARD, _CAMERA_MODEL = 50706, 50707, 50708
_CFA_REPEAT, _CFA_PATTERN = 33421, 33422
_WHITE_LEVEL, _DEFAULT_SCALE, _COLOUR_MATRIX, _NEUTRAL, _ILLUMINANT = 50717, 50718, 50721, 50728, 50778
_CFA, _LINEAR_RAW, _PHOTOMETRIC = 32803, 34892, 262
# from XYZ to the linear sRGB of an imaginary camera
_MATRIX = (3.2406, -1.5372, -0.4986, -0.9689, 1.8758, 0.0415, 0.0557, -0.2040, 1.0570)


def sensor_values(height: int = 48, width: int = 80) -> npt.NDArray[np.uint16]:
    """A Bayer mosaic, 14 bits: brighter to the right and downwards, noisy."""
    rows, columns = np.mgrid[:height, :width]
    noise = np.random.default_rng(2).integers(0, 900, (height, width))
    return (1000 + 90 * columns + 60 * rows + noise).astype(np.uint16)


def write_dng(
    path: Path,
    values: npt.NDArray[np.uint16] | None = None,
    *,
    orientation: int = 1,
    make: str = "OrthoRay",
    is_dng: bool = True,
    pixel_scale: tuple[int, int] | None = None,
    **options: Any,
) -> Path:
    """Write a mosaic (rows, columns), RGGB, as a DNG, or as a bare TIFF of a mosaic where `is_dng` is False.

    `pixel_scale` is how many times wider and higher than its number a pixel is; `options` are tifffile's.
    """
    mosaic = sensor_values() if values is None else values
    tags: list[tuple[int, int, int, Any, bool]] = [
        (271, 2, 0, make, True),
        (272, 2, 0, "Test", True),
        (274, 3, 1, orientation, True),
        (306, 2, 0, "2024:05:31 12:00:00", True),
        (_CFA_REPEAT, 3, 2, (2, 2), True),
        (_CFA_PATTERN, 1, 4, bytes((0, 1, 1, 2)), True),
        (_WHITE_LEVEL, 4, 1, 16383, True),
    ]
    if is_dng:
        matrix = tuple(part for value in _MATRIX for part in (round(value * 10_000), 10_000))
        tags += [
            (_DNG_VERSION, 1, 4, b"\1\4\0\0", True),
            (_DNG_BACKWARD, 1, 4, b"\1\1\0\0", True),
            (_CAMERA_MODEL, 2, 0, "OrthoRay Test", True),
            (_COLOUR_MATRIX, 10, 9, matrix, True),
            (_NEUTRAL, 5, 3, (1, 1, 1, 1, 1, 1), True),
            (_ILLUMINANT, 3, 1, 21, True),
        ]
    if pixel_scale is not None:
        tags.append((_DEFAULT_SCALE, 5, 2, (pixel_scale[0], 1, pixel_scale[1], 1), True))
    tifffile.imwrite(path, mosaic, photometric=_CFA, metadata=None, extratags=sorted(tags), **options)
    return path


def write_grey_dng(path: Path, values: npt.NDArray[np.uint16] | None = None) -> Path:
    """Write a DNG of a camera without colour filters."""
    grey = sensor_values() if values is None else values
    tags = [
        (_DNG_VERSION, 1, 4, b"\1\4\0\0", True),
        (_DNG_BACKWARD, 1, 4, b"\1\1\0\0", True),
        (_CAMERA_MODEL, 2, 0, "OrthoRay Grey", True),
        (_WHITE_LEVEL, 4, 1, 16383, True),
    ]
    tifffile.imwrite(path, grey, photometric="minisblack", metadata=None, extratags=tags)
    content = bytearray(path.read_bytes())
    # tifffile writes linear raw only in three channels
    struct.pack_into("<H", content, content.index(struct.pack("<HHI", _PHOTOMETRIC, 3, 1)) + 8, _LINEAR_RAW)
    path.write_bytes(content)
    return path
