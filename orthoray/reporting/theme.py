"""The look of the reports: colours, measures (in points) and paragraph styles."""

from __future__ import annotations

from functools import cache, lru_cache
from typing import Final

from reportlab.lib.colors import Color, HexColor
from reportlab.lib.enums import TA_CENTER, TA_RIGHT
from reportlab.lib.pagesizes import A4
from reportlab.lib.styles import ParagraphStyle
from reportlab.lib.units import mm

from orthoray.reporting.fonts import BOLD, REGULAR, register_fonts

PRIMARY: Final = "#2E7D32"
DARK: Final = "#1B5E20"
ACCENT: Final = "#4CAF50"
TEXT: Final = "#333333"
MUTED: Final = "#6B756C"
LINE: Final = "#D5DDD5"
TINT: Final = "#F1F6F1"
WHITE: Final = "#FFFFFF"

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
    return TEXT if luminance > 0.25 else WHITE


@cache
def style(name: str) -> ParagraphStyle:
    """A paragraph style by name; `KeyError` for one that is not in the table."""
    register_fonts()
    size, leading, shade, extra = _STYLES[name]
    return ParagraphStyle(
        name,
        fontName=BOLD if extra.get("bold") else REGULAR,
        bulletFontName=REGULAR,
        fontSize=size,
        leading=leading,
        textColor=hex_color(shade),
        **{key: value for key, value in extra.items() if key != "bold"},
    )


_STYLES: Final[dict[str, tuple[float, float, str, dict[str, object]]]] = {
    "brand": (10, 12, PRIMARY, {"bold": True}),
    "stamp": (8, 11, MUTED, {"alignment": TA_RIGHT}),
    "title": (21, 25, DARK, {"bold": True}),
    "subtitle": (11, 15, TEXT, {}),
    "file": (9, 12, MUTED, {}),
    "heading": (
        12,
        15,
        DARK,
        {"bold": True, "spaceBefore": 4 * mm, "spaceAfter": 1.5 * mm, "keepWithNext": True},
    ),
    "body": (9.5, 13.5, TEXT, {}),
    "conclusion": (10.5, 15, TEXT, {}),
    "caption": (8, 10, MUTED, {}),
    "figure_label": (8, 10, MUTED, {}),
    "note": (9, 12, MUTED, {"alignment": TA_CENTER}),
    "label": (8, 11, MUTED, {}),
    "value": (9, 11.5, TEXT, {}),
    "cell": (9, 11.5, TEXT, {}),
    "cell_bold": (9, 11.5, TEXT, {"bold": True}),
    "cell_right": (9, 11.5, TEXT, {"alignment": TA_RIGHT}),
    "cell_right_bold": (9, 11.5, TEXT, {"bold": True, "alignment": TA_RIGHT}),
    "head": (8, 10, MUTED, {}),
    "head_right": (8, 10, MUTED, {"alignment": TA_RIGHT}),
}
