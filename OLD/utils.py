"""GPS of a photo, and the one-page PDF report."""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

from OLD import styles
from orthoray.errors import OrthoRayError
from orthoray.reporting.simple import simple_report_pdf
from orthoray.reporting.theme import Palette
from orthoray.spectral.metadata import read_metadata


def get_gps_from_image(file_path: str | os.PathLike[str]) -> dict[str, float] | None:
    """`{"latitude", "longitude"}` in signed decimal degrees, or None where the file tells no position."""
    try:
        gps = read_metadata(Path(file_path)).gps
    except (OrthoRayError, OSError):
        return None
    return None if gps is None else {"latitude": gps.latitude, "longitude": gps.longitude}


def generate_pdf_report(
    pdf_path: str | os.PathLike[str],
    original_image_path: str | os.PathLike[str] | None,
    heatmap_image_path: str | os.PathLike[str] | None,
    report_text: str | None,
    gps: Mapping[str, float] | None,
    index_type: str = "NDVI_emp",
) -> None:
    """Write an A4 page with title, date, both pictures, the text and the GPS line, in the colours of `OLD.styles`.

    A picture that is missing or cannot be read leaves a note in its place; without a text, or with a `gps`
    that is no mapping, the page goes without them. The file appears whole or not at all.

    Raises:
        OSError: the file cannot be written.
    """
    page = simple_report_pdf(
        original=Path(original_image_path) if original_image_path else None,
        heatmap=Path(heatmap_image_path) if heatmap_image_path else None,
        text="" if report_text is None else str(report_text),
        gps=gps if isinstance(gps, Mapping) else None,
        index_type=index_type,
        created_at=datetime.now().astimezone(),
        # A user's own styles may lack any of these.
        palette=Palette.of(
            getattr(styles, "PRIMARY_COLOR", None),
            getattr(styles, "SECONDARY_COLOR", None),
            getattr(styles, "TEXT_COLOR", None),
        ),
    )
    target = Path(pdf_path)
    draft = target.with_name(f".{target.name}.{secrets.token_hex(4)}")
    try:
        draft.write_bytes(page)
        draft.replace(target)
    finally:
        draft.unlink(missing_ok=True)
