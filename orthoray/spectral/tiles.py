"""The strips and tiles of a TIFF, decoded one by one on the caller's thread and for the wanted bands only.

GDAL decodes every band of a pixel-interleaved block and keeps them; taking two bands of five out of the decoded
block, and undoing the predictor for these two alone, is a quarter faster, and any number of threads may do it.
"""

from __future__ import annotations

import itertools
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import numpy.typing as npt
from rasterio.windows import Window

from orthoray.errors import TruncatedImage
from orthoray.spectral import tiff
from orthoray.spectral.loops import loops
from orthoray.spectral.raster import PathLike, RasterInfo

Array = npt.NDArray[Any]
Decoder = Callable[..., Any]

_FLOATING, _HORIZONTAL, _NONE = 3, 2, 1
_PLANAR_SEPARATE = 2
_BITS, _COMPRESSION, _FILL_ORDER, _SAMPLES, _ROWS_PER_STRIP = 258, 259, 266, 277, 278
_PLANAR, _PREDICTOR, _TILE_WIDTH, _TILE_LENGTH = 284, 317, 322, 323
_TAGS = frozenset(
    {
        _BITS,
        _COMPRESSION,
        _FILL_ORDER,
        _SAMPLES,
        _ROWS_PER_STRIP,
        _PLANAR,
        _PREDICTOR,
        _TILE_WIDTH,
        _TILE_LENGTH,
    }
    | tiff.BLOCK_TAGS
)

# Larger blocks would be decoded again for each of the windows that meet in them.
_MOST = 1024
_THIN = 64
# windows are read from the top down, in rows of this height
_STEP = 512
_KEPT_BYTES = 64 * 1024 * 1024

_DECODERS: dict[int, Decoder | None] = {
    1: None,
    5: imagecodecs.lzw_decode,
    8: imagecodecs.deflate_decode,
    32946: imagecodecs.deflate_decode,
    50000: imagecodecs.zstd_decode,
}


