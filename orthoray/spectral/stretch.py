"""Which values take the lowest and the highest colour of a heatmap."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, cast, get_args

from orthoray.errors import Impossible

Limits = tuple[float, float]
Kind = Literal["classes", "minmax", "percentile", "fixed"]

NAMES: tuple[str, ...] = tuple(kind for kind in get_args(Kind) if kind != "fixed")

# Beyond these the span of two float32 limits would not be a float32.
_GREATEST = 1e38


@dataclass(frozen=True)
class Stretch:
    """How the limits of a heatmap are chosen; `limits` are those of kind `fixed`, else None.

    `classes`: by the cuts of the threshold set, see `class_limits`. `minmax`: the least and the greatest value.
    `percentile`: the 2nd and the 98th percentile. `fixed`: two numbers of the caller.
    """

    kind: Kind
    limits: Limits | None = None


CLASSES = Stretch("classes")


def parse_stretch(value: str | Sequence[float] | None) -> Stretch:
    """A stretch by name (`classes`, `minmax`, `percentile`), or two numbers: `"0.1,0.9"` or `[0.1, 0.9]`.

    None is `classes`, the default.

    Raises:
        Impossible: it is neither, or the numbers are not finite, of at most 1e38, and ascending.
    """
    if value is None:
        return CLASSES
    parts: Sequence[str | float] = value
    if isinstance(value, str):
        name = value.strip().lower()
        if name in NAMES:
            return Stretch(cast("Kind", name))
        parts = name.split(",")
    try:
        low, high = (float(part) for part in parts)
    except (TypeError, ValueError, OverflowError) as error:
        raise Impossible(
            f"The stretch is not known: choose one of {', '.join(NAMES)}, or send the values of the lowest and "
            "the highest colour, for example 0.1,0.9.",
            known=list(NAMES),
        ) from error
    # not a number fails the comparison too
    if not -_GREATEST <= low < high <= _GREATEST:
        raise Impossible(
            "The two numbers of the stretch must be finite, and the first must be less than the second, "
            "for example 0.1,0.9."
        )
    return Stretch("fixed", (low, high))


def limits_for(
    stretch: Stretch,
    *,
    cuts: tuple[float, float, float],
    value_range: Limits | None,
    minimum: float | None,
    maximum: float | None,
    p2: float | None,
    p98: float | None,
) -> Limits:
    """(vmin, vmax) for `colorize` and the legend, vmin <= vmax and their difference a float32.

    Where `minmax` or `percentile` has no value to go by (no valid pixel) both are NaN: there is nothing to draw.
    A constant image gives twice its value, which takes the middle colour. Where the percentiles are equal but
    not all values, so that they would show two colours, the limits are those of `minmax`.

    Args:
        stretch: from `parse_stretch`.
        cuts: three descending cuts of a `ThresholdSet`.
        value_range: (lowest, highest) value that the index can have, None where it has no limits.
        minimum: least valid value of the image, None where there is none; and so the other three.
        maximum: greatest valid value.
        p2: 2nd percentile.
        p98: 98th percentile.
    """
    if stretch.limits is not None:
        return stretch.limits
    if stretch.kind == "classes":
        low, high = class_limits(cuts, value_range)
    else:
        spread = p2 is not None and p98 is not None and p2 < p98
        ends = (p2, p98) if stretch.kind == "percentile" and spread else (minimum, maximum)
        low, high = (math.nan if end is None else end for end in ends)
    if math.isnan(low) or math.isnan(high):
        return math.nan, math.nan
    return _bounded(low), _bounded(high)


def _bounded(value: float) -> float:
    return min(max(value, -_GREATEST), _GREATEST)


def class_limits(cuts: tuple[float, float, float], value_range: Limits | None) -> Limits:
    """The value limits of a heatmap whose colours agree with its classes.

    The rule: the outer cuts lie at a quarter and three quarters of the colour bar, clipped to the index's
    `value_range` where it has one. So a colour means the same in every picture of an index, pictures of different
    days can be compared, and stress never looks healthy because the rest of the field is worse.

    Args:
        cuts: three descending cuts of a `ThresholdSet`.
        value_range: (lowest, highest) value that the index can have.
    """
    margin = (cuts[0] - cuts[2]) / 2
    low, high = round(cuts[2] - margin, 9), round(cuts[0] + margin, 9)
    if value_range is None or low >= value_range[1] or high <= value_range[0]:
        return low, high
    return max(low, value_range[0]), min(high, value_range[1])
