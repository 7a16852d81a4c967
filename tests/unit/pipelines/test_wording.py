from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime
from uuid import uuid4

import pytest

from orthoray.contracts import AnalysisRun, ClassRow, Histogram, Language, Note, Statistics
from orthoray.spectral.classes import class_table, stats_by_label
from orthoray.spectral.thresholds import ADAPTIVE, LEGACY_INDICES, Method, ThresholdSet, thresholds_for
from orthoray.spectral.verdict import Circumstances, conclusion, notes
from pipelines.wording import in_language, presumed


def a_run(
    index: str,
    language: Language,
    names: tuple[str, ...] | None = None,
    circumstances: Circumstances | None = None,
) -> AnalysisRun:
    thresholds = thresholds_for(index)
    assert isinstance(thresholds, ThresholdSet)
    table = class_table((90, 5, 3, 2), thresholds, language)
    seen = circumstances or presumed(index, needs_reflectance=False, dtype="uint8", valid_fraction=1.0)
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
        conclusion=conclusion(table, language, index_name=index, circumstances=seen),
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
        provenance={"circumstances": circumstances.to_dict()} if circumstances else None,
        warnings=[Note.model_validate(note) for note in notes(seen, language)],
        created_at=datetime.now(UTC),
    )


@pytest.mark.parametrize("index", ["NDVI", "NDVI_emp", "CIVE"])
def test_a_run_in_another_language_reads_as_if_it_had_been_made_in_it(index: str) -> None:
    translated = in_language(a_run(index, "ru"), "en")
    made = a_run(index, "en")
    assert translated.conclusion == made.conclusion
    assert translated.stats == made.stats
    assert translated.statistics == made.statistics
    assert translated.warnings == made.warnings
    assert translated.language == "en"


def test_the_circumstances_of_the_record_make_the_words() -> None:
    seen = Circumstances(
        state="unknown", aligned=False, valid_fraction=0.2, out_of_range_fraction=0.3, high_is_good=None
    )
    translated = in_language(a_run("NDVI", "ru", circumstances=seen), "ro")
    assert translated.conclusion == a_run("NDVI", "ro", circumstances=seen).conclusion
    assert [note.model_dump() for note in translated.warnings] == notes(seen, "ro")
    assert len(translated.warnings) == 5


@pytest.mark.parametrize("method", ADAPTIVE)
def test_how_the_image_gave_the_classes_is_read_from_earlier_records_too(method: Method) -> None:
    seen = Circumstances(method=method)
    run = a_run("NDVI", "en", circumstances=seen)
    earlier = {"thresholds": {"id": f"{method}/1"}, "circumstances": {"relative": True}}
    assert (
        in_language(run.model_copy(update={"provenance": earlier}), "ru").conclusion
        == a_run("NDVI", "ru", circumstances=seen).conclusion
    )


def test_the_sensor_of_an_earlier_record_gets_its_title() -> None:
    run = a_run("NDVI", "ru").model_copy(update={"provenance": {"sensor": "sentinel-2"}})
    assert in_language(run, "ru").provenance == {"sensor": "sentinel-2", "sensor_title": "Sentinel-2"}
    for facts in ({"sensor": "mine"}, {"sensor": None}, {}, None):
        assert in_language(run.model_copy(update={"provenance": facts}), "ru").provenance == facts


def test_warnings_of_other_makers_keep_their_words() -> None:
    run = a_run("GLI", "ru")
    run = run.model_copy(update={"warnings": [*run.warnings, Note(code="gps", text="No GPS.")]})
    assert in_language(run, "en").warnings[-1] == Note(code="gps", text="No GPS.")
    assert in_language(run, "en").warnings[0].text.startswith("The index uses visible light only")


def test_words_of_a_users_own_classes_stay() -> None:
    run = a_run("NDVI_emp", "ru", ("good", "so so", "bad", "gone"))
    assert in_language(run, "en") == run


@pytest.mark.parametrize("language", ["ru", "ro"])
@pytest.mark.parametrize("crop", [None, "corn"])
def test_the_source_of_thresholds_is_told_in_the_language_also_of_the_run(
    language: Language, crop: str | None
) -> None:
    thresholds = thresholds_for("NDVI", crop)
    assert isinstance(thresholds, ThresholdSet)
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
    assert in_language(run, "ro") == run


def test_only_whole_numbers_are_known_to_be_uncalibrated() -> None:
    assert presumed("SAVI", needs_reflectance=True, dtype="uint16", valid_fraction=1.0).state == "dn"
    assert presumed("SAVI", needs_reflectance=True, dtype="float32", valid_fraction=1.0).state is None
    assert presumed("NDVI", needs_reflectance=False, dtype="uint16", valid_fraction=1.0).state is None


@pytest.mark.parametrize("index", LEGACY_INDICES)
def test_of_the_legacy_indices_only_one_is_inverted(index: str) -> None:
    seen = presumed(index, needs_reflectance=False, dtype="uint8", valid_fraction=1.0)
    assert seen.visible_only
    assert seen.high_is_good is (index != "CIVE")
