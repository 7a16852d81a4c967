"""The printed result: an analysis in, the bytes of a PDF out. Pure: no HTTP, SQL, Ray or storage."""

from __future__ import annotations

from orthoray.reporting.content import CropText, IndexText, ReportContent, content_from_records
from orthoray.reporting.document import report_pdf
from orthoray.reporting.simple import simple_report_pdf
from orthoray.reporting.theme import Palette

__all__ = [
    "CropText",
    "IndexText",
    "Palette",
    "ReportContent",
    "content_from_records",
    "report_pdf",
    "simple_report_pdf",
]
