"""The tables of a report: key figures, facts, classes, statistics."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from reportlab.graphics.shapes import Drawing, Rect
from reportlab.lib.units import mm
from reportlab.platypus import Paragraph, Table, TableStyle

from orthoray.reporting import theme
from orthoray.reporting.fonts import BOLD, REGULAR, fitting_size, markup, showable, text_width
from orthoray.reporting.formats import DASH, Formats, area_decimals, bound_decimals, in_hectares
from orthoray.reporting.texts import Texts
from orthoray.reporting.theme import CONTENT_WIDTH, PALETTE, Palette, hex_color, style
from orthoray.reporting.verdict import ClassRow

_VALUE_LIMIT: Final = 400
_LABEL_LIMIT: Final = 80


@dataclass(frozen=True, slots=True)
class Fact:
    """A label and its value; a wide one has a line of its own, as has any too long for half the page."""

    label: str
    value: str
    wide: bool = False


def facts_table(facts: Sequence[Fact], palette: Palette = PALETTE) -> Table:
    """Facts in two columns, wide ones across both; rows may be parted by a page's end."""
    label_width, half = 33 * mm, CONTENT_WIDTH / 2
    rows: list[list[Any]] = []
    spans: list[tuple[Any, ...]] = []
    waiting: list[list[Any]] = []

    def flush() -> None:
        if waiting:
            rows.append([*waiting.pop(), "", ""])

    for fact in facts:
        value = showable(fact.value, _VALUE_LIMIT)
        cells = [
            Paragraph(markup(fact.label, _LABEL_LIMIT), style("label")),
            Paragraph(markup(value), style("value", palette)),
        ]
        if fact.wide or text_width(value, REGULAR, style("value").fontSize) > half - label_width - 12:
            flush()
            spans.append(("SPAN", (1, len(rows)), (3, len(rows))))
            rows.append([*cells, "", ""])
        elif waiting:
            rows.append([*waiting.pop(), *cells])
        else:
            waiting.append(cells)
    flush()
    table = Table(rows, colWidths=[label_width, half - label_width] * 2)
    table.setStyle(
        TableStyle(
            [
                *plain_cells(),
                ("LEFTPADDING", (0, 0), (0, -1), 0),
                ("LINEBELOW", (0, 0), (-1, -1), 0.4, hex_color(theme.LINE)),
                *spans,
            ]
        )
    )
    return table


def plain_cells() -> list[tuple[Any, ...]]:
    """The style commands that every table starts from."""
    return [
        ("FONTNAME", (0, 0), (-1, -1), REGULAR),
        ("VALIGN", (0, 0), (-1, -1), "TOP"),
        ("LEFTPADDING", (0, 0), (-1, -1), 6),
        ("RIGHTPADDING", (0, 0), (-1, -1), 6),
        ("TOPPADDING", (0, 0), (-1, -1), 2.2),
        ("BOTTOMPADDING", (0, 0), (-1, -1), 3),
    ]


def figure_strip(figures: Sequence[tuple[str, str]], palette: Palette = PALETTE) -> Table:
    """Tiles of (value, label): the numbers to see first."""
    gap = 3 * mm
    width = (CONTENT_WIDTH - gap * (len(figures) - 1)) / len(figures)
    values: list[Any] = []
    labels: list[Any] = []
    widths: list[float] = []
    commands: list[tuple[Any, ...]] = []
    for value, label in figures:
        if widths:
            values.append("")
            labels.append("")
            widths.append(gap)
        column = len(widths)
        size = fitting_size(showable(value), BOLD, 18, width - 18)
        number = style("figure_label").clone(
            "figure", fontName=BOLD, fontSize=size, leading=23, textColor=hex_color(palette.dark)
        )
        values.append(Paragraph(markup(value, 60), number))
        labels.append(Paragraph(markup(label, 80), style("figure_label")))
        widths.append(width)
        commands.append(("BACKGROUND", (column, 0), (column, -1), hex_color(theme.TINT)))
        commands.append(("LINEABOVE", (column, 0), (column, 0), 1.6, hex_color(palette.accent)))
    table = Table([values, labels], colWidths=widths)
    table.setStyle(
        TableStyle(
            [
                *plain_cells(),
                ("LEFTPADDING", (0, 0), (-1, -1), 8),
                ("TOPPADDING", (0, 0), (-1, 0), 3),
                ("BOTTOMPADDING", (0, 0), (-1, 0), 0),
                ("TOPPADDING", (0, 1), (-1, 1), 1),
                ("BOTTOMPADDING", (0, 1), (-1, 1), 6),
                *commands,
            ]
        )
    )
    return table


