"""GPS of a photo, and the one-page PDF report."""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

from orthoray.errors import OrthoRayError
from orthoray.reporting.simple import simple_report_pdf
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
    report_text: str,
    gps: Mapping[str, float] | None,
    index_type: str = "NDVI_emp",
) -> None:
    """Write an A4 page with title, date, both pictures, the text and the GPS line.

    A picture that is missing or cannot be read leaves a note in its place. The file appears whole or not
    at all.

    Raises:
        OSError: the file cannot be written.
    """
    page = simple_report_pdf(
        original=Path(original_image_path) if original_image_path else None,
        heatmap=Path(heatmap_image_path) if heatmap_image_path else None,
        text=report_text,
        gps=gps,
        index_type=index_type,
        created_at=datetime.now().astimezone(),
    )
    target = Path(pdf_path)
    draft = target.with_name(f".{target.name}.{secrets.token_hex(4)}")
    try:
        draft.write_bytes(page)
        draft.replace(target)
    finally:
        draft.unlink(missing_ok=True)
