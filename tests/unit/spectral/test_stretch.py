import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orthoray.errors import Impossible
from orthoray.spectral.heatmap import colorize
from orthoray.spectral.stretch import CLASSES, Stretch, class_limits, limits_for, parse_stretch

floats = st.floats(allow_nan=False, allow_infinity=False, width=32)


def limits(value, **changes):
    known = {
        "cuts": (0.6, 0.4, 0.2),
        "value_range": (-1.0, 1.0),
        "minimum": -0.5,
        "maximum": 0.9,
        "p2": 0.1,
        "p98": 0.8,
    }
    return limits_for(parse_stretch(value), **(known | changes))


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, CLASSES),
        ("classes", CLASSES),
        (" MinMax ", Stretch("minmax")),
        ("percentile", Stretch("percentile")),
        ("0.1,0.9", Stretch("fixed", (0.1, 0.9))),
        (" -1 , 1e2 ", Stretch("fixed", (-1.0, 100.0))),
        ([0.1, 0.9], Stretch("fixed", (0.1, 0.9))),
        ((0, 1), Stretch("fixed", (0.0, 1.0))),
    ],
)
def test_stretches_that_are_understood(value, expected):
    assert parse_stretch(value) == expected


@pytest.mark.parametrize(
    "value",
    ["", "fixed", "best", "1", "1,2,3", "a,b", "0.1;0.9", [], [1], [1, 2, 3], [None, 1], ["x", 1], [10**400, 1], 5],
)  # fmt: skip
def test_what_is_no_stretch_is_refused(value):
    with pytest.raises(Impossible, match="classes, minmax, percentile") as caught:
        parse_stretch(value)
    assert caught.value.fields["known"] == ["classes", "minmax", "percentile"]


@pytest.mark.parametrize(
    "value", ["0.9,0.1", [1, 1], "nan,1", "0,nan", "0,inf", "-inf,0", [0, 1e39], "-1e300,0"]
)
def test_numbers_must_ascend_and_be_finite(value):
    with pytest.raises(Impossible, match="finite, and the first must be less"):
        parse_stretch(value)


def test_limits_of_every_kind():
    assert limits("classes") == pytest.approx((0.0, 0.8))
    assert limits("minmax") == (-0.5, 0.9)
    assert limits("percentile") == (0.1, 0.8)
    assert limits([-2, 3]) == (-2.0, 3.0)


def test_a_constant_image_takes_the_middle_colour():
    for value in ("minmax", "percentile"):
        low, high = limits(value, minimum=0.3, maximum=0.3, p2=0.3, p98=0.3)
        assert (low, high) == (0.3, 0.3)


def test_equal_percentiles_give_way_to_the_extremes():
    assert limits("percentile", p2=0.3, p98=0.3) == (-0.5, 0.9)


def test_an_image_without_a_valid_pixel_has_no_limits():
    nothing = dict.fromkeys(("minimum", "maximum", "p2", "p98"))
    for value in ("minmax", "percentile"):
        low, high = limits(value, **nothing)
        assert math.isnan(low)
        assert math.isnan(high)
        assert (colorize(np.full((2, 2), np.nan, np.float32), low, high) == 0).all()
    assert limits("classes", **nothing) == pytest.approx((0.0, 0.8))


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(["classes", "minmax", "percentile"]), st.lists(floats, min_size=4, max_size=4), st.data()
)
def test_limits_are_always_fit_for_colorize(kind, values, data):
    minimum, p2, p98, maximum = sorted(values)
    cuts = tuple(sorted(data.draw(st.lists(floats, min_size=3, max_size=3)), reverse=True))
    low, high = limits(kind, minimum=minimum, maximum=maximum, p2=p2, p98=p98, cuts=cuts, value_range=None)
    assert low <= high
    colorize(np.array([values], dtype=np.float32), low, high)


def test_class_limits_put_the_outer_cuts_at_the_quarters_of_the_bar():
    low, high = class_limits((0.6, 0.4, 0.2), (-1.0, 1.0))
    assert (low, high) == pytest.approx((0.0, 0.8))


def test_class_limits_stay_within_what_the_index_can_be():
    assert class_limits((0.95, 0.5, -0.9), (-1.0, 1.0)) == (-1.0, 1.0)
    assert class_limits((60.0, 50.0, 40.0), (-1.0, 1.0)) == (30.0, 70.0)
    assert class_limits((30.0, 20.0, 10.0), None) == (0.0, 40.0)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.floats(-500, 500, width=32), min_size=3, max_size=3, unique=True))
def test_class_limits_are_always_fit_for_colorize(cuts):
    first, second, third = sorted(cuts, reverse=True)
    low, high = class_limits((first, second, third), (-510.0, 510.0))
    assert low <= high
    colorize(np.array([cuts], dtype=np.float32), low, high)
