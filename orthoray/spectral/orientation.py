"""Photos stand upright: how EXIF's orientation turns pixels, sizes and whole files."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
import rasterio
from rasterio.enums import ColorInterp
from rasterio.errors import NotGeoreferencedWarning
from rasterio.windows import Window

from orthoray.spectral.masks import mask_rules, read_mask_band
from orthoray.spectral.metadata import read_metadata
from orthoray.spectral.quiet import without
from orthoray.spectral.raster import PathLike, RasterInfo, inspect, open_raster, read_window, windows

Scalar = TypeVar("Scalar", bound=np.generic)

UPRIGHT = 1
_BLOCK = 512
# EXIF 2.32, tag 0x0112: first the stored rows or columns are reversed, then rows and columns change places.
_REVERSED_ROWS = frozenset({3, 4, 6, 7})
_REVERSED_COLUMNS = frozenset({2, 3, 7, 8})
_TRANSPOSED = frozenset({5, 6, 7, 8})


def orientation_of(path: PathLike, info: RasterInfo) -> int:
    """EXIF's orientation 1..8 of the raster that `info` describes; 1 where none is told.

    A georeferenced raster is 1 whatever its EXIF says, for its geotransform tells where its rows go; so is a
    camera's raw file, which is developed upright.
    """
    return (
        UPRIGHT if info.georeferenced or info.driver == "RAW" else read_metadata(path).orientation or UPRIGHT
    )


def upright_size(width: int, height: int, orientation: int) -> tuple[int, int]:
    """(width, height) of an image stored as `width` x `height`, once it stands upright."""
    return (height, width) if orientation in _TRANSPOSED else (width, height)


def turned(array: npt.NDArray[Scalar], orientation: int) -> npt.NDArray[Scalar]:
    """A view of `array`, (rows, columns) or (rows, columns, channels) as stored, that stands upright."""
    if orientation in _REVERSED_ROWS:
        array = array[::-1]
    if orientation in _REVERSED_COLUMNS:
        array = array[:, ::-1]
    return array.swapaxes(0, 1) if orientation in _TRANSPOSED else array


def upright_copy(
    source: PathLike, orientation: int, target: PathLike, *, numbers: Sequence[int] | None = None
) -> None:
    """Write the raster at `source`, turned upright, as a plain TIFF without EXIF to `target`.

    The bands keep values, dtype, description, scale, offset, nodata value (NaN needs none) and colour
    interpretation, so names resolved for `source` hold; a colour key becomes a mask, and a colour table the
    bands that `inspect` describes. Of bands other than 1-based `numbers`, where these are given, the pixels are
    left out, and nobody must read them. Goes window by window, so memory does not grow with the raster. Raises what
    `inspect` and `read_window` raise.
    """
    info = inspect(source)
    width, height = upright_size(info.width, info.height, orientation)
    numbers = range(1, info.count + 1) if numbers is None else sorted(set(numbers))
    profile = {
        "driver": "GTiff",
        "width": width,
        "height": height,
        "count": info.count,
        "dtype": info.dtype,
        "interleave": "band",
        "tiled": True,
        "blockxsize": _BLOCK,
        "blockysize": _BLOCK,
        "sparse_ok": len(numbers) < info.count,
        "photometric": "RGB" if info.colours[:3] == ("red", "green", "blue") else "MINISBLACK",
        "bigtiff": "if_safer",
    }
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True, GDAL_PAM_ENABLED="NO"):
        with without(NotGeoreferencedWarning):
            copy = rasterio.open(target, "w", **profile)
        with copy, open_raster(source) as dataset:
            rules = None if info.palette else mask_rules(dataset, numbers)
            _copy_labels(info, copy, None if rules is None else rules.nodata[0])
            for window in windows(info):
                arrays, masked = read_window(dataset, window, numbers)
                place = _turned_window(window, info, orientation)
                for number, array in zip(numbers, arrays, strict=True):
                    copy.write(
                        turned(array.astype(info.dtype, copy=False), orientation), number, window=place
                    )
                own = masked if rules is None else read_mask_band(dataset, window, rules)
                if own is not None:
                    copy.write_mask(turned(~own, orientation), window=place)


def _copy_labels(info: RasterInfo, copy: Any, nodata: float | None) -> None:
    copy.colorinterp = [ColorInterp[name] for name in info.colours]
    for number, text in enumerate(info.descriptions, start=1):
        if text is not None:
            copy.set_band_description(number, text)
    if set(info.scales) != {1.0} or set(info.offsets) != {0.0}:
        copy.scales, copy.offsets = info.scales, info.offsets
    if nodata is not None:
        copy.nodata = nodata


def _turned_window(window: Window, info: RasterInfo, orientation: int) -> Window:
    """Where the pixels of `window` lie in the upright raster."""
    row, column = window.row_off, window.col_off
    if orientation in _REVERSED_ROWS:
        row = info.height - row - window.height
    if orientation in _REVERSED_COLUMNS:
        column = info.width - column - window.width
    if orientation in _TRANSPOSED:
        return Window(row, column, window.height, window.width)
    return Window(column, row, window.width, window.height)
