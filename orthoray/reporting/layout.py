"""A report's page: headings, the highlighted box, the furniture, and the making of the PDF."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from io import BytesIO
from typing import Any

from reportlab.lib.units import mm
from reportlab.pdfgen.canvas import Canvas
from reportlab.platypus import BaseDocTemplate, Flowable, Frame, PageTemplate, Paragraph

from orthoray.reporting import theme
from orthoray.reporting.fonts import BOLD, REGULAR, markup, paragraphs, register_fonts, shortened, showable
from orthoray.reporting.texts import Texts
from orthoray.reporting.theme import CONTENT_HEIGHT, CONTENT_WIDTH, PALETTE, Palette, hex_color, style


class Callout(Paragraph):  # type: ignore[misc]  # reportlab ships no types
    """A paragraph on a tint with a bar of its style's `barColor` at its left, over as many pages as it needs."""

    def draw(self) -> None:
        """Draw the text, then the bar over the left edge of the tint."""
        super().draw()
        padding = self.style.borderPadding
        self.canv.saveState()
        self.canv.setFillColor(self.style.barColor)
        left = self.style.leftIndent - padding
        self.canv.rect(left, -padding, 2.4, self.height + 2 * padding, stroke=0, fill=1)
        self.canv.restoreState()


class Section(Paragraph):  # type: ignore[misc]  # reportlab ships no types
    """A heading that also stands in the document's outline."""

    def __init__(self, text: str, key: str, palette: Palette = PALETTE) -> None:
        super().__init__(markup(text), style("heading", palette))
        self._outline = (showable(text), key)

    def draw(self) -> None:
        """Draw the heading and mark its place."""
        super().draw()
        text, key = self._outline
        self.canv.bookmarkHorizontal(key, 0, self.height)
        self.canv.addOutlineEntry(text, key, 0)


def callout(title: str, text: str, *, limit: int, palette: Palette = PALETTE) -> list[Flowable]:
    """`text` (up to `limit` characters) highlighted under a small title."""
    padding = 9
    base = style("conclusion", palette).clone(
        "callout",
        backColor=hex_color(theme.TINT),
        barColor=hex_color(palette.primary),
        borderPadding=padding,
        leftIndent=padding,
        rightIndent=padding,
        spaceBefore=padding,
        spaceAfter=padding,
    )
    head = f'<font name="{BOLD}" size="9" color="{palette.primary}">{markup(title)}</font>'
    lines = "<br/>".join([head, *paragraphs(text, limit)])
    return [Callout(lines, base)]


def build_pdf(
    story: Sequence[Flowable],
    *,
    texts: Texts,
    title: str,
    subject: str,
    footer: str,
    created_at: datetime | None,
    palette: Palette = PALETTE,
) -> bytes:
    """The PDF of `story` on A4 with a footer and "n / N" on every page; equal input gives equal bytes."""
    register_fonts()
    stream = BytesIO()
    document = BaseDocTemplate(
        stream,
        pagesize=theme.PAGE,
        title=showable(title, 200),
        subject=showable(subject, 200),
        author="OrthoRay",
        creator="OrthoRay",
        lang=texts.language,
        displayDocTitle=True,
        initialFontName=REGULAR,
        invariant=1,
        pageCompression=1,
    )
    frame = Frame(
        theme.MARGIN,
        theme.BOTTOM,
        CONTENT_WIDTH,
        CONTENT_HEIGHT,
        leftPadding=0,
        rightPadding=0,
        topPadding=0,
        bottomPadding=0,
    )
    document.addPageTemplates([PageTemplate(frames=[frame])])

    class NumberedCanvas(Canvas):  # type: ignore[misc]  # reportlab ships no types
        """Holds the pages back until their number is known."""

        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            self._held: list[dict[str, Any]] = []
            if created_at is not None:
                moment = (created_at.astimezone(UTC) if created_at.tzinfo else created_at).strftime(
                    "%Y%m%d%H%M%S"
                )
                self.setDateFormatter(lambda *_: f"D:{moment}+00'00'")

        def setFont(self, psfontname: str, size: float, leading: float | None = None) -> None:  # noqa: N802  # theirs
            # Drawings begin in reportlab's own default font, which no PDF embeds.
            super().setFont(psfontname if psfontname in {REGULAR, BOLD} else REGULAR, size, leading)

        def showPage(self) -> None:  # noqa: N802  # the name that reportlab calls
            self._held.append(dict(self.__dict__))
            self._startPage()

        def save(self) -> None:
            for number, page in enumerate(self._held, start=1):
                self.__dict__.update(page)
                _draw_furniture(self, footer, texts("page", page=number, pages=len(self._held)), palette)
                super().showPage()
            super().save()

    document.build(list(story), canvasmaker=NumberedCanvas)
    return stream.getvalue()


def _draw_furniture(canvas: Canvas, footer: str, page: str, palette: Palette) -> None:
    width, height = theme.PAGE
    canvas.saveState()
    canvas.setFillColor(hex_color(palette.primary))
    canvas.rect(0, height - 2.2 * mm, width, 2.2 * mm, stroke=0, fill=1)
    canvas.setStrokeColor(hex_color(theme.LINE))
    canvas.setLineWidth(0.5)
    canvas.line(theme.MARGIN, 12.5 * mm, width - theme.MARGIN, 12.5 * mm)
    canvas.setFillColor(hex_color(theme.MUTED))
    canvas.setFont(REGULAR, 7.5)
    canvas.drawString(theme.MARGIN, 8.7 * mm, shortened(showable(footer, 400), 110))
    canvas.drawRightString(width - theme.MARGIN, 8.7 * mm, page)
    canvas.restoreState()