def class_table(
    rows: Sequence[ClassRow], texts: Texts, formats: Formats, palette: Palette = PALETTE
) -> Table:
    """Colour, label, range, pixels, share and area of each class, and their total.

    A column of which nothing is known is left out. Areas are in hectares, or in square metres on small plots.
    """
    total_m2 = sum(row.area_m2 or 0.0 for row in rows)
    hectares = in_hectares(total_m2)
    decimals = 2 if hectares else area_decimals(total_m2)

    def area(value: float | None) -> str:
        return formats.number(value / 10_000 if hectares and value is not None else value, decimals)

    columns: list[tuple[float, str, list[str], str]] = []
    if any(row.lower is not None or row.upper is not None for row in rows):
        columns.append((44 * mm, texts("range"), [class_range(row, texts, formats) for row in rows], ""))
    if any(row.pixels is not None for row in rows):
        counted = [formats.number(row.pixels) for row in rows]
        columns.append(
            (28 * mm, texts("pixels"), counted, formats.number(sum(row.pixels or 0 for row in rows)))
        )
    if any(row.percent is not None for row in rows):
        shares = [formats.percent(row.percent) for row in rows]
        columns.append(
            (20 * mm, texts("percent"), shares, formats.percent(sum(row.percent or 0.0 for row in rows)))
        )
    if any(row.area_m2 is not None for row in rows):
        areas = [area(row.area_m2) for row in rows]
        columns.append((28 * mm, texts("area_ha" if hectares else "area_m2"), areas, area(total_m2)))

    chip = 8 * mm
    widths = [
        chip,
        CONTENT_WIDTH - chip - sum(column[0] for column in columns),
        *(column[0] for column in columns),
    ]
    head = ["", _cell(texts("class"), "head"), *(_cell(title, "head_right") for _, title, _, _ in columns)]
    body = [
        [
            _chip(row.color),
            _cell(row.label or DASH, "cell", palette),
            *(_cell(column[2][i], "cell_right", palette) for column in columns),
        ]
        for i, row in enumerate(rows)
    ]
    foot = [
        "",
        _cell(texts("total"), "cell_bold", palette),
        *(_cell(column[3], "cell_right_bold", palette) for column in columns),
    ]
    table = Table([head, *body, foot], colWidths=widths, repeatRows=1)
    table.setStyle(
        TableStyle(
            [
                *plain_cells(),
                ("VALIGN", (0, 0), (-1, -1), "MIDDLE"),
                ("LEFTPADDING", (0, 0), (1, -1), 2),
                ("LINEBELOW", (0, 0), (-1, 0), 0.8, hex_color(palette.primary)),
                ("LINEBELOW", (0, 1), (-1, -2), 0.4, hex_color(theme.LINE)),
                ("LINEABOVE", (0, -1), (-1, -1), 0.8, hex_color(palette.primary)),
            ]
        )
    )
    return table


def class_range(row: ClassRow, texts: Texts, formats: Formats) -> str:
    """The values of a class as the reader's language writes them, or a dash."""
    lower = formats.number(row.lower, bound_decimals(row.lower))
    upper = formats.number(row.upper, bound_decimals(row.upper))
    if row.lower is not None and row.upper is not None:
        return texts("range_between", lower=lower, upper=upper)
    if row.lower is not None:
        return f"> {lower}"
    return f"≤ {upper}" if row.upper is not None else DASH


def figure_table(figures: Sequence[tuple[str, str]], width: float, palette: Palette = PALETTE) -> Table:
    """(label, value) one below the other, `width` points wide."""
    table = Table(
        [[_cell(label, "label"), _cell(value, "cell_right", palette)] for label, value in figures],
        colWidths=[width * 0.65, width * 0.35],
        hAlign="LEFT",
    )
    table.setStyle(
        TableStyle(
            [
                *plain_cells(),
                ("VALIGN", (0, 0), (-1, -1), "MIDDLE"),
                ("LEFTPADDING", (0, 0), (-1, -1), 0),
                ("RIGHTPADDING", (0, 0), (-1, -1), 0),
                ("LINEBELOW", (0, 0), (-1, -1), 0.4, hex_color(theme.LINE)),
            ]
        )
    )
    return table


def _cell(text: str, name: str, palette: Palette = PALETTE) -> Paragraph:
    return Paragraph(markup(text, _LABEL_LIMIT), style(name, palette))


def _chip(shade: str | None) -> Drawing:
    chip = Drawing(11, 9)
    chip.add(Rect(0, 0, 11, 9, rx=2, ry=2, fillColor=hex_color(shade or theme.LINE), strokeColor=None))
    return chip
