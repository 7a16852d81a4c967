"""The index raster: a Cloud Optimized GeoTIFF, put together from blocks that come in any order.

Blocks bring their tiles ready encoded. They wait in memory, or those of large rasters in a hidden folder beside the
destination, which also holds the raster until it is complete. In the end come the header, the overviews from the
smallest to the largest, and the tiles of the full size.
"""

from __future__ import annotations

import io
import itertools
import json
import shutil
import tempfile
import threading
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape, quoteattr

import numpy as np
import numpy.typing as npt
import rasterio
import tifffile
from affine import Affine
from rasterio.crs import CRS
from rasterio.io import MemoryFile

from orthoray.spectral.blocks import LEVELS, Block, Grid, Tile, encoded_tiles, halved, means
from orthoray.spectral.encoding import Encoding
from orthoray.spectral.georeference import Affine6
from orthoray.spectral.moves import Move, copy_all
from orthoray.spectral.raster import GDAL_OPTIONS, PathLike
from orthoray.spectral.statistics import Statistics

Values = npt.NDArray[np.float32]

PROVENANCE_TAG = "ORTHORAY_PROVENANCE"
_GDAL_METADATA, _GDAL_NODATA = 42112, 42113
_TILE_OFFSETS, _TILE_SIZES = 324, 325
# model transformation, pixel scale, tie points, and the keys of the CRS
_GEO_TAGS = (33550, 33922, 34264, 34735, 34736, 34737)
_MOST_OF_CLASSIC = 3_900_000_000  # bytes that surely leave offsets of 32 bits enough


