"""Vector charts: the colour scale of a heatmap, the bar of class shares, the histogram of values."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from reportlab.graphics.shapes import Drawing, Line, Rect, String

from orthoray.reporting.content import Histogram, Legend
from orthoray.reporting.fonts import BOLD, REGULAR, register_fonts, text_width
from orthoray.reporting.formats import Formats, bound_decimals
from orthoray.reporting.theme import LINE, MUTED, PALETTE, Palette, hex_color, readable_on
from orthoray.reporting.verdict import ClassRow

_SHADES: Final = 160
_MAX_BARS: Final = 160
_LABEL: Final = 7.0


def brand_mark(palette: Palette = PALETTE) -> Drawing:
    """The brand's mark: a field of nine pixels."""
    mark = Drawing(14, 14)
    dark, primary, accent = palette.dark, palette.primary, palette.accent
    for i, shade in enumerate(
        (dark, primary, accent, primary, accent, "#A5D6A7", accent, "#A5D6A7", "#F9A825")
    ):
        mark.add(
            Rect(
                4.8 * (i % 3),
                4.8 * (i // 3),
                4.2,
                4.2,
                rx=0.8,
                ry=0.8,
                fillColor=hex_color(shade),
                strokeColor=None,
            )
        )
    return mark


def color_at(legend: Legend, value: float) -> str:
    """The colour "#rrggbb" of a value: linear between the stops, the outermost beyond them."""
    stops = legend.stops
    if value <= stops[0][0]:
        return stops[0][1]
    for (low, first), (high, second) in pairwise(stops):
        if value <= high:
            weight = (value - low) / (high - low) if high > low else 1.0
            mixed = (
                round(int(first[i : i + 2], 16) * (1 - weight) + int(second[i : i + 2], 16) * weight)
                for i in (1, 3, 5)
            )
            return "#" + "".join(f"{channel:02x}" for channel in mixed)
    return stops[-1][1]


def ticks(low: float, high: float, wanted: int = 5) -> tuple[float, ...]:
    """Round numbers (1, 2 or 5 times a power of ten) within [low, high], about `wanted` of them."""
    span = high - low
    if not (math.isfinite(span) and span > 0):
        return ()
    power = 10.0 ** math.floor(math.log10(span / wanted))
    step = min((factor * power for factor in (1, 2, 5, 10)), key=lambda size: abs(span / size - wanted))
    first = math.ceil(low / step - 1e-9)
    last = math.floor(high / step + 1e-9)
    return tuple(i * step for i in range(first, last + 1)) if last - first < 50 else ()


def tick_decimals(values: Sequence[float]) -> int:
    """Decimals that tell neighbouring ticks apart."""
    if len(values) < 2:
        return 2
    step = min(high - low for low, high in pairwise(values))
    return min(6, max(0, -math.floor(math.log10(step) + 1e-9))) if step > 0 else 2


def legend_drawing(legend: Legend, width: float, formats: Formats) -> Drawing | None:
    """The colour scale, `width` points wide, with round values below it; None for a scale without extent."""
    if not legend.stops or not legend.vmin < legend.vmax:
        return None
    register_fonts()
    bar_height, height = 8.0, 19.0
    drawing = Drawing(width, height)
    base = height - bar_height
    span = legend.vmax - legend.vmin
    for i in range(_SHADES):
        left = width * i / _SHADES
        shade = color_at(legend, legend.vmin + span * (i + 0.5) / _SHADES)
        # Each shade reaches to the far end under those that follow: touching edges would show as hairlines.
        drawing.add(Rect(left, base, width - left, bar_height, fillColor=hex_color(shade), strokeColor=None))
    marks = ticks(legend.vmin, legend.vmax)
    decimals = tick_decimals(marks)
    for mark in marks:
        x = width * (mark - legend.vmin) / span
        drawing.add(Line(x, base - 2, x, base, strokeColor=hex_color(MUTED), strokeWidth=0.5))
        drawing.add(_label(formats.number(mark, decimals), x, 1.5, within=(0, width)))
    return drawing


def share_bar_drawing(
    classes: Sequence[ClassRow], width: float, formats: Formats, palette: Palette = PALETTE
) -> Drawing | None:
    """The shares of the classes as one stacked bar, or None where no share is known."""
    register_fonts()
    shares = [(min(max(row.percent or 0.0, 0.0), 100.0), row.color or palette.accent) for row in classes]
    total = math.fsum(share for share, _ in shares)
    if not total > 0:
        return None
    height = 17.0
    drawing = Drawing(width, height)
    left = 0.0
    for share, shade in shares:
        length = width * share / total
        if length <= 0:
            continue
        drawing.add(
            Rect(
                left,
                0,
                length,
                height,
                fillColor=hex_color(shade),
                strokeColor=hex_color("#FFFFFF"),
                strokeWidth=0.6,
            )
        )
        text = formats.percent(share)
        if text_width(text, BOLD, 8) + 6 <= length:
            color = hex_color(readable_on(shade))
            drawing.add(
                String(
                    left + length / 2,
                    5.6,
                    text,
                    fontName=BOLD,
                    fontSize=8,
                    fillColor=color,
                    textAnchor="middle",
                )
            )
        left += length
    return drawing


def histogram_drawing(
    histogram: Histogram,
    *,
    classes: Sequence[ClassRow],
    cuts: Sequence[float],
    mean: float | None,
    median: float | None,
    size: tuple[float, float],
    formats: Formats,
    palette: Palette = PALETTE,
) -> Drawing | None:
    """Bars in the colours of the classes, class cuts dashed, mean and median marked; None without pixels."""
    register_fonts()
    bars = _bars(histogram)
    total = sum(histogram.counts)
    if not bars or total <= 0:
        return None
    width, height = size
    plot = _Plot(
        low=bars[0][0],
        high=bars[-1][1],
        peak=max(count for _, _, count in bars) / total * 100,
        left=26.0,
        right=width - 6.0,
        bottom=15.0,
        top=height - 24.0,
    )
    drawing = Drawing(width, height)
    _draw_share_axis(drawing, plot, formats)
    gap = 0.25 if len(bars) < 100 else 0.0
    for start, end, count in bars:
        shade = _class_color((start + end) / 2, classes) or palette.accent
        length = max(plot.across(end) - plot.across(start) - gap, 0.2)
        rise = plot.up(count / total * 100) - plot.bottom
        drawing.add(
            Rect(plot.across(start), plot.bottom, length, rise, fillColor=hex_color(shade), strokeColor=None)
        )
    inner = sorted(cut for cut in cuts if plot.low < cut < plot.high)
    _draw_value_axis(drawing, plot, inner, formats, palette)
    _draw_centres(drawing, plot, {"mean": mean, "median": median}, formats, palette)
    drawing.add(_label(formats.texts("share_of_pixels"), 0, height - _LABEL, anchor="start"))
    return drawing


@dataclass(frozen=True, slots=True)
class _Plot:
    """The histogram's frame: values low..high across left..right, 0..peak percent up bottom..top."""

    low: float
    high: float
    peak: float
    left: float
    right: float
    bottom: float
    top: float

    def across(self, value: float) -> float:
        return self.left + (self.right - self.left) * (value - self.low) / (self.high - self.low)

    def up(self, percent: float) -> float:
        return self.bottom + (self.top - self.bottom) * percent / self.peak


def _bars(histogram: Histogram) -> list[tuple[float, float, int]]:
    """(low, high, count) without the empty ends, neighbours joined until they are few enough to be seen."""
    filled = [i for i, count in enumerate(histogram.counts) if count > 0]
    if not filled:
        return []
    margin = max(1, (filled[-1] - filled[0]) // 25)
    first, last = max(filled[0] - margin, 0), min(filled[-1] + margin, len(histogram.counts) - 1)
    group = math.ceil((last - first + 1) / _MAX_BARS)
    return [
        (
            histogram.edges[i],
            histogram.edges[min(i + group, last + 1)],
            sum(histogram.counts[i : min(i + group, last + 1)]),
        )
        for i in range(first, last + 1, group)
    ]


def _class_color(value: float, classes: Sequence[ClassRow]) -> str | None:
    for row in classes:
        bounded = row.lower is not None or row.upper is not None
        above = row.lower is None or value > row.lower
        below = row.upper is None or value <= row.upper
        if bounded and above and below and row.color:
            return row.color
    return None


def _draw_share_axis(drawing: Drawing, plot: _Plot, formats: Formats) -> None:
    marks = ticks(0, plot.peak, 4)
    decimals = tick_decimals(marks)
    for mark in marks:
        y = plot.up(mark)
        drawing.add(Line(plot.left, y, plot.right, y, strokeColor=hex_color(LINE), strokeWidth=0.4))
        drawing.add(_label(formats.number(mark, decimals), plot.left - 4, y - 2.4, anchor="end"))


def _draw_value_axis(
    drawing: Drawing, plot: _Plot, cuts: Sequence[float], formats: Formats, palette: Palette
) -> None:
    """The class cuts, dashed and named in bold, come first; round values go where there is room for them."""
    bottom = plot.bottom
    dashed = {"strokeColor": hex_color(palette.text), "strokeWidth": 0.7, "strokeDashArray": [2, 2]}
    for cut in cuts:
        x = plot.across(cut)
        drawing.add(Line(x, bottom - 4, x, plot.top, **dashed))
    drawing.add(Line(plot.left, bottom, plot.right, bottom, strokeColor=hex_color(MUTED), strokeWidth=0.6))
    marks = ticks(plot.low, plot.high, wanted=8)
    decimals = tick_decimals(marks)
    for mark in marks:
        x = plot.across(mark)
        drawing.add(Line(x, bottom, x, bottom - 2, strokeColor=hex_color(MUTED), strokeWidth=0.5))
    named = [(cut, formats.number(cut, bound_decimals(cut)), BOLD, palette.text) for cut in cuts]
    named += [(mark, formats.number(mark, decimals), REGULAR, MUTED) for mark in marks]
    taken: list[tuple[float, float]] = []
    for value, text, font, shade in named:
        x = plot.across(value)
        half = text_width(text, font, _LABEL) / 2 + 1.5
        if all(x + half <= start or x - half >= end for start, end in taken):
            drawing.add(_label(text, x, bottom - 11, font=font, shade=shade))
            taken.append((x - half, x + half))


def _draw_centres(
    drawing: Drawing, plot: _Plot, centres: Mapping[str, float | None], formats: Formats, palette: Palette
) -> None:
    """Mean and median: each is named on a line of its own, so that the names never collide."""
    known = ((value, key) for key, value in centres.items() if value is not None)
    shown = sorted((value, key) for value, key in known if plot.low <= value <= plot.high)
    for row, (value, key) in enumerate(shown):
        x = plot.across(value)
        baseline = drawing.height - _LABEL - 9.0 * row
        shade = hex_color(palette.primary if key == "mean" else palette.dark)
        drawing.add(Line(x, plot.bottom, x, baseline - 1, strokeColor=shade, strokeWidth=1.1))
        text = f"{formats.texts(key)} {formats.index_value(value)}"
        to_the_right = x + 3 + text_width(text, BOLD, _LABEL + 0.5) <= plot.right
        anchor, at = ("start", x + 3) if to_the_right else ("end", x - 3)
        drawing.add(
            String(
                at, baseline, text, fontName=BOLD, fontSize=_LABEL + 0.5, fillColor=shade, textAnchor=anchor
            )
        )


def _label(
    text: str,
    x: float,
    y: float,
    *,
    anchor: str = "middle",
    within: tuple[float, float] | None = None,
    font: str = REGULAR,
    shade: str = MUTED,
) -> String:
    if within is not None:
        half = text_width(text, font, _LABEL) / 2
        x = min(max(x, within[0] + half), within[1] - half)
    return String(x, y, text, fontName=font, fontSize=_LABEL, fillColor=hex_color(shade), textAnchor=anchor)
