"""Where a raster lies on the Earth: footprint, ground sampling distance and pixel area."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyproj
from pyproj.exceptions import CRSError, ProjError

Affine6 = tuple[float, float, float, float, float, float]
Coordinates = npt.NDArray[np.float64]

_GEOD = pyproj.Geod(ellps="WGS84")
_POINTS_PER_EDGE = 32
# Of the footprint's extent: a tenth of a pixel on a map a thousand pixels wide.
_OUTLINE_TOLERANCE = 1e-4
# Below this the rounding of the polygon area on the ellipsoid (about 0.1 m²) would show.
_SMALL_AREA_M2 = 10_000.0
# UTM and national grids stay well within this of true scale; Web Mercator is out by 2.4 at 50 degrees.
_SCALE_TOLERANCE = 0.01


@dataclass(frozen=True)
class Georeference:
    """What a CRS and a geotransform say about a raster on the Earth.

    `footprint` is a GeoJSON Polygon (MultiPolygon across the antimeridian) in EPSG:4326 and
    `bounds_wgs84` (west, south, east, north) in degrees, west > east across the antimeridian. `gsd_m` is
    the mean pixel size along columns and rows in metres, `pixel_area_m2` the mean pixel area. Each is
    None where it cannot be told.
    """

    footprint: dict[str, Any] | None
    bounds_wgs84: tuple[float, float, float, float] | None
    gsd_m: tuple[float, float] | None
    pixel_area_m2: float | None


UNKNOWN = Georeference(footprint=None, bounds_wgs84=None, gsd_m=None, pixel_area_m2=None)


def locate(crs_wkt: str, transform: Affine6, width: int, height: int) -> Georeference:
    """Place a raster of `width` x `height` pixels on the Earth.

    `transform` is (a, b, c, d, e, f) with x = a*column + b*row + c and y = d*column + e*row + f; rotation
    and shear count. In a projected CRS pixel size and area are those of the grid (|a*e - b*d| times the
    square of the CRS's unit), unless the projection is out of true scale there by more than 1 %
    (Web Mercator), in which case, as in a geographic CRS, they are measured on the WGS 84 ellipsoid.
    """
    try:
        crs = pyproj.CRS.from_wkt(crs_wkt)
        unit = _linear_unit(crs)
        if unit is None and not crs.is_geographic:
            return UNKNOWN
        to_wgs84 = pyproj.Transformer.from_crs(crs, "EPSG:4326", always_xy=True)
    except (CRSError, ProjError):
        return UNKNOWN
    ring = _to_lonlat(to_wgs84, transform, _outline(width, height))
    ground = None if ring is None else _on_ellipsoid(to_wgs84, transform, width, height, ring)
    grid = None if unit is None else _on_grid(transform, unit)
    if ground is None or grid is None:
        measured = grid or ground
    else:
        true_to_scale = abs(grid[2] / ground[2] - 1) <= _SCALE_TOLERANCE
        measured = grid if true_to_scale else ground
    shape = None if ring is None else _footprint(ring)
    return Georeference(
        footprint=None if shape is None else shape[0],
        bounds_wgs84=None if shape is None else shape[1],
        gsd_m=None if measured is None else measured[:2],
        pixel_area_m2=None if measured is None else measured[2],
    )


def _linear_unit(crs: pyproj.CRS) -> float | None:
    """Metres in the unit of a projected CRS, None in any other."""
    return float(crs.axis_info[0].unit_conversion_factor) if crs.is_projected else None


def _outline(width: int, height: int) -> Coordinates:
    """The raster's edge in pixel coordinates (column, row), densified and closed."""
    steps = np.linspace(0.0, 1.0, _POINTS_PER_EDGE, endpoint=False)
    corners = np.array([(0, 0), (width, 0), (width, height), (0, height)], dtype=np.float64)
    edges = [start + steps[:, None] * (corners[i - 3] - start) for i, start in enumerate(corners)]
    return np.concatenate([*edges, corners[:1]])


def _to_lonlat(to_wgs84: pyproj.Transformer, transform: Affine6, pixels: Coordinates) -> Coordinates | None:
    a, b, c, d, e, f = transform
    columns, rows = pixels[:, 0], pixels[:, 1]
    try:
        longitudes, latitudes = to_wgs84.transform(a * columns + b * rows + c, d * columns + e * rows + f)
    except ProjError:
        return None
    lonlat = np.column_stack([longitudes, latitudes]).astype(np.float64)
    if not np.isfinite(lonlat).all() or (np.abs(lonlat[:, 1]) > 90 + 1e-9).any():
        return None
    return lonlat


def _on_grid(transform: Affine6, unit: float) -> tuple[float, float, float]:
    a, b, _, d, e, _ = transform
    return math.hypot(a, d) * unit, math.hypot(b, e) * unit, abs(a * e - b * d) * unit * unit


def _on_ellipsoid(
    to_wgs84: pyproj.Transformer, transform: Affine6, width: int, height: int, ring: Coordinates
) -> tuple[float, float, float] | None:
    middle = np.array(
        [(0, height / 2), (width, height / 2), (width / 2, 0), (width / 2, height)], dtype=np.float64
    )
    ends = _to_lonlat(to_wgs84, transform, middle)
    if ends is None:
        return None
    across, _, length_x = _GEOD.inv(*ends[0], *ends[1])
    down, _, length_y = _GEOD.inv(*ends[2], *ends[3])
    area = length_x * length_y * abs(math.sin(math.radians(down - across)))
    if area > _SMALL_AREA_M2:
        area = abs(_GEOD.polygon_area_perimeter(ring[:, 0], ring[:, 1])[0])
    if not math.isfinite(area) or area <= 0:
        return None
    return length_x / width, length_y / height, area / (width * height)


def _footprint(ring: Coordinates) -> tuple[dict[str, Any], tuple[float, float, float, float]] | None:
    """GeoJSON and bounds of a closed ring of (longitude, latitude); None where it goes round a pole."""
    steps = np.diff(ring[:, 0])
    longitudes = np.concatenate([ring[:1, 0], ring[0, 0] + np.cumsum((steps + 180) % 360 - 180)])
    if abs(longitudes[-1] - longitudes[0]) > 180:
        return None
    longitudes -= 360 * math.floor((longitudes.min() + 180) / 360)
    points = np.column_stack([longitudes, ring[:, 1]]).round(9)
    if _signed_area(points) < 0:
        points = points[::-1]
    west, south = points.min(axis=0).tolist()
    east, north = points.max(axis=0).tolist()
    points = _thinned(points, _OUTLINE_TOLERANCE * max(east - west, north - south))
    if east <= 180:
        return {"type": "Polygon", "coordinates": [points.tolist()]}, (west, south, east, north)
    eastern = _clip(points, lambda longitude: longitude <= 180)
    western = _clip(points, lambda longitude: longitude >= 180) - (360, 0)
    parts = [[part.tolist()] for part in (eastern, western)]
    return {"type": "MultiPolygon", "coordinates": parts}, (west, south, east - 360, north)


def _thinned(ring: Coordinates, tolerance: float) -> Coordinates:
    """A closed ring of four edges without the points that lie within `tolerance` of a straighter edge."""
    kept = []
    for start in range(0, 4 * _POINTS_PER_EDGE, _POINTS_PER_EDGE):
        edge = ring[start : start + _POINTS_PER_EDGE + 1]
        at = np.arange(len(edge))
        pieces = 1
        while pieces < _POINTS_PER_EDGE:
            knots = at[:: _POINTS_PER_EDGE // pieces]
            straight = np.column_stack([np.interp(at, knots, edge[knots, axis]) for axis in (0, 1)])
            if np.abs(straight - edge).max() <= tolerance:
                break
            pieces *= 2
        kept.append(edge[:-1][:: _POINTS_PER_EDGE // pieces])
    return np.concatenate([*kept, ring[:1]])


def _signed_area(ring: Coordinates) -> float:
    """Positive where a closed ring runs counter-clockwise, as RFC 7946 wants the outer ring to."""
    x, y = ring[:, 0] - ring[0, 0], ring[:, 1] - ring[0, 1]
    return float(np.sum(x[:-1] * y[1:] - x[1:] * y[:-1]) / 2)


def _clip(ring: Coordinates, inside: Callable[[float], bool]) -> Coordinates:
    """The part of a closed ring on one side of the antimeridian (Sutherland and Hodgman 1974)."""
    kept: list[tuple[float, float]] = []
    for (x0, y0), (x1, y1) in zip(ring[:-1].tolist(), ring[1:].tolist(), strict=True):
        if inside(x0):
            kept.append((x0, y0))
        if inside(x0) != inside(x1):
            kept.append((180.0, y0 + (y1 - y0) * (180.0 - x0) / (x1 - x0)))
    return np.array([*kept, kept[0]], dtype=np.float64)
