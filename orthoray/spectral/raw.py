"""Camera raw files (DNG, NEF, CR2, ARW, RW2), developed by LibRaw into what every other module reads."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
import rawpy
from rasterio.errors import NotGeoreferencedWarning

from orthoray.errors import NotAnImage, OrthoRayError, TooLarge, TruncatedImage
from orthoray.spectral.formats import detect_format
from orthoray.spectral.quiet import without

# The side of the tiles of the developed TIFF.
BLOCK = 512
# No camera writes larger ones: such a file is something else, and LibRaw would read it.
MAX_FILE_BYTES = 1024 * 1024 * 1024


@dataclass(frozen=True)
class Developed:
    """What `develop` will write: the size of the upright picture, and 3 channels (red, green, blue) or 1 (grey)."""

    width: int
    height: int
    count: int


def read_size(path: str | os.PathLike[str]) -> Developed:
    """The size of the developed picture, told from the file's header alone. Raises as `develop` does."""
    with _opened(path) as raw:
        sizes = raw.sizes
        count = 1 if raw.num_colors == 1 else 3
    width, height = sizes.iwidth, sizes.iheight
    # LibRaw makes pixels square; it keeps differences below half a percent
    if sizes.pixel_aspect < 0.995:
        height = int(height / sizes.pixel_aspect + 0.5)
    elif sizes.pixel_aspect > 1.005:
        width = int(width * sizes.pixel_aspect + 0.5)
    is_lying = bool(sizes.flip & 4)
    return Developed(height, width, count) if is_lying else Developed(width, height, count)


def check_raw(path: str | os.PathLike[str]) -> None:
    """Raise `TruncatedImage` where the sensor's values are not all there; further what `develop` raises."""
    with _opened(path) as raw, _explained():
        raw.unpack()


@contextmanager
def prepared(path: str | os.PathLike[str]) -> Iterator[Path]:
    """The path of a file that GDAL reads: the file itself or, for a camera's raw file, a temporary TIFF with the
    developed picture, which is gone when the block ends. Raises what `detect_format` and `develop` raise."""
    location = Path(path).absolute()
    if not detect_format(location).is_raw:
        yield location
        return
    with tempfile.TemporaryDirectory(prefix="orthoray-raw-") as folder:
        target = Path(folder) / "developed.tif"
        develop(location, target)
        yield target


def develop(path: str | os.PathLike[str], target: str | os.PathLike[str]) -> None:
    """Develop the raw file at `path` into a tiled 8-bit TIFF at `target`.

    The pixels are those of `OLD.image_processing.load_image`, LibRaw's defaults at 8 bits: demosaiced (AHD),
    daylight white balance, sRGB with its gamma, brightness stretched so that 1 % of the pixels is white. They
    make pictures and ratios of colours, not reflectance. The picture stands upright by the camera's own mark,
    and the TIFF has no EXIF.

    Raises `NotAnImage` where LibRaw does not know the camera or the compression, `TruncatedImage` where the
    file is cut or damaged, `TooLarge` where it needs more memory than LibRaw may take.
    """
    with _opened(path) as raw, _explained():
        pixels = raw.postprocess(output_bps=8)
    height, width, count = pixels.shape
    profile = {
        "driver": "GTiff",
        "width": width,
        "height": height,
        "count": count,
        "dtype": "uint8",
        "interleave": "pixel",
        "tiled": True,
        "blockxsize": BLOCK,
        "blockysize": BLOCK,
        "photometric": "RGB" if count == 3 else "MINISBLACK",
    }
    with rasterio.Env(GDAL_PAM_ENABLED="NO"):
        with without(NotGeoreferencedWarning):
            picture = rasterio.open(target, "w", **profile)
        with picture:
            picture.write(np.moveaxis(pixels, -1, 0))


@contextmanager
def _opened(path: str | os.PathLike[str]) -> Iterator[Any]:
    """LibRaw's view of the file; its header is read, its pixels are not."""
    with Path(path).open("rb") as file:
        if file.seek(0, os.SEEK_END) > MAX_FILE_BYTES:
            raise TooLarge("The raw file is larger than 1 GiB: develop it and upload it as a tiled TIFF.")
        file.seek(0)
        # not by path: on Windows LibRaw opens none with letters outside the code page
        with _explained():
            raw = rawpy.imread(file)
        with raw:
            yield raw


@contextmanager
def _explained() -> Iterator[None]:
    try:
        yield
    except rawpy.LibRawError as error:
        raise _as_ours(error) from error


def _as_ours(error: rawpy.LibRawError) -> OrthoRayError:
    if isinstance(error, rawpy.LibRawIOError | rawpy.LibRawDataError):
        return TruncatedImage()
    if isinstance(error, rawpy.LibRawTooBigError | rawpy.LibRawUnsufficientMemoryError):
        return TooLarge(
            "The raw file is too large to develop here: develop it and upload it as a tiled TIFF."
        )
    return NotAnImage(
        "This camera's raw file cannot be developed, its camera or compression is not known: "
        "save it as DNG without lossy compression, or develop it and upload it as a TIFF or JPEG."
    )
