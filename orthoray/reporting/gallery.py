"""The two pictures of a report, side by side or, when they are panoramas, one above the other."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any, Final

from reportlab.lib.units import mm
from reportlab.platypus import Flowable, Image, KeepTogether, Paragraph, Spacer, Table, TableStyle

from orthoray.reporting import theme
from orthoray.reporting.fonts import markup
from orthoray.reporting.pictures import picture_size, print_picture
from orthoray.reporting.tables import plain_cells
from orthoray.reporting.texts import Texts
from orthoray.reporting.theme import CONTENT_WIDTH, hex_color, style

_THINNEST: Final = 1.5
# A picture this much wider than high gets the page's full width, its heatmap below it.
_PANORAMA: Final = 2.4
_CAPTION_LIMIT: Final = 80
_NARROWEST_SCALE: Final = 50 * mm


@dataclass(frozen=True, slots=True)
class PictureSlot:
    """A picture to show: an encoded image or its path; `photo` is False for what was coloured by us."""

    source: bytes | Path | None
    caption: str
    photo: bool


def picture_pair(
    first: PictureSlot,
    second: PictureSlot,
    *,
    height: float,
    texts: Texts,
    scale: Callable[[float], Flowable | None] | None = None,
) -> list[Flowable]:
    """Two pictures side by side (panoramas one above the other), at most `height` points high, with captions.

    `scale(width)` draws what stands under the second, or answers None.
    """
    gap = 6 * mm
    sizes = [picture_size(slot.source) if slot.source is not None else None for slot in (first, second)]
    known = [width / tall for width, tall in (size for size in sizes if size)]
    if known and min(known) >= _PANORAMA:
        box = (CONTENT_WIDTH, height / 2)
        flowables: list[Flowable] = []
        for slot in (first, second):
            picture = _picture(slot, box, texts)
            flowables += [
                picture,
                Spacer(1, 3),
                Paragraph(markup(slot.caption, _CAPTION_LIMIT), style("caption")),
            ]
            flowables.append(Spacer(1, 8))
        below = scale(_scale_width(picture)) if scale else None
        return [KeepTogether([*flowables[:-1], *([Spacer(1, 3), below] if below else [])])]
    width = (CONTENT_WIDTH - gap) / 2
    box = (width, height)
    pictures = [_picture(slot, box, texts) for slot in (first, second)]
    captions: list[Any] = [
        [Paragraph(markup(slot.caption, _CAPTION_LIMIT), style("caption"))] for slot in (first, second)
    ]
    below = scale(_scale_width(pictures[1])) if scale else None
    if below:
        captions[1] += [Spacer(1, 3), below]
    table = Table(
        [[pictures[0], "", pictures[1]], [captions[0], "", captions[1]]],
        colWidths=[width, gap, width],
    )
    table.setStyle(
        TableStyle(
            [
                *plain_cells(),
                ("LEFTPADDING", (0, 0), (-1, -1), 0),
                ("RIGHTPADDING", (0, 0), (-1, -1), 0),
                ("TOPPADDING", (0, 0), (-1, -1), 0),
                ("BOTTOMPADDING", (0, 0), (-1, -1), 4),
                ("VALIGN", (0, 0), (-1, 0), "BOTTOM"),
                ("NOSPLIT", (0, 0), (-1, -1)),
            ]
        )
    )
    return [table]


def _picture(slot: PictureSlot, box: tuple[float, float], texts: Texts) -> Flowable:
    if slot.source is None:
        return _empty_picture(texts("picture_missing"), box)
    pixels = (max(1, round(box[0] / 72 * theme.DPI)), max(1, round(box[1] / 72 * theme.DPI)))
    picture = print_picture(slot.source, pixels, photo=slot.photo)
    size = picture_size(slot.source)
    if picture is None or size is None:
        return _empty_picture(texts("picture_unreadable"), box)
    if picture.empty:
        return _empty_picture(texts("picture_empty"), box)
    scale = min(box[0] / size[0], box[1] / size[1])
    # A picture of 30000 x 1 pixels would vanish at its own proportions: it is drawn thick enough to be seen.
    shown = (max(size[0] * scale, _THINNEST), max(size[1] * scale, _THINNEST))
    return Image(BytesIO(picture.data), width=shown[0], height=shown[1], hAlign="LEFT")


def _scale_width(picture: Flowable) -> float:
    """As wide as the picture above it, but wide enough for its numbers."""
    return float(max(picture.wrap(CONTENT_WIDTH, CONTENT_WIDTH)[0], _NARROWEST_SCALE))


def _empty_picture(note: str, box: tuple[float, float]) -> Table:
    table = Table(
        [[Paragraph(markup(note), style("note"))]],
        colWidths=[box[0]],
        rowHeights=[min(box[1], 45 * mm)],
        hAlign="LEFT",
    )
    table.setStyle(
        TableStyle(
            [
                *plain_cells(),
                ("VALIGN", (0, 0), (-1, -1), "MIDDLE"),
                ("BACKGROUND", (0, 0), (-1, -1), hex_color(theme.TINT)),
                ("BOX", (0, 0), (-1, -1), 0.5, hex_color(theme.LINE)),
            ]
        )
    )
    return table
