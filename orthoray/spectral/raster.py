"""Rasters on disk: what a file holds, and its pixels window by window.

Only the formats of `orthoray.spectral.formats` are opened, each by its own GDAL driver, so no file can make
GDAL follow a reference to another (VRT and its like), and sidecar files beside an upload are not read.
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
from rasterio.enums import MaskFlags
from rasterio.errors import NotGeoreferencedWarning, RasterioIOError
from rasterio.windows import Window

from orthoray.errors import Impossible, NotAnImage, OrthoRayError, TooLarge, TruncatedImage
from orthoray.spectral import tiff
from orthoray.spectral.formats import BMP, FORMATS, TIFF, Format, detect_format
from orthoray.spectral.georeference import UNKNOWN, Affine6, locate
from orthoray.spectral.quiet import without

PathLike = str | os.PathLike[str]
Mask = npt.NDArray[np.bool_]

MAX_BANDS = 64
WINDOW_PIXELS = 4 * 1024 * 1024
# A window of every band has to fit into GDAL's block cache, or each band would decode the blocks anew.
WINDOW_BYTES = 96 * 1024 * 1024
# GDAL decodes a block (strip or tile) as a whole.
MAX_BLOCK_BYTES = 512 * 1024 * 1024

GDAL_OPTIONS: dict[str, Any] = {
    "GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR",
    "GDAL_PAM_ENABLED": "NO",
    "GDAL_CACHEMAX": 128,
    # libjpeg fills what is missing with grey and only warns: such pixels must not become numbers.
    "GDAL_ERROR_ON_LIBJPEG_WARNING": "YES",
    # The shortcut for whole PNG files leaves the pixels of a cut file zero without an error.
    "GDAL_PNG_WHOLE_IMAGE_OPTIM": "NO",
}

_MEDIA_TYPES = {known.driver: known.media_type for known in FORMATS}


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

    Read failures inside the block become `TruncatedImage`. Raises `NotAnImage` where the file is of no
    known format and `TruncatedImage` where it begins like an image but cannot be opened.
    """
    location = Path(path).absolute()
    kind = detect_format(location)
    with rasterio.Env(**GDAL_OPTIONS):
        with _gdal_errors(kind):
            dataset = _open(location, kind, overview_level)
        with dataset, _gdal_errors(kind):
            yield dataset


def inspect(path: PathLike, *, max_pixels: int | None = None) -> RasterInfo:
    """Describe a raster without reading its pixels.

    Raises `NotAnImage` or `TruncatedImage` as `open_raster` does, `NotAnImage` for a camera's raw file (whose
    TIFF shell shows but a preview), `TooLarge` above `max_pixels` (default:
    4e9 for TIFF, 3e8 for the formats that are decoded from the top) or 64 bands or where one strip or tile is
    too big to decode, `Impossible` where the file holds several images or the pixels are complex numbers or
    CMYK.
    """
    kind = detect_format(Path(path))
    if kind is TIFF:
        _refuse_raw_and_pages(Path(path))
    with open_raster(path) as dataset:
        _refuse_oversize(dataset, kind.max_pixels if max_pixels is None else max_pixels)
        _refuse_unsuitable(dataset)
        return _describe(dataset)


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
    limit = _window_limit(dataset.count, _dtype(dataset))
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
    if is_palette(dataset):
        return _read_palette(dataset, window, numbers)
    wanted = [*numbers, *([alpha] if alpha is not None and alpha not in numbers else [])]
    with _gdal_errors():
        stack = dataset.read(wanted, window=window)
        masked: Mask = np.zeros(stack.shape[1:], dtype=np.bool_)
        if alpha is not None:
            masked |= stack[wanted.index(alpha)] == 0
        arrays = list(stack[: len(numbers)])
        for number, array in zip(numbers, arrays, strict=True):
            flags = set(dataset.mask_flag_enums[number - 1])
            if not flags & {MaskFlags.all_valid, MaskFlags.alpha} and flags != {MaskFlags.nodata}:
                masked |= dataset.read_masks(number, window=window) == 0
            else:
                _mask_nodata(masked, array, dataset.nodatavals[number - 1])
            if array.dtype.kind == "f":
                masked |= np.isnan(array)
    return arrays, masked


def read_nodata_mask(path: PathLike, numbers: Sequence[int], *, alpha: int | None = None) -> Mask:
    """The mask of `read_window` for a whole file: bool (height, width), True where there is no data."""
    info = inspect(path)
    mask: Mask = np.empty((info.height, info.width), dtype=np.bool_)
    with open_raster(path) as dataset:
        for window in windows(info):
            mask[window.toslices()] = read_window(dataset, window, numbers, alpha=alpha)[1]
    return mask


def is_palette(dataset: Any) -> bool:
    """Whether the pixels are numbers of a colour table."""
    return bool(dataset.count == 1 and dataset.colorinterp[0].name == "palette")


