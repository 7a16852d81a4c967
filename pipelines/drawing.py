"""The picture of a result: its heatmap, alone or over the photo, and the legend that explains it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from orthoray.contracts import Language
from orthoray.spectral.bands import BandMap
from orthoray.spectral.blend import blend_png
from orthoray.spectral.colormaps import DEFAULT, palette
from orthoray.spectral.heatmap import colorize, heatmap_png
from orthoray.spectral.legend import legend_dict
from orthoray.spectral.statistics import Statistics
from orthoray.spectral.stretch import CLASSES, limits_for
from orthoray.spectral.thresholds import ThresholdSet
from orthoray.spectral.thumbnail import preview
from pipelines.planning import Plan
from pipelines.small import small_of_file, small_of_values


def draw(
    picture: npt.NDArray[np.float32],
    plan: Plan,
    found: Statistics,
    thresholds: ThresholdSet,
    *,
    photos: Sequence[Path],
    masks: Sequence[Path | None],
    band_map: BandMap,
    language: Language,
    target: Path,
    small: Path | None = None,
) -> dict[str, Any]:
    """Write the heatmap of `picture`, float32 (rows, columns) with NaN where there is no value, and return its legend; a small
    copy of it goes to `small`.

    `photos` are the image's files, over which a blended heatmap is laid, and `masks` the mask file of each or None.
    Their size does not matter: a blend takes at most 14 bytes for each pixel of `picture` (photo, colours, mask, and
    the PNG twice), and while the photo is read at most 350 MB for bands, a window and GDAL's cache. A process that
    blends 30 megapixels of three uint16 bands stays below 450 MB.
    """
    low, high = limits_for(
        plan.stretch or CLASSES,
        cuts=thresholds.cuts,
        value_range=plan.index.value_range if plan.index else None,
        minimum=found.minimum,
        maximum=found.maximum,
        p2=found.p2,
        p98=found.p98,
    )
    cmap = plan.cmap or DEFAULT
    if plan.blend is None:
        target.write_bytes(heatmap_png(picture, low, high, cmap))
        if small is not None:
            small.write_bytes(small_of_values(picture, lambda part: heatmap_png(part, low, high, cmap)))
    else:
        rows, columns = picture.shape
        photo = _photo(photos, masks, band_map, rows, columns)
        shown = blend_png(
            photo[..., :3],
            colorize(picture, low, high),
            palette(cmap),
            plan.blend,
            outside=photo[..., 3] == 0,
        )
        target.write_bytes(shown)
        if small is not None:
            small.write_bytes(small_of_file(target))
    return legend_dict(low, high, cmap, title=plan.index_name, classes=thresholds, language=language)


def _photo(
    photos: Sequence[Path], masks: Sequence[Path | None], band_map: BandMap, rows: int, columns: int
) -> npt.NDArray[np.uint8]:
    """The image at the size of its picture: uint8 (rows, columns, 4), RGBA."""
    photo = preview(photos, band_map, max(rows, columns), masks=masks, oversampling=1)
    if photo.shape[:2] == (rows, columns):
        return photo
    # halving rounds another way than fitting a side: a row or a column at most
    return np.asarray(cv2.resize(photo, (columns, rows), interpolation=cv2.INTER_NEAREST), dtype=np.uint8)
