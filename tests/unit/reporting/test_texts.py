"""Every phrase exists in every language, with the same placeholders, in letters the typeface has."""

from __future__ import annotations

from string import Formatter

import pytest

from orthoray.reporting.fonts import showable
from orthoray.reporting.purposes import DOMAINS, PURPOSES, purpose_of
from orthoray.reporting.texts import LANGUAGES, MONTHS, PHRASES, Texts
from orthoray.reporting.verdict import class_label
from orthoray.spectral.texts import TEXTS


def placeholders(phrase: str) -> set[str]:
    return {name for _, name, _, _ in Formatter().parse(phrase) if name}


def test_phrases_are_whole() -> None:
    for key, phrases in PHRASES.items():
        assert len(phrases) == len(LANGUAGES), key
        assert len({frozenset(placeholders(phrase)) for phrase in phrases}) == 1, key
        for phrase in phrases:
            assert phrase, key
            assert showable(phrase) == phrase, key


def test_romanian_is_written_with_commas_below_not_cedillas() -> None:
    romanian = " ".join(phrases[2] for phrases in PHRASES.values())
    romanian += " ".join(sentences[2] for sentences in (*PURPOSES.values(), *DOMAINS.values()))
    assert not set("şţŞŢ") & set(romanian)
    assert {"ș", "ț"} <= set(romanian)


def test_months_are_twelve() -> None:
    assert {language: len(set(names)) for language, names in MONTHS.items()} == dict.fromkeys(LANGUAGES, 12)


@pytest.mark.parametrize("language", LANGUAGES)
def test_purposes_are_known_by_name_in_any_case(language: str) -> None:
    assert purpose_of("exg", language) == purpose_of("ExG", language)
    assert purpose_of("ExG", language)
    assert purpose_of("XYZ", language) is None
    assert purpose_of(None, language) is None
    for sentences in (*PURPOSES.values(), *DOMAINS.values()):
        sentence = sentences[LANGUAGES.index(language)]
        assert showable(sentence) == sentence


@pytest.mark.parametrize("language", LANGUAGES)
def test_an_index_without_a_sentence_of_its_own_has_that_of_its_domain(language: str) -> None:
    assert purpose_of("XYZ", language, "burn") == DOMAINS["burn"][LANGUAGES.index(language)]
    assert purpose_of("NDWI", language, "water") == purpose_of("NDWI", language)
    assert purpose_of("LSWI", language, "water") == purpose_of("NDMI", language)
    assert TEXTS[language].subjects.keys() == DOMAINS.keys()
    assert purpose_of("XYZ", language, "vegetation") is None


def test_classes_are_called_as_the_analysis_calls_them() -> None:
    for language, texts in TEXTS.items():
        for name, label in texts.labels.items():
            assert class_label(name, Texts(language)) == label
