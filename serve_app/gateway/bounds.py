"""Places on earth as clients write them."""

from __future__ import annotations

from collections.abc import Sequence

from orthoray.errors import BadInput

FORM = "bbox is west,south,east,north in degrees"


def checked_bounds(degrees: Sequence[float]) -> tuple[float, float, float, float]:
    """
    Raises:
        BadInput: these are not west, south, east and north of a part of the earth.
    """
    if len(degrees) != 4:
        raise BadInput(f"{FORM}: four numbers, such as 28.1, 46.9, 29.0, 47.5.")
    west, south, east, north = degrees
    if not (-180 <= west <= east <= 180 and -90 <= south <= north <= 90):
        raise BadInput(f"{FORM}, with west <= east and south <= north.")
    return west, south, east, north
