"""Colours laid over a photo: the whole heatmap, or the places where an index is low."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from orthoray.errors import Impossible
from orthoray.spectral.png import drawn_png
from orthoray.spectral.threads import run_in_strips

Photo = NDArray[np.uint8]


def check_opacity(opacity: float) -> float:
    """The opacity as it is. Raises `Impossible` where it is not within 0..1."""
    if not 0.0 <= opacity <= 1.0:
        raise Impossible("The opacity of the heatmap over the photo must be from 0 (photo alone) to 1.")
    return float(opacity)


def blend_png(
    photo: Photo,
    indices: NDArray[np.uint8],
    colours: NDArray[np.uint8],
    opacity: float,
    *,
    outside: NDArray[np.bool_] | None = None,
) -> bytes:
    """The heatmap over the photo as a PNG of its size: RGB, or RGBA where `outside` is given.

    Where the index is invalid (palette index 0) the photo shows as it is.

    Args:
        photo: uint8 (H, W, 3), RGB.
        indices: uint8 (H, W), palette indices from `colorize`.
        colours: uint8 (256, 3) sRGB, from `palette`.
        opacity: weight of the heatmap, 0..1.
        outside: bool (H, W), True where the image has no data: transparent there.

    Raises:
        Impossible: the opacity is not within 0..1.
        ValueError: the arrays do not have the shapes above, or no pixel.
    """
    check_opacity(opacity)
    size = indices.shape
    agree = indices.ndim == 2 and photo.shape == (*size, 3) and (outside is None or outside.shape == size)
    if not agree or colours.shape != (256, 3):
        raise ValueError(
            "photo (H, W, 3), indices (H, W) and outside (H, W) must agree, and colours be (256, 3)"
        )
    table = np.ascontiguousarray(colours)[:, None]

    def draw(rows: slice, out: Photo) -> None:
        shown, numbers = np.ascontiguousarray(photo[rows]), np.ascontiguousarray(indices[rows])
        over = _over(shown, cv2.applyColorMap(numbers, table), opacity)
        np.copyto(over, shown, where=(numbers == 0)[..., None])
        out[..., :3] = over
        if outside is not None:
            out[..., 3] = 255
            # no colour either: some programs show it in spite of alpha, and it deflates to nothing
            out[outside[rows]] = 0

    return drawn_png(size[0], size[1], 3 if outside is None else 4, draw)


def overlay_below(
    photo: Photo,
    index_map: NDArray[np.floating[Any]],
    threshold: float,
    colour: tuple[int, int, int],
    opacity: float,
) -> Photo:
    """The photo with `colour` blended over the pixels whose index is below `threshold`: uint8 (H, W, 3), RGB.

    Args:
        photo: uint8 (H, W, 3), RGB; not changed.
        index_map: (H, W); compared in its own dtype, and NaN is not below.
        threshold: in units of the index.
        colour: red, green, blue, 0..255 each.
        opacity: weight of the colour, 0..1.

    Raises:
        Impossible: the opacity is not within 0..1.
        ValueError: the arrays do not have the shapes above.
    """
    check_opacity(opacity)
    if photo.shape != (*index_map.shape, 3):
        raise ValueError("the photo (H, W, 3) and the index map (H, W) must agree")
    result = photo.copy()

    def blend(rows: slice) -> None:
        part = result[rows]
        over = _over(part, np.full_like(part, colour), opacity)
        np.copyto(part, over, where=(index_map[rows] < threshold)[..., None])

    run_in_strips(blend, *index_map.shape)
    return result


def _over(photo: Photo, colours: NDArray[Any], opacity: float) -> Photo:
    """The weighted sum, rounded to the nearest integer and halves to the even one, as OpenCV does."""
    return np.asarray(cv2.addWeighted(colours, opacity, photo, 1.0 - opacity, 0.0), dtype=np.uint8)
