"""A float map to a heatmap: palette indices, and the palette PNG of them.

Palette index 0 is always the invalid pixel (transparent); indices 1..255 are the colours from low to high.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from orthoray.spectral.colormaps import DEFAULT, palette
from orthoray.spectral.loops import loops
from orthoray.spectral.png import drawn_palette_png
from orthoray.spectral.threads import run_in_strips

Map = NDArray[np.floating[Any]]

_COLOURS = 255
_MIDDLE = 128


def colorize(values: Map, vmin: float, vmax: float) -> NDArray[np.uint8]:
    """Palette indices of a map: uint8 (H, W), 0 where it is NaN, else 1 (at `vmin`) to 255 (at `vmax`).

    Args:
        values: float32 (H, W); NaN is invalid; what lies beyond a limit takes its colour.
        vmin: value of the lowest colour.
        vmax: value of the highest colour. Where it equals `vmin` that value takes the middle colour.

    Raises:
        ValueError: `values` is not two-dimensional, vmin > vmax, or a limit is not finite although a pixel is
            valid.
    """
    draw = _drawer(values, vmin, vmax)
    indices = np.empty(values.shape, dtype=np.uint8)
    run_in_strips(lambda rows: draw(rows, indices[rows]), *values.shape)
    return indices


def heatmap_png(values: Map, vmin: float, vmax: float, cmap: str = DEFAULT) -> bytes:
    """The heatmap of a float32 (H, W) map as a palette PNG; NaN is transparent.

    Raises as `colorize`, ValueError where the map has no pixel, and Impossible where there is no such colour map.
    """
    colours = palette(cmap)
    draw = _drawer(values, vmin, vmax)
    return drawn_palette_png(values.shape[0], values.shape[1], draw, colours, transparent=0)


def _drawer(values: Map, vmin: float, vmax: float) -> Callable[[slice, NDArray[np.uint8]], None]:
    """What writes the palette indices of rows of a map into an array of their shape. Raises as `colorize`."""
    if values.ndim != 2:
        raise ValueError(f"a map has two dimensions, not {values.ndim}")
    with np.errstate(over="ignore", invalid="ignore"):
        low, high = np.float32(vmin), np.float32(vmax)
        span = high - low
    if not np.isfinite(span):
        if np.isnan(values).all():
            return _draw_nothing
        raise ValueError("the limits of a heatmap must be finite")
    if span < 0:
        raise ValueError("vmin must not exceed vmax")

    def draw(rows: slice, out: NDArray[np.uint8]) -> None:
        part = np.ascontiguousarray(values[rows], np.float32)
        if span > 0:
            loops().shade(part, low, span, out)
            return
        # of limits that are one the lowest, the middle and the highest colour
        with np.errstate(invalid="ignore"):
            side = np.sign(part - low)
        loops().shade(side, np.float32(-1), np.float32(2), out)

    return draw


def _draw_nothing(_rows: slice, out: NDArray[np.uint8]) -> None:
    out.fill(0)
