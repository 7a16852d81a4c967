"""JPEG 2000 files: what their headers declare and whether all of their parts are there.

Read by hand, for a decoder makes room for what a header declares before it looks whether there is anything, and
some paint what is missing. The references are ISO/IEC 15444-1: annex A (codestream), annex B (how tiles are cut
into code-blocks), annex I (boxes).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import BinaryIO

from orthoray.errors import Impossible, TooLarge, TruncatedImage
from orthoray.spectral.tiff import read_exactly

_SOC, _SOT, _SOD, _EOC = 0xFF4F, 0xFF90, 0xFF93, 0xFFD9
_SIZ, _COD, _COC = 0xFF51, 0xFF52, 0xFF53
# those that carry the image and its georeference, wherever they stand
_BOXES = frozenset({b"jp2h", b"colr", b"jp2c", b"uuid", b"uinf", b"xml ", b"asoc", b"jp2i"})
_MAX_BOXES = _MAX_SEGMENTS = 10_000
_MAX_PARTS = 500_000
# of all tile-parts together
_MAX_PART_SEGMENTS = 1_000_000

# Decoders allocate this for each tile, and for each component of each tile, when they read the header.
_TILE_BYTES, _TILE_COMPONENT_BYTES = 5_700, 1_100
_MAX_HEADER_BYTES = 256 * 1024 * 1024
# They hold the tile at hand compressed, and a record of each of its code-blocks.
_MAX_TILE_BYTES = 256 * 1024 * 1024
_MAX_CODE_BLOCKS = 2_000_000
# An undivided Sentinel-2 granule has 121 megapixels. Each window goes through the packets of the whole tile.
_MAX_TILE_PIXELS = 128_000_000
_MAX_LAYERS = 1_000

_CMYK, _LAB = 12, 14
_LUMINANCE_CHROMINANCE = frozenset({1, 3, 4, 18, 22, 23, 24})  # YCbCr(1..3), sYCC, PhotoYCC, YPbPr, e-sYCC


@dataclass(frozen=True)
class Header:
    """What a file declares: the image's size, the size of a tile, how many components (bands) it has, and the
    number of its colour space (annex I.5.3.3; None where it has a profile or says nothing)."""

    width: int
    height: int
    tile_width: int
    tile_height: int
    components: int
    tiles: int
    colour_space: int | None


@dataclass
class _Walk:
    """What the walk through a codestream has found."""

    header: Header
    tile_bytes: dict[int, int] = field(default_factory=dict)
    parts: dict[int, int] = field(default_factory=dict)
    segments: int = 0
    declared_parts: dict[int, int] = field(default_factory=dict)


def read_header(file: BinaryIO, size: int) -> Header:
    """The header of a JP2 file or a bare codestream of `size` bytes.

    Raises:
        TruncatedImage: the header is cut or damaged.
        Impossible: several images in one file, colours that are not red, green and blue, bands of different sizes.
        TooLarge: tiles of a size or number that no decoder should be asked to make room for.
    """
    return _walk(file, size, headers_only=True).header


def check_parts(file: BinaryIO, size: int) -> None:
    """Raise `TruncatedImage` unless every part of every tile is there, up to the mark of the end; further what
    `read_header` raises."""
    found = _walk(file, size, headers_only=False)
    if len(found.parts) < found.header.tiles:
        raise TruncatedImage
    for tile, count in found.declared_parts.items():
        if found.parts[tile] < count:
            raise TruncatedImage


def _walk(file: BinaryIO, size: int, *, headers_only: bool) -> _Walk:
    start, end, colour_space = _codestream(file, size)
    file.seek(start)
    (mark,) = _unpack(file, ">H")
    if mark != _SOC:
        raise TruncatedImage
    header: Header | None = None
    for kind, data in _segments(file, end):
        if kind == _SIZ:
            header = _image_and_tiles(data, colour_space)
            _refuse_costly_tiles(header)
        elif header is None:
            raise TruncatedImage  # the size comes first
        elif kind in {_COD, _COC}:
            _refuse_costly_coding(header, kind, data)
        elif kind == _SOT:
            break
    if header is None:
        raise TruncatedImage
    found = _Walk(header)
    _walk_parts(file, file.tell() - 12, end, found, headers_only=headers_only)
    return found


def _codestream(file: BinaryIO, size: int) -> tuple[int, int, int | None]:
    """Where the codestream begins and ends, and the enumerated colour space."""
    file.seek(0)
    if read_exactly(file, 4) == struct.pack(">HH", _SOC, _SIZ):
        return 0, size, None
    colour_space = None
    places: list[tuple[int, int]] = []
    for kind, start, end in _boxes(file, 0, size):
        if kind == b"jp2h":
            spaces = [_enumerated(file, at) for inner, at, _ in _boxes(file, start, end) if inner == b"colr"]
            colour_space = next((space for space in spaces if space is not None), None)
        elif kind == b"jp2c":
            places.append((start, end))
    if not places:
        raise TruncatedImage
    if len(places) > 1:
        raise Impossible(
            f"The file has {len(places)} images: save each as a file of its own.", images=len(places)
        )
    return *places[0], colour_space


def _boxes(file: BinaryIO, start: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    """(type, start, end) of the contents of the boxes between `start` and `end`; junk behind them ends the walk."""
    for _ in range(_MAX_BOXES):
        if end - start < 8:
            return
        file.seek(start)
        length, kind = struct.unpack(">I4s", read_exactly(file, 8))
        content = start + 8
        if length == 1:
            (length,) = _unpack(file, ">Q")
            content += 8
        following = end if length == 0 else start + length
        if not content <= following <= end:
            if kind in _BOXES:
                raise TruncatedImage
            return
        yield kind, content, following
        start = following
    raise TruncatedImage


def _enumerated(file: BinaryIO, start: int) -> int | None:
    file.seek(start)
    method, _, _, space = struct.unpack(">BBBI", read_exactly(file, 7))
    return space if method == 1 else None


def _segments(file: BinaryIO, end: int) -> Iterator[tuple[int, bytes]]:
    """The marker segments of a header, (marker, data), up to and without SOD."""
    for _ in range(_MAX_SEGMENTS):
        (kind,) = _unpack(file, ">H")
        if kind == _SOD:
            return
        (length,) = _unpack(file, ">H")
        if kind < 0xFF00 or length < 2 or file.tell() + length - 2 > end:
            raise TruncatedImage
        yield kind, read_exactly(file, length - 2)
    raise TruncatedImage


def _image_and_tiles(data: bytes, colour_space: int | None) -> Header:
    """SIZ, annex A.5.1."""
    if len(data) < 36:
        raise TruncatedImage
    _, right, bottom, left, top, tile_width, tile_height, tiles_left, tiles_top, components = struct.unpack(
        ">H8IH", data[:36]
    )
    steps = data[36:]
    if (
        not (left < right and top < bottom and tile_width and tile_height and components)
        or tiles_left > left
        or tiles_top > top
        or len(steps) < 3 * components
    ):
        raise TruncatedImage
    columns = -(-(right - tiles_left) // tile_width)
    rows = -(-(bottom - tiles_top) // tile_height)
    if colour_space == _CMYK:
        raise Impossible("The image is in CMYK, the colours of printing: save it as RGB.")
    subsampled = set(steps[1 : 3 * components : 3]) | set(steps[2 : 3 * components : 3]) != {1}
    if colour_space == _LAB or colour_space in _LUMINANCE_CHROMINANCE or subsampled:
        raise Impossible(
            "The colours are not stored as red, green and blue of one size: save the image as RGB."
        )
    return Header(
        width=right - left,
        height=bottom - top,
        tile_width=min(tile_width, right - left),
        tile_height=min(tile_height, bottom - top),
        components=components,
        tiles=columns * rows,
        colour_space=colour_space,
    )


def _refuse_costly_tiles(header: Header) -> None:
    if header.tiles * (_TILE_BYTES + header.components * _TILE_COMPONENT_BYTES) > _MAX_HEADER_BYTES:
        raise _many_tiles()
    if header.tile_width * header.tile_height > _MAX_TILE_PIXELS:
        raise _huge_tile()


def _many_tiles() -> TooLarge:
    return TooLarge("The image is cut into too many tiles: save it with tiles of 1024 x 1024.")


def _huge_tile() -> TooLarge:
    return TooLarge("The image is stored as one huge tile: save it with tiles of 1024 x 1024.")


def _refuse_costly_coding(header: Header, kind: int, data: bytes) -> None:
    """Refuse COD and COC (annexes A.6.1, A.6.2) that cut a tile into too many pieces."""
    if kind == _COD:
        layers = int.from_bytes(data[2:4], "big")
        coding = data[:1] + data[5:]
    else:
        layers = 1
        coding = data[1 if header.components < 257 else 2 :]
    if len(coding) < 6:
        raise TruncatedImage
    style, levels, block_width, block_height = coding[:4]
    precincts = coding[6 : 7 + levels] if style & 1 else b"\xff" * (levels + 1)
    if levels > 32 or len(precincts) <= levels:
        raise TruncatedImage
    pieces = header.components * sum(
        _pieces(
            -(-header.tile_width >> (levels - level)),
            -(-header.tile_height >> (levels - level)),
            (block_width & 15) + 2,
            (block_height & 15) + 2,
            precincts[level],
            is_lowest=level == 0,
        )
        for level in range(levels + 1)
    )
    if pieces > _MAX_CODE_BLOCKS or layers > _MAX_LAYERS:
        raise TooLarge("The image is cut into too many small blocks: save it with code-blocks of 64 x 64.")


def _pieces(
    width: int, height: int, block_width: int, block_height: int, precinct: int, *, is_lowest: bool
) -> int:
    """At most so many code-blocks and precincts does a resolution have (annexes B.6, B.7); block sizes as powers of 2."""
    across, down = precinct & 15, precinct >> 4
    bands, halving = (1, 0) if is_lowest else (3, 1)
    columns = (width >> halving >> min(block_width, max(0, across - halving))) + 2
    rows = (height >> halving >> min(block_height, max(0, down - halving))) + 2
    return bands * (columns * rows + ((width >> across) + 2) * ((height >> down) + 2))


def _walk_parts(file: BinaryIO, at: int, end: int, found: _Walk, *, headers_only: bool) -> None:
    """Follow the tile-parts (annex A.4.2) from `at`, where the first begins, to the mark of the end."""
    for _ in range(_MAX_PARTS):
        file.seek(at)
        (mark,) = _unpack(file, ">H") if at + 2 <= end else (0,)
        if mark == _EOC:
            return
        if mark != _SOT or at + 12 > end:
            if headers_only:
                return
            raise TruncatedImage
        _, tile, length, _, count = _unpack(file, ">HHIBB")
        following = end - 2 if length == 0 else at + length
        if tile >= found.header.tiles or (length and length < 14):
            raise TruncatedImage
        for kind, data in _segments(file, end):
            if kind in {_COD, _COC}:
                _refuse_costly_coding(found.header, kind, data)
            found.segments += 1
            if found.segments > _MAX_PART_SEGMENTS:
                raise _many_tiles()
        found.parts[tile] = found.parts.get(tile, 0) + 1
        if count:
            found.declared_parts[tile] = count
        found.tile_bytes[tile] = found.tile_bytes.get(tile, 0) + following - at
        if found.tile_bytes[tile] > _MAX_TILE_BYTES:
            raise _huge_tile()
        at = following
    raise _many_tiles()


def _unpack(file: BinaryIO, codes: str) -> tuple[int, ...]:
    return struct.unpack(codes, read_exactly(file, struct.calcsize(codes)))
