"""The legend that explains a heatmap: as a picture and as data."""

from __future__ import annotations

import importlib.resources
import io
import math
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from orthoray.spectral.colormaps import DEFAULT, anchors_of, check_colour_map, palette
from orthoray.spectral.texts import TEXTS, Language, check_language, decimal
from orthoray.spectral.thresholds import ThresholdSet


def _colour_at(value: float, vmin: float, vmax: float, cmap: str) -> tuple[int, int, int]:
    """The colour of a value within the limits."""
    share = (value - vmin) / (vmax - vmin) if vmax > vmin else 0.5
    red, green, blue = palette(cmap)[1 + int(share * 254 + 0.5)].tolist()
    return red, green, blue


def _hex(colour: tuple[int, int, int]) -> str:
    return "#{:02x}{:02x}{:02x}".format(*colour)


@dataclass(frozen=True)
class _ClassEntry:
    name: str
    label: str
    lower: float | None
    upper: float | None
    colour: tuple[int, int, int]
    shown: bool


def _class_entries(
    classes: ThresholdSet, vmin: float, vmax: float, cmap: str, language: Language
) -> list[_ClassEntry]:
    """The classes, best first, with the colour of the middle of their part of the bar, if they have one."""
    entries = []
    for name, (lower, upper) in classes.bounds().items():
        bottom = min(max(vmin if lower is None else lower, vmin), vmax)
        top = min(max(vmax if upper is None else upper, vmin), vmax)
        colour = _colour_at((bottom + top) / 2, vmin, vmax, cmap)
        shown = (lower is None or lower < vmax) and (upper is None or upper >= vmin)
        entries.append(_ClassEntry(name, TEXTS[language].labels[name], lower, upper, colour, shown))
    return entries


def _has_limits(vmin: float, vmax: float) -> bool:
    """Whether there is a scale at all. Raises ValueError for reversed limits."""
    if vmin > vmax:
        raise ValueError("vmin must not exceed vmax")
    return math.isfinite(vmax - vmin)


def legend_dict(
    vmin: float,
    vmax: float,
    cmap: str = DEFAULT,
    *,
    title: str = "",
    classes: ThresholdSet | None = None,
    language: str = "en",
) -> dict[str, Any]:
    """The legend as JSON data.

    Its keys: `title colormap vmin vmax stops:[{value,color}] classes:[{name,label,lower,upper,color}]`.
    Colours are `#rrggbb`; between stops they change linearly. Without finite limits (no valid pixel) the
    values are None and there are no classes. Arguments and errors as `legend_png`.
    """
    code = check_language(language)
    known = _has_limits(vmin, vmax)
    anchors = anchors_of(cmap)
    values = np.linspace(vmin, vmax, len(anchors)).tolist() if known else [None] * len(anchors)
    entries = _class_entries(classes, vmin, vmax, cmap, code) if classes and known else []
    return {
        "title": title,
        "colormap": check_colour_map(cmap),
        "vmin": float(vmin) if known else None,
        "vmax": float(vmax) if known else None,
        "stops": [
            {"value": value, "color": f"#{anchor}"} for value, anchor in zip(values, anchors, strict=True)
        ],
        "classes": [
            {
                "name": entry.name,
                "label": entry.label,
                "lower": entry.lower,
                "upper": entry.upper,
                "color": _hex(entry.colour),
            }
            for entry in entries
        ],
    }


_WIDTH, _HEIGHT, _MARGIN = 640, 120, 16
_BAR_TOP, _BAR_BOTTOM = 34, 58
_INK, _GREY = (33, 33, 33), (110, 110, 110)


@cache
def _font(size: int) -> ImageFont.FreeTypeFont:
    resource = importlib.resources.files("fontpkg_pt_sans") / "files" / "PT_Sans-Web-Regular.ttf"
    return ImageFont.truetype(io.BytesIO(resource.read_bytes()), size)


def _fitting(text: str, width: float, size: int, least: int = 9) -> ImageFont.FreeTypeFont:
    """The largest font, from `size` down to `least`, in which `text` is no wider than `width` pixels."""
    return next((_font(s) for s in range(size, least, -1) if _font(s).getlength(text) <= width), _font(least))


def _shortened(text: str, width: float, font: ImageFont.FreeTypeFont) -> str:
    """`text`, or as much of its beginning as fits, and an ellipsis."""
    if font.getlength(text) <= width:
        return text
    while text and font.getlength(text + "…") > width:
        text = text[:-1]
    return text.rstrip() + "…"


def _number(value: float, decimals: int, language: Language) -> str:
    if value != 0 and not 1e-5 <= abs(value) < 1e6:
        mantissa, _, exponent = f"{value:.2e}".partition("e")
        return decimal(f"{mantissa.rstrip('0').rstrip('.')}e{int(exponent)}", language)
    text = f"{value:.{decimals}f}"
    return decimal(f"{0.0:.{decimals}f}" if float(text) == 0 else text, language)


def _ticks(vmin: float, vmax: float) -> tuple[list[float], int]:
    """Round values between the limits (steps of 1, 2, 5 times a power of ten) and the decimals they need."""
    span = vmax - vmin
    if span <= max(abs(vmin), abs(vmax)) * 1e-6 or span < 1e-30:
        return [], 0
    power = math.floor(math.log10(span / 8))
    step = min(m * 10.0**power for m in (1, 2, 5, 10) if m * 10.0**power >= span / 8)
    first, last = math.ceil(vmin / step), math.floor(vmax / step)
    return [k * step for k in range(first, last + 1)], max(0, -math.floor(math.log10(step) + 1e-9))


