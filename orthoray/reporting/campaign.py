"""The summary of many images as a PDF: how many, which not and why, their means, their classes together, small pictures."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from io import BytesIO
from typing import Any, Final

from reportlab.lib.units import mm
from reportlab.platypus import Flowable, Image, Paragraph, Spacer, Table, TableStyle

from orthoray.reporting import theme
from orthoray.reporting.charts import share_bar_drawing
from orthoray.reporting.fonts import markup
from orthoray.reporting.formats import DASH, Formats
from orthoray.reporting.layout import Section, build_pdf
from orthoray.reporting.pictures import picture_size, print_picture
from orthoray.reporting.tables import class_table, figure_strip, plain_cells
from orthoray.reporting.texts import DEFAULT_LANGUAGE, texts_for
from orthoray.reporting.theme import CONTENT_WIDTH, GAP, PALETTE, Palette, hex_color, style
from orthoray.reporting.verdict import ClassRow, adding_up

# More would make a book of what the table holds better.
MAX_ROWS: Final = 400
MAX_PICTURES: Final = 24
_COLUMNS: Final = 4
_TEXT_LIMIT: Final = 300


@dataclass(frozen=True, slots=True)
class CampaignImage:
    """One image that was analysed: values of the index, percent (0..100), square metres."""

    name: str
    mean: float | None = None
    median: float | None = None
    std: float | None = None
    healthy_percent: float | None = None
    area_m2: float | None = None


@dataclass(frozen=True, slots=True)
class CampaignContent:
    """All that `campaign_pdf` prints. `mean` is over all pixels of all images; `failures` are (name, reason); `pictures`
    are (name, encoded image); `classes` are those of all pixels together, empty where each image has cuts of its own,
    which `relative` says. `table` is the name of the file with all rows."""

    index: str
    batch_id: str
    source: str
    created_at: datetime | None
    images: Sequence[CampaignImage]
    failures: Sequence[tuple[str, str]]
    pictures: Sequence[tuple[str, bytes]]
    classes: tuple[ClassRow, ...]
    mean: float | None
    area_m2: float | None
    table: str
    language: str = DEFAULT_LANGUAGE
    relative: bool = False
    describes_health: bool = True
    palette: Palette = PALETTE


def campaign_pdf(content: CampaignContent) -> bytes:
    """The summary as an A4 PDF with embedded fonts; equal content gives equal bytes.

    Raises `BadInput` for a language in which no report is written.
    """
    texts = texts_for(content.language)
    return build_pdf(
        list(_Summary(content).story()),
        texts=texts,
        title=f"{texts('campaign_title')} · {content.index}",
        subject=texts("campaign_subject", index=content.index, number=len(content.images)),
        footer=f"OrthoRay · {content.index} · {content.source}",
        created_at=content.created_at,
        palette=content.palette,
    )


class _Summary:
    """One content in one language, section by section."""

    def __init__(self, content: CampaignContent) -> None:
        self.content = content
        self.palette = content.palette
        self.texts = texts_for(content.language)
        self.formats = Formats(self.texts)

    def story(self) -> Iterator[Flowable]:
        """Every flowable in reading order."""
        yield from self.title_block()
        yield from self.key_figures()
        yield from self.classes()
        yield from self.failures()
        yield from self.means()
        yield from self.pictures()

    def title_block(self) -> Iterator[Flowable]:
        """Title, index and source, date and number."""
        content, texts = self.content, self.texts
        stamp = (
            f"{texts('report_date')}: {self.formats.date(content.created_at)} · "
            f"{texts('campaign_number')} {content.batch_id}"
        )
        yield Paragraph(markup(texts("campaign_title")), style("title", self.palette))
        yield Paragraph(markup(f"{content.index} · {content.source}", 160), style("subtitle", self.palette))
        yield Paragraph(markup(stamp, 160), style("file"))
        yield Spacer(1, 4 * mm)

    def key_figures(self) -> Iterator[Flowable]:
        """How many images, how many of them were analysed, their mean and area."""
        content, texts, formats = self.content, self.texts, self.formats
        done, failed = len(content.images), len(content.failures)
        figures = [
            (formats.number(done + failed), texts("images")),
            (formats.number(done), texts("images_done")),
            (formats.number(failed), texts("images_failed")),
            (formats.index_value(content.mean), texts("mean_of_all")),
        ]
        yield figure_strip(
            [
                *figures,
                (formats.area(content.area_m2), texts("total_area" if content.area_m2 else "no_areas")),
            ],
            self.palette,
        )

    def classes(self) -> Iterator[Flowable]:
        """The classes of all images together."""
        rows = adding_up(self.content.classes)
        if rows:
            title = self.texts("classes" if self.content.describes_health else "classes_of_values")
            yield Section(f"{self.texts('classes_of_all')}: {title}", "classes", self.palette)
            if bar := share_bar_drawing(rows, CONTENT_WIDTH, self.formats, self.palette):
                yield from (bar, Spacer(1, 2 * mm))
            yield class_table(rows, self.texts, self.formats, self.palette)
            if self.content.area_m2:
                yield self._note("overlaps")
        elif self.content.relative:
            yield self._note("relative_classes")

    def failures(self) -> Iterator[Flowable]:
        """Which images were not analysed, and why."""
        if self.content.failures:
            widths = [55 * mm, CONTENT_WIDTH - 55 * mm]
            head = [self.texts("file_name"), self.texts("reason")]
            rows = [list(failure) for failure in self.content.failures[:MAX_ROWS]]
            yield Section(self.texts("failures"), "failures", self.palette)
            yield self._table(head, rows, widths, numbers=False)
            yield from self._left_out(len(self.content.failures) - MAX_ROWS)

    def means(self) -> Iterator[Flowable]:
        """The figures of each image."""
        content, texts, formats = self.content, self.texts, self.formats
        if not content.images:
            return
        number = 24 * mm
        columns: list[tuple[str, list[str]]] = [
            (texts(key), [formats.index_value(getattr(image, key)) for image in content.images[:MAX_ROWS]])
            for key in ("mean", "median", "std")
        ]
        if content.describes_health and not content.relative:
            shares = [formats.percent(image.healthy_percent) for image in content.images[:MAX_ROWS]]
            columns.append((texts("class_healthy"), shares))
        if content.area_m2:
            areas = [formats.area(image.area_m2) for image in content.images[:MAX_ROWS]]
            columns.append((texts("analysed_area"), areas))
        rows = [
            [image.name, *(column[place] for _, column in columns)]
            for place, image in enumerate(content.images[:MAX_ROWS])
        ]
        yield Section(texts("means"), "means", self.palette)
        head = [texts("file_name"), *(title for title, _ in columns)]
        yield self._table(head, rows, [CONTENT_WIDTH - number * len(columns), *[number] * len(columns)])
        yield from self._left_out(len(content.images) - MAX_ROWS)

    def pictures(self) -> Iterator[Flowable]:
        """Small pictures in a grid."""
        if not self.content.pictures:
            return
        side = CONTENT_WIDTH / _COLUMNS
        cells: list[Any] = [
            self._picture(name, data, side - 4 * mm) for name, data in self.content.pictures[:MAX_PICTURES]
        ]
        cells += [""] * (-len(cells) % _COLUMNS)
        grid = Table(
            [cells[first : first + _COLUMNS] for first in range(0, len(cells), _COLUMNS)],
            colWidths=[side] * _COLUMNS,
        )
        grid.setStyle(TableStyle([*plain_cells(), ("LEFTPADDING", (0, 0), (-1, -1), 0)]))
        yield Section(self.texts("pictures"), "pictures", self.palette)
        yield grid

    def _picture(self, name: str, data: bytes, side: float) -> list[Flowable]:
        pixels = max(1, round(side / 72 * theme.DPI))
        picture, size = print_picture(data, (pixels, pixels), photo=False), picture_size(data)
        caption = Paragraph(markup(name, 60), style("caption"))
        if picture is None or size is None or picture.empty:
            note = "picture_empty" if picture is not None and picture.empty else "picture_unreadable"
            return [Paragraph(markup(self.texts(note)), style("note")), caption]
        scale = side / max(size)
        shown = Image(
            BytesIO(picture.data), max(size[0] * scale, 1.5), max(size[1] * scale, 1.5), hAlign="LEFT"
        )
        return [shown, Spacer(1, 2), caption]

    def _table(
        self,
        head: Sequence[str],
        rows: Sequence[Sequence[str]],
        widths: Sequence[float],
        *,
        numbers: bool = True,
    ) -> Table:
        right = "_right" if numbers else ""

        def line(cells: Sequence[str], name: str) -> list[Any]:
            return [
                Paragraph(
                    markup(cell or DASH, _TEXT_LIMIT), style(name + (right if place else ""), self.palette)
                )
                for place, cell in enumerate(cells)
            ]

        table = Table(
            [line(head, "head"), *(line(row, "cell") for row in rows)], colWidths=widths, repeatRows=1
        )
        table.setStyle(
            TableStyle(
                [
                    *plain_cells(),
                    ("LEFTPADDING", (0, 0), (0, -1), 0),
                    ("LINEBELOW", (0, 0), (-1, 0), 0.8, hex_color(self.palette.primary)),
                    ("LINEBELOW", (0, 1), (-1, -1), 0.4, hex_color(theme.LINE)),
                ]
            )
        )
        return table

    def _left_out(self, count: int) -> Iterator[Flowable]:
        if count > 0:
            yield self._note("rows_left_out", number=self.formats.number(count), table=self.content.table)

    def _note(self, key: str, **values: Any) -> Paragraph:
        note = style("caption").clone("below", spaceBefore=GAP / 2)
        return Paragraph(markup(self.texts(key, **values)), note)
