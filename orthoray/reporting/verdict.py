"""The classes of a result: names, labels, colours, and the conclusion that follows from their shares."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

from orthoray.reporting.formats import apportion, area_decimals, in_hectares
from orthoray.reporting.texts import Texts

# From healthy to critical; neighbours differ in lightness too, for readers who cannot tell red from green.
CLASS_COLORS: Mapping[str, str] = MappingProxyType(
    {"healthy": "#2E7D32", "mild_stress": "#C0CA33", "severe_stress": "#F9A825", "critical": "#C62828"}
)
_RAMP = ("#1B5E20", "#2E7D32", "#7CB342", "#C0CA33", "#F9A825", "#EF6C00", "#C62828", "#8E1B1B")
# Above this a float has no decimals left that could be made to add up; no share and no field comes near it.
_EXACT = 1e12
_LEGACY_LABELS: Mapping[str, str] = MappingProxyType(
    {
        "здоровые": "healthy",
        "легкий стресс": "mild_stress",
        "сильный стресс": "severe_stress",
        "критическое": "critical",
    }
)


@dataclass(frozen=True, slots=True)
class ClassRow:
    """One class: values v with lower < v <= upper (None: open), pixels, percent (0..100), area, "#rrggbb"."""

    name: str | None = None
    label: str | None = None
    lower: float | None = None
    upper: float | None = None
    pixels: int | None = None
    percent: float | None = None
    area_m2: float | None = None
    color: str | None = None


def class_name(name: str | None, label: str | None) -> str | None:
    """The class's name in the vocabulary (`mild_stress`), also from the Russian labels of older records."""
    if name is not None:
        return name.strip().lower().replace(" ", "_").replace("-", "_")
    return _LEGACY_LABELS.get((label or "").strip().lower().replace("ё", "е"))


def class_label(name: str | None, texts: Texts) -> str | None:
    """The label of a class of the vocabulary, or None for a name that is not in it."""
    return texts.get(f"class_{name}") if name in CLASS_COLORS else None


def class_color(name: str | None, position: int, count: int) -> str:
    """The colour of a class of the vocabulary; of any other, by its position from best to worst."""
    known = CLASS_COLORS.get(name or "")
    return known or _RAMP[round(position * (len(_RAMP) - 1) / max(count - 1, 1))]


def largest_class(classes: Sequence[ClassRow]) -> ClassRow | None:
    """The class with the largest percent, the first of equals; None where no percent is known."""
    return max(
        (row for row in classes if row.percent is not None), key=lambda row: row.percent or 0.0, default=None
    )


def adding_up(classes: Sequence[ClassRow]) -> tuple[ClassRow, ...]:
    """The classes with percents (one decimal) and areas so rounded that the printed ones add up."""
    percents = _apportioned([row.percent for row in classes], 1)
    total_m2 = sum(row.area_m2 or 0.0 for row in classes)
    unit_m2, decimals = (10_000.0, 2) if in_hectares(total_m2) else (1.0, area_decimals(total_m2))
    areas = _apportioned(
        [None if row.area_m2 is None else row.area_m2 / unit_m2 for row in classes], decimals
    )
    return tuple(
        replace(row, percent=percent, area_m2=None if area is None else area * unit_m2)
        for row, percent, area in zip(classes, percents, areas, strict=True)
    )


def _apportioned(values: Sequence[float | None], decimals: int) -> Sequence[float | None]:
    known = [value for value in values if value is not None and 0 <= value < _EXACT]
    return apportion(known, decimals) if len(known) == len(values) else values
