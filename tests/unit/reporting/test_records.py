"""Readers of records answer None for everything that is not what they expect."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orthoray.reporting import records
from orthoray.reporting.content import content_from_records

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**40), 2**40) | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=6,
)


@pytest.mark.parametrize("value", [None, True, "1", math.nan, math.inf, [], {}])
def test_what_is_no_number(value: Any) -> None:
    assert records.number(value) is None
    assert records.whole(value) is None


def test_numbers_are_all_or_nothing() -> None:
    assert records.numbers([1, 2.5]) == (1.0, 2.5)
    assert records.numbers([1, None]) == ()
    assert records.numbers("12") == ()


def test_bounds_come_from_a_footprint_of_any_depth() -> None:
    ring = [[28.0, 47.0], [28.5, 47.0], [28.5, 47.25], [28.0, 47.0]]
    expected = (28.0, 47.0, 28.5, 47.25)
    assert records.footprint_bounds({"type": "Polygon", "coordinates": [ring]}) == expected
    assert records.footprint_bounds({"type": "MultiPolygon", "coordinates": [[ring]]}) == expected
    feature = {"type": "Feature", "geometry": {"type": "Polygon", "coordinates": [ring]}}
    assert records.footprint_bounds(feature) == expected
    assert records.footprint_bounds({"type": "Polygon", "coordinates": [[[500000.0, 5200000.0]]]}) is None


def test_moments() -> None:
    assert records.moment("2026-11-22T14:05:11Z") == datetime(2026, 11, 22, 14, 5, 11, tzinfo=UTC)
    assert records.moment("spring") == "spring"
    assert records.moment(None) is None


def test_objects_and_lists_become_a_line() -> None:
    assert records.listed({"R": 1, "N": 4, "x": None}, sign=" = ") == "R = 1, N = 4"
    assert records.listed(["a", 1.0, None]) == "a, 1"
    assert records.listed({}) is None


@pytest.mark.slow
@given(
    st.dictionaries(
        st.sampled_from(
            [
                "index_type",
                "stats",
                "conclusion",
                "statistics",
                "provenance",
                "language",
                "completed_at",
                "id",
            ]
        ),
        JSON
        | st.dictionaries(st.sampled_from(["classes", "histogram", "thresholds", "mean", "versions"]), JSON),
    ),
    st.dictionaries(
        st.sampled_from(["original_filename", "width", "camera", "gps", "crs", "footprint", "bounds_wgs84"]),
        JSON,
    ),
    st.dictionaries(st.sampled_from(["stops", "vmin", "vmax", "title"]), JSON),
)
@settings(max_examples=80, deadline=None)
def test_no_record_breaks_the_reading(run: Any, imagery: Any, legend: Any) -> None:
    content = content_from_records(
        run, imagery, language="en", report_id=None, created_at=None, legend=legend
    )
    assert content.language == "en"
