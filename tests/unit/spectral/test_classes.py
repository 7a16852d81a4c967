import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orthoray.errors import Impossible
from orthoray.spectral.classes import (
    CLASS_NAMES,
    LEGACY_INDICES,
    ThresholdSet,
    check_language,
    class_counts,
    class_table,
    conclusion,
    stats_by_label,
    threshold_source,
    thresholds_for,
)
from orthoray.spectral.indices import CATALOGUE
from orthoray.spectral.texts import LANGUAGES, LEGACY_CONCLUSIONS, TEXTS, percentage

NDVI = thresholds_for("NDVI")


def table(counts, *, index="NDVI", language="en"):
    return class_table(counts, thresholds_for(index), language)


@pytest.mark.parametrize("name", LEGACY_INDICES)
def test_legacy_indices_keep_their_cuts(name):
    thresholds = thresholds_for(name)
    assert thresholds.id == "legacy/1"
    assert thresholds.index == name
    assert thresholds.cuts == (0.1, 0.0, -0.1)


def test_every_index_of_the_catalogue_has_descending_default_cuts():
    for index in CATALOGUE:
        first, second, third = thresholds_for(index.name).cuts
        assert first > second > third


def test_defaults_say_that_they_are_a_rule_of_thumb():
    for name in ("NDVI", "GNDVI", "NDRE", "SAVI", "EVI"):
        thresholds = thresholds_for(name)
        assert thresholds.id == f"{name}/1"
        assert thresholds.crop is None
        assert "Rule of thumb" in thresholds.source
        assert "not calibrated for a crop" in thresholds.source


@pytest.mark.parametrize(
    ("spellings", "name", "cuts"),
    [
        (("Кукуруза", "КУКУРУЗА", "corn", "Maize", " porumb "), "corn", (0.70, 0.40, 0.20)),
        (("Пшеница", "wheat", "grâu", "GRAU"), "wheat", (0.65, 0.35, 0.175)),
        (("Ячмень", "ячмень", "Barley", "orz"), "barley", (0.60, 0.30, 0.15)),
    ],
)
def test_crop_thresholds_in_three_languages(spellings, name, cuts):
    for spelling in spellings:
        thresholds = thresholds_for("NDVI", crop=spelling)
        assert thresholds.crop == name
        assert thresholds.cuts == pytest.approx(cuts)
        assert thresholds.id == f"NDVI/{name}/1"
        assert "half of stressed" in thresholds.source


def test_an_unknown_crop_names_the_known_ones():
    with pytest.raises(Impossible, match=r"Кукуруза.*wheat.*orz") as caught:
        thresholds_for("NDVI", crop="rice")
    assert caught.value.fields["crops"] == ["corn", "wheat", "barley"]


@pytest.mark.parametrize("index", ["NDVI_emp", "EVI"])
def test_a_crop_is_refused_for_an_index_without_crop_thresholds(index):
    with pytest.raises(Impossible, match="NDVI only"):
        thresholds_for(index, crop="corn")


def test_an_index_without_defaults_asks_for_thresholds():
    with pytest.raises(Impossible, match=r"send three of your own"):
        thresholds_for("NDWI")
    assert thresholds_for("NDWI", custom=[0.3, 0.2, 0.1]).cuts == (0.3, 0.2, 0.1)


@pytest.mark.parametrize("given_cuts", [[0.5, 0.3, 0.1], (0.1, 0.3, 0.5), np.array([0.1, 0.3, 0.5])])
def test_custom_thresholds_are_sorted_to_descending(given_cuts):
    thresholds = thresholds_for("NDVI", custom=given_cuts)
    assert thresholds.cuts == (0.5, 0.3, 0.1)
    assert thresholds.id == "custom"


def test_custom_thresholds_keep_the_crop_beside_them():
    thresholds = thresholds_for("EVI", crop="Porumb", custom=[3, 2, 1])
    assert (thresholds.crop, thresholds.cuts) == ("corn", (3.0, 2.0, 1.0))


