"""The directories of a TIFF or BigTIFF file: only what tells where its pixels and its tags' values lie.

Read by hand, for libraries repair or skip what is broken, and here the broken files are the point.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np
import numpy.typing as npt

from orthoray.errors import TooLarge, TruncatedImage

Fields = dict[int, npt.NDArray[np.uint64]]
Span = tuple[int, int]

SUBFILE_TYPE = 254
OLD_SUBFILE_TYPE = 255
IMAGE_WIDTH = 256
IMAGE_LENGTH = 257
PHOTOMETRIC = 262
MAKE = 271
STRIP_OFFSETS = 273
SAMPLES_PER_PIXEL = 277
STRIP_BYTE_COUNTS = 279
TILE_WIDTH = 322
TILE_OFFSETS = 324
TILE_BYTE_COUNTS = 325
SUB_DIRECTORIES = 330
EXIF_DIRECTORY = 34665
GPS_DIRECTORY = 34853
DNG_VERSION = 50706
COLOR_FILTER_ARRAY = 32803

# where the blocks of pixels lie
BLOCK_TAGS = frozenset({STRIP_OFFSETS, STRIP_BYTE_COUNTS, TILE_OFFSETS, TILE_BYTE_COUNTS})
# what kind of image a directory describes
KIND_TAGS = frozenset(
    {SUBFILE_TYPE, OLD_SUBFILE_TYPE, IMAGE_WIDTH, IMAGE_LENGTH, PHOTOMETRIC, MAKE, SAMPLES_PER_PIXEL}
    | {TILE_WIDTH, SUB_DIRECTORIES, DNG_VERSION}
)

_POINTERS = frozenset({SUB_DIRECTORIES, EXIF_DIRECTORY, GPS_DIRECTORY})
# field types that hold unsigned integers or offsets
_UNSIGNED = {1: "u1", 3: "u2", 4: "u4", 13: "u4", 16: "u8", 18: "u8"}
# ASCII, kept byte by byte
_TEXT_TAGS = frozenset({MAKE})
_TEXT = {2: "u1"}
# bytes of one value of each field type of TIFF 6.0, its supplements and BigTIFF
_TYPE_BYTES = {
    1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8
}  # fmt: skip  # one line shows the table as the specification does
_MAX_DIRECTORIES = 2_000
# libtiff, too, takes a longer directory for garbage
_MAX_ENTRIES = 4096
# 4 gigapixels in tiles of 64 x 64 are a million
_MAX_VALUES = 4_000_000
_REDUCED, _MASK = 1, 4  # bits of NewSubfileType
_OLD_REDUCED = 2
_TRANSPARENCY_MASK = 4  # a photometric interpretation
_GHOST = re.compile(rb"GDAL_STRUCTURAL_METADATA_SIZE=(\d{6}) bytes\n")


@dataclass(frozen=True)
class _Layout:
    """How a file spells its numbers: byte order, and the struct codes of counts and offsets."""

    order: str
    entry_count: str
    offset: str

    @property
    def inline_bytes(self) -> int:
        """A value of up to this size stands in its entry."""
        return struct.calcsize(self.offset)

    @property
    def entry_bytes(self) -> int:
        return struct.calcsize(f"{self.order}HH{self.offset}{self.offset}")

    def unpack(self, codes: str, data: bytes) -> tuple[int, ...]:
        return struct.unpack(self.order + codes, data)

    def read(self, file: BinaryIO, codes: str) -> tuple[int, ...]:
        return self.unpack(codes, read_exactly(file, struct.calcsize(self.order + codes)))


@dataclass(frozen=True)
class Directory:
    """One directory: its wanted `fields`, tag -> values (uint64), whether it is a page of the main chain
    rather than a subdirectory (or EXIF, or GPS) of another, and the `spans` of the file, (start, stop), that it and the
    values of all of its tags take."""

    fields: Fields
    is_page: bool
    spans: tuple[Span, ...] = ()

    @property
    def pixels(self) -> int:
        """Columns times rows; 0 where the directory does not tell."""
        return self._first(IMAGE_WIDTH) * self._first(IMAGE_LENGTH)

    @property
    def bands(self) -> int:
        """Samples of a pixel; 0 where the directory does not tell."""
        return self._first(SAMPLES_PER_PIXEL)

    @property
    def is_auxiliary(self) -> bool:
        """Whether it calls itself an overview, a thumbnail or a mask of another."""
        return bool(
            self._first(SUBFILE_TYPE) & (_REDUCED | _MASK)
            or self._first(OLD_SUBFILE_TYPE) == _OLD_REDUCED
            or self._first(PHOTOMETRIC) == _TRANSPARENCY_MASK
        )

    @property
    def is_preview(self) -> bool:
        """Whether it calls itself a reduced image, with the image proper in a subdirectory."""
        return SUB_DIRECTORIES in self.fields and self._first(SUBFILE_TYPE) == _REDUCED

    @property
    def is_tiled(self) -> bool:
        """Whether its pixels lie in tiles rather than strips."""
        return self._first(TILE_WIDTH) > 0

    def text(self, tag: int) -> str:
        """The value of an ASCII tag; empty where there is none."""
        values = self.fields.get(tag)
        data = b"" if values is None else values.astype(np.uint8).tobytes()
        return data.split(b"\0", 1)[0].decode("ascii", errors="replace").strip()

    def _first(self, tag: int) -> int:
        values = self.fields.get(tag)
        return 0 if values is None or values.size == 0 else int(values[0])


def read_exactly(file: BinaryIO, length: int) -> bytes:
    """`length` bytes of `file`. Raises `TruncatedImage` where there are fewer."""
    data = file.read(length)
    if len(data) < length:
        raise TruncatedImage
    return data


def directories(
    file: BinaryIO, size: int, wanted: Collection[int] = BLOCK_TAGS | KIND_TAGS
) -> Iterator[Directory]:
    """Every directory of a TIFF file of `size` bytes, the main one first, subdirectories, EXIF and GPS included.

    Yields the fields of the `wanted` tags where they hold unsigned integers, or text. Raises `TruncatedImage` where a
    directory or the value of any of its tags, wanted or not, lies beyond the end of the file, or where the
    chain of directories bites its tail; `TooLarge` where a wanted tag has millions of values. Tags of unknown
    types tell no size and are passed over.
    """
    file.seek(0)
    layout = _read_layout(file)
    # offset, whether it is a page, whether it may link to further directories
    pending: list[tuple[int, bool, bool]] = [(layout.read(file, layout.offset)[0], True, True)]
    seen: set[int] = set()
    while pending:
        offset, is_page, is_linked = pending.pop()
        if offset in seen and not is_linked:
            continue  # pages may share their EXIF
        if offset in seen or len(seen) >= _MAX_DIRECTORIES:
            raise TruncatedImage
        seen.add(offset)
        fields, following, spans = _directory(file, layout, offset, size, {*wanted, *_POINTERS}, is_linked)
        pending += [(following, is_page, True)] if following else []
        pending += [(int(sub), False, True) for sub in fields.get(SUB_DIRECTORIES, ()) if sub]
        for tag in (EXIF_DIRECTORY, GPS_DIRECTORY):
            pending += [(int(sub), False, False) for sub in fields.get(tag, ()) if sub]
        yield Directory(fields, is_page, tuple(spans))


def count_images(pages: list[Directory]) -> int:
    """How many of `pages` are images in their own right: the first, and each other that is neither an overview,
    a mask nor a thumbnail and has at least as many pixels as the first."""
    main, *others = (page for page in pages if page.is_page)
    return 1 + sum(not page.is_auxiliary and page.pixels >= main.pixels for page in others)


def block_trailer(file: BinaryIO) -> int:
    """The bytes that belong to each strip or tile and lie behind it: 4 in a COG as GDAL writes it, else 0.

    GDAL declares them in a text between the header and the first directory
    (https://gdal.org/drivers/raster/cog.html#file-format-details).
    """
    file.seek(0)
    _read_layout(file)
    head = file.read(file.tell() + 43)
    found = _GHOST.search(head)
    if found is None:
        return 0
    file.seek(found.end() - len(head), 1)
    declared = file.read(int(found[1]))
    # a file that was changed later has blocks without trailers, and says so
    untouched = b"KNOWN_INCOMPATIBLE_EDITION=YES" not in declared
    return 4 if untouched and b"BLOCK_TRAILER=LAST_4_BYTES_REPEATED" in declared else 0


def _read_layout(file: BinaryIO) -> _Layout:
    """Leaves `file` at the offset of the first directory."""
    order = "<" if read_exactly(file, 2) == b"II" else ">"
    big = read_exactly(file, 2) in {b"+\0", b"\0+"}
    if big:
        read_exactly(file, 4)
    return _Layout(order, "Q", "Q") if big else _Layout(order, "H", "I")


def _directory(
    file: BinaryIO, layout: _Layout, offset: int, size: int, wanted: Collection[int], is_linked: bool
) -> tuple[Fields, int, list[Span]]:
    """The wanted fields of the directory at `offset`, the offset of the next directory or 0, and where it lies."""
    file.seek(min(offset, size))
    (entries,) = layout.read(file, layout.entry_count)
    if (entries == 0 and is_linked) or entries > _MAX_ENTRIES:
        raise TruncatedImage
    table = read_exactly(file, entries * layout.entry_bytes)
    # what follows EXIF is not a directory, and some cameras leave garbage there
    following = layout.read(file, layout.offset)[0] if is_linked else 0
    fields: Fields = {}
    spans = [(offset, file.tell())]
    for start in range(0, len(table), layout.entry_bytes):
        head, inline = (
            table[start : start + layout.entry_bytes - layout.inline_bytes],
            table[start + layout.entry_bytes - layout.inline_bytes : start + layout.entry_bytes],
        )
        tag, kind, count = layout.unpack("HH" + layout.offset, head)
        length = count * _TYPE_BYTES.get(kind, 0)
        is_inline = length <= layout.inline_bytes
        value_at = 0 if is_inline else layout.unpack(layout.offset, inline)[0]
        if not is_inline and value_at + length > size:
            raise TruncatedImage
        if not is_inline:
            spans.append((value_at, value_at + length))
        kinds = _TEXT if tag in _TEXT_TAGS else _UNSIGNED
        if tag not in wanted or kind not in kinds:
            continue
        if count > _MAX_VALUES:
            raise TooLarge(
                "The image is cut into millions of strips or tiles: save it with tiles of 512 x 512."
            )
        if not is_inline:
            file.seek(value_at)
            inline = read_exactly(file, length)
        dtype = np.dtype(layout.order + kinds[kind])
        fields[tag] = np.frombuffer(inline[:length], dtype).astype(np.uint64)
    return fields, following, spans
