from __future__ import annotations

import json
import random
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from orthoray.spectral.distribution import FINE_BINS, Distribution, Scale, clipped
from orthoray.spectral.statistics import Statistics, Tally, finish

Array = npt.NDArray[Any]
CUTS = (0.1, 0.0, -0.1)
UNIT = (-1.0, 1.0)

floats = st.floats(-1e6, 1e6, width=32) | st.sampled_from([0.0, -0.0, 0.1, -0.1, float("nan")])
maps = hnp.arrays(np.float32, hnp.array_shapes(min_dims=2, max_dims=2, max_side=12), elements=floats)


def hidden(values: Array, mask: Array | None) -> Array:
    return values if mask is None else np.where(mask, np.float32(np.nan), values)


def tally_of(
    parts: list[tuple[Array, Array | None]],
    cuts: tuple[float, ...] = CUTS,
    value_range: tuple[float, float] | None = None,
    scale: Scale | None = None,
) -> Tally:
    """A tally for each part, merged in their order."""
    first = Tally(cuts, value_range, scale)
    tallies = []
    for values, mask in parts:
        tally = first.fresh()
        tally.add(hidden(values, mask), nodata=0 if mask is None else int(mask.sum()))
        tallies.append(tally)
    for tally in tallies:
        first.merge(tally)
    return first


def gather(
    parts: list[tuple[Array, Array | None]],
    cuts: tuple[float, ...] = CUTS,
    value_range: tuple[float, float] | None = None,
    area: float | None = None,
    scale: Scale | None = None,
) -> Statistics:
    """With `scale` from counts alone, else from the values at hand."""
    tally = tally_of(parts, cuts, value_range, scale)
    if scale is not None:
        assert tally.fine is not None
        spread = Distribution(scale, tally.fine, tally.outside)
    else:
        values = np.concatenate([hidden(values, mask).ravel() for values, mask in parts])
        least, greatest = (tally.minimum, tally.maximum) if tally.valid else (0.0, 1.0)
        spread = Distribution.of_values(values, least, greatest, clipped(least, greatest, value_range))
    return finish(tally, spread, pixel_area_m2=area)


def assert_like_numpy(stats: Statistics, values: Array, mask: Array) -> None:
    valid = values[~mask & ~np.isnan(values)]
    assert stats.valid_pixels == valid.size
    assert stats.nodata_pixels == mask.sum()
    assert stats.pixels == values.size
    assert stats.invalid_pixels == (~mask & np.isnan(values)).sum()
    if valid.size == 0:
        assert {stats.minimum, stats.maximum, stats.mean, stats.std, stats.median} == {None}
        assert {stats.p2, stats.p98, stats.percentile_error} == {None}
        assert (stats.histogram_edges, stats.histogram_counts) == ((), ())
        return
    wide = valid.astype(np.float64)
    assert (stats.minimum, stats.maximum) == (wide.min(), wide.max())
    scale = np.abs(wide).max() + 1e-30
    assert stats.mean == pytest.approx(wide.mean(), abs=1e-12 * scale)
    assert stats.std == pytest.approx(wide.std(), abs=1e-7 * scale)
    assert [stats.p2, stats.median, stats.p98] == np.percentile(wide, [2, 50, 98]).tolist()
    assert stats.percentile_error == 0
    classes = [np.sum(valid > np.float32(cut)) for cut in stats.cuts]
    assert stats.class_pixels == tuple(np.diff([0, *classes, valid.size]))
    assert sum(stats.histogram_counts) == valid.size
    assert len(stats.histogram_edges) == (65 if wide.min() < wide.max() else 2)


def pieces_of(values: Array, mask: Array, rows: int, columns: int) -> list[tuple[Array, Array | None]]:
    return [
        (values[r : r + rows, c : c + columns], mask[r : r + rows, c : c + columns])
        for r in range(0, values.shape[0], rows)
        for c in range(0, values.shape[1], columns)
    ]


@settings(max_examples=60, deadline=None)
@given(values=maps, data=st.data())
def test_any_cut_and_any_order_equal_numpy_on_the_whole(values: Array, data: st.DataObject) -> None:
    mask = data.draw(hnp.arrays(np.bool_, values.shape))
    parts = pieces_of(
        values,
        mask,
        data.draw(st.integers(1, values.shape[0])),
        data.draw(st.integers(1, values.shape[1])),
    )
    data.draw(st.randoms(use_true_random=False)).shuffle(parts)
    stats = gather(parts)
    assert_like_numpy(stats, values, mask)
    whole = gather([(values, mask)])
    for name in ("p2", "median", "p98", "class_pixels", "histogram_edges", "histogram_counts"):
        assert getattr(stats, name) == getattr(whole, name)


