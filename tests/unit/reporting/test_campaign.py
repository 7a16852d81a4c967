"""The summary of many images."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from io import BytesIO

import numpy as np
import pytest
from PIL import Image
from pypdf import PdfReader

from orthoray.reporting.campaign import MAX_ROWS, CampaignContent, CampaignImage, campaign_pdf
from orthoray.reporting.verdict import ClassRow


def text_of(content: CampaignContent) -> str:
    reader = PdfReader(BytesIO(campaign_pdf(content)))
    return " ".join("\n".join(page.extract_text() for page in reader.pages).split())


@pytest.fixture
def content() -> CampaignContent:
    picture = BytesIO()
    Image.fromarray(np.full((20, 30, 3), 90, dtype=np.uint8)).save(picture, "PNG")
    return CampaignContent(
        index="NDVI",
        batch_id="batch-1",
        source="s3://imagery/2026/",
        created_at=datetime(2026, 5, 1, tzinfo=UTC),
        images=[CampaignImage(f"field-{n}.tif", 0.5, 0.52, 0.1, 80.0, 12_000.0) for n in range(3)],
        failures=[("broken <b>.tif", "The file is damaged.")],
        pictures=[("field-0.tif", picture.getvalue()), ("field-1.tif", b"no picture")],
        classes=(
            ClassRow("healthy", "Healthy", 0.6, None, 300, 75.0, 27_000.0, "#2E7D32"),
            ClassRow("critical", "Critical", None, 0.6, 100, 25.0, 9_000.0, "#C62828"),
        ),
        mean=0.5,
        area_m2=36_000.0,
        table="statistics.parquet",
        language="en",
    )


def test_everything_is_told(content: CampaignContent) -> None:
    text = text_of(content)
    for told in (
        *("Summary of a campaign", "s3://imagery/2026/", "1 May 2026", "batch-1", "0.500", "3.60 ha"),
        *("broken <b>.tif", "The file is damaged.", "field-2.tif", "0.520", "80.0%", "1.20 ha", "75.0%"),
        *("Where images overlap", "The picture cannot be shown"),
    ):
        assert told in text, told


@pytest.mark.parametrize(
    ("language", "title"), [("ru", "Сводка по съёмке"), ("ro", "Sinteza campaniei"), ("en", "Summary")]
)
def test_in_three_languages(content: CampaignContent, language: str, title: str) -> None:
    assert title in text_of(replace(content, language=language))


def test_thresholds_of_each_image_are_not_added_up(content: CampaignContent) -> None:
    text = text_of(replace(content, classes=(), relative=True))
    assert "Each image gave its own thresholds" in text
    assert "80.0%" not in text


@pytest.mark.slow
def test_rows_beyond_the_limit_are_counted(content: CampaignContent) -> None:
    many = [CampaignImage(f"n{number}") for number in range(MAX_ROWS + 7)]
    assert "7 more stand in the table statistics.parquet" in text_of(replace(content, images=many))


def test_a_campaign_of_which_nothing_came(content: CampaignContent) -> None:
    nothing = replace(content, images=[], pictures=[], classes=(), mean=None, area_m2=None)
    assert "broken <b>.tif" in text_of(nothing)


def test_equal_content_gives_equal_bytes(content: CampaignContent) -> None:
    assert campaign_pdf(content) == campaign_pdf(content)
