"""Small previews of rasters."""

from __future__ import annotations

import io

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image

from orthoray.spectral.bands import BandMap, resolve_bands
from orthoray.spectral.orientation import orientation_of, turned
from orthoray.spectral.raster import PathLike, inspect
from orthoray.spectral.reduced import read_reduced, reduced_shape

# Pixels are picked at this multiple of the wanted size and then averaged: one read gives both smooth
# colours and a mask that no average has blurred.
_OVERSAMPLING = 4


def thumbnail_png(path: PathLike, band_map: BandMap | None = None, max_side: int = 512) -> bytes:
    """A PNG preview, at most `max_side` pixels on either side and at least one, 8-bit RGBA.

    Shows red, green, blue where they are named, else near infrared, red, green as the false colour of the
    field, else the first band as grey; transparent where masked. Values of other types than uint8 are
    stretched between their 2nd and 98th percentiles, band by band. `band_map` None means what the file says
    of itself. A photo is turned upright by its EXIF orientation, as browsers show it. Raises as
    `orthoray.spectral.raster.inspect` and `read_window` do.
    """
    info = inspect(path)
    names = resolve_bands(info) if band_map is None else band_map
    numbers = _shown(names)
    arrays, masked = read_reduced(path, numbers, max_side * _OVERSAMPLING, alpha=names.alpha)
    weights = (~masked).astype(np.float32)
    rows, columns = reduced_shape(info.width, info.height, max_side)
    shares = _averaged(weights, rows, columns)
    channels = [
        _averaged(_eight_bit(array, masked) * weights, rows, columns) / np.maximum(shares, 1e-6)
        for array in arrays
    ]
    rgb = channels if len(channels) == 3 else channels * 3
    pixels = np.stack([*rgb, shares * 255], axis=-1)
    upright = turned(np.clip(np.rint(pixels), 0, 255).astype(np.uint8), orientation_of(path, info))
    image = Image.fromarray(np.ascontiguousarray(upright), "RGBA")
    out = io.BytesIO()
    image.save(out, "PNG")
    return out.getvalue()


def _shown(band_map: BandMap) -> list[int]:
    numbers = band_map.numbers
    for names in (("R", "G", "B"), ("N", "R", "G")):
        if all(name in numbers for name in names):
            return [numbers[name] for name in names]
    return [1 if band_map.alpha != 1 or len(band_map.names) == 1 else 2]


def _eight_bit(array: npt.NDArray[np.generic], masked: npt.NDArray[np.bool_]) -> npt.NDArray[np.float32]:
    """float32 in 0..255, 0 where masked."""
    if array.dtype == np.uint8:
        return np.where(masked, 0, array).astype(np.float32)
    values = array.astype(np.float64)
    valid = values[~masked & np.isfinite(values)]
    if valid.size == 0:
        return np.zeros(array.shape, dtype=np.float32)
    low, high = np.percentile(valid, [2, 98])
    if high <= low:
        return np.where(masked, 0, 128).astype(np.float32)
    with np.errstate(invalid="ignore"):
        scaled = np.clip((values - low) / (high - low) * 255, 0, 255)
    return np.nan_to_num(np.where(masked, 0, scaled)).astype(np.float32)


def _averaged(values: npt.NDArray[np.float32], rows: int, columns: int) -> npt.NDArray[np.float32]:
    resized = cv2.resize(values, (columns, rows), interpolation=cv2.INTER_AREA)
    return np.asarray(resized, dtype=np.float32).reshape(rows, columns)
