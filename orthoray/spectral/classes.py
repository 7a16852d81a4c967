"""Classes of plant condition: thresholds, the table of classes, and the verdict in words.

A value on a cut belongs to the class below it: healthy is `v > cuts[0]`. Index values do sit exactly on cuts
(11 against 9 gives an NDVI of exactly 0.1), so every comparison must be made in the dtype of the map.
"""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from orthoray.errors import Impossible
from orthoray.spectral.indices import CATALOGUE
from orthoray.spectral.texts import LEGACY_CONCLUSIONS, TEXTS, check_language, decimal, percentage

__all__ = [
    "CLASS_NAMES",
    "CROPS",
    "LEGACY_INDICES",
    "Crop",
    "ThresholdSet",
    "check_language",
    "class_counts",
    "class_table",
    "conclusion",
    "stats_by_label",
    "threshold_source",
    "thresholds_for",
]

CLASS_NAMES = ("healthy", "mild_stress", "severe_stress", "critical")

Cuts = tuple[float, float, float]


@dataclass(frozen=True)
class ThresholdSet:
    """Three descending cuts c0 > c1 > c2 of an index.

    healthy is v > c0, mild stress c1 < v <= c0, severe stress c2 < v <= c1, critical v <= c2.
    `source` tells a reader where the cuts come from and how far to trust them.
    """

    id: str
    index: str
    cuts: Cuts
    crop: str | None
    source: str

    def bounds(self) -> dict[str, tuple[float | None, float | None]]:
        """(lower, upper) by class name; the lower bound is exclusive, the upper inclusive, None is open."""
        first, second, third = self.cuts
        return dict(
            zip(CLASS_NAMES, ((first, None), (second, first), (third, second), (None, third)), strict=True)
        )


@dataclass(frozen=True)
class Crop:
    """NDVI levels of a crop: above `healthy` it does well, at `stressed` and below it suffers."""

    name: str
    aliases: tuple[str, ...]
    healthy: float
    stressed: float


CROPS = (
    Crop("corn", ("Кукуруза", "corn", "maize", "porumb"), 0.70, 0.40),
    Crop("wheat", ("Пшеница", "wheat", "grâu"), 0.65, 0.35),
    Crop("barley", ("Ячмень", "barley", "orz"), 0.60, 0.30),
)

LEGACY_INDICES = tuple(index.name for index in CATALOGUE if index.legacy)
"""The indices of visible bands that keep the earlier program's cuts and sentences, in its order."""

LEGACY_CUTS: Cuts = (0.1, 0.0, -0.1)
_LEGACY_ID = "legacy/1"
_CUSTOM_ID = "custom"
_INVERTED = frozenset({"CIVE"})
_DEFAULTS: Mapping[str, Cuts] = MappingProxyType(
    {
        "NDVI": (0.6, 0.4, 0.2),
        "GNDVI": (0.55, 0.4, 0.25),
        "NDRE": (0.35, 0.25, 0.15),
        "SAVI": (0.45, 0.3, 0.15),
        "EVI": (0.45, 0.3, 0.15),
    }
)


def _folded(name: str) -> str:
    """Case and diacritics removed, so that `GRAU` finds `grâu`."""
    decomposed = unicodedata.normalize("NFKD", name.strip().casefold())
    return "".join(c for c in decomposed if not unicodedata.combining(c))


def _crop(name: str) -> Crop:
    wanted = _folded(name)
    for crop in CROPS:
        if wanted in {_folded(alias) for alias in crop.aliases}:
            return crop
    known = [crop.name for crop in CROPS]
    aliases = "; ".join(", ".join(crop.aliases) for crop in CROPS)
    raise Impossible(f"There are no thresholds for this crop: choose one of {aliases}.", crops=known)


def _custom_cuts(custom: Sequence[float]) -> Cuts:
    remedy = "Send exactly three different finite numbers in order, for example [0.6, 0.4, 0.2]."
    try:
        values = [float(value) for value in custom]
    except (TypeError, ValueError) as error:
        raise Impossible(f"The thresholds are not numbers. {remedy}") from error
    if isinstance(custom, str | bytes) or len(values) != 3 or not all(map(math.isfinite, values)):
        raise Impossible(f"The thresholds are not three finite numbers. {remedy}")
    if values[0] < values[2]:
        values.reverse()
    first, second, third = values
    if not first > second > third:
        raise Impossible(f"The thresholds are not in order. {remedy}")
    return first, second, third


