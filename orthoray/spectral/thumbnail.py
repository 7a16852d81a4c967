"""Small previews of rasters, and the photo under a heatmap."""

from __future__ import annotations

import bisect
import io
import itertools
import math
import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image

from orthoray.spectral.bands import BandMap, resolve_bands
from orthoray.spectral.masks import Mask
from orthoray.spectral.orientation import orientation_of, turned
from orthoray.spectral.raster import PathLike, RasterInfo, inspect
from orthoray.spectral.reduced import Piece, read_reduced, reduced_shape
from orthoray.spectral.threads import run_in_strips

Picture = npt.NDArray[np.uint8]
Limits = tuple[float, float]

# Pixels are picked at this multiple of the wanted size and then averaged: one read gives both smooth
# colours and a mask that no average has blurred.
OVERSAMPLING = 4
# The side of the sample that the limits of a stretch are taken from: a million values tell a percentile.
_SAMPLE_SIDE = 1024
# Up to here the bands stay in memory from the sample to the stretch; larger ones are read twice.
_KEPT_BYTES = 128 * 1024 * 1024
_GREY = 128


def thumbnail_png(
    path: PathLike | Sequence[PathLike],
    band_map: BandMap | None = None,
    max_side: int = 512,
    *,
    masks: Sequence[PathLike | None] = (),
) -> bytes:
    """`preview` as an 8-bit RGBA PNG."""
    image = Image.fromarray(preview(path, band_map, max_side, masks=masks), "RGBA")
    out = io.BytesIO()
    image.save(out, "PNG")
    return out.getvalue()


def preview(
    path: PathLike | Sequence[PathLike],
    band_map: BandMap | None = None,
    max_side: int = 512,
    *,
    masks: Sequence[PathLike | None] = (),
    oversampling: int = OVERSAMPLING,
) -> Picture:
    """A picture of at most `max_side` pixels on either side and at least one: uint8 (rows, columns, 4), RGBA.

    Several paths are files of one size whose bands are numbered one file after another.

    Shows red, green, blue where they are named, else near infrared, red, green as the false colour of the
    field, else the first band as grey; transparent, and without a colour, where masked, or where one of the mask
    files `masks` (see `orthoray.spectral.maskfiles`) hides all bands of its file. Values of other types than uint8
    are stretched between the 2nd and 98th percentiles of a sample of about a million, band by band.
    `band_map` None means what the (first) file says of itself. A photo is turned upright by its EXIF orientation,
    as browsers show it. Raises as `orthoray.spectral.raster.inspect` and `read_window` do.

    Each pixel is the average of `oversampling` squared ones; with 1 it is one pixel of the raster, for pictures
    nearly as large as that. Memory does not grow with the raster: it is 4 bytes for each pixel before averaging,
    at most 128 MiB of kept bands, one window of the raster (`orthoray.spectral.raster.WINDOW_BYTES`) and GDAL's
    block cache; to average takes another 16 bytes a pixel, to turn another 4.
    """
    paths = [path] if isinstance(path, str | os.PathLike) else list(path)
    infos = [inspect(one) for one in paths]
    info = infos[0]
    band_map = resolve_bands(info) if band_map is None else band_map
    side = max_side * oversampling
    picture: Picture = np.zeros((*reduced_shape(info.width, info.height, side), 4), dtype=np.uint8)
    picture[..., 3] = 255
    for source in _sources(paths, infos, band_map):
        _draw(source, side, picture)
    for mask in masks:
        if mask is not None:
            _hide(mask, side, picture)
    picture[picture[..., 3] == 0] = 0
    if oversampling > 1:
        picture = _averaged(picture, *reduced_shape(info.width, info.height, max_side))
    return np.ascontiguousarray(turned(picture, orientation_of(paths[0], info)))


@dataclass(frozen=True)
class _Source:
    """A file whose bands `numbers` are shown, each in the channels of the picture beside it."""

    path: PathLike
    info: RasterInfo
    numbers: tuple[int, ...]
    channels: tuple[slice, ...]
    alpha: int | None


def _sources(paths: Sequence[PathLike], infos: Sequence[RasterInfo], band_map: BandMap) -> list[_Source]:
    shown = _shown(band_map)
    channels = [slice(0, 3)] if len(shown) == 1 else [slice(at, at + 1) for at in range(3)]
    before = list(itertools.accumulate((info.count for info in infos), initial=0))
    placed: dict[int, list[tuple[int, slice]]] = {}
    for number, where in zip(shown, channels, strict=True):
        file = bisect.bisect_left(before, number) - 1
        placed.setdefault(file, []).append((number - before[file], where))
    # only a lone file may have an alpha band
    alpha = band_map.alpha if len(paths) == 1 else None
    return [
        _Source(
            paths[file],
            infos[file],
            tuple(number for number, _ in bands),
            tuple(where for _, where in bands),
            alpha,
        )
        for file, bands in placed.items()
    ]


