"""The look of the reports: colours, measures (in points) and paragraph styles."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Final, Self

from reportlab.lib.colors import Color, HexColor
from reportlab.lib.enums import TA_CENTER, TA_RIGHT
from reportlab.lib.pagesizes import A4
from reportlab.lib.styles import ParagraphStyle
from reportlab.lib.units import mm

from orthoray.reporting.fonts import BOLD, REGULAR, register_fonts
from orthoray.reporting.records import color

_DARKER: Final = 0.75
MUTED: Final = "#6B756C"
LINE: Final = "#D5DDD5"
TINT: Final = "#F1F6F1"
WHITE: Final = "#FFFFFF"


@dataclass(frozen=True, slots=True)
class Palette:
    """The colours that a report may be given, each "#rrggbb"; its greys are fixed.

    `primary` is for rules and marks, `dark` for titles and large figures, `accent` for tiles, `text` for words.
    """

    primary: str = "#2E7D32"
    dark: str = "#1B5E20"
    accent: str = "#4CAF50"
    text: str = "#333333"

    @classmethod
    def of(cls, primary: object = None, accent: object = None, text: object = None) -> Self:
        """From a user's own colours: what is not written "#rrggbb" is the default; `dark` follows `primary`."""
        usual = cls()
        chosen = color(primary)
        return cls(
            primary=chosen or usual.primary,
            dark=_darker(chosen) if chosen and chosen.upper() != usual.primary else usual.dark,
            accent=color(accent) or usual.accent,
            text=color(text) or usual.text,
        )


def _darker(shade: str) -> str:
    return "#" + "".join(f"{round(int(shade[i : i + 2], 16) * _DARKER):02X}" for i in (1, 3, 5))


PALETTE: Final = Palette()

PAGE: Final = A4
MARGIN: Final = 15 * mm
TOP: Final = 12 * mm
BOTTOM: Final = 17 * mm
CONTENT_WIDTH: Final = PAGE[0] - 2 * MARGIN
CONTENT_HEIGHT: Final = PAGE[1] - TOP - BOTTOM
GAP: Final = 5 * mm
DPI: Final = 200


@lru_cache(maxsize=1024)
def hex_color(shade: str) -> Color:
    """The reportlab colour of "#rrggbb"."""
    return HexColor(shade)


def readable_on(shade: str) -> str:
    """Dark or white text, whichever has more contrast on "#rrggbb" (relative luminance of WCAG 2)."""
    channels = [int(shade[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    luminance = 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
    return PALETTE.text if luminance > 0.25 else WHITE


@lru_cache(maxsize=1024)
def style(name: str, palette: Palette = PALETTE) -> ParagraphStyle:
    """A paragraph style by name; `KeyError` for one that is not in the table."""
    register_fonts()
    size, leading, shade, extra = _STYLES[name]
    return ParagraphStyle(
        name,
        fontName=BOLD if extra.get("bold") else REGULAR,
        bulletFontName=REGULAR,
        fontSize=size,
        leading=leading,
        textColor=hex_color(getattr(palette, shade, shade)),
        **{key: value for key, value in extra.items() if key != "bold"},
    )


# A shade is the name of a palette's colour or a colour itself.
_STYLES: Final[dict[str, tuple[float, float, str, dict[str, object]]]] = {
    "brand": (10, 12, "primary", {"bold": True}),
    "stamp": (8, 11, MUTED, {"alignment": TA_RIGHT}),
    "title": (21, 25, "dark", {"bold": True}),
    "subtitle": (11, 15, "text", {}),
    "file": (9, 12, MUTED, {}),
    "heading": (
        12,
        15,
        "dark",
        {"bold": True, "spaceBefore": 4 * mm, "spaceAfter": 1.5 * mm, "keepWithNext": True},
    ),
    "body": (9.5, 13.5, "text", {}),
    "conclusion": (10.5, 15, "text", {}),
    "caption": (8, 10, MUTED, {}),
    "figure_label": (8, 10, MUTED, {}),
    "note": (9, 12, MUTED, {"alignment": TA_CENTER}),
    "label": (8, 11, MUTED, {}),
    "value": (9, 11.5, "text", {}),
    "cell": (9, 11.5, "text", {}),
    "cell_bold": (9, 11.5, "text", {"bold": True}),
    "cell_right": (9, 11.5, "text", {"alignment": TA_RIGHT}),
    "cell_right_bold": (9, 11.5, "text", {"bold": True, "alignment": TA_RIGHT}),
    "head": (8, 10, MUTED, {}),
    "head_right": (8, 10, MUTED, {"alignment": TA_RIGHT}),
}
