"""Small previews of rasters."""

from __future__ import annotations

import bisect
import io
import itertools
import os
from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image

from orthoray.spectral.bands import BandMap, resolve_bands
from orthoray.spectral.masks import Mask
from orthoray.spectral.orientation import orientation_of, turned
from orthoray.spectral.raster import PathLike, RasterInfo, inspect
from orthoray.spectral.reduced import read_reduced, reduced_shape

# Pixels are picked at this multiple of the wanted size and then averaged: one read gives both smooth
# colours and a mask that no average has blurred.
_OVERSAMPLING = 4


def thumbnail_png(
    path: PathLike | Sequence[PathLike], band_map: BandMap | None = None, max_side: int = 512
) -> bytes:
    """`preview` as an 8-bit RGBA PNG."""
    image = Image.fromarray(preview(path, band_map, max_side), "RGBA")
    out = io.BytesIO()
    image.save(out, "PNG")
    return out.getvalue()


def preview(
    path: PathLike | Sequence[PathLike], band_map: BandMap | None = None, max_side: int = 512
) -> npt.NDArray[np.uint8]:
    """A picture of at most `max_side` pixels on either side and at least one: uint8 (rows, columns, 4), RGBA.

    Several paths are files of one size whose bands are numbered one file after another.

    Shows red, green, blue where they are named, else near infrared, red, green as the false colour of the
    field, else the first band as grey; transparent where masked. Values of other types than uint8 are
    stretched between their 2nd and 98th percentiles, band by band. `band_map` None means what the (first) file
    says of itself. A photo is turned upright by its EXIF orientation, as browsers show it. Raises as
    `orthoray.spectral.raster.inspect` and `read_window` do.
    """
    paths = [path] if isinstance(path, str | os.PathLike) else list(path)
    infos = [inspect(one) for one in paths]
    info = infos[0]
    names = resolve_bands(info) if band_map is None else band_map
    arrays, masked = _read(paths, infos, _shown(names), names.alpha, max_side * _OVERSAMPLING)
    weights = (~masked).astype(np.float32)
    rows, columns = reduced_shape(info.width, info.height, max_side)
    shares = _averaged(weights, rows, columns)
    channels = [
        _averaged(_eight_bit(array, masked) * weights, rows, columns) / np.maximum(shares, 1e-6)
        for array in arrays
    ]
    rgb = channels if len(channels) == 3 else channels * 3
    pixels = np.stack([*rgb, shares * 255], axis=-1)
    upright = turned(np.clip(np.rint(pixels), 0, 255).astype(np.uint8), orientation_of(paths[0], info))
    return np.ascontiguousarray(upright)


def _read(
    paths: Sequence[PathLike],
    infos: Sequence[RasterInfo],
    numbers: Sequence[int],
    alpha: int | None,
    max_side: int,
) -> tuple[list[npt.NDArray[Any]], Mask]:
    """`read_reduced` of bands that are numbered through all files; what one of them masks is masked."""
    first = list(itertools.accumulate((info.count for info in infos), initial=1))
    arrays: list[npt.NDArray[Any]] = []
    masks = []
    for file, together in itertools.groupby(numbers, lambda number: bisect.bisect_right(first, number) - 1):
        inside = [number - first[file] + 1 for number in together]
        # only a lone file may have an alpha band
        found, masked = read_reduced(paths[file], inside, max_side, alpha=alpha if len(paths) == 1 else None)
        arrays += found
        masks.append(masked)
    return arrays, np.logical_or.reduce(masks)


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
