"""The embedded typeface (PT Sans: Latin, Cyrillic, Romanian) and the making of strings that it can show."""

from __future__ import annotations

import unicodedata
from functools import cache
from importlib.resources import files
from io import BytesIO
from typing import Final
from xml.sax.saxutils import escape

from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.ttfonts import TTFont

REGULAR: Final = "PTSans"
BOLD: Final = "PTSans-Bold"

_FILES: Final = {REGULAR: "PT_Sans-Web-Regular.ttf", BOLD: "PT_Sans-Web-Bold.ttf"}
_UNKNOWN: Final = "?"
# What formulas and metadata use and the typeface lacks.
_SPELLED: Final = str.maketrans(
    {
        "→": "->",
        "←": "<-",
        "α": "alpha",
        "β": "beta",
        "γ": "gamma",
        "λ": "lambda",
        "μ": "µ",
        "ρ": "rho",
        "σ": "sigma",
        "✓": "+",
        "\N{NARROW NO-BREAK SPACE}": "\N{NO-BREAK SPACE}",
        "\N{THIN SPACE}": " ",
        "\N{SOFT HYPHEN}": "",
    }
)


@cache
def register_fonts() -> None:
    """Make the typeface known to reportlab, once; a document embeds only the glyphs that it uses."""
    for name, file in _FILES.items():
        pdfmetrics.registerFont(
            TTFont(name, BytesIO((files("fontpkg_pt_sans") / "files" / file).read_bytes()))
        )
    pdfmetrics.registerFontFamily(REGULAR, normal=REGULAR, bold=BOLD, italic=REGULAR, boldItalic=BOLD)


@cache
def _glyphs() -> frozenset[int]:
    register_fonts()
    return frozenset(pdfmetrics.getFont(REGULAR).face.charToGlyph)


def showable(text: object, limit: int | None = None) -> str:
    """`text` as one line of characters that the typeface has.

    Control, format and surrogate characters (bidirectional overrides among them) go; white space becomes
    single spaces; a mark without a glyph goes and any other character without one becomes a question mark,
    a run of them one. With `limit`, what is longer loses its middle, so that the beginning and a file's
    extension stay.
    """
    source = str(text)
    if limit is not None:
        # Long before the limit bites, so that megabytes of metadata cost nothing.
        source = source if len(source) <= 8 * limit else f"{source[: 4 * limit]}{source[-4 * limit :]}"
    glyphs = _glyphs()
    shown: list[str] = []
    for character in unicodedata.normalize("NFC", source).translate(_SPELLED):
        if character.isspace() and character != "\N{NO-BREAK SPACE}":
            shown.append(" ")
        elif unicodedata.category(character) in {"Cc", "Cf", "Cs"}:
            continue
        elif ord(character) in glyphs:
            shown.append(character)
        elif unicodedata.category(character) not in {"Mn", "Me"} and shown[-1:] != [_UNKNOWN]:
            shown.append(_UNKNOWN)
    line = " ".join(word for word in "".join(shown).split(" ") if word)
    return line if limit is None else shortened(line, limit)


def shortened(line: str, limit: int) -> str:
    """`line` in at most `limit` (>= 3) characters: an ellipsis takes the place of its middle."""
    if len(line) <= limit:
        return line
    tail = (limit - 1) // 3
    return f"{line[: limit - 1 - tail].rstrip()}…{line[-tail:].lstrip() if tail else ''}"


def markup(text: object, limit: int | None = None) -> str:
    """`text` as paragraph markup that shows it literally: cleaned, `&`, `<` and `>` escaped."""
    return escape(showable(text, limit))


def paragraphs(text: str, limit: int | None = None) -> list[str]:
    """The non-empty lines of `text` as paragraph markup, cut after `limit` characters in all."""
    if limit is not None and len(text) > limit:
        text = f"{text[:limit].rstrip()}…"
    return [line for line in (markup(part) for part in text.splitlines()) if line]


def text_width(text: str, font: str, size: float) -> float:
    """Width in points."""
    register_fonts()
    return float(pdfmetrics.stringWidth(text, font, size))


def fitting_size(text: str, font: str, size: float, width: float, smallest: float = 7.0) -> float:
    """The largest size from `smallest` to `size` at which `text` is no wider than `width` points."""
    needed = text_width(text, font, size)
    return size if needed <= width else max(smallest, size * width / needed)