def _window_limit(count: int, dtype: npt.DTypeLike) -> int:
    """Pixels of a window."""
    return max(1, min(WINDOW_PIXELS, WINDOW_BYTES // (count * np.dtype(dtype).itemsize)))


def _open(location: Path, kind: Format, overview_level: int | None) -> Any:
    options = {} if overview_level is None else {"overview_level": overview_level}
    with without(NotGeoreferencedWarning):
        return rasterio.open(str(location), driver=kind.driver, sharing=False, **options)


@contextmanager
def _gdal_errors(opening: Format | None = None) -> Iterator[None]:
    try:
        yield
    except RasterioIOError as error:
        raise _explained(error, opening) from error


def _explained(error: RasterioIOError, opening: Format | None) -> OrthoRayError:
    text = f"{error} {error.__cause__}"
    if "libjpeg to allocate" in text:
        return TooLarge("This progressive JPEG is too large to decode: save it as a baseline JPEG or a TIFF.")
    if "codec" in text:
        return Impossible("The file's compression is not supported: save it with LZW, Deflate or ZSTD.")
    if opening is BMP and "not recognized" in text:
        return NotAnImage()
    return TruncatedImage()


def _refuse_raw_and_pages(path: Path) -> None:
    with path.open("rb") as file:
        directories = list(tiff.directories(file, path.stat().st_size, tiff.KIND_TAGS))
    main = directories[0].fields
    preview = tiff.SUB_DIRECTORIES in main and 1 in main.get(tiff.SUBFILE_TYPE, ())
    if preview or tiff.DNG_VERSION in main or tiff.COLOR_FILTER_ARRAY in main.get(tiff.PHOTOMETRIC, ()):
        raise NotAnImage("This is a camera's raw file: develop it and upload it as a TIFF or JPEG.")
    images = tiff.count_images(directories)
    if images > 1:
        raise Impossible(
            f"The file has {images} images: save each as a file of its own, "
            "or, where they are the bands of one image, as one image of so many bands.",
            images=images,
        )


def _refuse_oversize(dataset: Any, max_pixels: int) -> None:
    pixels = dataset.width * dataset.height
    if pixels > max_pixels:
        raise TooLarge(
            f"The image has {pixels:,} pixels, the limit is {max_pixels:,}: cut it or reduce it.",
            pixels=pixels,
            max_pixels=max_pixels,
        )
    if dataset.count > MAX_BANDS:
        raise TooLarge(
            f"The image has {dataset.count} bands, the limit is {MAX_BANDS}: keep the bands you need.",
            bands=dataset.count,
            max_bands=MAX_BANDS,
        )
    block_height, block_width = dataset.block_shapes[0]
    bands_in_block = 1 if dataset.profile.get("interleave") == "band" else dataset.count
    block_bytes = block_width * block_height * bands_in_block * _dtype(dataset).itemsize
    if block_bytes > MAX_BLOCK_BYTES:
        raise TooLarge("The image is stored as one huge block: save it again as a tiled TIFF.")


def _refuse_unsuitable(dataset: Any) -> None:
    if any("complex" in name for name in dataset.dtypes):
        raise Impossible("The pixels are complex numbers (radar?): indices need reflectance or photos.")
    colours = {colour.name for colour in dataset.colorinterp}
    source = dataset.tags(ns="IMAGE_STRUCTURE").get("SOURCE_COLOR_SPACE")
    if source in {"CMYK", "YCbCrK"} or "cyan" in colours:
        raise Impossible("The image is in CMYK, the colours of printing: save it as RGB.")


def _dtype(dataset: Any) -> np.dtype[Any]:
    """The type that holds every band; GDAL allows bands of different types."""
    return np.result_type(*(np.dtype(name) for name in dataset.dtypes))


def _describe(dataset: Any) -> RasterInfo:
    palette = is_palette(dataset)
    colours = tuple(colour.name for colour in dataset.colorinterp)
    if palette:
        colours = ("red", "green", "blue", "alpha")[: _colour_table(dataset).shape[1]]
    count = len(colours)
    block_height, block_width = dataset.block_shapes[0]
    transform = _geotransform(dataset)
    crs_wkt = dataset.crs.to_wkt() if transform is not None else None
    place = UNKNOWN
    if transform is not None and crs_wkt is not None:
        place = locate(crs_wkt, transform, dataset.width, dataset.height)
    return RasterInfo(
        driver=dataset.driver,
        media_type=_MEDIA_TYPES[dataset.driver],
        width=dataset.width,
        height=dataset.height,
        count=count,
        dtype="uint8" if palette else str(_dtype(dataset)),
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


def _mask_nodata(masked: Mask, array: npt.NDArray[Any], nodata: float | None) -> None:
    """Compare in the band's own dtype: a float32 band never equals the float64 -3.4028235e38 of its tag."""
    if nodata is None or math.isnan(nodata):
        return
    if array.dtype.kind == "f":
        with np.errstate(over="ignore"):
            masked |= array == array.dtype.type(nodata)
    elif math.isfinite(nodata) and nodata == int(nodata):
        limits = np.iinfo(array.dtype)
        if limits.min <= int(nodata) <= limits.max:
            masked |= array == array.dtype.type(int(nodata))


def _colour_table(dataset: Any) -> npt.NDArray[np.uint8]:
    """The colour table, uint8 (entries, 3), or (entries, 4) where an entry is not opaque."""
    entries = dataset.colormap(1)
    size = np.iinfo(np.dtype(dataset.dtypes[0])).max + 1
    table = np.zeros((size, 4), dtype=np.uint8)
    table[:, 3] = 255
    for value, colour in entries.items():
        table[value] = colour
    return table if (table[:, 3] < 255).any() else table[:, :3]


def _read_palette(
    dataset: Any, window: Window | None, numbers: Sequence[int]
) -> tuple[list[npt.NDArray[Any]], Mask]:
    with _gdal_errors():
        values = dataset.read(1, window=window)
        table = _colour_table(dataset)
        masked: Mask = np.zeros(values.shape, dtype=np.bool_)
        _mask_nodata(masked, values, dataset.nodatavals[0])
        flags = set(dataset.mask_flag_enums[0])
        if MaskFlags.per_dataset in flags:
            masked |= dataset.read_masks(1, window=window) == 0
    if table.shape[1] == 4:
        masked |= table[values, 3] == 0
    return [table[values, number - 1] for number in numbers], masked
