import json
from dataclasses import replace

import pytest

from orthoray.spectral.classes import class_table
from orthoray.spectral.indices import CATALOGUE
from orthoray.spectral.texts import LANGUAGES, LEGACY_CONCLUSIONS, TEXTS, percentage
from orthoray.spectral.thresholds import ADAPTIVE, CLASS_NAMES, LEGACY_INDICES, ThresholdSet, thresholds_for
from orthoray.spectral.verdict import (
    VEGETATION_DOMAINS,
    Circumstances,
    circumstances_of,
    conclusion,
    notes,
)

PLAIN = Circumstances(state="reflectance", valid_fraction=1.0)
RELATIVE = ThresholdSet("quantiles/1", "NDWI", (0.3, 0.1, -0.2), None, "a source")
QUARTERS = Circumstances(state="reflectance", valid_fraction=1.0, method="quantiles")


def table(counts, *, index="NDVI", language="en", custom=None):
    return class_table(counts, thresholds_for(index, custom=custom), language)


def told(counts=(1, 0, 0, 0), language="en", circumstances=PLAIN, index="NDVI", custom=None):
    rows = table(counts, index=index, language=language, custom=custom)
    return conclusion(rows, language, index_name=index, circumstances=circumstances)


def codes(circumstances):
    return [note["code"] for note in notes(circumstances, "en")]


@pytest.mark.parametrize("index", LEGACY_INDICES)
def test_russian_verdict_of_a_legacy_index_is_the_legacy_sentence_alone(index):
    seen = Circumstances(state="dn", valid_fraction=0.1, visible_only=True, legacy=True, high_is_good=False)
    for at, name in enumerate(CLASS_NAMES):
        counts = [1, 1, 1, 1]
        counts[at] = 2
        assert told(counts, "ru", seen, index) == LEGACY_CONCLUSIONS[name]
    assert notes(seen, "ru")


def test_own_cuts_for_a_legacy_index_are_told_in_sentences_of_their_own():
    seen = replace(PLAIN, visible_only=True, legacy=True)
    text = told((3, 1, 0, 0), "ru", seen, "VARI", custom=[0.3, 0.2, 0.1])
    assert text.startswith("Здоровая растительность занимает наибольшую часть снимка: 75,0")
    assert text.endswith(TEXTS["ru"].notes["visible_only"])


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_first_of_equal_classes_decides(language):
    texts = TEXTS[language]
    share = percentage(50.0, language)
    expected = f"{texts.verdicts['mild_stress'].format(share=share)} {texts.advice['mild_stress']}"
    assert told([0, 5, 5, 0], language) == expected


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("largest", CLASS_NAMES)
def test_less_than_half_is_not_called_the_largest_part(language, largest):
    counts = [2, 2, 2, 2]
    counts[CLASS_NAMES.index(largest)] = 3
    texts, text = TEXTS[language], told(counts, language)
    share = percentage(100 / 3, language)
    assert text.startswith(texts.most_frequent.format(label=texts.labels[largest], share=share))
    assert texts.verdicts[largest].partition("{")[0] not in text
    assert texts.advice[largest] in text
    worse = texts.worse.format(share=percentage(400 / 9, language))
    assert text.endswith(worse) == (largest in {"healthy", "mild_stress"})


def test_most_of_an_image_that_is_not_healthy_does_not_end_in_nothing_to_do():
    assert told((286, 254, 250, 210)) == (
        "The most frequent class is “Healthy”: 28.6% of the pixels. Nothing needs to be done there; watch the rest. "
        "“Severe stress” and “Critical” together hold 46.0% of the pixels: inspect these places first."
    )
    assert "together" not in told((0, 49, 0, 0))
    assert "together" not in told((48, 49, 0, 0))


def test_the_verdict_states_the_share():
    assert "62.5%" in told([5, 3, 0, 0])
    assert "62,5\N{NO-BREAK SPACE}%" in told([5, 3, 0, 0], "ru")
    assert "62,5%" in told([5, 3, 0, 0], "ro")


@pytest.mark.parametrize("language", LANGUAGES)
def test_without_a_valid_pixel_the_verdict_says_so(language):
    texts = TEXTS[language]
    assert conclusion([], language, index_name="NDVI", circumstances=PLAIN) == texts.empty
    assert told([0, 0, 0, 0], language) == texts.empty
    masked = replace(PLAIN, valid_fraction=0.0, background_fraction=0.7)
    assert told([0, 0, 0, 0], language, masked) == texts.all_background


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_verdict_ends_with_the_notes(language):
    seen = replace(PLAIN, state="dn", valid_fraction=0.25)
    texts = TEXTS[language]
    assert told(language=language, circumstances=seen) == " ".join(
        [
            told(language=language),
            texts.notes["mostly_invalid"].format(share=percentage(25.0, language)),
            texts.notes["uncalibrated"],
        ]
    )


