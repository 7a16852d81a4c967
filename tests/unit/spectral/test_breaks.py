from itertools import combinations, pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orthoray.spectral.breaks import MAX_GROUPS, jenks_cuts, quantile_cuts
from orthoray.spectral.classes import class_counts

WAYS = pytest.mark.parametrize("cuts_of", [quantile_cuts, jenks_cuts])


def histogram(values, edges):
    """numpy's own: a value on an inner edge belongs to the bin above, the last bin has both its edges."""
    return np.histogram(values, edges)[0].astype(np.int64)


def bins_in_classes(edges, counts, cuts):
    """The pixels of each class, best first, by the first float32 of each bin: no cut may part a bin."""
    firsts = edges[:-1].astype(np.float32)
    firsts = np.where(firsts < edges[:-1], np.nextafter(firsts, np.float32(np.inf)), firsts)
    return class_counts(np.repeat(firsts, counts), cuts)


def around(values, bins=64):
    """A histogram of float32 values over their own range."""
    edges = np.linspace(float(values.min()), float(values.max()) + 1e-6, bins + 1)
    return edges, histogram(values.astype(np.float64), edges)


def spread(values, cuts):
    """The sum of squared differences from the means of the classes, in float64."""
    first, second, third = cuts
    classes = np.select([values > first, values > second, values > third], [0, 1, 2], 3)
    return sum(
        float(((part := values[classes == k]) - part.mean()) @ (part - part.mean()))
        for k in range(4)
        if np.any(classes == k)
    )


def test_quantiles_of_a_plain_ramp_are_its_quarters():
    values = np.arange(64, dtype=np.float32) + np.float32(0.5)
    edges = np.arange(65, dtype=np.float64)
    cuts = quantile_cuts(edges, histogram(values, edges))
    assert class_counts(values, cuts) == (16, 16, 16, 16)
    assert cuts == tuple(float(np.nextafter(np.float32(edge), np.float32(-1))) for edge in (48, 32, 16))


@WAYS
def test_a_cut_at_an_edge_takes_the_value_on_the_edge_above(cuts_of):
    values = np.repeat(np.array([0.1, 0.2, 0.3, 0.7], dtype=np.float32), [5, 5, 5, 5])
    edges = np.array([0.0, *sorted({float(value) for value in values}), 1.0])
    cuts = cuts_of(edges, histogram(values.astype(np.float64), edges))
    assert class_counts(values, cuts) == (5, 5, 5, 5)


@WAYS
@settings(max_examples=60, deadline=None)
@given(
    values=st.lists(
        st.floats(-1, 1, width=32) | st.sampled_from([0.0, 0.1, 0.25, 1.0]), min_size=1, max_size=80
    ),
    bins=st.integers(1, 70),
)
def test_cuts_descend_and_bins_count_what_pixels_do(cuts_of, values, bins):
    array = np.array(values, dtype=np.float32)
    edges = np.linspace(-1.0, 1.0, bins + 1)
    counts = histogram(array.astype(np.float64), edges)
    cuts = cuts_of(edges, counts)
    assert all(upper > lower for upper, lower in pairwise(cuts))
    assert all(np.float32(cut) == cut for cut in cuts)
    found = bins_in_classes(edges, counts, cuts)
    assert found == class_counts(array, cuts)
    assert sum(found) == array.size
    filled = np.count_nonzero(counts)
    assert np.count_nonzero(found) == min(4, filled)


@WAYS
@pytest.mark.parametrize("scale", [1e-30, 1e-9, 1.0, 3e7, 1e30])
def test_values_of_any_size_are_parted(cuts_of, scale):
    rng = np.random.default_rng(3)
    values = (rng.normal(5, 1, 4000) * scale).astype(np.float32)
    edges = np.linspace(float(values.min()), float(values.max()), 257)
    counts = histogram(values.astype(np.float64), edges)
    cuts = cuts_of(edges, counts)
    assert bins_in_classes(edges, counts, cuts) == class_counts(values, cuts)
    assert min(class_counts(values, cuts)) > 0


@WAYS
def test_edges_closer_than_float32_can_tell_are_no_cuts(cuts_of):
    # three float32 values, each over some hundred bins of float64
    values = np.array([1.0, np.nextafter(np.float32(1), 2), np.nextafter(np.float32(1), 0)], dtype=np.float32)
    edges = np.linspace(1 - 2e-7, 1 + 2e-7, 1001)
    cuts = cuts_of(edges, np.ones(1000, dtype=np.int64))
    assert all(upper > lower for upper, lower in pairwise(cuts))
    assert all(np.float32(cut) == cut for cut in cuts)
    assert sum(class_counts(values, cuts)) == 3


