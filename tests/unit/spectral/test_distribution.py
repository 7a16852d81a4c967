"""A fine histogram against the sorted values: bounds that hold, counts that sum."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from orthoray.spectral.breaks import jenks_cuts, quantile_cuts
from orthoray.spectral.distribution import (
    FINE_BINS,
    Distribution,
    Range,
    Scale,
    clipped,
    counts_beyond,
)

Values = npt.NDArray[np.float32]
PERCENTS = (2.0, 50.0, 98.0)
LARGEST = float(np.finfo(np.float32).max)
TINY = float(np.finfo(np.float32).smallest_subnormal)

# dyadic ends and ends that float32 does not hold, narrow and wide, far from zero and around it
SCALES = (
    Scale(-1.0, 1.0),
    Scale(0.0, 0.75),
    Scale(-510.0, 510.0),
    Scale(0.1, 0.7),
    Scale(-205.86755, 229.41745),
    Scale(1000.0, 1000.25),
    Scale(-LARGEST, LARGEST),
    Scale(0.0, 64 * TINY),
    Scale(-1e-3, 1e6),
)

any_float = st.floats(width=32, allow_nan=False, allow_infinity=False)


@st.composite
def arrays_near(draw: st.DrawFn, scale: Scale) -> Values:
    """Values around the scale, on its edges, beside them, far beyond it, NaN."""
    span = scale.high - scale.low
    edge = st.integers(0, FINE_BINS).map(scale.edge)
    near = st.builds(lambda at, off: at + off * span / FINE_BINS, edge, st.floats(-2, 2))
    special = st.sampled_from([0.0, -0.0, TINY, -TINY, LARGEST, -LARGEST, scale.low, scale.high, np.nan])
    numbers = draw(st.lists(edge | near | special | any_float, min_size=1, max_size=40))
    made: Values = np.clip(np.array(numbers), -LARGEST, LARGEST).astype(np.float32)
    return made


def valid_of(values: Values) -> npt.NDArray[np.float64]:
    return np.asarray(np.sort(values[~np.isnan(values)].astype(np.float64)))


def counted(values: Values, scale: Scale) -> Distribution:
    """As a large raster is: without the values."""
    valid = values[~np.isnan(values)]
    fine = np.zeros(FINE_BINS, np.int64)
    scale.count(valid, fine)
    is_within = valid.size == 0 or (scale.low <= float(valid.min()) and float(valid.max()) <= scale.high)
    return Distribution(scale, fine, None if is_within else counts_beyond(valid, scale))


def assert_counts_fit(edges: Any, counts: Any, valid: npt.NDArray[np.float64], slack: float) -> None:
    """What is counted below an edge lies below it, and only what lies within `slack` below it may be missing."""
    assert counts.sum() == valid.size
    assert counts.min() >= 0
    assert (np.diff(edges) > 0).all()
    below = np.cumsum(counts)[:-1]
    inner = edges[1:-1]
    assert (below <= np.searchsorted(valid, inner + slack, side="left")).all()
    assert (below >= np.searchsorted(valid, inner - slack, side="left")).all()


@settings(max_examples=60, deadline=None)
@given(data=st.data(), scale=st.sampled_from(SCALES))
def test_percentiles_of_counts_are_as_near_as_they_say(data: st.DataObject, scale: Scale) -> None:
    values = data.draw(arrays_near(scale))
    valid = valid_of(values)
    if not valid.size:
        return
    spread = counted(values, scale)
    assert spread.fine.sum() + (0 if spread.outside is None else spread.outside.sum()) == valid.size
    found, error = spread.percentiles(PERCENTS, valid.size, valid[0], valid[-1])
    with np.errstate(over="ignore"):
        exact = np.percentile(valid, PERCENTS)
    ends = max(abs(scale.low), abs(scale.high)) * 2.0**-23
    slack = 1e-9 * (abs(error) + np.abs(exact)) + ends
    assert (np.abs(np.array(found) - exact) <= error + slack).all()
    outside = int(((valid < scale.low) | (valid > scale.high)).sum())
    if outside == 0:
        assert error <= scale.width * 0.51
    assert list(found) == sorted(found)


@settings(max_examples=60, deadline=None)
@given(data=st.data(), scale=st.sampled_from(SCALES))
def test_histograms_of_counts_sum_and_keep_their_edges(data: st.DataObject, scale: Scale) -> None:
    values = data.draw(arrays_near(scale))
    valid = valid_of(values)
    inside = valid[(valid >= scale.low) & (valid <= scale.high)]
    if not inside.size:
        return
    spread = counted(values, scale)
    slack = scale.width * 0.01 + max(abs(scale.low), abs(scale.high)) * 2.0**-23
    for edges, counts in (
        spread.shown(*clipped(valid[0], valid[-1], (scale.low, scale.high))),
        spread.breaks(*clipped(valid[0], valid[-1], (scale.low, scale.high))),
    ):
        assert_counts_fit(edges, counts, valid, slack)
        assert edges[0] <= max(inside[0], scale.low) + slack
        assert edges[-1] >= min(inside[-1], scale.high) - slack


@settings(max_examples=60, deadline=None)
@given(data=st.data(), scale=st.sampled_from(SCALES), with_span=st.booleans())
def test_values_at_hand_give_numpys_percentiles_to_the_bit(
    data: st.DataObject, scale: Scale, with_span: bool
) -> None:
    values = data.draw(arrays_near(scale))
    valid = valid_of(values)
    if not valid.size:
        return
    value_range: Range | None = (scale.low, scale.high) if with_span else None
    span = clipped(valid[0], valid[-1], value_range)
    spread = Distribution.of_values(values, valid[0], valid[-1], span)
    found, error = spread.percentiles(PERCENTS, valid.size, valid[0], valid[-1])
    with np.errstate(over="ignore"):
        assert found == tuple(np.percentile(valid, PERCENTS).tolist())
    assert error == 0.0
    assert not np.signbit(np.array(found)[np.array(found) == 0]).any()
    edges, counts = spread.shown(*clipped(valid[0], valid[-1], value_range))
    if valid[0] < valid[-1]:
        assert (edges[0], edges[-1]) == span
        assert_counts_fit(edges, counts, valid, abs(span[1] - span[0]) * 1e-12 + 1e-300)
    else:
        assert counts.tolist() == [valid.size]
        assert edges[0] < valid[0] < edges[-1]
    for cut in (0.0, scale.low, scale.edge(77), float(valid[0]), float(valid[-1])):
        assert spread.count_above(cut) == (values[~np.isnan(values)] > np.float32(cut)).sum()


def test_a_histogram_is_numpys_on_its_edges() -> None:
    values = np.random.default_rng(1).normal(0.4, 0.2, (300, 700)).astype(np.float32)
    values[::7, ::3] = np.nan
    valid = valid_of(values)
    spread = Distribution.of_values(values, valid[0], valid[-1], clipped(valid[0], valid[-1], (-1.0, 1.0)))
    edges, counts = spread.shown(*clipped(valid[0], valid[-1], (-1.0, 1.0)))
    expected, _ = np.histogram(np.clip(valid, edges[0], edges[-1]), edges)
    np.testing.assert_array_equal(counts, expected)
    assert len(counts) == 64


@pytest.mark.parametrize(
    "scale", [Scale(-49.0, 49.0), Scale(-510.0, 510.0), Scale(-1.0, 1.0), Scale(0.0, 96.0)]
)
def test_values_exactly_on_edges_belong_above(scale: Scale) -> None:
    edges = np.array([scale.edge(number) for number in range(FINE_BINS + 1)])
    held = np.flatnonzero(edges.astype(np.float32) == edges)[:-1]
    assert held.size > 100
    on_edges = edges[held].astype(np.float32)
    fine = np.zeros(FINE_BINS, np.int64)
    scale.count(on_edges, fine)
    np.testing.assert_array_equal(np.flatnonzero(fine), held)
    np.testing.assert_array_equal(scale.bins(on_edges), held)
    assert [scale.bin_of(float(value)) for value in on_edges] == held.tolist()
    last = np.zeros(FINE_BINS, np.int64)
    scale.count(np.array([scale.high], np.float32), last)
    assert last[-1] == 1


def test_least_value_on_an_edge_is_not_lost() -> None:
    """Of 98 the half is such that a product instead of a quotient falls below the edge."""
    values = np.full(10, 0.0, np.float32)
    values[5:] = 3.0
    edges, counts = counted(values, Scale(-49.0, 49.0)).breaks(0.0, 3.0)
    assert counts.sum() == 10
    assert (counts[0], counts[-1]) == (5, 5)
    assert edges[0] <= 0.0


@pytest.mark.parametrize(("low", "high"), [(-1.0, 1.0), (0.3, 0.7), (-0.7, -0.3), (0.5, 0.501)])
def test_values_just_beyond_either_end_stay_on_their_side(low: float, high: float) -> None:
    """They may share the upper half of their bits with the end, and even with the other end."""
    scale = Scale(low, high)
    under = np.nextafter(np.float32(low), np.float32(-9)) - np.array([0, 1e-5, 1e-4], np.float32)
    over = np.nextafter(np.float32(high), np.float32(9)) + np.array([0, 1e-5, 1e-4], np.float32)
    middle = np.full(5, (low + high) / 2, np.float32)
    values = np.concatenate([under, middle, over]).astype(np.float32)
    valid = valid_of(values)
    spread = counted(values, scale)
    assert spread.outside is not None
    assert spread.outside.sum(axis=1).tolist() == [3, 3]
    for percent in (0, 10, 25, 50, 75, 90, 100):
        (found,), error = spread.percentiles((percent,), valid.size, valid[0], valid[-1])
        assert abs(found - np.percentile(valid, percent)) <= error + 1e-9
    _, counts = spread.breaks(low, high)
    assert (counts[0], counts[-1], counts.sum()) == (3, 3, 11)
    assert spread.count_above(float(scale.edge(FINE_BINS // 4))) == 8
    assert spread.count_above(-9.0) == 11
    assert spread.count_above(9.0) == 0


def test_a_value_that_float32_rounds_onto_the_end_is_counted_once() -> None:
    scale = Scale(0.7, 0.9)
    end = np.float32(0.7)
    assert float(end) < 0.7
    spread = counted(np.array([end, 0.8], np.float32), scale)
    assert spread.outside is not None
    assert (spread.fine.sum(), spread.outside.sum()) == (1, 1)


def test_nothing_on_the_scale() -> None:
    spread = counted(np.array([5.0, 7.0], np.float32), Scale(-1.0, 1.0))
    assert spread.fine.sum() == 0
    (low, high), error = spread.percentiles((0, 100), 2, 5.0, 7.0)
    assert abs(low - 5) <= error
    assert abs(high - 7) <= error


@pytest.mark.parametrize("value", [0.0, -0.0, 0.3, -1.0, 1e9, -3e38, TINY])
@pytest.mark.parametrize("count", [1, 2, 70_000])
def test_constant_images(value: float, count: int) -> None:
    values = np.full(count, value, np.float32)
    only = float(np.float32(value))
    spread = Distribution.of_values(values, only, only)
    assert spread.percentiles(PERCENTS, count, only, only) == ((only,) * 3, 0.0)
    for edges, counts in (spread.breaks(only, only), spread.shown(*clipped(only, only, (-1.0, 1.0)))):
        assert counts.tolist() == [count]
        assert edges[0] <= only < edges[1]
    assert spread.count_above(only) == 0
    assert spread.count_above(float(np.nextafter(np.float32(value), np.float32(-np.inf)))) == count


@pytest.mark.parametrize("cuts_of", [quantile_cuts, jenks_cuts])
@pytest.mark.parametrize("scale", [Scale(-1.0, 1.0), Scale(-0.3, 1.4), Scale(-510.0, 510.0)])
@pytest.mark.parametrize("at_hand", [True, False])
def test_cuts_made_of_a_histogram_are_counted_like_the_values(
    cuts_of: Any, scale: Scale, at_hand: bool
) -> None:
    rng = np.random.default_rng(3)
    span = scale.high - scale.low
    values = (scale.low + span * rng.beta(2, 3, 40_000)).astype(np.float32)
    if span > 100:
        values = np.rint(values)
    values[:50] = scale.low - span
    values[50:120] = scale.high + span
    least, greatest = float(values.min()), float(values.max())
    spread = (
        Distribution.of_values(values, least, greatest, (scale.low, scale.high))
        if at_hand
        else counted(values, scale)
    )
    cuts = cuts_of(*spread.breaks(*clipped(least, greatest, (scale.low, scale.high))))
    for cut in cuts:
        true = int((values > np.float32(cut)).sum())
        # what lies within a hundredth of a bin below the cut may count above
        near = int((np.abs(values.astype(float) - cut) < scale.width * 0.01).sum())
        assert true <= spread.count_above(cut) <= true + (0 if at_hand or span > 100 else near)


def test_clipping_to_a_range() -> None:
    assert clipped(-3.0, 5.0, None) == (-3.0, 5.0)
    assert clipped(-3.0, 5.0, (-1.0, 1.0)) == (-1.0, 1.0)
    assert clipped(0.2, 0.4, (-1.0, 1.0)) == (0.2, 0.4)
    assert clipped(5.0, 7.0, (-1.0, 1.0)) == (5.0, 7.0)


@settings(max_examples=30, deadline=None)
@given(values=hnp.arrays(np.float32, 20, elements=any_float))
def test_a_distribution_does_not_change_its_values(values: Values) -> None:
    before = values.tobytes()
    spread = Distribution.of_values(values, float(values.min()), float(values.max()))
    spread.percentiles(PERCENTS, 20, float(values.min()), float(values.max()))
    assert values.tobytes() == before