@pytest.mark.parametrize(
    "wrong",
    [
        [],
        [0.1],
        [0.3, 0.2],
        [0.4, 0.3, 0.2, 0.1],
        [0.1, 0.3, 0.2],
        [0.3, 0.3, 0.1],
        [0.1, 0.1, 0.1],
        [0.3, math.nan, 0.1],
        [math.inf, 0.2, 0.1],
        ["a", 0.2, 0.1],
        [None, 0.2, 0.1],
        "321",
        5,
    ],
)
def test_custom_thresholds_must_be_three_in_order(wrong):
    with pytest.raises(Impossible, match=r"for example \[0\.6, 0\.4, 0\.2\]"):
        thresholds_for("NDVI", custom=wrong)


def test_a_value_on_a_cut_belongs_to_the_class_below():
    cuts = (0.1, 0.0, -0.1)
    on_cuts = np.array(cuts, dtype=np.float32)
    assert class_counts(on_cuts, cuts) == (0, 1, 1, 1)
    assert class_counts(np.nextafter(on_cuts, np.float32(1)), cuts) == (1, 1, 1, 0)


@settings(max_examples=50, deadline=None)
@given(
    st.lists(st.floats(-2, 2, width=32) | st.just(math.nan) | st.sampled_from([0.1, 0.0, -0.1]), max_size=40)
)
def test_every_value_but_nan_is_in_exactly_one_class(values):
    array = np.array(values, dtype=np.float32)
    assert sum(class_counts(array, (0.1, 0.0, -0.1))) == np.count_nonzero(~np.isnan(array))


def test_the_table_has_open_ends_and_areas():
    rows = class_table([2, 1, 1, 4], NDVI, "en", 0.25)
    assert [row["name"] for row in rows] == list(CLASS_NAMES)
    assert [(row["lower"], row["upper"]) for row in rows] == [
        (0.6, None),
        (0.4, 0.6),
        (0.2, 0.4),
        (None, 0.2),
    ]
    assert [row["percent"] for row in rows] == [25.0, 12.5, 12.5, 50.0]
    assert [row["area_m2"] for row in rows] == [0.5, 0.25, 0.25, 1.0]
    assert [row["area_m2"] for row in table([1, 1, 1, 1])] == [None] * 4


def test_the_table_takes_numpy_counts_and_gives_plain_numbers():
    rows = class_table(np.array([3, 0, 0, 1]), NDVI, "en", 1.0)
    assert all(type(row["pixels"]) is int and type(row["percent"]) is float for row in rows)


def test_the_table_without_valid_pixels_is_all_zero():
    rows = class_table([0, 0, 0, 0], NDVI, "ro", 2.0)
    assert all(row["percent"] == 0.0 and row["area_m2"] == 0.0 for row in rows)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(0, 10**12), min_size=4, max_size=4).filter(any))
def test_percents_sum_to_a_hundred(counts):
    assert sum(row["percent"] for row in table(counts)) == pytest.approx(100.0)


def test_labels_follow_the_language():
    assert list(stats_by_label(table([1, 1, 1, 1], language="ru"))) == [
        "Здоровые",
        "Легкий стресс",
        "Сильный стресс",
        "Критическое",
    ]
    assert list(stats_by_label(table([1, 1, 1, 1], language="ro")))[1] == "Stres ușor"
    assert stats_by_label(table([1, 1, 1, 1])) == dict.fromkeys(TEXTS["en"].labels.values(), 25.0)


def test_romanian_has_comma_below_letters_only():
    assert not set(str(TEXTS["ro"])) & set("şţŞŢ")


SETS = [
    *(thresholds_for(index.name) for index in CATALOGUE),
    *(thresholds_for("NDVI", crop=crop) for crop in ("corn", "wheat", "barley")),
    thresholds_for("NDVI", custom=[3, 2, 1]),
    thresholds_for("NDVI", crop="corn", custom=[3, 2, 1]),
]


@pytest.mark.parametrize("thresholds", SETS, ids=lambda thresholds: f"{thresholds.index} {thresholds.id}")
def test_the_source_of_every_threshold_set_is_told_in_every_language(thresholds):
    told = [
        threshold_source(thresholds.id, thresholds.index, thresholds.cuts, thresholds.crop, language)
        for language in LANGUAGES
    ]
    assert len(set(told)) == 3
    assert told[LANGUAGES.index("en")] == thresholds.source
    assert set(told[LANGUAGES.index("ru")].lower()) & set("абвгд")