@settings(max_examples=40, deadline=None)
@given(values=maps, data=st.data())
def test_counts_alone_are_as_near_as_they_say(values: Array, data: st.DataObject) -> None:
    mask = data.draw(hnp.arrays(np.bool_, values.shape))
    span = data.draw(st.sampled_from([UNIT, (0.0, 0.25), (-1e6, 1e6)]))
    parts = pieces_of(values, mask, data.draw(st.integers(5, 12)), data.draw(st.integers(5, 12)))
    stats = gather(parts, value_range=span, scale=Scale(*span))
    exact = gather([(values, mask)], value_range=span)
    assert (stats.valid_pixels, stats.class_pixels) == (exact.valid_pixels, exact.class_pixels)
    assert stats.out_of_range_pixels == exact.out_of_range_pixels
    if stats.valid_pixels == 0:
        return
    assert stats.percentile_error is not None
    for name in ("p2", "median", "p98"):
        assert abs(getattr(stats, name) - getattr(exact, name)) <= stats.percentile_error * (1 + 1e-9)
    assert sum(stats.histogram_counts) == stats.valid_pixels
    if stats.out_of_range_pixels == 0:
        assert stats.percentile_error <= (span[1] - span[0]) / FINE_BINS * 0.51


def test_a_big_map_equals_numpy() -> None:
    rng = np.random.default_rng(5)
    values = rng.normal(0.4, 0.2, (400, 500)).astype(np.float32)
    values[rng.random(values.shape) < 0.1] = np.nan
    mask = rng.random(values.shape) < 0.2
    parts: list[tuple[Array, Array | None]] = [
        (values[r : r + 37], mask[r : r + 37]) for r in range(0, 400, 37)
    ]
    random.Random(1).shuffle(parts)
    stats = gather(parts)
    assert_like_numpy(stats, values, mask)
    valid = values[~mask & ~np.isnan(values)].astype(np.float64)
    assert stats.std == pytest.approx(valid.std(), rel=1e-12)
    expected, _ = np.histogram(valid, np.array(stats.histogram_edges))
    assert stats.histogram_counts == tuple(expected)


def test_pieces_longer_than_the_scratch_and_not_contiguous() -> None:
    values = np.random.default_rng(6).normal(0.2, 0.3, (300, 900)).astype(np.float32)
    part = values[:, 100:800]
    stats = gather([(part, None)])
    assert_like_numpy(stats, part, np.zeros(part.shape, bool))
    counts = gather([(part, None)], scale=Scale(-2.0, 2.0), value_range=(-2.0, 2.0))
    assert counts.class_pixels == stats.class_pixels
    assert counts.median == pytest.approx(stats.median, abs=0.51 * 4 / FINE_BINS)


def test_a_large_mean_does_not_spoil_the_deviation() -> None:
    values = (1e6 + np.array([[-0.5, 0.5] * 1000])).astype(np.float32)
    parts: list[tuple[Array, Array | None]] = [(values[:, i : i + 7], None) for i in range(0, 2000, 7)]
    assert gather(parts).std == pytest.approx(0.5, rel=1e-10)


def test_a_value_on_a_cut_belongs_to_the_worse_class() -> None:
    on_the_cut = np.float32((11 - 9) / (11 + 9))
    assert float(on_the_cut) > 0.1, "in float64 it would be above"
    values = np.array([[on_the_cut, np.nextafter(on_the_cut, np.float32(1)), 0.0, -0.1]], np.float32)
    assert gather([(values, None)]).class_pixels == (1, 1, 1, 1)


def test_any_number_of_cuts() -> None:
    values = np.array([[3.0, 2.0, 1.0, 0.0]], np.float32)
    assert gather([(values, None)], cuts=()).class_pixels == (4,)
    assert gather([(values, None)], cuts=(1.5,)).class_pixels == (2, 2)
    assert gather([(values, None)], cuts=(9.0, 8.0, 2.5, -5.0)).class_pixels == (0, 0, 1, 3, 0)


def test_cuts_found_afterwards_replace_the_others() -> None:
    values = np.array([[3.0, 2.0, 1.0, 0.0]], np.float32)
    tally = tally_of([(values, None)], cuts=())
    spread = Distribution.of_values(values, 0.0, 3.0)
    stats = finish(tally, spread, cuts=(2.5, 0.5), class_pixels=(1, 2, 1))
    assert (stats.cuts, stats.class_pixels) == ((2.5, 0.5), (1, 2, 1))


def test_nothing_valid_gives_none_and_valid_json() -> None:
    values = np.array([[np.nan, np.nan, 1.0]], np.float32)
    for scale in (None, Scale(*UNIT)):
        stats = gather([(values, np.array([[False, False, True]]))], area=2.0, scale=scale)
        assert (stats.valid_pixels, stats.nodata_pixels, stats.invalid_pixels) == (0, 1, 2)
        assert stats.class_pixels == (0, 0, 0, 0)
        assert stats.area_m2 == 0
        assert stats.valid_fraction == 0
        answer = json.loads(json.dumps(stats.to_dict(), allow_nan=False))
        assert answer["mean"] is answer["percentile_error"] is None
        assert answer["histogram"] == {"edges": [], "counts": []}


def test_masked_nan_is_nodata_not_invalid() -> None:
    stats = gather([(np.array([[np.nan, 1.0]], np.float32), np.array([[True, False]]))])
    assert (stats.valid_pixels, stats.nodata_pixels, stats.invalid_pixels) == (1, 1, 0)


