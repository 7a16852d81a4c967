"""What a run's record tells of its making becomes printable words, whatever the record lacks."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orthoray.reporting.provenance import (
    describes_health,
    formula_words,
    notes_beside,
    provenance_words,
)
from orthoray.reporting.texts import LANGUAGES, Texts
from orthoray.spectral.presets import SENSORS, Sensor

EN = Texts("en")
CALIBRATION: dict[str, Any] = {
    "state": "reflectance",
    "scales": [0.0001, 0.0001, 0.0001],
    "offsets": [-0.1, -0.1, 0.0],
    "source": "file tags",
    "aligned": True,
}
STATISTICS = {"valid_pixels": 60, "nodata_pixels": 20, "invalid_pixels": 0, "background_pixels": 20}
JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=5,
)


def told(texts: Texts = EN, statistics: Any = None, **provenance: Any) -> dict[str, str]:
    return provenance_words({"provenance": provenance, "statistics": statistics}, texts)


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("state", ["dn", "reflectance", "unknown"])
def test_the_state_of_the_pixels_is_told_in_the_language(language: str, state: str) -> None:
    texts = Texts(language)
    words = told(texts, calibration={**CALIBRATION, "state": state})["calibration"]
    assert words.startswith(texts(f"calibration_{state}"))
    assert words.endswith(texts("calibration_by", source=texts("calibration_by_file_tags")))


def test_the_source_of_a_calibration() -> None:
    assert told(calibration={**CALIBRATION, "source": "none"})["calibration"] == "The values are reflectance."
    assert "the request" in told(calibration={**CALIBRATION, "source": "caller"})["calibration"]
    preset = {**CALIBRATION, "source": "sensor preset sentinel-2"}
    words = told(sensor="sentinel-2", sensor_title="Sentinel-2", calibration=preset)["calibration"]
    assert words.endswith("published values (Sentinel-2).")
    other = told(Texts("ru"), calibration={**CALIBRATION, "source": "a panel"})["calibration"]
    assert other == Texts("ru")("calibration_reflectance"), "what has no words in the language is left out"


@pytest.mark.parametrize("language", LANGUAGES)
def test_bands_that_are_not_aligned_are_called_so(language: str) -> None:
    texts = Texts(language)
    words = told(texts, calibration={"state": "dn", "source": "none", "aligned": False})["calibration"]
    assert words == f"{texts('calibration_dn')} {texts('unaligned')}"


def test_a_calibration_in_words_stays_as_it_is() -> None:
    assert told(calibration="By a panel.")["calibration"] == "By a panel."
    assert "calibration" not in told(calibration={"state": "another"})


def test_scales_and_offsets_that_were_applied_are_told_of_the_bands_used() -> None:
    facts = {"calibration": CALIBRATION, "scale": {"R": 7.0}, "scale_applied": True}
    assert told(**facts)["scale"] == "0.0001"
    assert told(Texts("ru"), **facts)["scale"] == "0,0001"
    assert told(band_map={"R": 1, "N": 3}, **facts)["offset"] == "R = −0.1; N = 0"
    assert told(band_map={"R": 1, "G": 2}, **facts)["offset"] == "−0.1"
    assert "offset" not in told(band_map={"N": 3}, **facts)
    assert told(band_map={"N": 9}, **facts)["offset"] == "1 = −0.1; 2 = −0.1; 3 = 0"


def test_pixels_as_stored_have_no_scale() -> None:
    plain = {"state": "dn", "scales": [1.0, 1.0], "offsets": [0.0, 0.0], "source": "none"}
    assert set(told(calibration=plain)) == {"calibration"}


def test_reflectance_that_was_not_made_is_not_told_of() -> None:
    words = told(calibration=CALIBRATION, scale={"R": 0.0001}, offset={"R": -0.1}, scale_applied=False)
    assert words["calibration"] == EN("calibration_dn")
    assert words["scale"] == "R = 0.0001 (as the file says; not applied)"
    assert "not applied" in words["offset"]


def test_the_sensor_and_why_the_bands_are_called_so() -> None:
    facts = {
        "sensor": "parrot-sequoia",
        "sensor_title": "Parrot Sequoia",
        "sensor_reason": "The tags say so.",
    }
    facts |= {"bands_source": "sensor preset parrot-sequoia", "bands_reason": "The tags say so."}
    assert told(**facts) == {
        "sensor": "Parrot Sequoia",
        "sensor_reason": "The tags say so.",
        "bands_reason": "by the preset of the sensor: Parrot Sequoia",
    }
    assert told(Texts("ru"), **facts) == {
        "sensor": "Parrot Sequoia",
        "bands_reason": "по схеме датчика: Parrot Sequoia",
    }
    assert told(sensor=None, bands_source="another", bands_reason="So it is.") == {}
    assert told(sensor="mine") == {"sensor": "mine"}


@pytest.mark.parametrize(
    "source", ["caller", "tags", "descriptions", "file names", "colour interpretation", "none"]
)
def test_every_source_of_band_names_has_words_in_every_language(source: str) -> None:
    said = {told(Texts(language), bands_source=source)["bands_reason"] for language in LANGUAGES}
    assert len(said) == 3


@pytest.mark.parametrize("sensor", SENSORS.values(), ids=lambda sensor: sensor.key)
def test_every_sensor_has_its_name_in_every_language(sensor: Sensor) -> None:
    facts = {"sensor": sensor.key, "sensor_title": sensor.title}
    names = {language: told(Texts(language), **facts)["sensor"] for language in LANGUAGES}
    assert names["en"] == sensor.title
    if re.search(r"\b[a-z]", sensor.title):
        assert len(set(names.values())) == 3, "a title with words is translated"
    assert not re.search(r"\b[a-z]", names["ru"])


def test_a_formula_shows_its_constants() -> None:
    assert formula_words("(N - R)/(N + R + L)", {"L": 0.3}) == "(N - R)/(N + R + L); L = 0.3"
    assert formula_words("g*N + C1", {"g": 2.0, "C1": -6e-05, "x": None}) == "g*N + C1; g = 2, C1 = -6e-05"
    assert formula_words("N", {}) == "N"
    assert formula_words(None, {"L": 1}) is None


@pytest.mark.parametrize(
    ("background", "expected"),
    [
        (
            {"index": "NDVI", "above": 0.2},
            "only pixels with NDVI above 0.2 count; 20.0% of the image is left out",
        ),
        (
            {"index": "expr", "formula": "N/R", "above": -2},
            "only pixels with N/R above −2 count; 20.0% of the image is left out",
        ),
        (
            {"index": "SAVI", "formula": "x", "constants": {"L": 0.3}, "above": 0.2},
            "only pixels with SAVI above 0.2 count; L = 0.3; 20.0% of the image is left out",
        ),
        ({"index": "NDVI"}, None),
        ({"above": 0.1}, None),
        (None, None),
    ],
)
def test_the_soil_mask(background: Any, expected: str | None) -> None:
    assert told(statistics=STATISTICS, background=background).get("background") == expected


def test_a_soil_mask_without_counts() -> None:
    mask = {"index": "SAVI", "above": 0.25}
    assert (
        told(Texts("ro"), background=mask)["background"] == "se iau în calcul doar pixelii cu SAVI peste 0,25"
    )


def test_notes_that_the_conclusion_says_are_not_said_twice() -> None:
    run = {"warnings": [{"code": "a", "text": "First."}, {"code": "b", "text": "Second."}, {"code": "c"}, 5]}
    assert notes_beside(run, "All well. First.") == ("Second.",)
    assert notes_beside(run, None) == ("First.", "Second.")
    assert notes_beside({}, "All well.") == ()


def test_only_a_record_that_says_so_takes_the_classes_from_health() -> None:
    assert describes_health({})
    assert describes_health({"provenance": {"circumstances": {"describes_health": True}}})
    assert not describes_health({"provenance": {"circumstances": {"describes_health": False}}})


@given(
    st.fixed_dictionaries(
        {
            "provenance": st.dictionaries(
                st.sampled_from(
                    [
                        "calibration",
                        "band_map",
                        "background",
                        "sensor",
                        "bands_source",
                        "scale",
                        "circumstances",
                    ]
                ),
                JSON
                | st.dictionaries(
                    st.sampled_from(["state", "scales", "offsets", "source", "aligned", "index", "above"]),
                    JSON,
                ),
            ),
            "warnings": JSON,
            "statistics": JSON,
        }
    )
)
@settings(max_examples=60, deadline=None)
def test_no_record_breaks_the_reading(run: Any) -> None:
    assert all(isinstance(words, str) and words for words in provenance_words(run, EN).values())
    assert all(notes_beside(run, "x"))
    assert describes_health(run) in {True, False}
