"""Strings of users become something that the typeface shows and the paragraph markup cannot misread."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from orthoray.reporting.fonts import (
    BOLD,
    fitting_size,
    markup,
    paragraphs,
    register_fonts,
    shortened,
    showable,
    text_width,
)


def test_letters_of_all_languages_stay() -> None:
    text = "Поле №5: țărână, Știința, field “A” − 3 m² ≤ 4°"
    assert showable(text) == text


def test_decomposed_letters_are_composed() -> None:
    assert showable("и\u0306 s\u0326") == "й ș"


def test_control_characters_and_overrides_go() -> None:
    assert showable("a\x00b\x1b\u202ec\ud800\u200dd") == "abcd"


def test_white_space_becomes_single_spaces() -> None:
    assert showable("  a\t\r\n b\u2009c ") == "a b c"


def test_what_the_typeface_lacks_is_spelled_or_marked() -> None:
    assert showable("α → β") == "alpha -> beta"
    assert showable("поле 漢字 😀!") == "поле ? ?!"


def test_markup_is_literal() -> None:
    assert markup("<b>1 & 2</i>") == "&lt;b&gt;1 &amp; 2&lt;/i&gt;"


def test_a_long_name_keeps_its_extension() -> None:
    name = shortened("x" * 500 + ".tif", 40)
    assert len(name) == 40
    assert name.endswith(".tif")
    assert "…" in name


@given(st.text(max_size=400), st.integers(3, 60))
@settings(max_examples=60, deadline=None)
def test_showable_text_has_glyphs_fits_and_is_stable(text: str, limit: int) -> None:
    shown = showable(text, limit)
    assert len(shown) <= limit
    assert showable(shown) == shown


def test_paragraphs_drop_empty_lines_and_cut_the_rest() -> None:
    assert paragraphs("a\n\n <b> \r\nc") == ["a", "&lt;b&gt;", "c"]
    assert paragraphs("abcdef", 3) == ["abc…"]


def test_fitting_size_fits() -> None:
    register_fonts()
    size = fitting_size("123 456 789,00 га", BOLD, 18, 80)
    assert text_width("123 456 789,00 га", BOLD, size) <= 80.001
    assert fitting_size("1", BOLD, 18, 80) == 18