def test_the_source_of_crop_thresholds_names_crop_and_levels():
    cuts = thresholds_for("NDVI", crop="corn").cuts
    russian = threshold_source("NDVI/corn/1", "NDVI", cuts, "corn", "ru")
    assert "кукуруза" in russian
    assert "0,7" in russian
    assert "0,4" in russian


@pytest.mark.parametrize(
    ("id", "index", "crop"), [("NDVI/2", "NDVI", None), ("NDVI/rice/1", "NDVI", "rice"), ("", "", None)]
)
def test_the_source_of_other_sets_is_not_known(id, index, crop):
    assert threshold_source(id, index, (0.3, 0.2, 0.1), crop, "ru") is None


@pytest.mark.parametrize("code", ["ru", "RU", "ru-RU", " ro ", "en_GB"])
def test_language_codes_are_forgiving(code):
    assert check_language(code) == code.strip().lower()[:2]


@pytest.mark.parametrize("code", ["de", "", "rus", "Русский"])
def test_an_unknown_language_names_the_three(code):
    with pytest.raises(Impossible, match="ru, ro or en"):
        check_language(code)


@pytest.mark.parametrize("index", LEGACY_INDICES)
def test_russian_verdict_of_a_legacy_index_is_the_legacy_sentence_alone(index):
    for at, name in enumerate(CLASS_NAMES):
        counts = [1, 1, 1, 1]
        counts[at] = 2
        rows = table(counts, index=index, language="ru")
        assert (
            conclusion(rows, "ru", index_name=index, calibrated=False, valid_fraction=0.1)
            == LEGACY_CONCLUSIONS[name]
        )


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_first_of_equal_classes_decides(language):
    texts = TEXTS[language]
    share = percentage(50.0, language)
    text = conclusion(table([0, 5, 5, 0], language=language), language, index_name="NDVI")
    assert text == f"{texts.verdicts['mild_stress'].format(share=share)} {texts.advice['mild_stress']}"


def test_the_verdict_states_the_share():
    assert "62.5%" in conclusion(table([5, 3, 0, 0]), "en", index_name="NDVI")
    assert "62,5\N{NO-BREAK SPACE}%" in conclusion(
        table([5, 3, 0, 0], language="ru"), "ru", index_name="NDVI"
    )
    assert "62,5%" in conclusion(table([5, 3, 0, 0], language="ro"), "ro", index_name="NDVI")


@pytest.mark.parametrize("rows", [[], table([0, 0, 0, 0])])
@pytest.mark.parametrize("language", LANGUAGES)
def test_without_a_valid_pixel_the_verdict_says_so(rows, language):
    assert conclusion(rows, language, index_name="NDVI") == TEXTS[language].empty


@pytest.mark.parametrize("language", LANGUAGES)
def test_notes_are_added_where_they_apply(language):
    texts, rows = TEXTS[language], table([1, 0, 0, 0], language=language)
    plain = conclusion(rows, language, index_name="NDVI", calibrated=True, valid_fraction=0.5)
    assert plain == conclusion(rows, language, index_name="NDVI")
    noted = conclusion(rows, language, index_name="NDVI", calibrated=False, valid_fraction=0.25)
    assert noted == " ".join(
        [plain, texts.mostly_invalid.format(share=percentage(25.0, language)), texts.uncalibrated]
    )


def test_an_index_of_visible_bands_says_what_it_cannot_see():
    text = conclusion(table([1, 0, 0, 0], index="GLI"), "en", index_name="GLI")
    assert text.endswith(TEXTS["en"].visible_only)


def test_no_advice_from_an_index_whose_low_values_are_vegetation():
    text = conclusion(table([1, 0, 0, 0], index="CIVE"), "en", index_name="CIVE")
    assert TEXTS["en"].inverted in text
    assert TEXTS["en"].advice["healthy"] not in text


def test_a_rounded_share_never_claims_all_or_nothing():
    assert percentage(99.99, "en") == "99.9%"
    assert percentage(0.001, "en") == "0.1%"
    assert percentage(100.0, "en") == "100.0%"


def test_thresholds_are_immutable():
    with pytest.raises(AttributeError):
        NDVI.cuts = (1.0, 0.0, -1.0)
    assert ThresholdSet("a", "NDVI", (3.0, 2.0, 1.0), None, "x").bounds()["severe_stress"] == (1.0, 2.0)
