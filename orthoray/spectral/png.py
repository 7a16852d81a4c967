"""PNG files, fast: rows deflated in pieces by ISA-L, each piece in a thread of its own.

A piece ends with a full flush, so the pieces joined are one valid zlib stream (RFC 1950, RFC 1951), and each
lies in an IDAT chunk of its own (PNG, third edition, 11.2.3). The file does not depend on the number of threads.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from itertools import chain

import numpy as np
from isal import isal_zlib
from numpy.typing import NDArray

from orthoray.spectral.scratch import own_scratch
from orthoray.spectral.threads import run_in_threads, strips

Pixels = NDArray[np.uint8]
Draw = Callable[[slice, Pixels], None]
"""Called with a slice of rows and an array (rows, width) or (rows, width, channels) to write them into: about 65
thousand pixels at a time (`strips`), every row once, from several threads."""

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_PIECE_BYTES = 1 << 18  # as much as a thread's scratch memory has
_LEVEL = 1
_ZLIB_HEADER = b"\x78\x01"
_ADLER_BASE = 65521

_PALETTE, _RGB, _RGBA = 3, 2, 6
_CHANNELS = {_PALETTE: 1, _RGB: 3, _RGBA: 4}
_FILTER_NONE, _FILTER_SUB = 0, 1


def palette_png_pieces(
    height: int, width: int, draw: Draw, colours: Pixels, transparent: int | None = None
) -> list[bytes]:
    """An 8-bit palette PNG, in pieces that joined are the file; `draw` makes its indices strip by strip, so that they
    never lie in memory.

    Args:
        height: rows, at least one.
        width: columns, at least one.
        draw: writes indices, uint8 (rows, width).
        colours: uint8 (256, 3) sRGB.
        transparent: the palette index that is fully transparent, or None where all are opaque.

    Raises:
        ValueError: `colours` has another shape or dtype, or there is no pixel.
    """
    if colours.shape != (256, 3) or colours.dtype != np.uint8:
        raise ValueError("colours are uint8 (256, 3)")
    chunks = _chunk(b"PLTE", colours.tobytes())
    if transparent is not None:
        # the alphas up to the index; those behind it are opaque without an entry
        chunks += _chunk(b"tRNS", b"\xff" * transparent + b"\0")
    return _png(height, width, _PALETTE, draw, chunks)


def rgb_png(pixels: Pixels) -> bytes:
    """An 8-bit RGB PNG of uint8 (H, W, 3) sRGB. Raises ValueError for another shape, dtype or no pixel."""
    if pixels.ndim != 3 or pixels.shape[2] != 3 or pixels.dtype != np.uint8:
        raise ValueError(f"pixels are uint8 (H, W, 3), not {pixels.dtype} {pixels.shape}")

    def draw(rows: slice, out: Pixels) -> None:
        out[...] = pixels[rows]

    height, width, channels = pixels.shape
    return drawn_png(height, width, channels, draw)


def drawn_png(height: int, width: int, channels: int, draw: Draw) -> bytes:
    """An 8-bit PNG of sRGB (3 channels), or of sRGB and straight alpha (4), whose pixels `draw` makes strip by strip.

    Raises:
        ValueError: there is no pixel, or another number of channels.
    """
    if channels not in {3, 4}:
        raise ValueError(f"a picture in true colour has 3 or 4 channels, not {channels}")
    return b"".join(_png(height, width, _RGB if channels == 3 else _RGBA, draw, []))


def drawn_palette_png(
    height: int, width: int, draw: Draw, colours: Pixels, transparent: int | None = None
) -> bytes:
    """The file of `palette_png_pieces`."""
    return b"".join(palette_png_pieces(height, width, draw, colours, transparent))


def _png(height: int, width: int, colour_type: int, draw: Draw, chunks: list[bytes]) -> list[bytes]:
    if height < 1 or width < 1:
        raise ValueError("a picture needs at least one pixel")
    header = struct.pack(">IIBBBBB", width, height, 8, colour_type, 0, 0, 0)
    data = _image_data(height, width, colour_type, draw)
    return [_SIGNATURE, *_chunk(b"IHDR", header), *chunks, *data, *_chunk(b"IEND", b"")]


def _image_data(height: int, width: int, colour_type: int, draw: Draw) -> list[bytes]:
    """The IDAT chunks, in pieces."""
    channels = _CHANNELS[colour_type]
    row_bytes = width * channels + 1
    step = max(1, _PIECE_BYTES // row_bytes)

    def piece(top: int) -> tuple[list[bytes], int, int]:
        rows = slice(top, min(top + step, height))
        scratch = own_scratch()
        raw = scratch.take((rows.stop - top, row_bytes), np.uint8)
        raw[:, 0] = _FILTER_NONE if channels == 1 else _FILTER_SUB
        for part in strips(len(raw), width):
            drawn = slice(top + part.start, top + part.stop)
            if channels == 1:
                draw(drawn, raw[part, 1:])
            else:
                _draw_differences(draw, drawn, raw[part, 1:], width, channels)
        deflater = isal_zlib.compressobj(_LEVEL, isal_zlib.DEFLATED, -15)
        last = rows.stop == height
        parts = [
            deflater.compress(raw),
            deflater.flush(isal_zlib.Z_FINISH if last else isal_zlib.Z_FULL_FLUSH),
        ]
        if top == 0:
            parts.insert(0, _ZLIB_HEADER)
        found = _chunk(b"IDAT", *parts), isal_zlib.adler32(raw), raw.size
        scratch.give(raw)
        return found

    pieces = run_in_threads(piece, range(0, height, step))
    checksum = 1
    for _, adler, size in pieces:
        checksum = combined_adler32(checksum, adler, size)
    return [
        *chain.from_iterable(chunk for chunk, _, _ in pieces),
        *_chunk(b"IDAT", struct.pack(">I", checksum)),
    ]


def _draw_differences(draw: Draw, rows: slice, out: Pixels, width: int, channels: int) -> None:
    """Each byte less that of the pixel to its left, modulo 256 (PNG's filter Sub): photos deflate far better."""
    pixels = np.empty((rows.stop - rows.start, width, channels), dtype=np.uint8)
    draw(rows, pixels)
    flat = pixels.reshape(pixels.shape[0], -1)
    out[:, :channels] = flat[:, :channels]
    np.subtract(flat[:, channels:], flat[:, :-channels], out=out[:, channels:])


def combined_adler32(first: int, second: int, second_size: int) -> int:
    """The Adler-32 of two byte strings joined, from that of each and the length of the second (as zlib does)."""
    low = (first & 0xFFFF) + (second & 0xFFFF) - 1
    high = (first >> 16) + (second >> 16) + second_size * ((first & 0xFFFF) - 1)
    return (high % _ADLER_BASE) << 16 | low % _ADLER_BASE


def _chunk(kind: bytes, *parts: bytes) -> list[bytes]:
    checksum = isal_zlib.crc32(kind)
    for part in parts:
        checksum = isal_zlib.crc32(part, checksum)
    return [struct.pack(">I", sum(map(len, parts))), kind, *parts, struct.pack(">I", checksum)]
