"""Whether an image file is whole, told without holding its pixels."""

from __future__ import annotations

import os
import struct
import zlib
from pathlib import Path
from typing import BinaryIO

import numpy as np
from rasterio.windows import Window

from orthoray.errors import TruncatedImage
from orthoray.spectral import tiff
from orthoray.spectral.formats import BMP, J2K, JP2, JPEG, PNG, detect_format
from orthoray.spectral.jp2 import check_parts
from orthoray.spectral.raster import WINDOW_PIXELS, open_raster
from orthoray.spectral.raw import check_raw
from orthoray.spectral.tiff import read_exactly

_PIECE = 1024 * 1024


def check_complete(path: str | os.PathLike[str]) -> None:
    """Raise `TruncatedImage` where the file was cut off or is visibly damaged.

    JPEG is decoded, for it has no other check; the chunks of PNG are checked against their CRCs, the pixels
    of BMP against the file's size, and so are all strips, tiles and values of tags in all directories of TIFF
    (a sparse file's empty blocks are allowed). Of JPEG 2000 every part of every tile has to be there (what is
    inside them is checked when they are decoded), and of a camera's raw file the sensor's values are unpacked.
    Bytes after the image's end are allowed. Raises `NotAnImage` as `detect_format` does, and what `inspect`
    raises of headers that ask for too much.
    """
    location = Path(path)
    kind = detect_format(location)
    size = location.stat().st_size
    if kind is JPEG:
        _check_jpeg(location)
        return
    if kind.is_raw:
        check_raw(location)
        return
    with location.open("rb") as file:
        if kind is PNG:
            _check_png(file)
        elif kind is BMP:
            _check_bmp(file, size)
        elif kind in {JP2, J2K}:
            check_parts(file, size)
        else:
            _check_tiff(file, size)


def _check_jpeg(path: Path) -> None:
    # Decoders paint what is missing grey and say so in a warning at most; `open_raster` makes it an error.
    with open_raster(path, overview_level=_eighth(path)) as dataset:
        rows = max(1, WINDOW_PIXELS // dataset.width)
        for row in range(0, dataset.height, rows):
            dataset.read(window=Window(0, row, dataset.width, min(rows, dataset.height - row)))


def _eighth(path: Path) -> int | None:
    """The overview that decodes a JPEG at an eighth of its size: all of its data is read, a quarter as long.

    GDAL offers it from 1024 pixels on; what Exif brings as a thumbnail stands after it, or alone in smaller files.
    """
    with open_raster(path) as dataset:
        offered = max(dataset.width, dataset.height) >= 1024 and dataset.overviews(1)[:3] == [2, 4, 8]
    return 2 if offered else None


def _check_png(file: BinaryIO) -> None:
    file.seek(8)
    kind = b""
    while kind != b"IEND":
        length, kind = struct.unpack(">I4s", read_exactly(file, 8))
        checksum = zlib.crc32(kind)
        while length:
            piece = read_exactly(file, min(length, _PIECE))
            checksum = zlib.crc32(piece, checksum)
            length -= len(piece)
        if struct.unpack(">I", read_exactly(file, 4))[0] != checksum:
            raise TruncatedImage


def _check_bmp(file: BinaryIO, size: int) -> None:
    declared, pixels_at, header_size = struct.unpack("<2xI4xII", read_exactly(file, 18))
    if header_size == 12:
        width, height, depth = struct.unpack("<HH2xH", read_exactly(file, 8))
        compression = 0
    else:
        width, height, depth, compression = struct.unpack("<ii2xHI", read_exactly(file, 16))
    row_bytes = (abs(width) * depth + 31) // 32 * 4
    # 0, 3 and 6 are uncompressed; run-length coding leaves only the size that the file declares
    needed = pixels_at + row_bytes * abs(height) if compression in {0, 3, 6} else declared
    if size < needed:
        raise TruncatedImage


def _check_tiff(file: BinaryIO, size: int) -> None:
    trailer = tiff.block_trailer(file)
    for directory in tiff.directories(file, size, tiff.BLOCK_TAGS):
        fields = directory.fields
        for offsets_tag, counts_tag in (
            (tiff.STRIP_OFFSETS, tiff.STRIP_BYTE_COUNTS),
            (tiff.TILE_OFFSETS, tiff.TILE_BYTE_COUNTS),
        ):
            if offsets_tag not in fields:
                continue
            starts = fields[offsets_tag]
            # very old files leave the byte counts out: then at least the first byte has to be there
            lengths = fields.get(counts_tag, np.ones_like(starts))
            if len(starts) != len(lengths):
                raise TruncatedImage
            stored = (starts > 0) & (lengths > 0)
            starts, lengths = starts[stored], lengths[stored] + np.uint64(trailer)
            # the first two keep the sum of the third from wrapping around
            if (starts > size).any() or (lengths > size).any() or (starts + lengths > size).any():
                raise TruncatedImage