@pytest.mark.parametrize(
    ("seen", "expected"),
    [
        ({}, []),
        ({"state": None, "valid_fraction": None}, []),
        ({"state": "dn"}, ["uncalibrated"]),
        ({"state": "dn", "needs_reflectance": True}, ["not_reflectance"]),
        ({"state": "unknown"}, ["calibration_unknown"]),
        ({"state": "unknown", "needs_reflectance": True}, ["reflectance_unknown"]),
        ({"needs_reflectance": True}, []),
        ({"state": "dn", "legacy": True, "visible_only": True}, ["visible_only"]),
        ({"state": "dn", "aligned": False}, ["uncalibrated", "unaligned"]),
        ({"aligned": False}, ["unaligned"]),
        ({"valid_fraction": 0.5}, []),
        ({"valid_fraction": 0.49}, ["mostly_invalid"]),
        ({"valid_fraction": 0.3, "background_fraction": 0.4}, ["background"]),
        ({"valid_fraction": 0.1, "background_fraction": 0.3}, ["mostly_invalid", "background"]),
        ({"out_of_range_fraction": 0.01, "odd_pixel_fraction": 0.01}, []),
        (
            {"out_of_range_fraction": 0.011, "odd_pixel_fraction": 0.011},
            ["odd_reflectance", "out_of_range"],
        ),
        ({"state": "dn", "odd_pixel_fraction": 0.5}, ["uncalibrated"]),
        ({"method": "quantiles"}, ["relative"]),
        ({"method": "jenks"}, ["relative"]),
        ({"high_is_good": None}, ["no_direction"]),
        ({"high_is_good": False}, ["inverted"]),
        ({"high_is_good": None, "domain": "user"}, ["own_formula"]),
        ({"high_is_good": None, "domain": "water"}, ["not_vegetation"]),
        ({"high_is_good": True, "domain": "urban"}, ["not_vegetation"]),
        ({"high_is_good": None, "domain": "user", "visible_only": True}, ["own_formula", "visible_only"]),
        ({"high_is_good": None, "domain": "something new"}, ["no_direction"]),
        ({"domain": "kernel", "visible_only": True}, ["visible_only"]),
        ({"high_is_good": None, "domain": "water", "visible_only": True}, ["not_vegetation"]),
    ],
)
def test_notes_say_what_is_not_known(seen, expected):
    assert codes(replace(PLAIN, **seen)) == expected


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_note_has_its_numbers_and_words_filled_in(language):
    seen = Circumstances("unknown", False, 0.2, 0.1, 0.3, 0.4, "jenks", True, True, False, None, "water")
    for one in (seen, replace(seen, domain="vegetation"), replace(seen, domain="user")):
        found = notes(one, language)
        assert [note["code"] for note in found] == codes(one)
        assert not any(set("{}") & set(note["text"]) for note in found)
    words = " ".join(note["text"] for note in notes(seen, language))
    for share in (30.0, 10.0, 40.0):
        assert percentage(share, language) in words
    assert TEXTS[language].subjects["water"] in words


NOT_HEALTH = [
    {"high_is_good": None},
    {"high_is_good": False},
    {"high_is_good": None, "domain": "water"},
    {"domain": "soil"},
    {"high_is_good": None, "domain": "user"},
    {"state": "dn", "needs_reflectance": True},
    {"state": "dn", "aligned": False},
]


@pytest.mark.parametrize("seen", NOT_HEALTH)
@pytest.mark.parametrize("language", LANGUAGES)
def test_nothing_is_said_of_health_where_high_values_are_not_health(seen, language):
    circumstances = replace(PLAIN, **seen)
    assert not circumstances.describes_health
    texts = TEXTS[language]
    for at, name in enumerate(CLASS_NAMES):
        counts = [1, 1, 1, 1]
        counts[at] = 97
        text = told(counts, language, circumstances)
        assert texts.verdicts[name].partition("{")[0] not in text
        assert texts.most_frequent.partition("{")[0] not in text
        assert texts.advice[name] not in text
        assert texts.lowest_first not in text
        assert percentage(97.0, language) in text


def test_instead_of_health_the_verdict_tells_the_values():
    seen = replace(PLAIN, high_is_good=None)
    cuts = [1234.5, 0.25, -0.5]
    assert told((9, 1, 0, 0), circumstances=seen, custom=cuts).startswith(
        "The most frequent class has values above 1234: 90.0% of the pixels."
    )
    assert "above 0.25 but not above 1234: 90.0%" in told((0, 9, 1, 0), circumstances=seen, custom=cuts)
    assert "со значениями выше −0,5, но не выше 0,25: 100,0" in told((0, 0, 1, 0), "ru", seen, custom=cuts)
    assert "valori de cel mult −0,5: 100,0%" in told((0, 0, 0, 1), "ro", seen, custom=cuts)


CUTS = {"en": "−0.2, 0.1 and 0.3", "ru": "−0,2; 0,1 и 0,3", "ro": "−0,2; 0,1 și 0,3"}


def told_of(rows, language, circumstances=QUARTERS):
    return conclusion(rows, language, index_name="NDWI", circumstances=circumstances)


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("method", ADAPTIVE)
def test_an_image_of_one_value_has_no_groups_to_compare(language, method):
    rows = class_table((0, 7, 0, 0), RELATIVE, language)
    texts = TEXTS[language]
    assert told_of(rows, language, replace(QUARTERS, method=method)) == " ".join(
        [texts.constant, texts.notes["relative"]]
    )


