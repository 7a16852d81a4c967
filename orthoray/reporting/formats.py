"""Numbers, dates, areas and positions as the reader's language writes them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from orthoray.reporting.texts import MONTHS, Texts

DASH: Final = "—"
MINUS: Final = "−"
NO_BREAK: Final = "\N{NO-BREAK SPACE}"

_SEPARATORS: Final = {"en": (".", ","), "ru": (",", NO_BREAK), "ro": (",", ".")}
_HECTARE_M2: Final = 10_000.0
_SMALL_AREA_M2: Final = 1_000.0


@dataclass(frozen=True, slots=True)
class Formats:
    """The writing habits of one language. Every method answers a dash for None and for what is not finite."""

    texts: Texts

    def number(self, value: float | None, decimals: int = 0) -> str:
        """`value` rounded to `decimals`, with the language's decimal and thousands signs and a real minus."""
        if value is None or not math.isfinite(value):
            return DASH
        decimal, thousands = _SEPARATORS[self.texts.language]
        if abs(value) >= 1e15:
            mantissa, exponent = f"{value:.2e}".split("e")
            return f"{mantissa.replace('-', MINUS).replace('.', decimal)}·10^{int(exponent)}".replace(
                "^-", f"^{MINUS}"
            )
        digits = f"{value:,.{decimals}f}"
        negative = digits.startswith("-") and any(digit in "123456789" for digit in digits)
        digits = digits.lstrip("-").replace(",", "\0").replace(".", decimal).replace("\0", thousands)
        return f"{MINUS}{digits}" if negative else digits

    def plain(self, value: float) -> str:
        """A finite `value` with the digits that it has, up to six: 0.0001."""
        return f"{value:.6g}".replace("-", MINUS).replace(".", _SEPARATORS[self.texts.language][0])

    def index_value(self, value: float | None) -> str:
        """A value of an index: three decimals near one, fewer where the numbers are larger."""
        return self.number(value, value_decimals(value))

    def percent(self, value: float | None) -> str:
        """A percent (0..100) with one decimal; the sign stands apart except in English."""
        if value is None or not math.isfinite(value):
            return DASH
        space = "" if self.texts.language == "en" else NO_BREAK
        return f"{self.number(value, 1)}{space}%"

    def area(self, area_m2: float | None) -> str:
        """Hectares, or square metres below a tenth of a hectare."""
        if area_m2 is None or not math.isfinite(area_m2):
            return DASH
        if in_hectares(area_m2):
            hectares = area_m2 / _HECTARE_M2
            return self._unit("hectares", hectares, 2 if hectares < 1000 else 1)
        return self._unit("square_metres", area_m2, area_decimals(area_m2))

    def gsd(self, gsd_m: float | None) -> str:
        """A ground sampling distance given in metres per pixel."""
        if gsd_m is None or not math.isfinite(gsd_m):
            return DASH
        if gsd_m < 1:
            return self._unit("centimetres_per_pixel", gsd_m * 100, 2)
        return self._unit("metres_per_pixel", gsd_m, 0 if float(gsd_m).is_integer() else 2)

    def metres(self, value: float | None) -> str:
        """A length in metres with one decimal."""
        return self._unit("metres", value, 1) if value is not None and math.isfinite(value) else DASH

    def file_size(self, size_bytes: int | None) -> str:
        """A file's size in decimal units."""
        if size_bytes is None:
            return DASH
        for unit, scale in (("gigabytes", 1e9), ("megabytes", 1e6), ("kilobytes", 1e3)):
            if size_bytes >= scale:
                return self._unit(unit, size_bytes / scale, 1)
        return self._unit("bytes", size_bytes, 0)

    def position(self, latitude: float | None, longitude: float | None) -> str:
        """A point in degrees; five decimals are about a metre on the ground."""
        if (
            latitude is None
            or longitude is None
            or not (math.isfinite(latitude) and math.isfinite(longitude))
        ):
            return DASH
        parts = (
            self._unit("north" if latitude >= 0 else "south", abs(latitude), 5),
            self._unit("east" if longitude >= 0 else "west", abs(longitude), 5),
        )
        return "; ".join(part.replace(" ", NO_BREAK) for part in parts)

    def date(self, moment: datetime | None) -> str:
        """The day; of a moment with a time zone, the day in UTC."""
        if moment is None:
            return DASH
        moment = _in_utc(moment)
        month = MONTHS[self.texts.language][moment.month - 1]
        return self.texts("date", day=moment.day, month=month, year=moment.year)

    def date_time(self, moment: datetime | None) -> str:
        """Day and minute; of a moment with a time zone, in UTC and saying so."""
        if moment is None:
            return DASH
        moment = _in_utc(moment)
        time = f"{moment:%H:%M} UTC" if moment.tzinfo else f"{moment:%H:%M}"
        return self.texts("date_time", date=self.date(moment), time=time)

    def _unit(self, key: str, value: float, decimals: int) -> str:
        return self.texts(key, number=self.number(value, decimals))


def in_hectares(area_m2: float) -> bool:
    """Whether an area is large enough to be told in hectares."""
    return area_m2 >= _SMALL_AREA_M2


def area_decimals(area_m2: float) -> int:
    """Decimals that keep about three digits of a small area in m²."""
    return 0 if area_m2 >= 100 else 2


def value_decimals(value: float | None) -> int:
    """Decimals that show an index value to about three significant digits."""
    if value is None or not math.isfinite(value) or abs(value) < 10:
        return 3
    return 2 if abs(value) < 100 else 1


def significant(value: float) -> float:
    """`value` with as many digits as a cut is worth that an image's own values gave."""
    return float(f"{value:.4g}") if abs(value) < 1e4 else float(round(value))


def bound_decimals(value: float | None) -> int:
    """Decimals that show a threshold as it was set: at least two, at most six."""
    if value is None:
        return 2
    return next(
        (decimals for decimals in range(2, 6) if math.isclose(round(value, decimals), value, abs_tol=1e-9)), 6
    )


def apportion(values: Sequence[float], decimals: int) -> tuple[float, ...]:
    """Round `values` (finite, not negative) to `decimals` so that they add up to their rounded sum.

    The method of largest remainders (Hamilton): each value is rounded down and the missing last digits go
    to those that lost most, the first of equals first. No value moves by a whole last digit or more.
    """
    unit = 10.0**decimals
    scaled = [value * unit for value in values]
    # A product such as 0.29 * 100 falls just below its integer: without the nudge it would lose a digit.
    floors = [math.floor(value + 1e-9) for value in scaled]
    missing = round(math.fsum(scaled)) - sum(floors)
    by_remainder = sorted(range(len(scaled)), key=lambda i: (round(floors[i] - scaled[i], 6), i))
    for i in by_remainder[: max(missing, 0)]:
        floors[i] += 1
    return tuple(floor / unit for floor in floors)


def _in_utc(moment: datetime) -> datetime:
    return moment.astimezone(UTC) if moment.tzinfo else moment
