"""Geometry of the vector charts."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reportlab.graphics.shapes import Drawing, Rect, String

from orthoray.reporting.charts import (
    color_at,
    histogram_drawing,
    legend_drawing,
    share_bar_drawing,
    tick_decimals,
    ticks,
)
from orthoray.reporting.content import Histogram, Legend
from orthoray.reporting.formats import Formats
from orthoray.reporting.texts import texts_for
from orthoray.reporting.theme import readable_on
from orthoray.reporting.verdict import ClassRow

FORMATS = Formats(texts_for("ro"))
LEGEND = Legend(stops=((0.0, "#000000"), (0.5, "#ff0000"), (1.0, "#ffffff")), vmin=0.0, vmax=1.0)
CLASSES = (
    ClassRow(name="healthy", lower=0.5, percent=60.0, color="#00ff00"),
    ClassRow(name="critical", upper=0.5, percent=40.0, color="#ff0000"),
)


def of_kind(drawing: Drawing, kind: type) -> list[Any]:
    return [shape for shape in drawing.contents if isinstance(shape, kind)]


def words(drawing: Drawing) -> list[str]:
    return [shape.text for shape in of_kind(drawing, String)]


@pytest.mark.parametrize(
    ("value", "color"),
    [(-1, "#000000"), (0, "#000000"), (0.25, "#800000"), (0.5, "#ff0000"), (0.75, "#ff8080"), (9, "#ffffff")],
)
def test_colours_are_interpolated_between_the_stops(value: float, color: str) -> None:
    assert color_at(LEGEND, value) == color


def test_a_doubled_stop_is_a_step() -> None:
    stepped = Legend(((0, "#000000"), (0.5, "#000000"), (0.5, "#ffffff"), (1, "#ffffff")), 0, 1)
    assert color_at(stepped, 0.5) == "#000000"
    assert color_at(stepped, 0.51) == "#ffffff"


@given(st.floats(-1e4, 1e4), st.floats(1e-6, 1e6))
@settings(max_examples=60, deadline=None)
def test_ticks_are_few_ascending_and_within(low: float, span: float) -> None:
    marks = ticks(low, low + span)
    assert list(marks) == sorted(set(marks))
    assert len(marks) <= 12
    slack = 1e-6 * (abs(low) + span)
    assert all(low - slack <= mark <= low + span + slack for mark in marks)


def test_ticks_are_round() -> None:
    marks = ticks(-1.0, 1.0)
    assert marks == pytest.approx((-1.0, -0.5, 0.0, 0.5, 1.0))
    assert tick_decimals(marks) == 1
    assert ticks(1.0, 1.0) == ()
    assert ticks(0.0, math.inf) == ()


def test_the_legend_is_as_wide_as_asked_and_names_round_values() -> None:
    drawing = legend_drawing(LEGEND, 100, FORMATS)
    assert drawing is not None
    bars = of_kind(drawing, Rect)
    assert min(bar.x for bar in bars) == 0
    assert all(bar.x + bar.width == pytest.approx(100) for bar in bars)
    assert words(drawing)[0] == "0,0"


def test_a_legend_without_extent_is_left_out() -> None:
    assert legend_drawing(Legend(((1, "#000000"), (1, "#ffffff")), 1, 1), 100, FORMATS) is None


def test_shares_fill_the_bar_in_proportion() -> None:
    drawing = share_bar_drawing(CLASSES, 200, FORMATS)
    assert drawing is not None
    assert [bar.width for bar in of_kind(drawing, Rect)] == pytest.approx([120, 80])
    assert words(drawing) == ["60,0\u00a0%", "40,0\u00a0%"]


def test_a_share_too_small_for_its_number_has_none() -> None:
    drawing = share_bar_drawing((ClassRow(percent=99.0), ClassRow(percent=1.0)), 200, FORMATS)
    assert drawing is not None
    assert words(drawing) == ["99,0\u00a0%"]
    assert share_bar_drawing((ClassRow(), ClassRow(percent=0.0)), 200, FORMATS) is None


def histogram(edges: tuple[float, ...], counts: tuple[int, ...], **over: Any) -> Drawing | None:
    options: dict[str, Any] = {"classes": CLASSES, "cuts": (0.5,), "mean": 0.45, "median": 0.4}
    return histogram_drawing(
        Histogram(edges, counts), **{**options, **over}, size=(300.0, 120.0), formats=FORMATS
    )


def test_bars_rise_with_the_counts_in_the_colours_of_their_classes() -> None:
    drawing = histogram((0.0, 0.25, 0.5, 0.75, 1.0), (1, 4, 2, 1))
    assert drawing is not None
    bars = of_kind(drawing, Rect)
    heights = [bar.height for bar in bars]
    assert heights == pytest.approx([heights[1] / 4, heights[1], heights[1] / 2, heights[1] / 4])
    assert [bar.fillColor.hexval() for bar in bars] == ["0xff0000", "0xff0000", "0x00ff00", "0x00ff00"]
    assert {"Media 0,450", "Mediana 0,400", "0,50"} <= set(words(drawing))


def test_empty_ends_are_cut_off_and_many_bins_joined() -> None:
    edges = tuple(i / 1000 for i in range(1001))
    drawing = histogram(edges, (0,) * 400 + (3,) * 200 + (0,) * 400, cuts=(), mean=None, median=None)
    assert drawing is not None
    bars = of_kind(drawing, Rect)
    assert 60 <= len(bars) <= 160
    assert all(26 <= bar.x <= bar.x + bar.width <= 294.3 for bar in bars)


def test_nothing_counted_is_no_histogram() -> None:
    assert histogram((0.0, 1.0), (0,)) is None


@pytest.mark.parametrize(
    ("shade", "text"), [("#C62828", "#FFFFFF"), ("#F9A825", "#333333"), ("#FFFFFF", "#333333")]
)
def test_text_contrasts_with_its_ground(shade: str, text: str) -> None:
    assert readable_on(shade) == text