def test_cuts_that_lie_close_are_told_apart():
    close = replace(RELATIVE, cuts=(0.12344, 0.12341, 0.1))
    assert "at 0.1, 0.12341 and 0.12344." in told_of(class_table((1, 1, 1, 1), close, "en"), "en")
    large = replace(RELATIVE, cuts=(123456.0, 12345.0, 1234.5))
    assert "at 1234, 12345 and 123456." in told_of(class_table((1, 1, 1, 1), large, "en"), "en")


@pytest.mark.parametrize("language", LANGUAGES)
def test_relative_classes_compare_places_and_claim_nothing(language):
    texts, share = TEXTS[language], percentage(40.0, language)
    rows = class_table((20, 20, 20, 40), RELATIVE, language)
    assert told_of(rows, language) == " ".join(
        [texts.parted["quantiles"].format(cuts=CUTS[language]), texts.lowest_first, texts.notes["relative"]]
    )
    assert share not in told_of(rows, language), "quarters are no finding"
    assert told_of(rows, language, replace(QUARTERS, method="jenks")) == " ".join(
        [
            texts.parted["jenks"].format(cuts=CUTS[language]),
            texts.groups["critical"].format(share=share),
            texts.lowest_first,
            texts.notes["relative"],
        ]
    )
    water = replace(QUARTERS, high_is_good=None, domain="water")
    text = conclusion(rows, language, index_name="NDWI", circumstances=water)
    assert texts.lowest_first not in text
    assert texts.subjects["water"] in text


def test_relative_classes_of_a_legacy_index_have_no_legacy_sentence():
    rows = class_table((20, 20, 20, 40), replace(RELATIVE, index="VARI"), "ru")
    seen = Circumstances(method="quantiles", legacy=True, visible_only=True)
    text = conclusion(rows, "ru", index_name="VARI", circumstances=seen)
    assert LEGACY_CONCLUSIONS["critical"] not in text
    assert TEXTS["ru"].notes["relative"] in text


def test_circumstances_survive_a_record():
    seen = Circumstances("dn", False, 0.25, 0.125, 0.5, 0.75, "jenks", True, True, True, None, "water")
    record = json.loads(json.dumps(seen.to_dict()))
    assert (record["describes_health"], record["relative"]) == (False, True)
    assert Circumstances.from_dict(record) == seen
    assert Circumstances.from_dict({}) == Circumstances()
    assert Circumstances.from_dict({"state": "dn", "of a later version": 1}) == Circumstances(state="dn")
    assert Circumstances().to_dict()["describes_health"] is True


def test_circumstances_of_earlier_records_are_read():
    earlier = Circumstances.from_dict({"relative": True, "odd_reflectance_fraction": 0.5})
    assert earlier == Circumstances(method="quantiles", odd_pixel_fraction=0.5)
    assert Circumstances.from_dict({"relative": True, "method": "jenks"}).method == "jenks"
    assert Circumstances.from_dict({"relative": True, "method": None}).relative
    assert not Circumstances.from_dict({"relative": False}).relative


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_raw_capture_has_no_sentence_of_the_legacy_contract(language):
    seen = Circumstances(aligned=False, legacy=True, visible_only=True)
    text = told((0, 0, 1, 9), language, seen, "VARI")
    assert LEGACY_CONCLUSIONS["critical"] not in text
    assert TEXTS[language].advice["critical"] not in text
    assert text.endswith(TEXTS[language].notes["unaligned"])


def result(**over):
    facts = {
        "bands": ("N", "R"),
        "needs_reflectance": False,
        "legacy": False,
        "high_is_good": True,
        "domain": "vegetation",
        "method": None,
        "state": "dn",
        "valid_pixels": 60,
        "nodata_pixels": 20,
        "invalid_pixels": 5,
        "background_pixels": 15,
        "out_of_range_pixels": 6,
    }
    return circumstances_of(**{**facts, **over})


def test_circumstances_of_a_result():
    assert result() == Circumstances(
        state="dn", valid_fraction=0.6, background_fraction=0.15, out_of_range_fraction=0.1
    )
    assert result(bands=("R", "G", "B")).visible_only
    assert not result(bands=("G", "RE1")).visible_only
    assert not result(bands=()).visible_only


def test_an_image_without_pixels_has_circumstances():
    empty = result(
        valid_pixels=0, nodata_pixels=0, invalid_pixels=0, background_pixels=0, out_of_range_pixels=0
    )
    assert (empty.valid_fraction, empty.out_of_range_fraction) == (0.0, 0.0)


def test_of_every_index_of_the_catalogue_it_is_known_whether_its_classes_are_health():
    for index in CATALOGUE:
        seen = result(
            bands=index.bands, legacy=index.legacy, high_is_good=index.high_is_good, domain=index.domain
        )
        about_classes = {"inverted", "no_direction", "not_vegetation"} & set(codes(seen))
        assert seen.describes_health == (not about_classes)
        assert index.domain in VEGETATION_DOMAINS | set(TEXTS["en"].subjects) | {"radar"}