@WAYS
@pytest.mark.parametrize(
    ("filled", "classes"),
    [([3], (0, 9, 0, 0)), ([0], (0, 9, 0, 0)), ([1, 4], (0, 9, 9, 0)), ([0, 2, 5], (9, 9, 9, 0))],
)
def test_fewer_values_than_classes(cuts_of, filled, classes):
    edges = np.linspace(-0.5, 0.5, 7)
    counts = np.zeros(6, dtype=np.int64)
    counts[filled] = 9
    cuts = cuts_of(edges, counts)
    assert bins_in_classes(edges, counts, cuts) == classes
    assert all(upper > lower for upper, lower in pairwise(cuts))


@WAYS
@pytest.mark.parametrize("value", [0.0, -3e-38, 0.37, 1e6, -1e30])
def test_a_constant_image_is_one_class(cuts_of, value):
    value = float(np.float32(value))
    half = max(0.5, abs(value) * 1e-6)
    edges = np.linspace(value - half, value + half, 65)
    counts = histogram(np.full(10, value), edges)
    cuts = cuts_of(edges, counts)
    assert class_counts(np.full(10, value, dtype=np.float32), cuts) == (0, 10, 0, 0)


@WAYS
def test_without_a_pixel_there_are_cuts_all_the_same(cuts_of):
    empty = np.zeros(0, dtype=np.int64)
    for edges in (np.zeros(0), np.zeros(1)):
        assert cuts_of(edges, empty) == (1.0, 0.0, -1.0)
    assert cuts_of(np.linspace(0, 1, 5), np.zeros(4, dtype=np.int64)) == (1.0, 0.0, -1.0)


def test_one_value_in_most_pixels_does_not_empty_the_quartiles():
    counts = np.array([1, 1, 1, 97, 1, 1])
    edges = np.linspace(0.0, 6.0, 7)
    assert min(bins_in_classes(edges, counts, quantile_cuts(edges, counts))) > 0


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.integers(0, 9), min_size=4, max_size=14).filter(lambda counts: sum(map(bool, counts)) >= 4)
)
def test_natural_breaks_are_the_best_there_are(sizes):
    counts = np.array(sizes, dtype=np.int64)
    edges = np.arange(counts.size + 1, dtype=np.float64) * 0.125
    middles = np.repeat((edges[:-1] + edges[1:]) / 2, counts)
    best = min(spread(middles, cuts[::-1]) for cuts in combinations(edges[1:-1], 3))
    assert spread(middles, jenks_cuts(edges, counts)) == pytest.approx(best, abs=1e-9)


def test_natural_breaks_lie_between_clear_groups():
    rng = np.random.default_rng(1)
    values = np.concatenate(
        [rng.normal(at, 0.02, n) for at, n in ((-0.5, 900), (0, 50), (0.3, 400), (0.8, 90))]
    )
    edges, counts = around(values.astype(np.float32), 65_536)
    assert np.count_nonzero(counts) > MAX_GROUPS
    first, second, third = jenks_cuts(edges, counts)
    assert 0.4 < first < 0.8
    assert 0.1 < second < 0.3
    assert -0.4 < third < 0.0


def test_joining_neighbours_costs_natural_breaks_next_to_nothing():
    values = np.random.default_rng(5).beta(2, 5, 20_000).astype(np.float32)
    exact = spread(values.astype(np.float64), jenks_cuts(*around(values, MAX_GROUPS)))
    joined = spread(values.astype(np.float64), jenks_cuts(*around(values, 65_536)))
    assert joined <= exact * 1.001


@WAYS
@pytest.mark.parametrize(
    ("edges", "counts"),
    [
        ([0.0, 1.0], [1, 2]),
        ([0.0, 0.0, 1.0], [1, 2]),
        ([1.0, 0.0], [1]),
        ([0.0, np.inf], [1]),
        ([0.0, np.nan], [1]),
        ([0.0, 1.0], [-1]),
        ([[0.0, 1.0]], [1]),
    ],
)
def test_what_is_no_histogram_is_refused(cuts_of, edges, counts):
    with pytest.raises(ValueError, match=r"histogram|edges"):
        cuts_of(np.array(edges, dtype=np.float64), np.array(counts, dtype=np.int64))
