"""The colours of the reports."""

from __future__ import annotations

import pytest

from orthoray.reporting.theme import PALETTE, Palette, hex_color, style


@pytest.mark.parametrize("value", [None, "", "green", "#12", 5, "#12345g", "rgb(1, 2, 3)"])
def test_what_is_no_colour_is_the_default(value: object) -> None:
    assert Palette.of(value, value, value) == PALETTE


@pytest.mark.parametrize("value", ["#2E7D32", "#2e7d32"])
def test_the_default_primary_keeps_its_dark(value: str) -> None:
    assert Palette.of(value).dark == PALETTE.dark


def test_dark_follows_primary() -> None:
    assert Palette.of("#8040FF").dark == "#6030BF"


def test_styles_take_their_shades_from_the_palette() -> None:
    assert style("title", Palette(dark="#123456")).textColor == hex_color("#123456")
    assert style("title").textColor == hex_color(PALETTE.dark)
    assert style("caption", Palette(text="#123456")).textColor == style("caption").textColor