def thresholds_for(
    index_name: str, crop: str | None = None, custom: Sequence[float] | None = None
) -> ThresholdSet:
    """The threshold set of an index: the caller's own cuts, a crop's, or the default, in this order.

    Args:
        index_name: catalogue name, for example `NDVI` or `NDVI_emp`.
        crop: a crop's name in Russian, English or Romanian, in any case; only NDVI has crop thresholds.
        custom: three strictly descending or ascending finite numbers.

    Raises:
        Impossible: the crop is unknown or the index has no thresholds for it, `custom` is not as above,
            or the index has no default (its `detail` says what to send instead).
    """
    chosen = _crop(crop) if crop is not None else None
    if custom is not None:
        return _sourced(_CUSTOM_ID, index_name, _custom_cuts(custom), chosen.name if chosen else None)
    if chosen is not None:
        if index_name != "NDVI":
            raise Impossible(
                f"There are crop thresholds for NDVI only, not for {index_name}: "
                "leave the crop out, choose NDVI, or send your own thresholds."
            )
        cuts = (chosen.healthy, chosen.stressed, chosen.stressed / 2)
        return _sourced(f"{index_name}/{chosen.name}/1", index_name, cuts, chosen.name)
    if index_name in LEGACY_INDICES:
        return _sourced(_LEGACY_ID, index_name, LEGACY_CUTS)
    if index_name in _DEFAULTS:
        return _sourced(f"{index_name}/1", index_name, _DEFAULTS[index_name])
    raise Impossible(
        f"There are no default thresholds for {index_name}: send three of your own, such as [0.6, 0.4, 0.2].",
        index=index_name,
    )


def _sourced(id: str, index_name: str, cuts: Cuts, crop: str | None = None) -> ThresholdSet:
    source = threshold_source(id, index_name, cuts, crop, "en")
    assert source is not None
    return ThresholdSet(id, index_name, cuts, crop, source)


def threshold_source(
    id: str, index_name: str, cuts: Sequence[float], crop: str | None, language: str
) -> str | None:
    """Where the cuts of a threshold set come from and how far to trust them, in the language.

    Args:
        id: `ThresholdSet.id`; with `index_name`, `cuts` and `crop` as in the set, also when read from a record.
        index_name: catalogue name.
        cuts: three descending cuts.
        crop: the crop's English name.
        language: code of the text.

    Returns:
        None for a set that `thresholds_for` does not make.
    """
    code = check_language(language)
    texts = TEXTS[code].sources
    if id == _CUSTOM_ID:
        return texts.custom
    if id == _LEGACY_ID:
        return f"{texts.legacy} {texts.legacy_inverted}" if index_name in _INVERTED else texts.legacy
    if crop is not None and crop in texts.crops and id == f"{index_name}/{crop}/1" and len(cuts) == 3:
        healthy, stressed = (decimal(f"{cut:g}", code) for cut in cuts[:2])
        return texts.crop.format(crop=texts.crops[crop], healthy=healthy, stressed=stressed)
    if index_name in texts.bases and id == f"{index_name}/1":
        return texts.rule_of_thumb.format(basis=texts.bases[index_name])
    return None


def class_counts(values: NDArray[Any], cuts: Cuts) -> tuple[int, int, int, int]:
    """Pixels of each class, in the order of CLASS_NAMES.

    Args:
        values: an index map of any shape and float dtype; NaN belongs to no class.
        cuts: three descending cuts; compared in the dtype of `values`.
    """
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


def conclusion(
    table: Sequence[Mapping[str, Any]],
    language: str,
    *,
    index_name: str,
    calibrated: bool | None = None,
    valid_fraction: float | None = None,
) -> str:
    """The verdict: the largest class (the first of equals) with its share, what to do, and what to beware of.

    For the legacy indices in Russian it is the legacy contract's sentence and nothing more, since programs
    compare it.

    Args:
        table: rows of `class_table`; without rows or pixels the verdict says that there is no data.
        language: code of the text.
        index_name: catalogue name; decides on the notes about visible-only and inverted indices.
        calibrated: whether the bands are reflectance; False adds a note, None (unknown) does not.
        valid_fraction: valid share of the image, 0..1; below a half it adds a note.
    """
    code = check_language(language)
    texts = TEXTS[code]
    if not any(row["pixels"] for row in table):
        return texts.empty
    largest = max(table, key=lambda row: row["pixels"])
    name = largest["name"]
    legacy = index_name in LEGACY_INDICES
    if legacy and code == "ru":
        return LEGACY_CONCLUSIONS[name]
    sentences = [texts.verdicts[name].format(share=percentage(largest["percent"], code))]
    sentences.append(texts.inverted if index_name in _INVERTED else texts.advice[name])
    if valid_fraction is not None and valid_fraction < 0.5:
        sentences.append(texts.mostly_invalid.format(share=percentage(valid_fraction * 100.0, code)))
    if legacy:
        sentences.append(texts.visible_only)
    if calibrated is False:
        sentences.append(texts.uncalibrated)
    return " ".join(sentences)
