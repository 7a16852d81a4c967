"""What is refused before a pixel is decoded: rasters too big for the machine, and pixels that are no bands."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from orthoray.errors import Impossible, TooLarge
from orthoray.spectral import jp2, tiff
from orthoray.spectral.formats import J2K, JP2, TIFF, Format

MAX_BANDS = 64
# GDAL decodes a block (strip or tile) as a whole.
MAX_BLOCK_BYTES = 512 * 1024 * 1024


def check_header(path: Path, kind: Format, max_pixels: int) -> bool:
    """Refuse what GDAL should not even open; tells whether the file is cut into tiles.

    Raises `TruncatedImage` where a header lies beyond the file's end, `Impossible` where the file holds
    several images, `TooLarge` where its header declares more than the machine can take.
    """
    with path.open("rb") as file:
        size = path.stat().st_size
        if kind is TIFF:
            directories = list(tiff.directories(file, size, tiff.KIND_TAGS))
            _refuse_pages(tiff.count_images(directories))
            # GDAL would make an object for each of 65,535 bands.
            refuse_size(0, directories[0].bands, max_pixels)
            return directories[0].is_tiled
        if kind in {JP2, J2K}:
            header = jp2.read_header(file, size)
            refuse_size(header.width * header.height, header.components, max_pixels)
            return header.tiles > 1
    return False


def _refuse_pages(images: int) -> None:
    if images > 1:
        raise Impossible(
            f"The file has {images} images: save each as a file of its own, "
            "or, where they are the bands of one image, as one image of so many bands.",
            images=images,
        )


def refuse_size(pixels: int, bands: int, max_pixels: int) -> None:
    """Raise `TooLarge` above `max_pixels` or `MAX_BANDS`."""
    if pixels > max_pixels:
        raise TooLarge(
            f"The image has {pixels:,} pixels, the limit is {max_pixels:,}: cut it or reduce it.",
            pixels=pixels,
            max_pixels=max_pixels,
        )
    if bands > MAX_BANDS:
        raise TooLarge(
            f"The image has {bands} bands, the limit is {MAX_BANDS}: keep the bands you need.",
            bands=bands,
            max_bands=MAX_BANDS,
        )


def refuse_oversize(dataset: Any, max_pixels: int) -> None:
    """The same for an open raster, and where one of its blocks is too big to decode."""
    refuse_size(dataset.width * dataset.height, dataset.count, max_pixels)
    block_height, block_width = dataset.block_shapes[0]
    bands_in_block = 1 if interleave_of(dataset) == "band" else dataset.count
    block_bytes = block_width * block_height * bands_in_block * dtype_of(dataset).itemsize
    if block_bytes > MAX_BLOCK_BYTES:
        raise TooLarge("The image is stored as one huge block: save it again as a tiled TIFF.")


def refuse_unsuitable(dataset: Any) -> None:
    """Raise `Impossible` where the pixels of an open raster are complex numbers or CMYK."""
    if any("complex" in name for name in dataset.dtypes):
        raise Impossible("The pixels are complex numbers (radar?): indices need reflectance or photos.")
    colours = {colour.name for colour in dataset.colorinterp}
    source = dataset.tags(ns="IMAGE_STRUCTURE").get("SOURCE_COLOR_SPACE")
    if source in {"CMYK", "YCbCrK"} or "cyan" in colours:
        raise Impossible("The image is in CMYK, the colours of printing: save it as RGB.")


def dtype_of(dataset: Any) -> np.dtype[Any]:
    """The type that holds every band; GDAL allows bands of different types."""
    return np.result_type(*(np.dtype(name) for name in dataset.dtypes))


def interleave_of(dataset: Any) -> str:
    """How an open raster stores its bands: "pixel" or "band"."""
    return str(dataset.tags(ns="IMAGE_STRUCTURE").get("INTERLEAVE", "PIXEL")).lower()
