"""Small pictures of heatmaps, for lists and summaries: drawn from values where they are at hand, else from the file."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from orthoray.spectral.raster import inspect
from orthoray.spectral.thumbnail import thumbnail_png

SIDE = 320
# Colours of so many pixels each way become one.
_OVERSAMPLING = 4
# Pillow refuses images that are much larger than this.
_PILLOW_PIXELS = 80_000_000

Values = npt.NDArray[np.floating[Any]]


def small_of_values(values: Values, drawn: Callable[[Values], bytes]) -> bytes:
    """The PNG that `small_of_file` makes of the heatmap that `drawn` draws of an index map, float (rows, columns).

    Only the pixels that it shows are drawn, so `drawn` must give every value its colour whatever lies around it.
    """
    rows, columns = values.shape
    size = _picked(columns, rows)
    picked = values if size is None else values[np.ix_(_places(rows, size[1]), _places(columns, size[0]))]
    with Image.open(io.BytesIO(drawn(picked))) as picture:
        return _shrunk(picture, columns, rows)


def small_of_file(heatmap: Path) -> bytes:
    """A PNG of a heatmap, at most `SIDE` pixels wide and high.

    Nearly all of the time goes into decoding, so the pixels stay what they are in the file (palette indices, as a rule), and
    of them only some are picked, enough for smooth colours.
    """
    info = inspect(heatmap)
    if info.width * info.height > _PILLOW_PIXELS:
        return thumbnail_png(heatmap, max_side=SIDE)
    with Image.open(heatmap) as stored:
        columns, rows = stored.size
        size = _picked(columns, rows)
        return _shrunk(stored.resize(size, Image.Resampling.NEAREST) if size else stored, columns, rows)


def _picked(columns: int, rows: int) -> tuple[int, int] | None:
    """How many columns and rows are looked at; None where it is all of them."""
    scale = SIDE * _OVERSAMPLING / max(rows, columns)
    return _scaled(columns, rows, scale) if scale < 1 else None


def _places(size: int, count: int) -> npt.NDArray[np.intp]:
    """The pixels in the middle of `count` equal parts, as Pillow picks them."""
    return ((np.arange(count) + 0.5) * (size / count)).astype(np.intp)


def _shrunk(picture: Image.Image, columns: int, rows: int) -> bytes:
    """The PNG of what was picked of `columns` x `rows` pixels."""
    shown, scale = picture.convert("RGBA"), SIDE / max(rows, columns)
    if scale < 1:
        shown = shown.resize(_scaled(columns, rows, scale), Image.Resampling.BOX)
    out = io.BytesIO()
    shown.save(out, "PNG")
    return out.getvalue()


def _scaled(columns: int, rows: int, scale: float) -> tuple[int, int]:
    return max(1, round(columns * scale)), max(1, round(rows * scale))
