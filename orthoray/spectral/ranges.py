"""Which bytes of a TIFF are needed: to describe it, and to read a window of it. For files that lie far away."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import BinaryIO

import numpy as np
from rasterio.windows import Window

from orthoray.spectral import tiff
from orthoray.spectral.reduced import reduced_shape
from orthoray.spectral.tiff import Directory, Span

_ROWS_PER_STRIP, _PLANAR, _TILE_LENGTH = 278, 284, 323
_TAGS = tiff.BLOCK_TAGS | tiff.KIND_TAGS | {_ROWS_PER_STRIP, _PLANAR, _TILE_LENGTH}
_SEPARATE = 2
# The header, and the text that GDAL writes behind it.
_HEAD_BYTES = 4096
# What belongs to a block before and behind it in the files that GDAL writes for the cloud.
_FRAME_BYTES = 4
# Spans that lie nearer than this are one: a request costs more than the bytes between them.
_GAP_BYTES = 64 * 1024


def header_spans(file: BinaryIO, size: int) -> list[Span]:
    """The spans of all directories and of their tags' values, in their order, without those of pixels.

    Raises what `tiff.directories` raises.
    """
    spans = [(0, min(_HEAD_BYTES, size))]
    for directory in tiff.directories(file, size):
        spans += directory.spans
    return joined_spans(spans)


def window_spans(file: BinaryIO, size: int, window: Window, numbers: Collection[int] | None) -> list[Span]:
    """The spans of the blocks that hold a window of the main image and of its masks, in their order.

    `numbers` are the 1-based bands that will be read, or None for all; they matter where each band has its blocks.
    Raises what `tiff.directories` raises.
    """
    spans: list[Span] = []
    main: Directory | None = None
    for directory in tiff.directories(file, size, _TAGS):
        main = main or directory
        if directory.is_page and _size(directory) == _size(main):
            chosen = numbers if directory is main else None
            spans += _block_spans(directory, window, chosen)
    return _framed(spans, size)


def preview_spans(file: BinaryIO, size: int, max_side: int) -> list[Span]:
    """The spans of the blocks that are needed to see a TIFF at a size of at most `max_side` pixels on either side.

    Those are the blocks of its smallest overview that is large enough, else of the image itself, and of all smaller ones,
    with their masks. Raises what `tiff.directories` raises.
    """
    pages = [page for page in tiff.directories(file, size, _TAGS) if page.is_page]
    rows, columns = reduced_shape(*_size(pages[0]), max_side)
    # GDAL rounds the factors of overviews: what is large enough by a pixel only may not be for GDAL.
    fitting = [_pixels(page) for page in pages[1:] if _size(page)[0] > columns and _size(page)[1] > rows]
    largest = min(fitting, default=_pixels(pages[0]))
    spans: list[Span] = []
    for page in pages:
        if _pixels(page) <= largest:
            spans += _block_spans(page, Window(0, 0, *_size(page)), None)
    return _framed(spans, size)


def joined_spans(spans: Iterable[Span]) -> list[Span]:
    """The same in their order, with those that overlap or lie near each other as one."""
    found: list[Span] = []
    for start, stop in sorted(spans):
        if found and start <= found[-1][1] + _GAP_BYTES:
            found[-1] = found[-1][0], max(found[-1][1], stop)
        else:
            found.append((start, stop))
    return found


def _framed(spans: Iterable[Span], size: int) -> list[Span]:
    return joined_spans(
        (max(0, start - _FRAME_BYTES), min(stop + _FRAME_BYTES, size)) for start, stop in spans
    )


def _pixels(directory: Directory) -> int:
    width, height = _size(directory)
    return width * height


def _size(directory: Directory) -> tuple[int, int]:
    """(columns, rows)"""
    return _first(directory, tiff.IMAGE_WIDTH, 0), _first(directory, tiff.IMAGE_LENGTH, 0)


def _block_spans(directory: Directory, window: Window, numbers: Collection[int] | None) -> list[Span]:
    width, height = _size(directory)
    is_tiled = directory.is_tiled
    offsets = directory.fields.get(tiff.TILE_OFFSETS if is_tiled else tiff.STRIP_OFFSETS)
    sizes = directory.fields.get(tiff.TILE_BYTE_COUNTS if is_tiled else tiff.STRIP_BYTE_COUNTS)
    if offsets is None or sizes is None:
        return []
    block_width = _first(directory, tiff.TILE_WIDTH, width) if is_tiled else width
    block_height = min(_first(directory, _TILE_LENGTH if is_tiled else _ROWS_PER_STRIP, height), height)
    columns, rows = -(-width // block_width), -(-height // block_height)
    places = np.arange(offsets.size).reshape(-1, rows, columns)
    if numbers is not None and _first(directory, _PLANAR, 1) == _SEPARATE:
        places = places[[number - 1 for number in sorted(numbers)]]
    within = places[
        :,
        window.row_off // block_height : -(-(window.row_off + window.height) // block_height),
        window.col_off // block_width : -(-(window.col_off + window.width) // block_width),
    ].reshape(-1)
    starts, lengths = offsets[within].tolist(), sizes[within].tolist()
    return [
        (start, start + length) for start, length in zip(starts, lengths, strict=True) if start and length
    ]


def _first(directory: Directory, tag: int, default: int) -> int:
    values = directory.fields.get(tag)
    return default if values is None or values.size == 0 else int(values[0])
