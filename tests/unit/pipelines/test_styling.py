"""A user's own OLD.styles reaches the reports."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

import pytest

from orthoray.contracts import Language
from orthoray.reporting.content import CropText, IndexText
from orthoray.reporting.theme import Palette
from orthoray.spectral.thresholds import CROPS
from pipelines.styling import STYLES, Styling, read_styling


def styled(monkeypatch: pytest.MonkeyPatch, **names: Any) -> Styling:
    """The styling of an OLD.styles of these names."""
    module = ModuleType(STYLES)
    vars(module).update(names)
    monkeypatch.setitem(sys.modules, STYLES, module)
    return read_styling()


def test_as_shipped_the_colours_are_the_reports_own_and_the_crops_known() -> None:
    styling = read_styling()
    assert styling.palette == Palette()
    for crop in CROPS:
        own = styling.crop_text(crop.name, "ru")
        assert own is not None
        assert (own.healthy, own.stressed) == (crop.healthy, crop.stressed)
    for name in ("NDVI", "CIVE", "ExG", "MGRVI"):
        assert styling.index_text(name, "ru") is not None


def test_a_users_colours(monkeypatch: pytest.MonkeyPatch) -> None:
    styling = styled(monkeypatch, PRIMARY_COLOR="#1020A0", SECONDARY_COLOR="#30C0FF", TEXT_COLOR="#111111")
    assert styling.palette == Palette(primary="#1020A0", dark="#0C1878", accent="#30C0FF", text="#111111")


@pytest.mark.parametrize("index", ["CIVE", "ExG", "NDVI", "VARI"])
def test_a_users_words_on_an_index_are_for_russian_reports(
    monkeypatch: pytest.MonkeyPatch, index: str
) -> None:
    key = {"CIVE": "Civi", "ExG": "exG"}.get(index, index)
    styling = styled(
        monkeypatch, SPECTRAL_INDEX_DESCRIPTIONS={key: {"name": "Мой", "description": "Для всего."}}
    )
    assert styling.index_text(index, "ru") == IndexText("Мой", "Для всего.", None)
    assert styling.index_text(index, "en") is None
    assert styling.index_text("GLI", "ru") is None


@pytest.mark.parametrize(
    ("language", "expected"),
    [
        ("ru", CropText("Пшеница", 0.8, 0.5, "Моя.")),
        ("ro", CropText("Grâu", 0.8, 0.5)),
        ("en", CropText("Wheat", 0.8, 0.5)),
    ],
)
def test_a_users_levels_of_a_crop(
    monkeypatch: pytest.MonkeyPatch, language: Language, expected: CropText
) -> None:
    table = {"Пшеница": {"healthy": 0.8, "stressed": 0.5, "description": "Моя."}}
    styling = styled(monkeypatch, CROP_THRESHOLDS=table)
    assert styling.crop_text("wheat", language) == expected
    for other in ("corn", "rice", None):
        assert styling.crop_text(other, language) is None


BROKEN: list[dict[str, Any]] = [
    {},
    {"PRIMARY_COLOR": "green", "SECONDARY_COLOR": 7, "TEXT_COLOR": None},
    {"CROP_THRESHOLDS": {"Пшеница": {"healthy": "much"}, 3: {}, "wheat": None}},
    {"CROP_THRESHOLDS": 5, "SPECTRAL_INDEX_DESCRIPTIONS": [("NDVI", "x")]},
    {"SPECTRAL_INDEX_DESCRIPTIONS": {"NDVI": "x", None: {}}},
]


@pytest.mark.parametrize("names", BROKEN)
def test_what_is_missing_or_broken_is_as_usual(
    monkeypatch: pytest.MonkeyPatch, names: dict[str, Any]
) -> None:
    styling = styled(monkeypatch, **names)
    assert styling.palette == Palette()
    assert styling.crop_text("wheat", "ru") is None
    assert styling.index_text("NDVI", "ru") is None


def test_styles_that_cannot_be_imported_are_as_usual(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, STYLES, None)
    assert read_styling() == Styling()
