import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orthoray.spectral.classes import class_counts, class_table, stats_by_label
from orthoray.spectral.texts import TEXTS
from orthoray.spectral.thresholds import CLASS_NAMES, ThresholdSet

NDVI = ThresholdSet("NDVI/1", "NDVI", (0.6, 0.4, 0.2), None, "a source")


def table(counts, language="en"):
    return class_table(counts, NDVI, language)


def test_a_value_on_a_cut_belongs_to_the_class_below():
    cuts = (0.1, 0.0, -0.1)
    on_cuts = np.array(cuts, dtype=np.float32)
    assert class_counts(on_cuts, cuts) == (0, 1, 1, 1)
    assert class_counts(np.nextafter(on_cuts, np.float32(1)), cuts) == (1, 1, 1, 0)


@settings(max_examples=50, deadline=None)
@given(
    st.lists(st.floats(-2, 2, width=32) | st.just(math.nan) | st.sampled_from([0.1, 0.0, -0.1]), max_size=40)
)
def test_every_value_but_nan_is_in_exactly_one_class(values):
    array = np.array(values, dtype=np.float32)
    assert sum(class_counts(array, (0.1, 0.0, -0.1))) == np.count_nonzero(~np.isnan(array))


def test_the_table_has_open_ends_and_areas():
    rows = class_table([2, 1, 1, 4], NDVI, "en", 0.25)
    assert [row["name"] for row in rows] == list(CLASS_NAMES)
    assert [(row["lower"], row["upper"]) for row in rows] == [
        (0.6, None),
        (0.4, 0.6),
        (0.2, 0.4),
        (None, 0.2),
    ]
    assert [row["percent"] for row in rows] == [25.0, 12.5, 12.5, 50.0]
    assert [row["area_m2"] for row in rows] == [0.5, 0.25, 0.25, 1.0]
    assert [row["area_m2"] for row in table([1, 1, 1, 1])] == [None] * 4


def test_the_table_takes_numpy_counts_and_gives_plain_numbers():
    rows = class_table(np.array([3, 0, 0, 1]), NDVI, "en", 1.0)
    assert all(type(row["pixels"]) is int and type(row["percent"]) is float for row in rows)


def test_the_table_without_valid_pixels_is_all_zero():
    rows = class_table([0, 0, 0, 0], NDVI, "ro", 2.0)
    assert all(row["percent"] == 0.0 and row["area_m2"] == 0.0 for row in rows)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(0, 10**12), min_size=4, max_size=4).filter(any))
def test_percents_sum_to_a_hundred(counts):
    assert sum(row["percent"] for row in table(counts)) == pytest.approx(100.0)


def test_labels_follow_the_language():
    assert list(stats_by_label(table([1, 1, 1, 1], "ru"))) == [
        "Здоровые",
        "Легкий стресс",
        "Сильный стресс",
        "Критическое",
    ]
    assert list(stats_by_label(table([1, 1, 1, 1], "ro")))[1] == "Stres ușor"
    assert stats_by_label(table([1, 1, 1, 1])) == dict.fromkeys(TEXTS["en"].labels.values(), 25.0)
