from __future__ import annotations

import math
from typing import Any

import numpy as np
import pyproj
import pytest
from pyproj import CRS

from orthoray.spectral.georeference import UNKNOWN, Affine6, locate

UTM33 = CRS.from_epsg(32633).to_wkt()
WGS84 = CRS.from_epsg(4326).to_wkt()
MERCATOR = CRS.from_epsg(3857).to_wkt()


def corners(footprint: dict[str, Any] | None) -> Any:
    assert footprint is not None
    assert footprint["type"] == "Polygon"
    return np.array(footprint["coordinates"][0])


def ring_area(ring: Any) -> float:
    x, y = ring[:, 0], ring[:, 1]
    return float(np.sum(x[:-1] * y[1:] - x[1:] * y[:-1]) / 2)


def test_projected_grid_is_taken_as_it_is() -> None:
    place = locate(UTM33, (0.5, 0.0, 500_000.0, 0.0, -0.25, 5_200_000.0), 400, 300)
    assert place.gsd_m == (0.5, 0.25)
    assert place.pixel_area_m2 == 0.125
    ring = corners(place.footprint)
    np.testing.assert_array_equal(ring[0], ring[-1])
    assert ring_area(ring) > 0, "RFC 7946: counter-clockwise"
    assert place.bounds_wgs84 is not None
    west, _south, east, north = place.bounds_wgs84
    assert west == pytest.approx(15.0)
    expected = pyproj.Transformer.from_crs(32633, 4326, always_xy=True).transform(500_200, 5_200_000)
    assert (east, north) == pytest.approx(expected, abs=1e-7)


def test_rotation_keeps_size_and_area() -> None:
    turn = math.radians(30)
    cos, sin = 0.1 * math.cos(turn), 0.1 * math.sin(turn)
    place = locate(UTM33, (cos, sin, 500_000.0, sin, -cos, 5_200_000.0), 200, 100)
    assert place.gsd_m == pytest.approx((0.1, 0.1))
    assert place.pixel_area_m2 == pytest.approx(0.01)


def test_survey_feet_become_metres() -> None:
    texas = CRS.from_epsg(2277)
    foot = texas.axis_info[0].unit_conversion_factor
    place = locate(texas.to_wkt(), (1.0, 0.0, 3_100_000.0, 0.0, -1.0, 10_000_000.0), 50, 50)
    assert place.gsd_m == pytest.approx((foot, foot))
    assert place.pixel_area_m2 == pytest.approx(0.3048**2, rel=1e-4)


def test_web_mercator_is_not_believed() -> None:
    x, y = pyproj.Transformer.from_crs(4326, 3857, always_xy=True).transform(10.0, 60.0)
    place = locate(MERCATOR, (1.0, 0.0, x, 0.0, -1.0, y), 200, 200)
    assert place.pixel_area_m2 == pytest.approx(0.25, rel=0.01)
    assert place.gsd_m == pytest.approx((0.5, 0.5), rel=0.01)


@pytest.mark.parametrize("latitude", [0.0, 47.0, -60.0])
@pytest.mark.parametrize(("step", "size"), [(1e-7, 1), (1e-6, 40), (1e-3, 200)])
def test_degrees_are_measured_on_the_ellipsoid(latitude: float, step: float, size: int) -> None:
    place = locate(WGS84, (step, 0.0, 28.0, 0.0, -step, latitude), size, size)
    a, e2 = 6378137.0, 0.00669437999014
    middle = math.radians(latitude - step * size / 2)
    w = 1 - e2 * math.sin(middle) ** 2
    along = math.radians(step) * a * math.cos(middle) / math.sqrt(w)
    down = math.radians(step) * a * (1 - e2) / w**1.5
    assert place.pixel_area_m2 == pytest.approx(along * down, rel=1e-4)
    assert place.gsd_m == pytest.approx((along, down), rel=1e-4)


def test_footprint_follows_a_curved_edge() -> None:
    place = locate(CRS.from_epsg(3035).to_wkt(), (1000.0, 0.0, 2.5e6, 0.0, -1000.0, 5.5e6), 4000, 4000)
    ring = corners(place.footprint)
    top = ring[ring[:, 1] > 60]
    assert len(top) > 20
    assert top[:, 1].max() > ring[0, 1], "the upper edge bulges beyond its corners"


def test_antimeridian_splits_the_footprint() -> None:
    place = locate(WGS84, (0.01, 0.0, 179.5, 0.0, -0.01, -16.0), 100, 50)
    assert place.footprint is not None
    assert place.footprint["type"] == "MultiPolygon"
    east, west = (np.array(part[0]) for part in place.footprint["coordinates"])
    assert east[:, 0].min() == pytest.approx(179.5)
    assert east[:, 0].max() == pytest.approx(180.0)
    assert west[:, 0].min() == pytest.approx(-180.0)
    assert west[:, 0].max() == pytest.approx(-179.5)
    assert ring_area(east) + ring_area(west) == pytest.approx(0.5)
    assert place.bounds_wgs84 == pytest.approx((179.5, -16.5, -179.5, -16.0))
    assert place.pixel_area_m2 == pytest.approx(1.19e6, rel=0.02)


def test_longitudes_beyond_180_are_wrapped() -> None:
    place = locate(WGS84, (0.01, 0.0, 200.0, 0.0, -0.01, 10.0), 10, 10)
    assert place.bounds_wgs84 == pytest.approx((-160.0, 9.9, -159.9, 10.0))


def test_a_ring_round_the_pole_has_no_footprint() -> None:
    place = locate(
        CRS.from_epsg(3413).to_wkt(), (1000.0, 0.0, -500_000.0, 0.0, -1000.0, 500_000.0), 1000, 1000
    )
    assert place.footprint is None
    assert place.bounds_wgs84 is None


@pytest.mark.parametrize(
    ("wkt", "transform"),
    [
        ("nonsense", (1.0, 0.0, 0.0, 0.0, -1.0, 0.0)),
        ('LOCAL_CS["site grid",UNIT["metre",1]]', (1.0, 0.0, 0.0, 0.0, -1.0, 0.0)),
        (WGS84, (1.0, 0.0, 500_000.0, 0.0, -1.0, 5_200_000.0)),
    ],
)
def test_unknown_places_are_unknown(wkt: str, transform: Affine6) -> None:
    assert locate(wkt, transform, 10, 10) == UNKNOWN


def test_a_small_raster_needs_only_its_corners() -> None:
    wkt = pyproj.CRS.from_epsg(32618).to_wkt()
    place = locate(wkt, (5.0, 0.0, 792988.0, 0.0, -5.0, 2050382.0), 515, 403)
    ring = corners(place.footprint)
    assert len(ring) == 5
    outline = [(792988.0, 2050382.0), (792988.0 + 5 * 515, 2050382.0 - 5 * 403)]
    to_wgs84 = pyproj.Transformer.from_crs(32618, 4326, always_xy=True)
    for x, y in outline:
        assert np.abs(ring - to_wgs84.transform(x, y)).max(axis=1).min() < 1e-8
