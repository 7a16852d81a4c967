"""Classes: colours, labels, shares that add up, the conclusion."""

from __future__ import annotations

import math

import pytest

from orthoray.reporting.verdict import (
    ClassRow,
    adding_up,
    class_color,
    class_name,
    largest_class,
)


@pytest.mark.parametrize(
    ("name", "label", "expected"),
    [
        ("Mild stress", None, "mild_stress"),
        ("severe-stress", "x", "severe_stress"),
        (None, "Лёгкий стресс", "mild_stress"),
        (None, "Сорняки", None),
        (None, None, None),
    ],
)
def test_names(name: str | None, label: str | None, expected: str | None) -> None:
    assert class_name(name, label) == expected


def test_unknown_classes_run_from_green_to_red() -> None:
    assert class_color("weeds", 0, 1) == class_color(None, 0, 5)
    assert len({class_color(None, i, 5) for i in range(5)}) == 5


def test_percents_and_areas_add_up() -> None:
    third = ClassRow(percent=100 / 3, area_m2=10_000 / 3)
    rows = adding_up((third, third, third))
    assert [row.percent for row in rows] == [33.4, 33.3, 33.3]
    assert [row.area_m2 for row in rows] == pytest.approx([3400.0, 3300.0, 3300.0])


@pytest.mark.parametrize("odd", [None, -1.0, math.nan, math.inf])
def test_where_a_share_is_not_known_nothing_is_rounded(odd: float | None) -> None:
    rows = (ClassRow(percent=odd), ClassRow(percent=12.3456))
    assert adding_up(rows)[1].percent == 12.3456


def test_the_first_of_equals_is_the_largest() -> None:
    rows = (ClassRow(label="a"), ClassRow(label="b", percent=50.0), ClassRow(label="c", percent=50.0))
    largest = largest_class(rows)
    assert largest is not None
    assert largest.label == "b"
    assert largest_class(rows[:1]) is None
