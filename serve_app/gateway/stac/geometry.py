"""GeoJSON geometries (RFC 7946) as areas to search in."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from orthoray.errors import BadInput
from orthoray.items import Area, Position

MAX_POSITIONS = 500
"""Of one geometry: each is compared with the corners of every image nearby."""


def areas_of(geometry: Mapping[str, Any]) -> list[Area]:
    """The parts of a geometry of any type.

    Raises:
        BadInput: it is no GeoJSON geometry in degrees, is empty, or has more than `MAX_POSITIONS` positions.
    """
    areas = list(_parts(geometry, nested=False))
    if not areas:
        raise BadInput("intersects has no position: leave it out to search everywhere.")
    count = sum(len(ring) for area in areas for ring in (area.outline, *area.holes))
    if count > MAX_POSITIONS:
        raise BadInput(
            f"intersects has {count:,} positions, the limit is {MAX_POSITIONS:,}: simplify it, or search with bbox.",
            max_positions=MAX_POSITIONS,
        )
    return areas


def _parts(geometry: Any, *, nested: bool) -> Iterator[Area]:
    kind = geometry.get("type") if isinstance(geometry, Mapping) else None
    if kind == "GeometryCollection" and not nested:
        for part in _list(geometry.get("geometries")):
            yield from _parts(part, nested=True)
        return
    if not isinstance(kind, str) or kind not in _KINDS:
        raise BadInput(
            f"intersects is a GeoJSON geometry: its type is one of {', '.join(_KINDS)}, or GeometryCollection of these."
        )
    yield from _KINDS[kind](geometry.get("coordinates"))


def _point(coordinates: Any) -> Iterator[Area]:
    yield Area(outline=[_position(coordinates)])


def _line(coordinates: Any) -> Iterator[Area]:
    places = [_position(one) for one in _list(coordinates)]
    if len(places) < 2:
        raise BadInput("A line of intersects has at least two positions.")
    yield Area(outline=[*places, *places[-2:0:-1]])


def _polygon(coordinates: Any) -> Iterator[Area]:
    rings = [_ring(one) for one in _list(coordinates)]
    if not rings:
        raise BadInput("A polygon of intersects has at least one ring.")
    yield Area(outline=rings[0], holes=rings[1:])


def _many(one: Callable[[Any], Iterator[Area]]) -> Callable[[Any], Iterator[Area]]:
    def parts(coordinates: Any) -> Iterator[Area]:
        for part in _list(coordinates):
            yield from one(part)

    return parts


_KINDS: Mapping[str, Callable[[Any], Iterator[Area]]] = {
    "Point": _point,
    "LineString": _line,
    "Polygon": _polygon,
    "MultiPoint": _many(_point),
    "MultiLineString": _many(_line),
    "MultiPolygon": _many(_polygon),
}


def _ring(coordinates: Any) -> list[Position]:
    places = [_position(one) for one in _list(coordinates)]
    if len(places) < 4 or places[0] != places[-1]:
        raise BadInput("A ring of intersects has at least four positions, and its last is its first.")
    return places


def _position(value: Any) -> Position:
    numbers = _list(value)
    if len(numbers) not in {2, 3} or not all(type(one) in {int, float} for one in numbers):
        raise BadInput("A position of intersects is [longitude, latitude].")
    longitude, latitude, *_ = numbers  # a third number is a height
    # NaN fails every comparison.
    if not (-180 <= longitude <= 180 and -90 <= latitude <= 90):
        raise BadInput(
            "Positions of intersects are degrees: longitude from -180 to 180, latitude from -90 to 90. Cut what crosses the "
            "antimeridian in two."
        )
    return float(longitude), float(latitude)


def _list(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise BadInput(
            "The coordinates of intersects are lists of positions, as GeoJSON (RFC 7946) has them."
        )
    return value
