"""Readers of JSON records that answer None for whatever is missing or of another kind."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

_COLOR = re.compile(r"#[0-9a-fA-F]{6}")


def mapping(record: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    """The object under `key`, or an empty one."""
    value = record.get(key)
    return value if isinstance(value, Mapping) else {}


def items(value: Any) -> tuple[Mapping[str, Any], ...]:
    """The objects of a list."""
    return (
        tuple(item for item in value if isinstance(item, Mapping)) if isinstance(value, list | tuple) else ()
    )


def pair(value: Any) -> tuple[Any, Any]:
    """The two members of a list of two."""
    return (value[0], value[1]) if isinstance(value, list | tuple) and len(value) == 2 else (None, None)


def text(value: Any) -> str | None:
    """A string that is not blank; numbers and UUIDs as they are written."""
    if value is None or isinstance(value, bool | Mapping | list | tuple):
        return None
    return str(int(value) if isinstance(value, float) and value.is_integer() else value).strip() or None


def number(value: Any) -> float | None:
    """A finite number."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if math.isfinite(value) else None


def whole(value: Any) -> int | None:
    """A number of things."""
    real = number(value)
    return None if real is None or real < 0 else int(value)


def numbers(value: Any) -> tuple[float, ...]:
    """A list of finite numbers; empty when any member is something else."""
    if not isinstance(value, list | tuple):
        return ()
    read = [number(member) for member in value]
    known = tuple(member for member in read if member is not None)
    return known if len(known) == len(read) else ()


def color(value: Any) -> str | None:
    """A colour written #rrggbb."""
    return value if isinstance(value, str) and _COLOR.fullmatch(value) else None


def moment(value: Any) -> datetime | str | None:
    """An RFC 3339 time, or the text that stands in its place."""
    if isinstance(value, datetime):
        return value
    written = text(value)
    if written is None:
        return None
    try:
        return datetime.fromisoformat(written)
    except ValueError:
        return written


def bounds(value: Any) -> tuple[float, float, float, float] | None:
    """West, south, east, north in degrees."""
    known = numbers(value)
    if len(known) != 4 or max(abs(known[1]), abs(known[3])) > 90 or known[1] > known[3]:
        return None
    return known[0], known[1], known[2], known[3]


def footprint_bounds(value: Any) -> tuple[float, float, float, float] | None:
    """The bounds of a GeoJSON geometry or feature."""
    if not isinstance(value, Mapping):
        return None
    geometry = mapping(value, "geometry") or value
    points = list(_points(geometry.get("coordinates")))
    if not points:
        return None
    longitudes, latitudes = zip(*points, strict=True)
    return bounds((min(longitudes), min(latitudes), max(longitudes), max(latitudes)))


def _points(coordinates: Any) -> Iterable[tuple[float, float]]:
    if not isinstance(coordinates, list | tuple):
        return
    position = numbers(coordinates)
    if len(position) >= 2:
        yield position[0], position[1]
    else:
        for member in coordinates:
            yield from _points(member)


def listed(value: Any, sign: str = " ") -> str | None:
    """A scalar, list or object as one line; `sign` stands between a key and its value: `R = 1, N = 4`."""
    if isinstance(value, Mapping):
        parts = [(key, listed(member)) for key, member in value.items()]
        return ", ".join(f"{key}{sign}{member}" for key, member in parts if member) or None
    if isinstance(value, list | tuple):
        return ", ".join(part for part in (text(member) for member in value) if part) or None
    return text(value)