def _draw_scale(draw: ImageDraw.ImageDraw, vmin: float, vmax: float, language: Language) -> None:
    """Ticks below the bar: the limits at its ends, and the round values that do not touch a neighbour."""
    font, right = _font(13), _WIDTH - _MARGIN - 1
    values, decimals = _ticks(vmin, vmax)
    if not values:
        text = _number(vmin, 4, language)
        draw.text((_WIDTH / 2, _BAR_BOTTOM + 6), text, fill=_INK, font=font, anchor="ma")
        return
    ends = max(decimals, 1 - math.floor(math.log10((vmax - vmin) / 2)))
    lowest, highest = _number(vmin, ends, language), _number(vmax, ends, language)
    draw.text((_MARGIN, _BAR_BOTTOM + 6), lowest, fill=_INK, font=font, anchor="la")
    draw.text((right, _BAR_BOTTOM + 6), highest, fill=_INK, font=font, anchor="ra")
    free_from, free_to = _MARGIN + font.getlength(lowest) + 8, right - font.getlength(highest) - 8
    for value in values:
        x = _MARGIN + (value - vmin) / (vmax - vmin) * (right - _MARGIN)
        draw.line([(x, _BAR_BOTTOM + 1), (x, _BAR_BOTTOM + 4)], fill=_GREY)
        text = _number(value, decimals, language)
        half = font.getlength(text) / 2
        if x - half >= free_from and x + half <= free_to:
            draw.text((x, _BAR_BOTTOM + 6), text, fill=_INK, font=font, anchor="ma")
            free_from = x + half + 8


def _interval(entry: _ClassEntry, language: Language) -> str:
    lower, upper = (
        "" if bound is None else decimal(f"{bound:g}", language) for bound in (entry.lower, entry.upper)
    )
    if not lower:
        return f"≤ {upper}"
    return f"{lower} … {upper}" if upper else f"> {lower}"


def _draw_classes(draw: ImageDraw.ImageDraw, entries: list[_ClassEntry], language: Language) -> None:
    """Swatches, labels and intervals in one row, from low to high; hollow where the class is off the bar."""
    texts = [f"{entry.label} {_interval(entry, language)}" for entry in reversed(entries)]
    box, gap = 12, 16
    room = _WIDTH - 2 * _MARGIN - len(texts) * (box + 6) - (len(texts) - 1) * gap
    font = _fitting("".join(texts), room, 14)
    x = float(_MARGIN)
    for entry, text in zip(reversed(entries), texts, strict=True):
        fill, ink = (entry.colour, _INK) if entry.shown else ("white", _GREY)
        draw.rectangle([x, 94, x + box, 94 + box], fill=fill, outline=_GREY)
        draw.text((x + box + 6, 100), text, fill=ink, font=font, anchor="lm")
        x += box + 6 + font.getlength(text) + gap


def legend_png(
    vmin: float,
    vmax: float,
    cmap: str = DEFAULT,
    *,
    title: str,
    classes: ThresholdSet | None = None,
    language: str = "en",
) -> bytes:
    """The legend as an RGB PNG of 640 x 120 pixels on white: title, colour bar, scale, and the classes.

    Args:
        vmin: value of the lowest colour.
        vmax: value of the highest colour; where a limit is not finite (no valid pixel) there is no scale.
        cmap: colour map of the heatmap; `jet_legacy` for the legacy heatmaps, whose limits are min and max.
        title: one line, Latin or Cyrillic, shrunk and then shortened to fit.
        classes: cuts to mark on the bar, and to explain below it.
        language: code of the labels and of the decimal mark.

    Raises:
        Impossible: there is no such colour map or language.
        ValueError: vmin > vmax.
    """
    code = check_language(language)
    width = _WIDTH - 2 * _MARGIN
    check_colour_map(cmap)
    picture = Image.new("RGB", (_WIDTH, _HEIGHT), "white")
    draw = ImageDraw.Draw(picture)
    line = " ".join(title[:300].split())
    font = _fitting(line, width, 16, least=12)
    draw.text((_MARGIN, 17), _shortened(line, width, font), fill=_INK, font=font, anchor="lm")
    known = _has_limits(vmin, vmax)
    frame = [_MARGIN - 1, _BAR_TOP - 1, _WIDTH - _MARGIN, _BAR_BOTTOM]
    draw.rectangle(frame, outline=_GREY, fill=None if known else (230, 230, 230))
    if known:
        shares = np.linspace(0.0, 1.0, width) if vmax > vmin else np.full(width, 0.5)
        ramp = palette(cmap)[1 + (shares * 254 + 0.5).astype(np.uint8)]
        bar = np.repeat(ramp[None], _BAR_BOTTOM - _BAR_TOP, axis=0)
        picture.paste(Image.fromarray(bar), (_MARGIN, _BAR_TOP))
        _draw_scale(draw, vmin, vmax, code)
    if known and classes:
        for cut in classes.cuts:
            if vmin < cut < vmax:
                x = round(_MARGIN + (cut - vmin) / (vmax - vmin) * (width - 1))
                draw.line([(x, _BAR_TOP - 4), (x, _BAR_BOTTOM + 3)], fill="black", width=2)
        _draw_classes(draw, _class_entries(classes, vmin, vmax, cmap, code), code)
    out = io.BytesIO()
    picture.save(out, "PNG")
    return out.getvalue()
