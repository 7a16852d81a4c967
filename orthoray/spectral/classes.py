"""Classes of plant condition: counting their pixels, and the table that shows them.

A value on a cut belongs to the class below it: healthy is `v > cuts[0]`. Index values do sit exactly on cuts
(11 against 9 gives an NDVI of exactly 0.1), so every comparison must be made in the dtype of the map. Where
the cuts come from is in `thresholds`, what the table means in words is in `verdict`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from orthoray.spectral.breaks import Cuts
from orthoray.spectral.loops import loops
from orthoray.spectral.texts import TEXTS, check_language
from orthoray.spectral.thresholds import ThresholdSet


def class_counts(values: NDArray[Any], cuts: Cuts) -> tuple[int, int, int, int]:
    """Pixels of each class, in the order of CLASS_NAMES.

    Args:
        values: an index map of any shape and float dtype; NaN belongs to no class.
        cuts: three descending cuts; compared in the dtype of `values`.
    """
    if values.dtype == np.float32 and values.flags.c_contiguous:
        counts = np.zeros(len(cuts), np.int64)
        valid = loops().count_above(values.reshape(1, -1), np.array(cuts, np.float32), counts)
        return tuple(np.diff([0, *counts, valid]).tolist())
    above = [int(np.count_nonzero(values > cut)) for cut in cuts]
    below = int(np.count_nonzero(values <= cuts[2]))
    return above[0], above[1] - above[0], above[2] - above[1], below


def class_table(
    counts: Sequence[int], thresholds: ThresholdSet, language: str, pixel_area_m2: float | None = None
) -> list[dict[str, Any]]:
    """The table of classes, best first, as the HTTP contract shows it.

    Args:
        counts: valid pixels of each class, in the order of CLASS_NAMES.
        thresholds: the cuts that `counts` were made with.
        language: code of the labels.
        pixel_area_m2: area of one pixel; None where the image is not georeferenced.

    Returns:
        four rows `name label lower upper pixels percent area_m2`; `percent` is of valid pixels (all 0.0 when
        there are none), `lower` is exclusive, `upper` inclusive, either is None at the open ends.
    """
    labels = TEXTS[check_language(language)].labels
    total = sum(map(int, counts))
    return [
        {
            "name": name,
            "label": labels[name],
            "lower": lower,
            "upper": upper,
            "pixels": int(pixels),
            "percent": int(pixels) / total * 100.0 if total else 0.0,
            "area_m2": None if pixel_area_m2 is None else int(pixels) * pixel_area_m2,
        }
        for (name, (lower, upper)), pixels in zip(thresholds.bounds().items(), counts, strict=True)
    ]


def stats_by_label(table: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """Class label -> percent, in the order of the table."""
    return {row["label"]: row["percent"] for row in table}
