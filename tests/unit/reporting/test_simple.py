"""The one-page report."""

from __future__ import annotations

from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from pypdf import PdfReader

from orthoray.errors import BadInput
from orthoray.reporting import simple_report_pdf

CREATED = datetime(2026, 11, 22, 14, 6, tzinfo=UTC)
GPS = {"latitude": 47.0245, "longitude": 28.8323}


def picture(tmp_path: Path, name: str) -> Path:
    path = tmp_path / name
    Image.new("RGB", (400, 300), "green").save(path)
    return path


def words_of(pdf: bytes) -> str:
    return " ".join(" ".join(page.extract_text() for page in PdfReader(BytesIO(pdf)).pages).split())


def test_one_page_with_everything(tmp_path: Path) -> None:
    original, heatmap = picture(tmp_path, "a.jpg"), picture(tmp_path, "b.png")
    pdf = simple_report_pdf(original, heatmap.read_bytes(), "Поле здорово.\nЩёголь", GPS, "NDVI_emp", CREATED)
    reader = PdfReader(BytesIO(pdf))
    assert len(reader.pages) == 1
    assert len(reader.pages[0].images) == 2
    box = reader.pages[0].mediabox
    assert (round(box.width), round(box.height)) == (595, 842)
    words = words_of(pdf)
    for expected in (
        "NDVI_emp",
        "22 ноября 2026 г., 14:06 UTC",
        "Поле здорово.",
        "Щёголь",
        "47,02450° с. ш.",
    ):
        assert expected in words
    assert pdf == simple_report_pdf(original, heatmap, "Поле здорово.\nЩёголь", GPS, "NDVI_emp", CREATED)


@pytest.mark.parametrize("gps", [None, {}, {"latitude": 1.0}, {"latitude": "north", "longitude": 2.0}])
def test_without_a_position_the_line_says_so(gps: Any) -> None:
    assert "нет данных GPS" in words_of(simple_report_pdf(None, None, "", gps, "VARI", CREATED))


def test_unreadable_pictures_leave_notes(tmp_path: Path) -> None:
    words = words_of(simple_report_pdf(tmp_path / "none.jpg", b"junk", "текст", None, "VARI", CREATED))
    assert words.count("Изображение не удалось показать") == 2


@pytest.mark.slow
def test_a_long_text_flows_on() -> None:
    pdf = simple_report_pdf(None, None, "слово & <b> " * 1500, None, "VARI", CREATED)
    assert len(PdfReader(BytesIO(pdf)).pages) > 2
    assert "слово & <b>" in words_of(pdf)


@pytest.mark.parametrize(
    ("language", "word"), [("ro", "Raport de analiză"), ("en", "Analysis of an aerial image")]
)
def test_other_languages(language: str, word: str) -> None:
    assert word in words_of(simple_report_pdf(None, None, "x", GPS, "GLI", CREATED, language=language))


def test_a_language_without_reports_is_refused() -> None:
    with pytest.raises(BadInput):
        simple_report_pdf(None, None, "x", None, "GLI", CREATED, language="xx")
