"""The RGB indices, the heatmap and the classes of the legacy contract, number for number."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from orthoray.spectral.classes import class_counts
from orthoray.spectral.indices import Index, get_index
from orthoray.spectral.loops import loops
from orthoray.spectral.png import palette_png_pieces
from orthoray.spectral.texts import LEGACY_CONCLUSIONS, TEXTS
from orthoray.spectral.threads import run_in_strips
from orthoray.spectral.thresholds import CLASS_NAMES, LEGACY_CUTS, LEGACY_INDICES


class LegacyIndices(Mapping[str, NDArray[np.float32]]):
    """The six indices of an RGB image: each float32 (H, W), computed on first access and kept.

    Channel values go into the formulas as they are (0..255), in float32. The image is not copied: do not
    change it before the indices that you need are there.
    """

    def __init__(self, image: NDArray[Any]) -> None:
        """`image`: (H, W, 3) in RGB order, usually uint8.

        Raises:
            ValueError: it has another shape.
        """
        if image.ndim != 3 or image.shape[2] != 3:
            raise ValueError(f"an RGB image has the shape (H, W, 3), not {image.shape}")
        self._image = image
        self._maps: dict[str, NDArray[np.float32]] = {}

    def __getitem__(self, name: str) -> NDArray[np.float32]:
        """Compute or recall one index. Raises KeyError for another name."""
        if name not in LEGACY_INDICES:
            raise KeyError(name)
        if name not in self._maps:
            self._maps[name] = self._compute(get_index(name))
        return self._maps[name]

    def __contains__(self, name: object) -> bool:
        """Answer without computing anything."""
        return name in LEGACY_INDICES

    def __iter__(self) -> Iterator[str]:
        """The names, in the order of the contract."""
        return iter(LEGACY_INDICES)

    def __len__(self) -> int:
        """Six."""
        return len(LEGACY_INDICES)

    def _compute(self, index: Index) -> NDArray[np.float32]:
        height, width = self._image.shape[:2]
        result = np.empty((height, width), dtype=np.float32)
        if self._image.dtype == np.uint8 and self._image.size and len(index.bands) == 2:
            draw = _table_drawer(index, self._image)
        else:
            draw = _formula_drawer(index, self._image)
        # by strips, so that a 20-megapixel photo costs its result and no whole-image temporaries
        run_in_strips(lambda rows: draw(rows, result[rows]), height, width)
        return result


Draw = Callable[[slice, NDArray[np.float32]], None]


def _formula_drawer(index: Index, image: NDArray[Any]) -> Draw:
    """What writes the index of rows of an RGB image into an array of their shape."""

    def draw(rows: slice, out: NDArray[np.float32]) -> None:
        part = image[rows]
        out[...] = index.compute({band: part[..., at] for at, band in enumerate("RGB")})

    return draw


def _table_drawer(index: Index, image: NDArray[np.uint8]) -> Draw:
    """The same for an index of two bands: two bytes have 65536 pairs, so the formula's values fit in a table."""
    first, second = index.bands
    levels = np.arange(256, dtype=np.uint8)
    rows, columns = np.meshgrid(levels, levels, indexing="ij")
    table = index.compute({first: columns, second: rows})
    low, high = "RGB".index(first), "RGB".index(second)

    def draw(rows: slice, out: NDArray[np.float32]) -> None:
        part = image[rows]
        loops().look_up(part[..., low], part[..., high], table, out)

    return draw


def _finite_range(values: NDArray[Any]) -> tuple[Any, Any]:
    """The least and the greatest finite value, as scalars of the map's dtype."""

    def ends(rows: slice) -> tuple[Any, Any] | None:
        part = values[rows]
        low, high = part.min(), part.max()
        if np.isfinite(low) and np.isfinite(high):
            return low, high
        finite = part[np.isfinite(part)]
        return (finite.min(), finite.max()) if finite.size else None

    found = run_in_strips(ends, *values.shape)
    known = [each for each in found if each is not None]
    if not known:
        raise ValueError("the index map has no valid value: there is nothing to draw")
    lows, highs = zip(*known, strict=True)
    return min(lows), max(highs)


def legacy_heatmap_png(index_map: ArrayLike, limits: tuple[Any, Any] | None = None) -> bytes:
    """The legacy heatmap of a map (H, W): an opaque palette PNG of the map's size, LOW is red, HIGH is blue.

    `(v - min) / (max - min + 1e-6) * 255`, truncated to uint8, coloured by OpenCV's JET with red and blue
    swapped. Values that are not finite count neither for min nor for max and are drawn as the minimum. `limits` are min and
    max where the map is only a part, scalars of its dtype.

    Raises:
        ValueError: the map is empty, not two-dimensional, or has no finite value.
    """
    return b"".join(_heatmap_pieces(index_map, limits))


def _heatmap_pieces(index_map: ArrayLike, limits: tuple[Any, Any] | None = None) -> list[bytes]:
    values = np.asarray(index_map)
    if values.ndim != 2 or values.size == 0:
        raise ValueError("a heatmap needs an index map of two dimensions with at least one pixel")
    if values.dtype not in (np.float32, np.float64):
        values = values.astype(np.float64)
    with np.errstate(over="ignore", invalid="ignore"):
        low, high = _finite_range(values) if limits is None else limits
        divisor = high - low + 1e-6

    def draw(rows: slice, out: NDArray[np.uint8]) -> None:
        if values.dtype == np.float32:
            loops().shade_plainly(np.ascontiguousarray(values[rows]), low, np.float32(divisor), out)
            return
        with np.errstate(over="ignore", invalid="ignore"):
            scaled = (values[rows] - low) / divisor * 255
            out[...] = np.where(np.isfinite(scaled), scaled, 0)

    jet = cv2.applyColorMap(np.arange(256, dtype=np.uint8)[:, None], cv2.COLORMAP_JET)
    # OpenCV's BGR rows taken as RGB: that is the swap of red and blue
    return palette_png_pieces(values.shape[0], values.shape[1], draw, jet[:, 0].astype(np.uint8))


def write_legacy_heatmap(index_map: ArrayLike, path: str | os.PathLike[str]) -> None:
    """Write `legacy_heatmap_png` to `path`, whatever its suffix. Raises ValueError as that, or OSError."""
    pieces = _heatmap_pieces(index_map)
    with Path(path).open("wb") as file:
        file.writelines(pieces)


def classify_legacy(index_map: ArrayLike) -> tuple[dict[str, float], str]:
    """The legacy classes of a map of any shape: Russian label -> percent of ALL pixels, and a sentence.

    NaN is in no class but counts in the size. The sentence is that of the largest class, the first of equals.
    An empty map gives no classes and the sentence for that; one of NaN alone gives zeros and that sentence.
    """
    values = np.asarray(index_map)
    if values.size == 0:
        return {}, TEXTS["ru"].empty
    flat = values.reshape(-1, 1)
    in_strips = run_in_strips(lambda rows: class_counts(flat[rows], LEGACY_CUTS), *flat.shape)
    counts = [sum(column) for column in zip(*in_strips, strict=True)]
    labels = TEXTS["ru"].labels
    stats = {
        labels[name]: count / values.size * 100.0 for name, count in zip(CLASS_NAMES, counts, strict=True)
    }
    if not any(counts):
        return stats, TEXTS["ru"].empty
    return stats, LEGACY_CONCLUSIONS[CLASS_NAMES[counts.index(max(counts))]]
