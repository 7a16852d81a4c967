"""The JSON records of a run and its imagery become the content of a report."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from orthoray.errors import BadInput
from orthoray.reporting.content import CropText, ImageFacts, IndexText, ReportContent, content_from_records
from orthoray.reporting.texts import LANGUAGES, Texts

RUN: dict[str, Any] = {
    "id": "run-1",
    "index_type": "NDVI",
    "language": "ru",
    "conclusion": "Всё хорошо.",
    "completed_at": "2026-11-22T14:05:11Z",
    "statistics": {
        "valid_pixels": 90,
        "nodata_pixels": 7,
        "invalid_pixels": 3,
        "mean": 0.5,
        "median": None,
        "area_m2": 2250.0,
        "histogram": {"edges": [0, 0.5, 1], "counts": [30, 60]},
        "classes": [
            {
                "name": "healthy",
                "label": "Здоровые!",
                "lower": 0.3,
                "upper": None,
                "pixels": 60,
                "percent": 66.7,
            },
            {
                "name": "critical",
                "label": "Критическое",
                "lower": None,
                "upper": 0.3,
                "pixels": 30,
                "percent": 33.3,
            },
        ],
    },
    "provenance": {
        "index": "NDVI",
        "long_name": "Normalized Difference Vegetation Index",
        "formula": "(N - R)/(N + R)",
        "thresholds": {"id": "wheat", "cuts": [0.65, 0.35], "source": "a paper"},
        "band_map": {"R": 1, "N": 4},
        "versions": {"orthoray": "0.1.0"},
    },
}
IMAGERY: dict[str, Any] = {
    "original_filename": "field.tif",
    "width": 10,
    "height": 10,
    "captured_at": "2026-05-01T10:00:00+03:00",
    "camera": {"make": "DJI", "model": "DJI Mavic 3M"},
    "gps": {"latitude": 47.0, "longitude": 28.0, "altitude_m": 100},
    "crs": {"epsg": 32635, "name": "WGS 84 / UTM zone 35N"},
    "gsd_m": 5,
    "bounds_wgs84": [28.0, 47.0, 28.5, 47.5],
    "size_bytes": 1234,
}


def read(run: Any = RUN, imagery: Any = IMAGERY, language: str | None = "ru", **over: Any) -> ReportContent:
    options = {"report_id": "r-1", "created_at": datetime(2026, 11, 22, tzinfo=UTC), **over}
    return content_from_records(run, imagery, language=language, **options)


def test_whole_records_are_read() -> None:
    content = read()
    assert content.index.long_name == "Normalized Difference Vegetation Index"
    assert content.index.purpose is not None
    assert content.statistics.mean == 0.5
    assert content.statistics.median is None
    assert content.statistics.invalid_pixels == 3
    assert content.histogram is not None
    assert content.histogram.counts == (30, 60)
    assert content.thresholds.cuts == (0.35, 0.65)
    assert content.provenance["band_map"] == "R = 1, N = 4"
    assert content.provenance["versions"] == "orthoray 0.1.0"
    assert content.image.camera == "DJI Mavic 3M"
    assert content.image.crs == "WGS 84 / UTM zone 35N, EPSG:32635"
    assert content.image.captured_at == datetime(2026, 5, 1, 7, tzinfo=UTC)
    assert content.conclusion == "Всё хорошо."


STORED = {"scale": {"R": 0.0001, "N": 0.0001}, "offset": {"R": -0.1, "N": -0.1}}


@pytest.mark.parametrize(
    ("language", "words"), [("en", "not applied"), ("ru", "не применялось"), ("ro", "neaplicat")]
)
def test_a_scale_that_was_not_applied_is_called_so(language: str, words: str) -> None:
    told = read({"provenance": {**STORED, "scale_applied": False}}, {}, language).provenance
    assert told["scale"].startswith("R = 0.0001, N = 0.0001 (")
    for key in ("scale", "offset"):
        assert words in told[key]


def test_a_scale_that_was_applied_is_told_as_it_is() -> None:
    told = read({"provenance": {**STORED, "scale_applied": True}}, {}).provenance
    assert told["offset"] == "R = -0.1, N = -0.1"


@pytest.mark.parametrize(
    ("scale", "offset"), [({"R": 1.0, "N": 1}, {"R": 0.0}), (1, 0), ({}, None), ("x", [])]
)
def test_a_scale_that_changes_nothing_is_not_told(scale: Any, offset: Any) -> None:
    facts = {"scale": scale, "offset": offset, "scale_applied": False}
    assert not {"scale", "offset"} & set(read({"provenance": facts}, {}).provenance)


CUTS = [0.53117984533, 0.343749970197, 12345.678]
RELATIVE = {
    "provenance": {
        "domain": "water",
        "thresholds": {"id": "jenks/1", "cuts": CUTS},
        "circumstances": {"relative": True, "describes_health": False},
    },
    "statistics": {
        "background_pixels": 4,
        "out_of_range_pixels": 2,
        "classes": [{"name": "healthy", "lower": CUTS[0], "upper": None}],
    },
    "index_type": "NDXX",
    "conclusion": "Said.",
    "warnings": [{"code": "a", "text": "Said."}, {"code": "b", "text": "Beside."}],
}


def test_what_the_image_itself_gave_is_read() -> None:
    content = read(RELATIVE, {}, "en")
    assert content.thresholds.cuts == (0.3437, 0.5312, 12346.0)
    assert content.classes[0].lower == 0.5312
    assert content.classes[0].upper is None
    assert content.statistics.background_pixels == 4
    assert content.statistics.out_of_range_pixels == 2
    assert content.notes == ("Beside.",)
    assert not content.describes_health
    assert content.relative
    assert content.index.purpose is not None
    assert "water" in content.index.purpose


def test_a_users_own_cuts_keep_their_digits() -> None:
    content = read({"provenance": {"thresholds": {"id": "custom", "cuts": [0.123456, 0.0, -1]}}}, {})
    assert content.thresholds.cuts == (-1.0, 0.0, 0.123456)
    assert content.thresholds.name is None
    assert not content.relative
    assert content.describes_health


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_formula_of_the_request_is_told_in_the_language_with_its_constants(language: str) -> None:
    facts = {
        "index": "expr",
        "long_name": "User formula",
        "reference": "The user's own formula",
        "formula": "(N - R) / (N + R + L)",
        "constants": {"L": 0.3},
    }
    index = read({"index_type": "expr", "provenance": facts}, {}, language).index
    assert index.long_name == Texts(language)("user_formula")
    assert index.formula == "(N - R) / (N + R + L); L = 0.3"
    assert index.reference is None


def test_a_users_own_words_replace_the_usual_ones() -> None:
    usual = read().index
    own = read(index_text=IndexText(description="Для всего.")).index
    assert own == replace(usual, purpose="Для всего.")
    own = read(index_text=IndexText("Мой", "Для всего.", "N / R")).index
    assert own == replace(usual, long_name="Мой", purpose="Для всего.", formula="N / R")
    assert read(crop_text=CropText("Пшеница", 0.8, 0.5)).thresholds.crop == CropText("Пшеница", 0.8, 0.5)


def test_in_the_language_of_the_run_its_own_labels_stay() -> None:
    assert [row.label for row in read().classes] == ["Здоровые!", "Критическое"]


def test_in_another_language_labels_are_written_anew() -> None:
    content = read(language="ro")
    assert [row.label for row in content.classes] == ["Sănătos", "Critic"]


def test_an_old_record_has_only_stats() -> None:
    stats = {"Здоровые": 70.0, "Легкий стресс": 30.0, "Прочее": 0.0}
    content = read({"index_type": "VARI", "stats": stats}, {}, "en")
    assert [row.label for row in content.classes] == ["Healthy", "Mild stress", "Прочее"]
    assert [row.percent for row in content.classes] == [70.0, 30.0, 0.0]


def test_classes_outside_the_vocabulary_have_colours_of_their_own() -> None:
    content = read({"stats": {"Weeds": 80.0, "Crop": 20.0}}, {}, "en")
    assert len({row.color for row in content.classes}) == 2


def test_empty_records_make_an_empty_report() -> None:
    content = read({}, {}, None, report_id=None, created_at=None)
    assert content == ReportContent(language="ru")


@pytest.mark.parametrize(
    "histogram",
    [
        {"edges": [0, 1], "counts": [1, 2]},
        {"edges": [1, 0], "counts": [1]},
        {"edges": [0, 1], "counts": [-1]},
        {},
    ],
)
def test_a_histogram_that_is_none_is_left_out(histogram: dict[str, Any]) -> None:
    assert read({"statistics": {"histogram": histogram}}, {}).histogram is None


@pytest.mark.parametrize("first", [[0, "#000000"], {"value": 0, "color": "#000000"}, (0, "#000000")])
def test_legend_stops_in_either_form(first: Any) -> None:
    legend = read(legend={"stops": [[1, "#ffffff"], first], "title": "NDVI"}).legend
    assert legend is not None
    assert legend.stops == ((0.0, "#000000"), (1.0, "#ffffff"))
    assert (legend.vmin, legend.vmax, legend.title) == (0.0, 1.0, "NDVI")


@pytest.mark.parametrize(
    "stops", [[], [[0, "#000000"]], [[0, "red"], [1, "#ffffff"]], [[0, "#000000"]] * 2, None]
)
def test_a_legend_without_a_scale_is_left_out(stops: Any) -> None:
    assert read(legend={"stops": stops}).legend is None


def test_the_centre_of_the_bounds() -> None:
    assert ImageFacts(bounds_wgs84=(28.0, 47.0, 28.5, 47.5)).centre == pytest.approx((47.25, 28.25))
    assert ImageFacts(bounds_wgs84=(179.0, -1.0, -177.0, 1.0)).centre == pytest.approx((0.0, -179.0))
    assert ImageFacts().centre is None


def test_a_language_without_reports_is_refused() -> None:
    with pytest.raises(BadInput, match="English"):
        read(language="xx")
