"""The one-page report of a single picture: title, date, both pictures, a text, the GPS line."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from reportlab.lib.units import mm
from reportlab.platypus import Flowable, Paragraph, Spacer

from orthoray.reporting.fonts import markup, paragraphs
from orthoray.reporting.formats import Formats
from orthoray.reporting.gallery import PictureSlot, picture_pair
from orthoray.reporting.layout import build_pdf
from orthoray.reporting.records import number
from orthoray.reporting.texts import DEFAULT_LANGUAGE, texts_for
from orthoray.reporting.theme import GAP, PALETTE, Palette, style


def simple_report_pdf(
    original: bytes | Path | None,
    heatmap: bytes | Path | None,
    text: str,
    gps: Mapping[str, Any] | None,
    index_type: str,
    created_at: datetime,
    *,
    language: str | None = DEFAULT_LANGUAGE,
    palette: Palette = PALETTE,
) -> bytes:
    """The report as an A4 PDF with embedded fonts; a long `text` flows on to further pages.

    `original` and `heatmap` are encoded images or their paths: one that cannot be read leaves a note in its
    place. `gps` has `latitude` and `longitude` in signed decimal degrees. Raises `BadInput` for a language
    in which no report is written.
    """
    texts = texts_for(language)
    formats = Formats(texts)
    title = texts("simple_title", index=index_type)
    place = gps or {}
    latitude, longitude = number(place.get("latitude")), number(place.get("longitude"))
    known = latitude is not None and longitude is not None
    position = formats.position(latitude, longitude) if known else texts("no_gps")
    story: list[Flowable] = [
        Paragraph(markup(title, 200), style("title", palette)),
        Spacer(1, 2 * mm),
        Paragraph(markup(f"{texts('simple_date')}: {formats.date_time(created_at)}"), style("file")),
        Spacer(1, GAP),
        *picture_pair(
            PictureSlot(original, texts("original_image"), photo=True),
            PictureSlot(heatmap, f"{texts('heatmap')} · {index_type}", photo=False),
            height=100 * mm,
            texts=texts,
        ),
        Spacer(1, GAP),
        *(Paragraph(line, style("body", palette)) for line in paragraphs(text)),
        Spacer(1, 3 * mm),
        Paragraph(markup(f"{texts('position')}: {position}"), style("body", palette)),
    ]
    return build_pdf(
        story,
        texts=texts,
        title=title,
        subject=texts("report_subject", index=index_type),
        footer=f"OrthoRay · {index_type}",
        created_at=created_at,
        palette=palette,
    )
