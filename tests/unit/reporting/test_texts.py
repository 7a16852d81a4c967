"""Every phrase exists in every language, with the same placeholders, in letters the typeface has."""

from __future__ import annotations

from string import Formatter

import pytest

from orthoray.reporting.fonts import showable
from orthoray.reporting.purposes import PURPOSES, purpose_of
from orthoray.reporting.texts import LANGUAGES, MONTHS, PHRASES


def placeholders(phrase: str) -> set[str]:
    return {name for _, name, _, _ in Formatter().parse(phrase) if name}


@pytest.mark.parametrize("key", PHRASES)
def test_phrase_is_whole(key: str) -> None:
    phrases = PHRASES[key]
    assert len(phrases) == len(LANGUAGES)
    assert len({frozenset(placeholders(phrase)) for phrase in phrases}) == 1
    for phrase in phrases:
        assert phrase
        assert showable(phrase) == phrase


def test_romanian_is_written_with_commas_below_not_cedillas() -> None:
    romanian = " ".join(phrases[2] for phrases in PHRASES.values())
    romanian += " ".join(sentences[2] for sentences in PURPOSES.values())
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
    for sentences in PURPOSES.values():
        sentence = sentences[LANGUAGES.index(language)]
        assert showable(sentence) == sentence