class CogWriter:
    """An index raster in the making. Use it inside `stage`: add all blocks, then publish."""

    def __init__(
        self,
        folder: Path,
        destination: Path,
        grid: Grid,
        encoding: Encoding,
        stack: ExitStack,
        *,
        in_memory: bool,
    ) -> None:
        self._lock = threading.Lock()
        self._folder = folder
        self._destination = destination
        self._grid = grid
        self._encoding = encoding
        tiles = [grid.tiles(level) for level in range(grid.levels + 1)]
        self._offsets = [np.zeros((rows, columns), np.int64) for columns, rows in tiles]
        self._sizes = [np.zeros((rows, columns), np.int64) for columns, rows in tiles]
        # without names, so that a process that is killed leaves none of them behind
        spools = [tempfile.TemporaryFile(dir=folder) for _ in range(LEVELS + 3)]  # noqa: SIM115  # the stack closes them
        for spool in spools:
            stack.enter_context(spool)
        # on disk too, for they are what grows with the raster
        *self._spools, self._sums = spools
        self._keeps = in_memory
        self._kept: dict[tuple[int, int, int], bytes] = {}
        self._places: dict[tuple[int, int], tuple[int, tuple[int, int]]] = {}

    def add(self, block: Block) -> None:
        """Take in a block, from any thread; again is harmless, as long as it is the same."""
        with self._lock:
            self._add(block)

    def _add(self, block: Block) -> None:
        row, column = block.window.row_off, block.window.col_off
        for level, tiles in enumerate(block.tiles):
            across = -(-block.window.width // (self._grid.tile_width << level))
            first_row, first_column = (
                row // self._grid.tile >> level,
                column // self._grid.tile_width >> level,
            )
            for number, tile in enumerate(tiles):
                self._spool(level, (first_row + number // across, first_column + number % across), tile)
        self._places[row >> (LEVELS + 1), column >> (LEVELS + 1)] = self._sums.tell(), block.sums.shape
        self._sums.write(block.sums.tobytes())
        self._sums.write(block.counts.tobytes())

    def publish(
        self,
        *,
        description: str,
        provenance: Mapping[str, Any],
        statistics: Statistics,
        crs_wkt: str | None = None,
        transform: Affine6 | None = None,
    ) -> None:
        """Write the raster with its tags, and move it to its destination at once."""
        finished = self._folder / "cog.tif"
        small = self._small_overviews()
        metadata = _metadata(description, provenance, statistics, self._encoding)
        spooled = range(min(LEVELS + 1, self._grid.levels), -1, -1)
        for level, tiles in small.items():
            self._sizes[level] = np.array([len(tile) for tile in tiles], np.int64).reshape(
                self._sizes[level].shape
            )
        body = sum(int(sizes.sum()) for sizes in self._sizes)
        header = self._header(metadata, _geo_tags(crs_wkt, transform), is_big=body > _MOST_OF_CLASSIC)
        # from the smallest overview to the full size, and row by row whatever the order in which blocks came
        waiting = {level: self._offsets[level].copy() for level in spooled}
        position = len(header)
        for level in range(self._grid.levels, -1, -1):
            sizes = self._sizes[level].reshape(-1)
            self._offsets[level] = (position + np.cumsum(sizes) - sizes).reshape(self._sizes[level].shape)
            position += int(sizes.sum())
        with finished.open("wb") as target:
            target.write(self._patched(header))
            for level in sorted(small, reverse=True):
                target.writelines(small[level])
        for spool in self._spools:
            spool.flush()
        copy_all(list(self._moves(waiting)), finished)
        self._kept.clear()
        finished.replace(self._destination)

    def _moves(self, waiting: Mapping[int, npt.NDArray[np.int64]]) -> Iterator[Move]:
        """The tiles of levels, from where they wait to where they shall lie; `waiting` has their places in the spools."""
        for level, starts in waiting.items():
            for (row, column), start in np.ndenumerate(starts):
                place, size = int(self._offsets[level][row, column]), int(self._sizes[level][row, column])
                if self._keeps:
                    yield Move(self._kept.get((level, row, column), b""), 0, place, size)
                else:
                    yield Move(self._spools[level].fileno(), int(start), place, size)

    def _small_overviews(self) -> dict[int, list[bytes]]:
        """Spool the tiles of the first overview that blocks do not hold; those of the others by level."""
        first, found = LEVELS + 1, dict[int, list[bytes]]()
        if self._grid.levels < first:
            return found
        smaller: list[tuple[Values, npt.NDArray[Any]]] = []
        number = 0
        for sums, counts in self._strips():
            for tile in encoded_tiles(means(sums, counts), self._grid.tile_shape, self._encoding):
                self._spool(first, divmod(number, self._sizes[first].shape[1]), tile)
                number += 1
            smaller.append(halved(sums, counts.astype(np.uint32)))
        sums, counts = (np.concatenate(parts) for parts in zip(*smaller, strict=True))
        for level in range(first + 1, self._grid.levels + 1):
            found[level] = list(encoded_tiles(means(sums, counts), self._grid.tile_shape, self._encoding))
            sums, counts = halved(sums, counts)
        return found

    def _strips(self) -> Iterator[tuple[Values, npt.NDArray[np.uint8]]]:
        """What blocks left of the raster, in strips as high as a tile."""
        columns, rows = self._grid.size(LEVELS + 1)
        for start in range(0, rows, self._grid.tile):
            stop = min(start + self._grid.tile, rows)
            sums, counts = (
                np.zeros((stop - start, columns), np.float32),
                np.zeros((stop - start, columns), np.uint8),
            )
            for (top, left), (offset, (height, width)) in self._places.items():
                if not start <= top < stop:
                    continue
                place, size = np.s_[top - start : top - start + height, left : left + width], height * width
                self._sums.seek(offset)
                sums[place] = np.frombuffer(self._sums.read(4 * size), np.float32).reshape(height, width)
                counts[place] = np.frombuffer(self._sums.read(size), np.uint8).reshape(height, width)
            yield sums, counts

    def _spool(self, level: int, place: tuple[int, int], tile: Tile) -> None:
        self._sizes[level][place] = len(tile)
        if self._keeps:
            self._kept[level, *place] = bytes(tile)
            return
        self._offsets[level][place] = self._spools[level].tell()
        self._spools[level].write(tile)

    def _header(self, metadata: str, geo_tags: list[tuple[Any, ...]], *, is_big: bool) -> bytearray:
        """All directories, with the offsets and sizes of tiles still zero."""
        buffer = io.BytesIO()
        nodata = (_GDAL_NODATA, 2, 0, self._encoding.nodata, True)
        with tifffile.TiffWriter(buffer, bigtiff=is_big, byteorder="<", shaped=False) as writer:
            for level in range(self._grid.levels + 1):
                columns, rows = self._grid.size(level)
                tags = [*geo_tags, (_GDAL_METADATA, 2, 0, metadata, True)] if level == 0 else []
                writer.write(
                    itertools.repeat(b"", self._sizes[level].size),
                    shape=(rows, columns),
                    dtype=self._encoding.dtype,
                    tile=self._grid.tile_shape,
                    compression="zstd",
                    predictor=self._encoding.predictor,
                    photometric="minisblack",
                    subfiletype=1 if level else 0,
                    software=False,
                    metadata=None,
                    extratags=[*tags, nodata],
                )
        return bytearray(buffer.getvalue())

    def _patched(self, header: bytearray) -> bytearray:
        with tifffile.TiffFile(io.BytesIO(bytes(header))) as file:
            for level, page in enumerate(file.pages):
                sizes = self._sizes[level].reshape(-1)
                # an empty tile is sparse: readers take it for nodata
                offsets = np.where(sizes > 0, self._offsets[level].reshape(-1), 0)
                for tag, values in ((_TILE_OFFSETS, offsets), (_TILE_SIZES, sizes)):
                    entry = page.tags[tag]  # type: ignore[union-attr]  # every page has its directory read
                    kind = {3: "<u2", 4: "<u4", 16: "<u8"}[int(entry.dtype)]
                    raw = values.astype(kind).tobytes()
                    header[entry.valueoffset : entry.valueoffset + len(raw)] = raw
        return header


@contextmanager
def stage(
    destination: PathLike, grid: Grid, encoding: Encoding, *, in_memory: bool = False
) -> Iterator[CogWriter]:
    """Begin an index raster that will lie at `destination`.

    With `in_memory` the encoded tiles, at most some 5 bytes a pixel, wait there. All temporary files lie in a hidden
    folder beside the destination, which goes whatever happens; `destination` appears complete, on `publish`, or not at
    all.
    """
    target = Path(destination).absolute()
    target.parent.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix=".index-", dir=target.parent))
    try:
        with ExitStack() as stack:
            yield CogWriter(folder, target, grid, encoding, stack, in_memory=in_memory)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _geo_tags(crs_wkt: str | None, transform: Affine6 | None) -> list[tuple[Any, ...]]:
    """The tags that say where a raster lies, as GDAL writes them."""
    if crs_wkt is None or transform is None:
        return []
    with rasterio.Env(**GDAL_OPTIONS), MemoryFile() as memory:
        with memory.open(
            driver="GTiff",
            width=1,
            height=1,
            count=1,
            dtype="uint8",
            crs=CRS.from_wkt(crs_wkt),
            transform=Affine(*transform),
        ):
            pass
        memory.seek(0)
        with tifffile.TiffFile(io.BytesIO(memory.read())) as file:
            tags = file.pages.first.tags
            return [
                (tag.code, int(tag.dtype), tag.count, tag.value, True)
                for tag in (tags.get(code) for code in _GEO_TAGS)
                if tag is not None
            ]


def _metadata(
    description: str, provenance: Mapping[str, Any], statistics: Statistics, encoding: Encoding
) -> str:
    """GDAL's XML of a file's and a band's tags; GIS programs read STATISTICS for their colour scales."""
    items = [
        f"<Item name={quoteattr(PROVENANCE_TAG)}>{_text(json.dumps(provenance, allow_nan=False))}</Item>"
    ]
    found = {
        "STATISTICS_MINIMUM": statistics.minimum,
        "STATISTICS_MAXIMUM": statistics.maximum,
        "STATISTICS_MEAN": statistics.mean,
        "STATISTICS_STDDEV": statistics.std,
        "STATISTICS_VALID_PERCENT": 100 * statistics.valid_fraction,
    }
    step = encoding.step or 1.0  # GDAL's statistics are those of the stored pixels
    for name, number in found.items():
        if number is not None:
            stored = number if name.endswith("PERCENT") else number / step
            items.append(f'<Item name="{name}" sample="0">{stored!r}</Item>')
    items.append(f'<Item name="DESCRIPTION" sample="0" role="description">{_text(description)}</Item>')
    if encoding.step is not None:
        items.append(f'<Item name="SCALE" sample="0" role="scale">{encoding.step!r}</Item>')
        items.append('<Item name="OFFSET" sample="0" role="offset">0</Item>')
    return "<GDALMetadata>\n  " + "\n  ".join(items) + "\n</GDALMetadata>\n"


def _text(text: str) -> str:
    # twice, as GDAL writes and reads it; the tag is ASCII by its type: other letters as character references
    return escape(escape(text)).encode("ascii", "xmlcharrefreplace").decode()
