from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime
from uuid import uuid4

import pytest

from orthoray.contracts import AnalysisRun, ClassRow, Histogram, Language, Statistics
from orthoray.spectral.classes import class_table, conclusion, stats_by_label, thresholds_for
from pipelines.wording import in_language, is_calibrated


def a_run(index: str, language: Language, names: tuple[str, ...] | None = None) -> AnalysisRun:
    table = class_table((90, 5, 3, 2), thresholds_for(index), language)
    rows = [ClassRow.model_validate(row) for row in table]
    if names:
        rows = [
            row.model_copy(update={"name": name, "label": name})
            for row, name in zip(rows, names, strict=True)
        ]
    return AnalysisRun(
        id=uuid4(),
        imagery_id=uuid4(),
        index_type=index,
        status="completed",
        auto_report=False,
        language=language,
        imagery_bucket="imagery",
        imagery_object_key="key",
        stats=stats_by_label(table),
        conclusion=conclusion(table, language, index_name=index),
        statistics=Statistics(
            valid_pixels=100,
            nodata_pixels=0,
            invalid_pixels=0,
            min=0,
            max=1,
            mean=0.5,
            std=0.1,
            median=0.5,
            p2=0,
            p98=1,
            histogram=Histogram(edges=[0, 1], counts=[100]),
            classes=rows,
            area_m2=None,
        ),
        created_at=datetime.now(UTC),
    )


@pytest.mark.parametrize("index", ["NDVI", "NDVI_emp", "CIVE"])
def test_a_run_in_another_language_reads_as_if_it_had_been_made_in_it(index: str) -> None:
    translated = in_language(a_run(index, "ru"), "en")
    made = a_run(index, "en")
    assert translated.conclusion == made.conclusion
    assert translated.stats == made.stats
    assert translated.statistics == made.statistics
    assert translated.language == "en"


def test_words_of_a_users_own_classes_stay() -> None:
    run = a_run("NDVI_emp", "ru", ("good", "so so", "bad", "gone"))
    assert in_language(run, "en") is run


@pytest.mark.parametrize("language", ["ru", "ro"])
@pytest.mark.parametrize("crop", [None, "corn"])
def test_the_source_of_thresholds_is_told_in_the_language_also_of_the_run(
    language: Language, crop: str | None
) -> None:
    thresholds = thresholds_for("NDVI", crop)
    facts = {"thresholds": asdict(thresholds), "dtype": "float32"}
    run = a_run("NDVI", language).model_copy(update={"provenance": facts})
    told = in_language(run, language).provenance
    assert told is not None
    assert told["thresholds"]["source"] != thresholds.source
    assert told["dtype"] == "float32"
    assert run.provenance == {"thresholds": asdict(thresholds), "dtype": "float32"}
    assert in_language(in_language(run, language), "en").provenance == facts


def test_the_source_of_thresholds_that_we_do_not_know_stays() -> None:
    facts = {"thresholds": {"id": "mine", "cuts": None, "source": "My own."}}
    run = a_run("NDVI", "ru").model_copy(update={"provenance": facts})
    assert in_language(run, "ru").provenance == facts


def test_in_its_own_language_nothing_changes() -> None:
    run = a_run("NDVI", "ro")
    assert in_language(run, "ro") is run


def test_only_whole_numbers_are_known_to_be_uncalibrated() -> None:
    assert is_calibrated(True, "uint16") is False
    assert is_calibrated(True, "float32") is None
    assert is_calibrated(False, "uint16") is None
