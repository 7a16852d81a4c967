from __future__ import annotations

import functools
import json
import random
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from orthoray.spectral.statistics import (
    Statistics,
    detail,
    finish,
    merge,
    merge_details,
    plan,
    summarise,
)

Array = npt.NDArray[Any]
CUTS = (0.1, 0.0, -0.1)

floats = st.floats(-1e6, 1e6, width=32) | st.sampled_from([0.0, -0.0, 0.1, -0.1, float("nan"), float("inf")])
maps = hnp.arrays(np.float32, hnp.array_shapes(min_dims=2, max_dims=2, max_side=12), elements=floats)


def gather(
    parts: list[tuple[Array, Array | None]],
    cuts: tuple[float, ...] = CUTS,
    value_range: tuple[float, float] | None = None,
    area: float | None = None,
) -> Statistics:
    summary = functools.reduce(merge, [summarise(values, mask, cuts) for values, mask in parts])
    wanted = plan(summary, value_range)
    found = functools.reduce(merge_details, [detail(values, mask, wanted) for values, mask in parts])
    return finish(summary, wanted, found, cuts, area)


def assert_like_numpy(stats: Statistics, values: Array, mask: Array) -> None:
    valid = values[~mask & np.isfinite(values)]
    assert stats.valid_pixels == valid.size
    assert stats.nodata_pixels == mask.sum()
    assert stats.valid_pixels + stats.nodata_pixels + stats.invalid_pixels == values.size
    if valid.size == 0:
        assert {stats.minimum, stats.maximum, stats.mean, stats.std, stats.median} == {None}
        assert (stats.histogram_edges, stats.histogram_counts) == ((), ())
        return
    wide = valid.astype(np.float64)
    assert (stats.minimum, stats.maximum) == (wide.min(), wide.max())
    scale = np.abs(wide).max() + 1e-30
    assert stats.mean == pytest.approx(wide.mean(), abs=1e-12 * scale)
    assert stats.std == pytest.approx(wide.std(), abs=1e-7 * scale)
    assert [stats.p2, stats.median, stats.p98] == np.percentile(wide, [2, 50, 98]).tolist()
    classes = [np.sum(valid > np.float32(cut)) for cut in stats.cuts]
    assert stats.class_pixels == tuple(np.diff([0, *classes, valid.size]))
    assert sum(stats.histogram_counts) == valid.size
    assert len(stats.histogram_edges) == 65


@settings(max_examples=60, deadline=None)
@given(values=maps, data=st.data())
def test_any_cut_and_any_order_equal_numpy_on_the_whole(values: Array, data: st.DataObject) -> None:
    mask = data.draw(hnp.arrays(np.bool_, values.shape))
    rows = data.draw(st.integers(1, values.shape[0]))
    columns = data.draw(st.integers(1, values.shape[1]))
    parts = [
        (values[r : r + rows, c : c + columns], mask[r : r + rows, c : c + columns])
        for r in range(0, values.shape[0], rows)
        for c in range(0, values.shape[1], columns)
    ]
    data.draw(st.randoms(use_true_random=False)).shuffle(parts)
    stats = gather(parts)
    assert_like_numpy(stats, values, mask)
    whole = gather([(values, mask)])
    for name in ("p2", "median", "p98", "class_pixels", "histogram_edges", "histogram_counts"):
        assert getattr(stats, name) == getattr(whole, name)


def test_a_big_map_equals_numpy() -> None:
    rng = np.random.default_rng(5)
    values = rng.normal(0.4, 0.2, (400, 500)).astype(np.float32)
    values[rng.random(values.shape) < 0.1] = np.nan
    mask = rng.random(values.shape) < 0.2
    parts = [(values[r : r + 37], mask[r : r + 37]) for r in range(0, 400, 37)]
    random.Random(1).shuffle(parts)
    stats = gather(parts)
    assert_like_numpy(stats, values, mask)
    valid = values[~mask & np.isfinite(values)].astype(np.float64)
    assert stats.std == pytest.approx(valid.std(), rel=1e-12)
    expected, _ = np.histogram(valid, np.array(stats.histogram_edges))
    assert stats.histogram_counts == tuple(expected)


def test_a_large_mean_does_not_spoil_the_deviation() -> None:
    values = (1e6 + np.array([[-0.5, 0.5] * 1000])).astype(np.float32)
    parts = [(values[:, i : i + 7], None) for i in range(0, 2000, 7)]
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
    with pytest.raises(ValueError, match="descend"):
        summarise(values, None, (0.1, 0.1))


def test_nothing_valid_gives_none_and_valid_json() -> None:
    values = np.array([[np.nan, np.inf, 1.0]], np.float32)
    stats = gather([(values, np.array([[False, False, True]]))], area=2.0)
    assert (stats.valid_pixels, stats.nodata_pixels, stats.invalid_pixels) == (0, 1, 2)
    assert stats.class_pixels == (0, 0, 0, 0)
    assert stats.area_m2 == 0
    answer = json.loads(json.dumps(stats.to_dict(), allow_nan=False))
    assert answer["mean"] is None
    assert answer["histogram"] == {"edges": [], "counts": []}


def test_masked_nan_is_nodata_not_invalid() -> None:
    stats = gather([(np.array([[np.nan, 1.0]], np.float32), np.array([[True, False]]))])
    assert (stats.valid_pixels, stats.nodata_pixels, stats.invalid_pixels) == (1, 1, 0)


def test_histogram_is_clipped_to_the_index_range() -> None:
    values = np.array([[-250.0, -1.0, -0.5, 0.0, 0.5, 3e5]], np.float32)
    stats = gather([(values, None)], value_range=(-1.0, 1.0))
    assert (stats.histogram_edges[0], stats.histogram_edges[-1]) == (-1.0, 1.0)
    assert (stats.histogram_counts[0], stats.histogram_counts[-1]) == (2, 1)
    assert stats.histogram_counts[32] == 1, "a value on an inner edge belongs above it"
    assert sum(stats.histogram_counts) == 6


def test_histogram_follows_the_data_within_the_range() -> None:
    stats = gather([(np.array([[0.25, 0.75]], np.float32), None)], value_range=(-1.0, 1.0))
    assert (stats.histogram_edges[0], stats.histogram_edges[-1]) == (0.25, 0.75)
    outside = gather([(np.array([[5.0, 7.0]], np.float32), None)], value_range=(-1.0, 1.0))
    assert (outside.histogram_edges[0], outside.histogram_edges[-1]) == (5.0, 7.0)


@pytest.mark.parametrize("value", [0.0, -0.0, 0.3, 1e9, -3e38])
def test_a_single_value(value: float) -> None:
    stats = gather([(np.full((3, 4), value, np.float32), None)])
    assert stats.minimum == stats.p2 == stats.median == stats.p98 == stats.maximum == np.float32(value)
    assert str(stats.median) != "-0.0"
    assert stats.std == 0
    assert sum(stats.histogram_counts) == 12


def test_the_whole_range_of_float32() -> None:
    most = np.finfo(np.float32).max
    values = np.array([[-most, 0.0, most]], np.float32)
    stats = gather([(values, None)])
    assert (stats.minimum, stats.median, stats.maximum) == (-float(most), 0.0, float(most))
    assert sum(stats.histogram_counts) == 3


def test_area_is_that_of_valid_pixels() -> None:
    values = np.array([[1.0, np.nan, 2.0]], np.float32)
    assert gather([(values, None)], area=0.25).area_m2 == 0.5
    assert gather([(values, None)]).area_m2 is None
