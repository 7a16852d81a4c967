from dataclasses import fields
from string import Formatter

import pytest

from orthoray.errors import Impossible
from orthoray.spectral.texts import LANGUAGES, TEXTS, check_language, decimal, percentage
from orthoray.spectral.thresholds import ADAPTIVE, CLASS_NAMES


def phrases(language):
    """Every text of a language by its place."""
    for field in fields(TEXTS[language]):
        value = getattr(TEXTS[language], field.name)
        for key, text in {"": value}.items() if isinstance(value, str) else value.items():
            yield (field.name, key), text


def placeholders(text):
    return sorted(name for _, name, _, _ in Formatter().parse(text) if name)


def test_the_languages_say_the_same_things_with_the_same_placeholders():
    said = [{at: placeholders(text) for at, text in phrases(language)} for language in LANGUAGES]
    assert said[0] == said[1] == said[2]
    assert all(text for language in LANGUAGES for _, text in phrases(language))


@pytest.mark.parametrize("language", LANGUAGES)
def test_words_by_class_are_in_the_order_of_the_classes(language):
    texts = TEXTS[language]
    for words in (texts.labels, texts.verdicts, texts.advice, texts.groups):
        assert tuple(words) == CLASS_NAMES
    assert tuple(texts.parted) == ADAPTIVE


@pytest.mark.parametrize("language", LANGUAGES)
def test_notes_call_the_classes_by_their_labels(language):
    texts = TEXTS[language]
    for name in ("healthy", "critical"):
        assert texts.labels[name] in texts.notes["relative"]
    for name in ("severe_stress", "critical"):
        assert texts.labels[name] in texts.worse


def test_the_note_on_odd_reflectance_speaks_of_pixels():
    for language, word in (("en", "of the pixels"), ("ru", "пикселей"), ("ro", "pixeli")):
        assert word in TEXTS[language].notes["odd_reflectance"]


def test_romanian_has_comma_below_letters_only():
    assert not set(str(TEXTS["ro"])) & set("şţŞŢ")


@pytest.mark.parametrize("code", ["ru", "RU", "ru-RU", " ro ", "en_GB"])
def test_language_codes_are_forgiving(code):
    assert check_language(code) == code.strip().lower()[:2]


@pytest.mark.parametrize("code", ["de", "", "rus", "Русский"])
def test_an_unknown_language_names_the_three(code):
    with pytest.raises(Impossible, match="ru, ro or en"):
        check_language(code)


def test_a_rounded_share_never_claims_all_or_nothing():
    assert percentage(99.99, "en") == "99.9%"
    assert percentage(0.001, "en") == "0.1%"
    assert percentage(100.0, "en") == "100.0%"
    assert percentage(62.5, "ru") == "62,5\N{NO-BREAK SPACE}%"


def test_numbers_have_the_mark_of_the_language_and_a_true_minus():
    assert decimal("-0.5", "en") == "\N{MINUS SIGN}0.5"
    assert decimal("-0.5", "ro") == "\N{MINUS SIGN}0,5"
