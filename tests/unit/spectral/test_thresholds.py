import json
import math
import pickle
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from orthoray.errors import Impossible
from orthoray.spectral import thresholds as module
from orthoray.spectral.indices import CATALOGUE
from orthoray.spectral.texts import LANGUAGES
from orthoray.spectral.thresholds import (
    ADAPTIVE,
    CROPS,
    LEGACY_CUTS,
    LEGACY_INDICES,
    Adaptive,
    ThresholdSet,
    crop_name,
    threshold_source,
    thresholds_for,
)

DATA = json.loads(Path(module.__file__).with_name("data").joinpath("thresholds.json").read_text("utf-8"))
DEFAULTS = {
    **dict.fromkeys(LEGACY_INDICES, (0.1, 0.0, -0.1)),
    "NDVI": (0.6, 0.4, 0.2),
    "GNDVI": (0.55, 0.4, 0.25),
    "NDRE": (0.35, 0.25, 0.15),
    "SAVI": (0.45, 0.3, 0.15),
    "EVI": (0.45, 0.3, 0.15),
}
EDGES = np.linspace(0.0, 1.0, 9)
COUNTS = np.array([4, 0, 1, 3, 4, 2, 2, 4])


def test_the_data_is_sound():
    keys = [(entry["id"], entry["index"], entry["crop"]) for entry in DATA["sets"]]
    assert len(set(keys)) == len(keys)
    for entry in DATA["sets"]:
        assert all(upper > lower for upper, lower in pairwise(entry["cuts"]))
        assert len(entry["cuts"]) == 3
        assert entry["id"].endswith(f"/{entry['version']}")
        assert set(entry["source"]) == set(LANGUAGES)
        assert entry["reference"]
        assert entry["crop"] is None or entry["crop"] in DATA["crops"]
    for words in (*DATA["sources"].values(), *(crop["names"] for crop in DATA["crops"].values())):
        assert set(words) == set(LANGUAGES)


def test_romanian_has_comma_below_letters_only():
    assert not set(json.dumps(DATA, ensure_ascii=False)) & set("şţŞŢ")


@pytest.mark.parametrize("name", LEGACY_INDICES)
def test_legacy_indices_keep_their_cuts(name):
    thresholds = thresholds_for(name)
    assert thresholds.id == "legacy/1"
    assert thresholds.index == name
    assert thresholds.cuts == LEGACY_CUTS == (0.1, 0.0, -0.1)


def test_the_legacy_indices_are_those_of_the_catalogue():
    assert LEGACY_INDICES == ("NDVI_emp", "VARI", "GLI", "ExG", "CIVE", "MGRVI")
    assert set(LEGACY_INDICES) == {index.name for index in CATALOGUE if index.legacy}


def test_every_index_of_the_catalogue_has_thresholds():
    for index in CATALOGUE:
        thresholds = thresholds_for(index.name)
        if index.name in DEFAULTS:
            assert isinstance(thresholds, ThresholdSet)
            assert thresholds.cuts == DEFAULTS[index.name]
            assert thresholds.method is None
        else:
            assert thresholds == Adaptive("quantiles", index.name)


def test_defaults_say_that_they_are_a_rule_of_thumb():
    for name in ("NDVI", "GNDVI", "NDRE", "SAVI", "EVI"):
        thresholds = thresholds_for(name)
        assert thresholds.id == f"{name}/1"
        assert thresholds.crop is None
        assert "Rule of thumb" in thresholds.source
        assert "not calibrated for a crop" in thresholds.source
        assert "https://" in thresholds.reference


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
        assert thresholds.cuts == cuts
        assert thresholds.id == f"NDVI/{name}/1"
        assert "half of stressed" in thresholds.source


def test_crops_have_their_levels_and_names():
    assert [(crop.name, crop.healthy, crop.stressed) for crop in CROPS] == [
        ("corn", 0.7, 0.4),
        ("wheat", 0.65, 0.35),
        ("barley", 0.6, 0.3),
    ]
    assert [crop_name("wheat", language) for language in ("en", "ru", "ro")] == ["wheat", "пшеница", "grâu"]
    for crop in CROPS:
        for language in LANGUAGES:
            assert thresholds_for("NDVI", crop=crop_name(crop.name, language)).crop == crop.name


def test_an_unknown_crop_names_the_known_ones():
    with pytest.raises(Impossible, match=r"Кукуруза.*wheat.*orz") as caught:
        thresholds_for("NDVI", crop="rice")
    assert caught.value.fields["crops"] == ["corn", "wheat", "barley"]


@pytest.mark.parametrize("index", ["NDVI_emp", "EVI", "NDWI"])
def test_a_crop_is_refused_for_an_index_without_crop_thresholds(index):
    with pytest.raises(Impossible, match="NDVI only"):
        thresholds_for(index, crop="corn")