def test_every_pixel_is_one_of_four() -> None:
    tally = Tally(CUTS)
    tally.add(np.full((2, 5), np.nan, np.float32), nodata=4, background=3, odd=6)
    tally.add(np.zeros((1, 2), np.float32), odd=1)
    stats = finish(tally, Distribution.of_values(np.zeros(2, np.float32), 0.0, 0.0))
    assert (stats.nodata_pixels, stats.background_pixels, stats.invalid_pixels) == (4, 3, 3)
    assert (stats.valid_pixels, stats.pixels, tally.odd) == (2, 12, 7)
    assert stats.valid_fraction == 2 / 12


def test_histogram_is_clipped_to_the_index_range() -> None:
    values = np.array([[-250.0, -1.0, -0.5, 0.0, 0.5, 3e5]], np.float32)
    stats = gather([(values, None)], value_range=UNIT)
    assert (stats.histogram_edges[0], stats.histogram_edges[-1]) == UNIT
    assert (stats.histogram_counts[0], stats.histogram_counts[-1]) == (2, 1)
    assert stats.histogram_counts[32] == 1, "a value on an inner edge belongs above it"
    assert sum(stats.histogram_counts) == 6


@pytest.mark.parametrize("scale", [None, Scale(*UNIT)])
def test_values_out_of_range_are_counted_not_hidden(scale: Scale | None) -> None:
    values = np.array([[-250.0, -1.0, 1.0, np.nextafter(np.float32(1), np.float32(2)), 3e5]], np.float32)
    stats = gather([(values, None)], value_range=UNIT, scale=scale)
    assert stats.out_of_range_pixels == 3
    assert stats.valid_pixels == 5
    assert (stats.minimum, stats.maximum) == (-250.0, 3e5)
    assert gather([(values, None)]).out_of_range_pixels == 0


def test_histogram_follows_the_data_within_the_range() -> None:
    stats = gather([(np.array([[0.25, 0.75]], np.float32), None)], value_range=UNIT)
    assert (stats.histogram_edges[0], stats.histogram_edges[-1]) == (0.25, 0.75)
    outside = gather([(np.array([[5.0, 7.0]], np.float32), None)], value_range=UNIT)
    assert (outside.histogram_edges[0], outside.histogram_edges[-1]) == (5.0, 7.0)


@pytest.mark.parametrize("value", [0.0, -0.0, 0.3, 1e9, -3e38])
@pytest.mark.parametrize("scale", [None, Scale(*UNIT)])
def test_a_single_value(value: float, scale: Scale | None) -> None:
    stats = gather([(np.full((3, 4), value, np.float32), None)], scale=scale, value_range=UNIT)
    assert stats.minimum == stats.mean == stats.maximum == np.float32(value)
    if scale is None:
        assert stats.p2 == stats.median == stats.p98 == np.float32(value)
    for number in (stats.minimum, stats.maximum, stats.mean, stats.median):
        assert str(number) != "-0.0"
    assert stats.std == 0
    assert sum(stats.histogram_counts) == 12


def test_the_whole_range_of_float32() -> None:
    most = np.finfo(np.float32).max
    values = np.array([[-most, 0.0, most]], np.float32)
    stats = gather([(values, None)])
    assert (stats.minimum, stats.median, stats.maximum) == (-float(most), 0.0, float(most))
    assert sum(stats.histogram_counts) == 3
    assert stats.mean == 0
    wide = gather([(values, None)], scale=Scale(*UNIT), value_range=UNIT)
    assert wide.median == pytest.approx(0, abs=1.02 / FINE_BINS)
    assert sum(wide.histogram_counts) == 3


def test_area_is_that_of_valid_pixels() -> None:
    values = np.array([[1.0, np.nan, 2.0]], np.float32)
    assert gather([(values, None)], area=0.25).area_m2 == 0.5
    assert gather([(values, None)]).area_m2 is None


def test_merging_is_like_adding() -> None:
    rng = np.random.default_rng(8)
    pieces = [rng.normal(0, 2, (9, 11)).astype(np.float32) for _ in range(6)]
    together = Tally(CUTS, UNIT, Scale(*UNIT))
    for piece in pieces:
        together.add(piece)
    parts: list[tuple[Array, Array | None]] = [(piece, None) for piece in pieces]
    merged = tally_of(parts, CUTS, UNIT, Scale(*UNIT))
    halves, rest = (tally_of(parts[i::2], CUTS, UNIT, Scale(*UNIT)) for i in (0, 1))
    halves.merge(rest)
    for other in (merged, halves):
        for name in ("pixels", "valid", "out_of_range", "minimum", "maximum", "above", "class_counts"):
            assert getattr(other, name) == getattr(together, name)
        np.testing.assert_array_equal(other.fine, together.fine)
        np.testing.assert_array_equal(other.outside, together.outside)
        assert other.mean == pytest.approx(together.mean, rel=1e-12)
        assert other.m2 == pytest.approx(together.m2, rel=1e-12)
    fresh = together.fresh()
    assert (fresh.pixels, fresh.valid, fresh.above, fresh.outside) == (0, 0, [0, 0, 0], None)
    assert fresh.fine is not None
    assert fresh.fine.sum() == 0
