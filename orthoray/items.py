"""What a search of the catalogue as STAC has it may ask, and what is found.

Images and results lie in two databases. Both are searched in one order, newest first, with one kind of token, so a page of both
is made of a page of each.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from pydantic import BaseModel, Field

from orthoray.contracts import AnalysisRun, Imagery
from orthoray.pages import MAX_LIMIT, decode_cursor

Position = tuple[float, float]
Bounds = tuple[float, float, float, float]


class Area(BaseModel):
    """One area in degrees (longitude, latitude). A point has one position; a line goes there and back."""

    outline: list[Position] = Field(min_length=1)
    holes: list[list[Position]] = []


class ItemQuery(BaseModel):
    """Filters that all have to be met; None: any.

    `bbox` is west, south, east, north in degrees, with west > east across the antimeridian. An item meets `areas` if it
    touches one of them. It is of the time between `since` and `until` if it may have been captured then.
    """

    limit: int = Field(default=50, ge=1, le=MAX_LIMIT)
    next: str | None = None
    ids: list[UUID] | None = None
    bbox: Bounds | None = None
    areas: list[Area] | None = None
    since: datetime | None = None
    until: datetime | None = None

    def parameters(self) -> dict[str, Any]:
        """Those of the SQL that `orthoray.item_rows` has.

        Raises:
            BadInput: `next` is not a token of an earlier page.
        """
        west, south, east, north = self.bbox or self._envelope() or (None, None, None, None)
        areas = self.areas or []
        holes = [(_polygon(hole), number) for number, area in enumerate(areas, 1) for hole in area.holes]
        return {
            "limit": self.limit,
            "ids": self.ids,
            "since": self.since,
            "until": self.until,
            "west": west,
            "south": south,
            "east": east,
            "north": north,
            "outlines": None if self.areas is None else [_polygon(area.outline) for area in areas],
            "holes": [hole for hole, _ in holes],
            "holes_of": [number for _, number in holes],
            **decode_cursor(self.next),
        }

    def _envelope(self) -> Bounds | None:
        """What is outside of it need not be compared with the areas."""
        if not self.areas:
            return None
        longitudes, latitudes = zip(*(place for area in self.areas for place in area.outline), strict=True)
        return min(longitudes), min(latitudes), max(longitudes), max(latitudes)


class Extent(BaseModel):
    """Where and when the items of a collection were captured.

    `bbox` None: nowhere that is known; from -180 to 180 where one lies across the antimeridian. `since` None: it cannot be told.
    """

    count: int
    bbox: Bounds | None = None
    since: datetime | None = None
    until: datetime | None = None


class Result(BaseModel):
    """A completed run with the record of its image as it was analysed."""

    run: AnalysisRun
    imagery: Imagery


def _polygon(places: Sequence[Position]) -> str:
    """As PostgreSQL writes it."""
    return f"({','.join(f'({longitude!r},{latitude!r})' for longitude, latitude in places)})"