def test_an_index_without_a_default_is_classed_by_the_image_itself():
    thresholds = thresholds_for("NDWI")
    assert thresholds == Adaptive("quantiles", "NDWI")
    resolved = thresholds.resolve(EDGES, COUNTS)
    assert (resolved.id, resolved.index, resolved.crop) == ("quantiles/1", "NDWI", None)
    assert resolved.id == thresholds.id
    assert resolved.method == "quantiles"
    assert "nothing of health" in resolved.source
    assert thresholds.with_cuts(list(resolved.cuts)) == resolved
    assert thresholds_for("NDWI", custom=[0.3, 0.2, 0.1]).cuts == (0.3, 0.2, 0.1)


@pytest.mark.parametrize("word", [*ADAPTIVE, "Jenks", " QUANTILES "])
def test_the_caller_may_want_the_image_to_give_the_cuts(word):
    thresholds = thresholds_for("NDVI", custom=word)
    assert thresholds.method == word.strip().lower()
    first, second, third = thresholds.resolve(EDGES, COUNTS).cuts
    assert first > second > third
    assert thresholds_for("NDVI", crop="orz", custom=word).resolve(EDGES, COUNTS).crop == "barley"


@pytest.mark.parametrize("given_cuts", [[0.5, 0.3, 0.1], (0.1, 0.3, 0.5), np.array([0.1, 0.3, 0.5])])
def test_custom_thresholds_are_sorted_to_descending(given_cuts):
    thresholds = thresholds_for("NDVI", custom=given_cuts)
    assert thresholds.cuts == (0.5, 0.3, 0.1)
    assert thresholds.id == "custom"
    assert thresholds.method is None
    assert all(type(cut) is float for cut in thresholds.cuts)


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
        [10**400, 0.2, 0.1],
        ["a", 0.2, 0.1],
        [None, 0.2, 0.1],
        "321",
        b"321",
        "",
        5,
    ],
)
def test_custom_thresholds_must_be_three_in_order(wrong):
    with pytest.raises(Impossible, match=r"for example \[0\.6, 0\.4, 0\.2\].*quantiles and jenks"):
        thresholds_for("NDVI", custom=wrong)


@pytest.mark.parametrize(
    "close", [[0.1, 0.10000000001, 0.2], [0.3, 0.2, 0.2 - 1e-12], [1e-50, 0.0, -1.0], [1e6, 1e6 - 0.001, 0]]
)
def test_custom_thresholds_that_no_value_can_tell_apart_are_refused(close):
    with pytest.raises(Impossible, match=r"seven significant digits.*for example \[0\.6, 0\.4, 0\.2\]"):
        thresholds_for("NDVI", custom=close)


@pytest.mark.parametrize("far", [[1e6 + 1, 1, 0], [0, -1, -1e7], [1e300, 1.0, 0.0]])
def test_custom_thresholds_beyond_all_values_are_refused(far):
    with pytest.raises(Impossible, match=r"beyond 1,000,000 in size.*for example"):
        thresholds_for("NDVI", custom=far)


def test_the_greatest_thresholds_are_taken():
    assert thresholds_for("NDVI", custom=[1e6, 0, -1e6]).cuts == (1e6, 0.0, -1e6)


SETS = [
    *(thresholds_for(name) for name in DEFAULTS),
    *(thresholds_for("NDVI", crop=crop) for crop in ("corn", "wheat", "barley")),
    thresholds_for("NDVI", custom=[3, 2, 1]),
    thresholds_for("NDVI", crop="corn", custom=[3, 2, 1]),
    *(thresholds_for("NDWI", custom=method).resolve(EDGES, COUNTS) for method in ADAPTIVE),
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
    russian = threshold_source("NDVI/corn/1", "NDVI", list(cuts), "corn", "ru")
    assert "кукуруза" in russian
    assert "0,7" in russian
    assert "0,4" in russian


def test_the_source_of_an_inverted_index_says_so():
    assert "LOW is vegetation" in thresholds_for("CIVE").source
    assert "LOW" not in thresholds_for("ExG").source


@pytest.mark.parametrize(
    ("id", "index", "crop"), [("NDVI/2", "NDVI", None), ("NDVI/rice/1", "NDVI", "rice"), ("", "", None)]
)
def test_the_source_of_other_sets_is_not_known(id, index, crop):
    assert threshold_source(id, index, (0.3, 0.2, 0.1), crop, "ru") is None


def test_thresholds_are_immutable_and_travel():
    with pytest.raises(AttributeError):
        thresholds_for("NDVI").cuts = (1.0, 0.0, -1.0)
    assert ThresholdSet("a", "NDVI", (3.0, 2.0, 1.0), None, "x").bounds()["severe_stress"] == (1.0, 2.0)
    for thresholds in (thresholds_for("NDVI"), thresholds_for("NDWI")):
        assert pickle.loads(pickle.dumps(thresholds)) == thresholds  # noqa: S301  # our own bytes
