"""The directories of a TIFF or BigTIFF file: only what tells where its pixels lie.

Read by hand, for libraries repair or skip what is broken, and here the broken files are the point.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np
import numpy.typing as npt

from orthoray.errors import TruncatedImage

Fields = dict[int, npt.NDArray[np.uint64]]

SUBFILE_TYPE = 254
PHOTOMETRIC = 262
STRIP_OFFSETS = 273
STRIP_BYTE_COUNTS = 279
TILE_OFFSETS = 324
TILE_BYTE_COUNTS = 325
SUB_DIRECTORIES = 330
DNG_VERSION = 50706
COLOR_FILTER_ARRAY = 32803

_TAGS = {
    SUBFILE_TYPE,
    PHOTOMETRIC,
    STRIP_OFFSETS,
    STRIP_BYTE_COUNTS,
    TILE_OFFSETS,
    TILE_BYTE_COUNTS,
    SUB_DIRECTORIES,
    DNG_VERSION,
}
# field types that hold unsigned integers or offsets
_UNSIGNED = {1: "u1", 3: "u2", 4: "u4", 13: "u4", 16: "u8", 18: "u8"}
_MAX_DIRECTORIES = 10_000


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


def read_exactly(file: BinaryIO, length: int) -> bytes:
    """`length` bytes of `file`. Raises `TruncatedImage` where there are fewer."""
    data = file.read(length)
    if len(data) < length:
        raise TruncatedImage
    return data


def directories(file: BinaryIO, size: int) -> Iterator[Fields]:
    """Every directory of a TIFF file of `size` bytes, the main one first, subdirectories included.

    Yields tag -> values (uint64) for the tags named above. Raises `TruncatedImage` where a directory or the
    list of its blocks lies beyond the end of the file, or where the chain of directories bites its tail.
    """
    file.seek(0)
    order = "<" if read_exactly(file, 2) == b"II" else ">"
    big = read_exactly(file, 2) in {b"+\0", b"\0+"}
    layout = _Layout(order, "Q", "Q") if big else _Layout(order, "H", "I")
    file.seek(8 if big else 4)
    pending = list(layout.read(file, layout.offset))
    seen: set[int] = set()
    while pending:
        offset = pending.pop()
        if offset in seen or len(seen) >= _MAX_DIRECTORIES:
            raise TruncatedImage
        seen.add(offset)
        fields, following = _directory(file, layout, offset, size)
        pending += [following] if following else []
        pending += [int(sub) for sub in fields.get(SUB_DIRECTORIES, ()) if sub]
        yield fields


def _directory(file: BinaryIO, layout: _Layout, offset: int, size: int) -> tuple[Fields, int]:
    """The fields of the directory at `offset`, and the offset of the next directory or 0."""
    file.seek(min(offset, size))
    (entries,) = layout.read(file, layout.entry_count)
    if entries == 0 or entries * layout.entry_bytes > size:
        raise TruncatedImage
    table = read_exactly(file, entries * layout.entry_bytes)
    (following,) = layout.read(file, layout.offset)
    fields: Fields = {}
    for start in range(0, len(table), layout.entry_bytes):
        head, inline = (
            table[start : start + layout.entry_bytes - layout.inline_bytes],
            table[start + layout.entry_bytes - layout.inline_bytes : start + layout.entry_bytes],
        )
        tag, kind, count = layout.unpack("HH" + layout.offset, head)
        if tag not in _TAGS or kind not in _UNSIGNED:
            continue
        dtype = np.dtype(layout.order + _UNSIGNED[kind])
        length = count * dtype.itemsize
        if length > size:
            raise TruncatedImage
        if length > layout.inline_bytes:
            file.seek(min(layout.unpack(layout.offset, inline)[0], size))
            inline = read_exactly(file, length)
        fields[tag] = np.frombuffer(inline[:length], dtype).astype(np.uint64)
    return fields, following