def _shown(band_map: BandMap) -> list[int]:
    numbers = band_map.numbers
    for names in (("R", "G", "B"), ("N", "R", "G")):
        if all(name in numbers for name in names):
            return [numbers[name] for name in names]
    return [1 if band_map.alpha != 1 or len(band_map.names) == 1 else 2]


def _draw(source: _Source, side: int, picture: Picture) -> None:
    """Write the bands of a file into their channels, and 0 into alpha where it is masked."""

    def read(side: int) -> Iterable[Piece]:
        return read_reduced(source.path, source.numbers, side, alpha=source.alpha)

    pieces, limits = _stretched(read, source, side)
    for piece in pieces:
        out = picture[piece.rows, piece.columns]
        for array, ends, channels in zip(piece.arrays, limits, source.channels, strict=True):
            _write(array, ends, out[..., channels])
        out[piece.masked, 3] = 0


def _hide(mask: PathLike, side: int, picture: Picture) -> None:
    """Write 0 into alpha where a mask file hides all bands."""
    for piece in read_reduced(mask, range(1, inspect(mask).count + 1), side):
        picture[piece.rows, piece.columns][~np.any(piece.arrays, axis=0), 3] = 0


def _stretched(
    read: Callable[[int], Iterable[Piece]], source: _Source, side: int
) -> tuple[Iterable[Piece], list[Limits | None]]:
    """The pieces, and for each band the values of black and white; None where they are so already."""
    if source.info.dtype == "uint8":
        return read(side), [None] * len(source.numbers)
    rows, columns = reduced_shape(source.info.width, source.info.height, side)
    size = rows * columns * len(source.numbers) * np.dtype(source.info.dtype).itemsize
    if size > _KEPT_BYTES:
        return read(side), _limits(list(read(_SAMPLE_SIDE)), 1)
    kept = list(read(side))
    return kept, _limits(kept, math.ceil(max(rows, columns) / _SAMPLE_SIDE))


def _limits(pieces: Sequence[Piece], step: int) -> list[Limits | None]:
    """The 2nd and 98th percentile of each band, by every `step`th row and column of the pieces."""
    return [
        _percentiles([(piece.arrays[band][::step, ::step], piece.masked[::step, ::step]) for piece in pieces])
        for band in range(len(pieces[0].arrays))
    ]


def _percentiles(parts: Sequence[tuple[npt.NDArray[Any], Mask]]) -> Limits | None:
    if all(array.dtype == np.uint8 for array, _ in parts):
        return None
    valid = np.concatenate([array[~masked & np.isfinite(array)] for array, masked in parts])
    if valid.size == 0:
        return 0.0, 0.0
    low, high = np.percentile(valid.astype(np.float64), [2, 98])
    return float(low), float(high)


def _write(array: npt.NDArray[Any], limits: Limits | None, out: Picture) -> None:
    """Write 0..255 into `out` (rows, columns, channels); without limits the values as they are."""
    if limits is None:
        out[...] = array[..., None]
        return
    low, high = limits
    if high <= low:
        out[...] = _GREY
        return

    def stretch(rows: slice) -> None:
        with np.errstate(over="ignore", invalid="ignore"):
            scaled = np.clip((array[rows].astype(np.float64) - low) / (high - low) * 255, 0, 255)
        out[rows] = np.rint(np.nan_to_num(scaled))[..., None]

    run_in_strips(stretch, *array.shape)


def _averaged(picture: Picture, rows: int, columns: int) -> Picture:
    """The picture at another size; what is transparent, and so without a colour, takes no part in colours."""
    result: Picture = np.empty((rows, columns, 4), dtype=np.uint8)
    shares = _resized((picture[..., 3] > 0).astype(np.float32), rows, columns)
    for channel in range(3):
        sums = _resized(picture[..., channel].astype(np.float32), rows, columns)
        result[..., channel] = np.clip(np.rint(sums / np.maximum(shares, 1e-6)), 0, 255)
    result[..., 3] = np.clip(np.rint(shares * 255), 0, 255)
    return result


def _resized(values: npt.NDArray[np.float32], rows: int, columns: int) -> npt.NDArray[np.float32]:
    resized = cv2.resize(values, (columns, rows), interpolation=cv2.INTER_AREA)
    return np.asarray(resized, dtype=np.float32).reshape(rows, columns)
