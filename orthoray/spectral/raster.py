"""Rasters on disk: what a file holds, and its pixels window by window.

Only the formats of `orthoray.spectral.formats` are opened, each by its own GDAL driver, so no file can make
GDAL follow a reference to another (VRT and its like), and sidecar files beside an upload are not read. A
camera's raw file is developed first (`orthoray.spectral.raw`).
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import rasterio
from rasterio._err import CPLE_BaseError
from rasterio.errors import NotGeoreferencedWarning, RasterioIOError
from rasterio.windows import Window

from orthoray.errors import Impossible, NotAnImage, OrthoRayError, TooLarge, TruncatedImage
from orthoray.spectral import raw
from orthoray.spectral.formats import BMP, J2K, JP2, Format, detect_format
from orthoray.spectral.georeference import UNKNOWN, Affine6, locate
from orthoray.spectral.limits import (
    check_header,
    dtype_of,
    interleave_of,
    refuse_oversize,
    refuse_size,
    refuse_unsuitable,
)
from orthoray.spectral.masks import apply_rules, joined, mask_rules, read_mask_band
from orthoray.spectral.palette import colour_table, is_palette, read_palette
from orthoray.spectral.quiet import without

PathLike = str | os.PathLike[str]
Mask = npt.NDArray[np.bool_]

WINDOW_PIXELS = 4 * 1024 * 1024
# A window of every band has to fit into GDAL's block cache, or each band would decode the blocks anew.
WINDOW_BYTES = 96 * 1024 * 1024

GDAL_OPTIONS: dict[str, Any] = {
    "GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR",
    "GDAL_PAM_ENABLED": "NO",
    "GDAL_CACHEMAX": 128,
    # libjpeg fills what is missing with grey and only warns: such pixels must not become numbers.
    "GDAL_ERROR_ON_LIBJPEG_WARNING": "YES",
    # The shortcut for whole PNG files leaves the pixels of a cut file zero without an error.
    "GDAL_PNG_WHOLE_IMAGE_OPTIM": "NO",
}

# What is missing must not become numbers, and only the file itself says where it lies.
_JP2_OPTIONS = {"STRICT": "YES", "GEOREF_SOURCES": "INTERNAL", "OPEN_REMOTE_GML": "NO"}
_OPEN_OPTIONS: dict[Format, dict[str, str]] = {JP2: _JP2_OPTIONS, J2K: _JP2_OPTIONS}


@dataclass(frozen=True)
class RasterInfo:
    """What a raster file says about itself.

    `count`, `colours` (colour interpretations, GDAL's words) and what follows describe the bands as
    `read_window` delivers them: a file with a colour table (`palette`) counts as red, green, blue and, where
    entries are transparent, alpha. `nodata`, `scales`, `offsets` hold one value per band; scales and offsets
    are reported, not applied. `transform` is (a, b, c, d, e, f) with x = a*column + b*row + c and
    y = d*column + e*row + f, None unless the file has both a geotransform and a CRS. `footprint` is a GeoJSON
    geometry and `bounds_wgs84` (west, south, east, north), both EPSG:4326. `gsd_m` is the pixel size along
    columns and rows, `pixel_area_m2` the mean area of a pixel; None where unknown.
    `interleave` is "pixel" or "band", `compression` GDAL's name of the codec (None: not told, or none), `tiled`
    whether the file is cut into tiles rather than strips or nothing. A camera's raw file has the driver "RAW"
    and is described as it will be developed.
    """

    driver: str
    media_type: str
    width: int
    height: int
    count: int
    dtype: str
    descriptions: tuple[str | None, ...]
    colours: tuple[str, ...]
    nodata: tuple[float | None, ...]
    scales: tuple[float, ...]
    offsets: tuple[float, ...]
    palette: bool
    block_width: int
    block_height: int
    crs_wkt: str | None
    epsg: int | None
    transform: Affine6 | None
    footprint: dict[str, Any] | None
    bounds_wgs84: tuple[float, float, float, float] | None
    gsd_m: tuple[float, float] | None
    pixel_area_m2: float | None
    interleave: str = "pixel"
    compression: str | None = None
    tiled: bool = False

    @property
    def georeferenced(self) -> bool:
        """Whether every pixel has a place in a known CRS."""
        return self.transform is not None

    def to_dict(self) -> dict[str, Any]:
        """The same as JSON-ready data; a nodata value that JSON lacks is its name ("nan", "inf", "-inf")."""
        fields = asdict(self)
        fields["nodata"] = [
            value if value is None or math.isfinite(value) else str(value) for value in self.nodata
        ]
        return {key: list(value) if isinstance(value, tuple) else value for key, value in fields.items()}


@contextmanager
def open_raster(path: PathLike, *, overview_level: int | None = None) -> Iterator[Any]:
    """Open a raster, or one of its overviews (0 is the finest), for reading; yields rasterio's dataset.

    Read failures inside the block become `TruncatedImage`. A camera's raw file is developed for every opening:
    who opens it repeatedly does so on the path that `orthoray.spectral.raw.prepared` yields. Raises
    `NotAnImage` where the file is of no known format and `TruncatedImage` where it begins like an image but
    cannot be opened.
    """
    with raw.prepared(path) as location:
        kind = detect_format(location)
        with rasterio.Env(**GDAL_OPTIONS):
            with _gdal_errors(kind):
                dataset = _open(location, kind, overview_level)
            with dataset, _gdal_errors(kind):
                yield dataset


def inspect(path: PathLike, *, max_pixels: int | None = None) -> RasterInfo:
    """Describe a raster without reading its pixels.

    Raises `NotAnImage` or `TruncatedImage` as `open_raster` does, `TooLarge` above `max_pixels` (default: that
    of its format) or 64 bands or where a strip, a tile or their number is too big to decode, `Impossible`
    where the file holds several images or the pixels are complex numbers or CMYK.
    """
    location = Path(path)
    kind = detect_format(location)
    limit = kind.max_pixels if max_pixels is None else max_pixels
    if kind.is_raw:
        return _describe_raw(location, kind, limit)
    is_tiled = check_header(location, kind, limit)
    with open_raster(location) as dataset:
        refuse_oversize(dataset, limit)
        refuse_unsuitable(dataset)
        return _describe(dataset, kind, is_tiled=is_tiled)


def windows(info: RasterInfo) -> Iterator[Window]:
    """Windows that cover a raster, row by row, along the borders of the file's blocks.

    Each has at most about 4 megapixels, fewer where the file has many or wide bands.
    """
    return block_windows(
        info.width, info.height, info.block_width, info.block_height, _window_limit(info.count, info.dtype)
    )


def windows_of(dataset: Any) -> Iterator[Window]:
    """The same for an open raster, which may be an overview."""
    block_height, block_width = dataset.block_shapes[0]
    limit = _window_limit(dataset.count, dtype_of(dataset))
    return block_windows(dataset.width, dataset.height, block_width, block_height, limit)


def block_windows(
    width: int, height: int, block_width: int, block_height: int, limit: int | None = None
) -> Iterator[Window]:
    """Row-major windows of at most `limit` pixels that cover `width` x `height` along block borders.

    The default limit is 4 megapixels. A window is cut out of a single block only where that block alone
    exceeds the limit.
    """
    if limit is None:
        limit = WINDOW_PIXELS
    columns, rows = width, limit // width
    if rows < min(block_height, height):
        rows = min(block_height, height, limit)
        columns = limit // rows
        if columns < min(block_width, width):
            columns = min(block_width, width, limit)
            rows = limit // columns
    for row, window_height in _spans(height, block_height, rows):
        for column, window_width in _spans(width, block_width, columns):
            yield Window(column, row, window_width, window_height)


def read_window(
    dataset: Any,
    window: Window | None,
    numbers: Sequence[int],
    *,
    alpha: int | None = None,
) -> tuple[list[npt.NDArray[Any]], Mask]:
    """Read bands and tell which pixels are not data.

    `dataset` is an open raster, `numbers` 1-based band numbers, `alpha` the number of the band that masks
    the others (`BandMap.alpha`) or None. `window` None is the whole raster.

    Returns one array of the file's dtype for each number and a mask, all of shape (rows, columns). The mask
    is True where ANY of the bands holds its nodata value or NaN, where alpha is 0, and where the file's own
    mask or colour key says so. Raises `TruncatedImage` where the pixels cannot be decoded.
    """
    with _gdal_errors():
        if is_palette(dataset):
            arrays, masked = read_palette(dataset, window, numbers)
        else:
            rules = mask_rules(dataset, numbers, alpha)
            stack = list(dataset.read(rules.wanted, window=window))
            masked = joined(apply_rules(rules, stack), read_mask_band(dataset, window, rules))
            arrays = stack[: len(rules.numbers)]
    return arrays, np.zeros(arrays[0].shape, dtype=np.bool_) if masked is None else masked


def _window_limit(count: int, dtype: npt.DTypeLike) -> int:
    """Pixels of a window."""
    return max(1, min(WINDOW_PIXELS, WINDOW_BYTES // (count * np.dtype(dtype).itemsize)))


def _open(location: Path, kind: Format, overview_level: int | None) -> Any:
    options: dict[str, Any] = dict(_OPEN_OPTIONS.get(kind, {}))
    if overview_level is not None:
        options["overview_level"] = overview_level
    with without(NotGeoreferencedWarning):
        return rasterio.open(str(location), driver=kind.driver, sharing=False, **options)


@contextmanager
def _gdal_errors(opening: Format | None = None) -> Iterator[None]:
    try:
        yield
    except (
        RasterioIOError,
        CPLE_BaseError,
    ) as error:  # the latter come of some questions about an open dataset
        raise _explained(error, opening) from error


def _explained(error: Exception, opening: Format | None) -> OrthoRayError:
    text = f"{error} {error.__cause__}"
    if "libjpeg to allocate" in text:
        return TooLarge("This progressive JPEG is too large to decode: save it as a baseline JPEG or a TIFF.")
    if "codec" in text:
        return Impossible("The file's compression is not supported: save it with LZW, Deflate or ZSTD.")
    if opening is BMP and "not recognized" in text:
        return NotAnImage()
    return TruncatedImage()


def _describe(dataset: Any, kind: Format, *, is_tiled: bool) -> RasterInfo:
    palette = is_palette(dataset)
    colours = tuple(colour.name for colour in dataset.colorinterp)
    if palette:
        colours = ("red", "green", "blue", "alpha")[: colour_table(dataset).shape[1]]
    count = len(colours)
    block_height, block_width = dataset.block_shapes[0]
    transform = _geotransform(dataset)
    crs_wkt = dataset.crs.to_wkt() if transform is not None else None
    place = UNKNOWN
    if transform is not None and crs_wkt is not None:
        place = locate(crs_wkt, transform, dataset.width, dataset.height)
    return RasterInfo(
        driver=dataset.driver,
        media_type=kind.media_type,
        width=dataset.width,
        height=dataset.height,
        count=count,
        dtype="uint8" if palette else str(dtype_of(dataset)),
        descriptions=(None,) * count if palette else tuple(text or None for text in dataset.descriptions),
        colours=colours,
        nodata=(None,) * count if palette else tuple(dataset.nodatavals),
        scales=(1.0,) * count if palette else tuple(dataset.scales),
        offsets=(0.0,) * count if palette else tuple(dataset.offsets),
        palette=palette,
        block_width=min(block_width, dataset.width),
        block_height=min(block_height, dataset.height),
        crs_wkt=crs_wkt,
        epsg=dataset.crs.to_epsg() if transform is not None else None,
        transform=transform,
        footprint=place.footprint,
        bounds_wgs84=place.bounds_wgs84,
        gsd_m=place.gsd_m,
        pixel_area_m2=place.pixel_area_m2,
        interleave=interleave_of(dataset),
        compression=dataset.tags(ns="IMAGE_STRUCTURE").get("COMPRESSION"),
        tiled=is_tiled,
    )


def _describe_raw(path: Path, kind: Format, max_pixels: int) -> RasterInfo:
    size = raw.read_size(path)
    refuse_size(size.width * size.height, size.count, max_pixels)
    return RasterInfo(
        driver=kind.driver,
        media_type=kind.media_type,
        width=size.width,
        height=size.height,
        count=size.count,
        dtype="uint8",
        descriptions=(None,) * size.count,
        colours=("red", "green", "blue") if size.count == 3 else ("gray",),
        nodata=(None,) * size.count,
        scales=(1.0,) * size.count,
        offsets=(0.0,) * size.count,
        palette=False,
        block_width=min(raw.BLOCK, size.width),
        block_height=min(raw.BLOCK, size.height),
        crs_wkt=None,
        epsg=None,
        transform=None,
        footprint=None,
        bounds_wgs84=None,
        gsd_m=None,
        pixel_area_m2=None,
        tiled=True,
    )


def _geotransform(dataset: Any) -> Affine6 | None:
    """None without CRS or geotransform (control points alone place no pixel), or where it is degenerate."""
    matrix = dataset.transform
    coefficients = tuple(float(value) for value in tuple(matrix)[:6])
    if not dataset.crs or matrix.is_identity or not all(map(math.isfinite, coefficients)):
        return None
    a, b, c, d, e, f = coefficients
    return (a, b, c, d, e, f) if a * e - b * d != 0 else None


def _spans(size: int, block: int, step: int) -> Iterator[tuple[int, int]]:
    """Cut `size` into (offset, length): whole blocks together up to `step`, or each block in pieces of it."""
    outer = step // block * block or block
    for start in range(0, size, outer):
        end = min(start + outer, size)
        for offset in range(start, end, step):
            yield offset, min(step, end - offset)