@dataclass(frozen=True)
class Layout:
    """Where the blocks lie and how they are written. `offsets` and `sizes` are uint64, in the file's order."""

    width: int
    height: int
    block_width: int
    block_height: int
    tiled: bool
    samples: int
    separate: bool
    dtype: np.dtype[Any]
    predictor: int
    decoder: Decoder | None
    offsets: npt.NDArray[np.uint64]
    sizes: npt.NDArray[np.uint64]

    @property
    def columns(self) -> int:
        """Blocks in a row."""
        return -(-self.width // self.block_width)

    @property
    def rows(self) -> int:
        """Blocks in a column."""
        return -(-self.height // self.block_height)

    @property
    def blocks(self) -> int:
        """All blocks of the file."""
        return self.rows * self.columns * (self.samples if self.separate else 1)


def read_layout(path: PathLike, info: RasterInfo) -> Layout | None:
    """The layout of the main image of a TIFF, or None where it is of a kind that is left to GDAL: odd codecs,
    big-endian or sub-byte samples, bands of different types, sparse files.

    Raises `TruncatedImage` where a block lies beyond the file's end.
    """
    if info.driver != "GTiff" or info.palette or np.dtype(info.dtype).kind not in "uif":
        return None
    location = Path(path)
    with location.open("rb") as file:
        if file.read(2) != b"II":
            return None
        end = location.stat().st_size
        fields = next(tiff.directories(file, end, _TAGS)).fields

    def first(tag: int, default: int) -> int:
        values = fields.get(tag)
        return default if values is None or values.size == 0 else int(values[0])

    tiled = _TILE_WIDTH in fields
    block_width = first(_TILE_WIDTH, info.width)
    block_height = first(_TILE_LENGTH, min(first(_ROWS_PER_STRIP, info.height), info.height))
    compression = first(_COMPRESSION, 1)
    # predictors belong to codecs, and GDAL minds none without
    predictor = _NONE if compression == 1 else first(_PREDICTOR, _NONE)
    samples, separate = first(_SAMPLES, 1), first(_PLANAR, 1) == _PLANAR_SEPARATE
    offsets = fields.get(tiff.TILE_OFFSETS if tiled else tiff.STRIP_OFFSETS)
    sizes = fields.get(tiff.TILE_BYTE_COUNTS if tiled else tiff.STRIP_BYTE_COUNTS)
    dtype = np.dtype(info.dtype)
    bits = fields.get(_BITS)
    if (
        compression not in _DECODERS
        or first(_FILL_ORDER, 1) != 1
        or samples != info.count
        or bits is None
        or (bits != dtype.itemsize * 8).any()
        or predictor not in {_NONE, _HORIZONTAL, _FLOATING}
        or (predictor == _FLOATING and (dtype.kind != "f" or (samples > 1 and not separate)))
        or (predictor == _HORIZONTAL and dtype.kind == "f")
        or offsets is None
        or sizes is None
        or not (0 < block_width <= _MOST or not tiled)
        or not block_height > 0
    ):
        return None
    layout = Layout(
        width=info.width,
        height=info.height,
        block_width=block_width,
        block_height=block_height,
        tiled=tiled,
        samples=samples,
        separate=separate,
        dtype=dtype,
        predictor=predictor,
        decoder=_DECODERS[compression],
        offsets=offsets,
        sizes=sizes,
    )
    if not offsets.size == sizes.size == layout.blocks or not (offsets > 0).all() or not (sizes > 0).all():
        return None
    # in this order none of these wraps around
    if (sizes > end).any() or (offsets > end - sizes).any():
        raise TruncatedImage
    if layout.decoder is None and not tiled:
        layout = _in_thin_strips(layout)
    return layout if layout.block_height <= _MOST else None


def _in_thin_strips(layout: Layout) -> Layout:
    """The same file of uncompressed strips as if it had been written in strips of a few rows."""
    planes = layout.samples if layout.separate else 1
    row_bytes = layout.width * layout.dtype.itemsize * (1 if layout.separate else layout.samples)
    if layout.block_height <= _THIN or (layout.block_height % _THIN and layout.rows > 1):
        return layout
    heights = np.minimum(layout.block_height, layout.height - layout.block_height * np.arange(layout.rows))
    if (layout.sizes.reshape(planes, -1) < (heights * row_bytes).astype(np.uint64)).any():
        return layout  # reading it will tell that strips are short
    tops = np.arange(0, layout.height, _THIN)
    strip, inside = np.divmod(tops, layout.block_height)
    offsets = layout.offsets.reshape(planes, layout.rows)[:, strip] + (inside * row_bytes).astype(np.uint64)
    sizes = np.minimum(_THIN, layout.height - tops).astype(np.uint64) * np.uint64(row_bytes)
    return replace(layout, block_height=_THIN, offsets=offsets.reshape(-1), sizes=np.tile(sizes, planes))


class TileReader:
    """Reads windows of an open TIFF of a known layout, from any thread. Use `open_tiles`."""

    def __init__(self, descriptor: int, layout: Layout) -> None:
        self._descriptor = descriptor
        self._layout = layout
        self._scratch = threading.local()

    @property
    def fits_pieces(self) -> bool:
        """Whether windows of 512 x 512 pixels consist of whole tiles, so that none is decoded twice."""
        layout = self._layout
        return layout.tiled and _STEP % layout.block_width == 0 and _STEP % layout.block_height == 0

    def read(self, window: Window, numbers: Sequence[int]) -> list[Array]:
        """The bands of 1-based `numbers` in the file's dtype, each (rows, columns) of `window`.

        They are valid until the same thread reads again. Raises `TruncatedImage` where a block cannot be decoded.
        """
        layout = self._layout
        top, left = window.row_off, window.col_off
        bottom, right = top + window.height, left + window.width
        rows = range(top // layout.block_height, -(-bottom // layout.block_height))
        columns = range(left // layout.block_width, -(-right // layout.block_width))
        if len(rows) == len(columns) == 1:
            y, x = top - rows[0] * layout.block_height, left - columns[0] * layout.block_width
            inside = np.s_[y : y + window.height, x : x + window.width]
            return [band[inside] for band in self._bands(rows[0], columns[0], numbers)]
        found = [np.empty((window.height, window.width), layout.dtype) for _ in numbers]
        for row, column in itertools.product(rows, columns):
            y, x = row * layout.block_height, column * layout.block_width
            block = (
                slice(max(top - y, 0), min(bottom - y, layout.block_height)),
                slice(max(left - x, 0), min(right - x, layout.block_width)),
            )
            place = (
                slice(y + block[0].start - top, y + block[0].stop - top),
                slice(x + block[1].start - left, x + block[1].stop - left),
            )
            for target, band in zip(found, self._bands(row, column, numbers), strict=True):
                target[place] = band[block]
        return found

    def _bands(self, row: int, column: int, numbers: Sequence[int]) -> list[Array]:
        """The wanted bands of a block, (rows, columns), valid until the next block on this thread."""
        layout = self._layout
        block = row * layout.columns + column
        if not layout.separate:
            pixels = self._decoded(block, row, layout.samples, "pixels")
            return [self._undone(pixels[:, :, number - 1], slot) for slot, number in enumerate(numbers)]
        plane = layout.rows * layout.columns
        return [
            self._undone(self._decoded((number - 1) * plane + block, row, 1, f"pixels {slot}")[:, :, 0], slot)
            for slot, number in enumerate(numbers)
        ]

    def _decoded(self, block: int, row: int, samples: int, name: str) -> Array:
        """A block as (rows, columns, samples), its predictor not yet undone."""
        layout = self._layout
        rows = layout.block_height
        row_bytes = layout.block_width * samples * layout.dtype.itemsize
        whole = rows * row_bytes  # some programs write the last strip as high as the others
        if not layout.tiled:
            rows = min(rows, layout.height - row * layout.block_height)
        shape, wanted = (rows, layout.block_width, samples), rows * row_bytes
        if _STEP % layout.block_height == 0:
            return self._read(block, memoryview(self._buffer(name, whole)), wanted).reshape(shape)
        # the next window down needs it again
        kept: dict[int, Array] = self._scratch.__dict__.setdefault("kept", {})
        if block not in kept:
            while kept and (len(kept) + 1) * whole > _KEPT_BYTES:
                del kept[next(iter(kept))]
            kept[block] = self._read(block, memoryview(bytearray(whole)), wanted)
        return kept[block].reshape(shape)

    def _read(self, block: int, buffer: memoryview, wanted: int) -> Array:
        """The first `wanted` bytes of a decoded block, as pixels."""
        layout = self._layout
        size = int(layout.sizes[block])
        data = os.pread(self._descriptor, size, int(layout.offsets[block]))
        if layout.decoder is None:
            pixels: Any = data
        else:
            try:
                pixels = layout.decoder(data, out=buffer)
            except RuntimeError as error:  # what all codecs' errors are
                raise TruncatedImage from error
        if len(data) < size or len(pixels) < wanted:
            raise TruncatedImage
        return np.frombuffer(memoryview(pixels)[:wanted], layout.dtype)

    def _undone(self, band: Array, slot: int) -> Array:
        """A band of a block without its predictor: for differences along a row each band stands for itself."""
        if self._layout.predictor == _NONE:
            return band
        if self._layout.predictor == _FLOATING:
            return np.asarray(imagecodecs.floatpred_decode(band, axis=1))
        buffer = self._buffer(f"band {slot}", band.nbytes)
        plain = np.frombuffer(buffer, band.dtype, count=band.size).reshape(band.shape)
        loops().undo_differences(band, plain)
        return plain

    def _buffer(self, name: str, size: int) -> bytearray:
        # memory that a thread keeps: fresh pages for each block would cost as much as decoding it
        kept: dict[tuple[str, int], bytearray] = self._scratch.__dict__.setdefault("buffers", {})
        if (name, size) not in kept:
            kept[name, size] = bytearray(size)
        return kept[name, size]


@contextmanager
def open_tiles(path: PathLike, layout: Layout) -> Iterator[TileReader]:
    """Open a TIFF for reading by its blocks."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        yield TileReader(descriptor, layout)
    finally:
        os.close(descriptor)
