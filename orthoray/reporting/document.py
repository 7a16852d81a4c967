"""The field report: two pages that a farmer prints and an agronomist signs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from reportlab.graphics.shapes import Drawing
from reportlab.lib.units import mm
from reportlab.platypus import Flowable, KeepTogether, Paragraph, Spacer, Table, TableStyle

from orthoray.reporting import theme
from orthoray.reporting.charts import brand_mark, histogram_drawing, legend_drawing, share_bar_drawing
from orthoray.reporting.content import ReportContent
from orthoray.reporting.facts import class_cuts, image_facts, index_facts, provenance_facts
from orthoray.reporting.fonts import BOLD, markup
from orthoray.reporting.formats import DASH, Formats
from orthoray.reporting.gallery import PictureSlot, picture_pair
from orthoray.reporting.layout import Section, build_pdf, callout
from orthoray.reporting.tables import (
    Fact,
    class_range,
    class_table,
    facts_table,
    figure_strip,
    figure_table,
    plain_cells,
)
from orthoray.reporting.texts import Texts, texts_for
from orthoray.reporting.theme import CONTENT_WIDTH, GAP, hex_color, style
from orthoray.reporting.verdict import ClassRow, adding_up, largest_class

_CONCLUSION_LIMIT: Final = 8_000
_NAME_LIMIT: Final = 120
# A table of more classes than this may be parted by a page's end.
_TOGETHER: Final = 12


def report_pdf(content: ReportContent) -> bytes:
    """The report as an A4 PDF with embedded fonts; equal content gives equal bytes.

    Whatever is None in `content` leaves its place out or shows a dash. Raises `BadInput` for a language in
    which no report is written.
    """
    texts = texts_for(content.language)
    report = _Report(content, texts)
    index = content.index.name or DASH
    return build_pdf(
        list(report.story()),
        texts=texts,
        title=f"{texts('report_title')} · {index}",
        subject=texts("report_subject", index=index),
        footer=" · ".join(
            part for part in ("OrthoRay", index, content.image.filename) if part and part != DASH
        ),
        created_at=content.created_at,
        palette=content.palette,
    )


class _Report:
    """One content in one language, section by section."""

    def __init__(self, content: ReportContent, texts: Texts) -> None:
        self.content = content
        self.palette = content.palette
        self.texts = texts
        self.formats = Formats(texts)
        self.rows = adding_up(content.classes)

    def story(self) -> Iterator[Flowable]:
        """Every flowable of the report in reading order."""
        content, texts = self.content, self.texts
        yield from self.title_block()
        yield from self.key_figures()
        yield from self.conclusion()
        yield Spacer(1, GAP)
        yield from self.pictures()
        yield from self.classes()
        yield from self.distribution()
        yield from self.facts("index", index_facts(content, texts))
        yield from self.facts("image", image_facts(content, texts))
        # Together, so that nobody is asked to sign an otherwise empty page.
        yield KeepTogether([*self.facts("provenance", provenance_facts(content, texts)), *self.signature()])

    def title_block(self) -> Iterator[Flowable]:
        """Brand, date and number; title; index; file."""
        content, texts = self.content, self.texts
        stamp = f"{texts('report_date')}: {self.formats.date(content.created_at)}"
        if content.report_id:
            stamp += f" · {texts('report_id')} {content.report_id}"
        head = Table(
            [
                [
                    brand_mark(self.palette),
                    Paragraph("OrthoRay", style("brand", self.palette)),
                    Paragraph(markup(stamp, 160), style("stamp")),
                ]
            ],
            colWidths=[6.5 * mm, 33.5 * mm, CONTENT_WIDTH - 40 * mm],
        )
        head.setStyle(
            TableStyle(
                [*plain_cells(), ("LEFTPADDING", (0, 0), (-1, -1), 0), ("RIGHTPADDING", (0, 0), (-1, -1), 0)]
            )
        )
        yield head
        yield Spacer(1, 2 * mm)
        yield Paragraph(markup(texts("report_title")), style("title", self.palette))
        index = content.index
        names = [f'<font name="{BOLD}">{markup(index.name or DASH, 60)}</font>']
        if index.long_name and index.long_name != index.name:
            names.append(markup(index.long_name, _NAME_LIMIT))
        line = " · ".join(names)
        if index.common_name and index.common_name not in {index.name, index.long_name}:
            line += f" ({markup(texts('also_known_as', name=index.common_name), _NAME_LIMIT)})"
        yield Paragraph(line, style("subtitle", self.palette))
        if content.image.filename:
            yield Paragraph(markup(content.image.filename, _NAME_LIMIT), style("file"))
        yield Spacer(1, 4 * mm)

    def key_figures(self) -> Iterator[Flowable]:
        """Mean, median, the share of healthy plants or else of the largest class, area.

        The sizes of classes that the image's own values gave are no finding: there it is the values' spread.
        """
        statistics, texts, formats = self.content.statistics, self.texts, self.formats
        shown = next((row for row in self.rows if row.name == "healthy"), None)
        share_label = texts("healthy_share")
        largest = largest_class(self.rows)
        if largest is not None and (shown is None or not self.content.describes_health):
            shown, share_label = largest, texts("largest_class", label=self._called(largest))
        third = (formats.percent(shown.percent if shown else None), share_label)
        if self.content.relative:
            third = (formats.index_value(statistics.std), texts("std"))
        image = self.content.image
        placed = statistics.area_m2 is not None or image.crs is not None or image.bounds_wgs84 is not None
        area_label = texts("analysed_area" if placed else "no_areas")
        yield figure_strip(
            [
                (formats.index_value(statistics.mean), texts("mean")),
                (formats.index_value(statistics.median), texts("median")),
                third,
                (formats.area(statistics.area_m2), area_label),
            ],
            self.palette,
        )

    def _called(self, row: ClassRow) -> str:
        """A class's label, or its values where the label would claim too much."""
        claims = self.content.describes_health or (row.lower is None and row.upper is None)
        return (row.label or DASH) if claims else class_range(row, self.texts, self.formats)

    def conclusion(self) -> Iterator[Flowable]:
        """The verdict in plain words, and what to bear in mind beside it."""
        said = {"conclusion": self.content.conclusion, "notes": "\n".join(self.content.notes)}
        for key, words in said.items():
            if words:
                yield Spacer(1, 4 * mm)
                yield from callout(self.texts(key), words, limit=_CONCLUSION_LIMIT, palette=self.palette)

    def pictures(self) -> Iterator[Flowable]:
        """Original and heatmap with its colour scale."""
        content, texts = self.content, self.texts
        heatmap = texts("heatmap") + (f" · {content.index.name}" if content.index.name else "")

        def scale(width: float) -> Drawing | None:
            return legend_drawing(content.legend, width, self.formats) if content.legend else None

        yield from picture_pair(
            PictureSlot(content.original, texts("original_image"), photo=True),
            PictureSlot(content.heatmap, (content.legend and content.legend.title) or heatmap, photo=False),
            height=58 * mm,
            texts=texts,
            scale=scale,
        )

    def classes(self) -> Iterator[Flowable]:
        """The bar of shares and the table of classes."""
        if not self.rows:
            return
        title = "classes" if self.content.describes_health else "classes_of_values"
        section = Section(self.texts(title), "classes", self.palette)
        table = class_table(self.rows, self.texts, self.formats, self.palette)
        bar = share_bar_drawing(self.rows, CONTENT_WIDTH, self.formats, self.palette)
        parts = [section, *([bar, Spacer(1, 2 * mm)] if bar else []), table]
        yield from [KeepTogether(parts)] if len(self.rows) <= _TOGETHER else parts

    def distribution(self) -> Iterator[Flowable]:
        """The histogram beside the statistics."""
        content, texts, formats = self.content, self.texts, self.formats
        statistics = content.statistics
        figures = [
            (texts(key), formats.index_value(value))
            for key, value in (
                ("minimum", statistics.min),
                ("p2", statistics.p2),
                ("median", statistics.median),
                ("mean", statistics.mean),
                ("p98", statistics.p98),
                ("maximum", statistics.max),
                ("std", statistics.std),
            )
            if value is not None
        ]
        side = 55 * mm
        chart = None
        if content.histogram is not None:
            chart = histogram_drawing(
                content.histogram,
                classes=content.classes,
                cuts=class_cuts(content),
                mean=statistics.mean,
                median=statistics.median,
                size=(CONTENT_WIDTH - side - GAP if figures else CONTENT_WIDTH, 42 * mm),
                formats=formats,
                palette=self.palette,
            )
        if chart is None and not figures:
            return
        section = Section(texts("distribution"), "distribution", self.palette)
        if not figures:
            yield KeepTogether([section, chart])
            return
        numbers = figure_table(figures, side, self.palette)
        if chart is None:
            yield KeepTogether([section, numbers])
            return
        both = Table([[chart, "", numbers]], colWidths=[CONTENT_WIDTH - side - GAP, GAP, side])
        both.setStyle(
            TableStyle(
                [
                    *plain_cells(),
                    ("LEFTPADDING", (0, 0), (-1, -1), 0),
                    ("RIGHTPADDING", (0, 0), (-1, -1), 0),
                    ("VALIGN", (0, 0), (-1, -1), "MIDDLE"),
                ]
            )
        )
        yield KeepTogether([section, both])

    def facts(self, key: str, facts: list[Fact]) -> Iterator[Flowable]:
        """A section of facts, or nothing."""
        if facts:
            yield Section(self.texts(key), key, self.palette)
            yield facts_table(facts, self.palette)

    def signature(self) -> Iterator[Flowable]:
        """Room for the agronomist's remarks, name, signature and date."""
        texts = self.texts
        widths = [35 * mm, 87 * mm, 8 * mm, CONTENT_WIDTH - 130 * mm]
        table = Table(
            [
                [Paragraph(markup(texts("remarks")), style("label")), "", "", ""],
                ["", "", "", ""],
                [Paragraph(markup(texts("signature")), style("label")), "", "", ""],
                [
                    "",
                    Paragraph(markup(texts("signature_name")), style("caption")),
                    "",
                    Paragraph(markup(texts("signature_date")), style("caption")),
                ],
            ],
            colWidths=widths,
            rowHeights=[7 * mm, 8 * mm, 12 * mm, 6 * mm],
        )
        pen = (0.6, hex_color(theme.MUTED))
        table.setStyle(
            TableStyle(
                [
                    *plain_cells(),
                    ("LEFTPADDING", (0, 0), (-1, -1), 0),
                    ("VALIGN", (0, 0), (-1, 2), "BOTTOM"),
                    ("LINEBELOW", (1, 0), (-1, 0), *pen),
                    ("LINEBELOW", (1, 1), (-1, 1), *pen),
                    ("LINEBELOW", (1, 2), (1, 2), *pen),
                    ("LINEBELOW", (3, 2), (3, 2), *pen),
                ]
            )
        )
        yield Spacer(1, GAP)
        yield table
