"""The verdict in words: what the table of classes says, and what a reader has to know before believing it."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal

from orthoray.spectral.texts import (
    LEGACY_CONCLUSIONS,
    TEXTS,
    Language,
    Texts,
    check_language,
    decimal,
    percentage,
)
from orthoray.spectral.thresholds import LEGACY_CUTS, LEGACY_INDICES, Method

State = Literal["dn", "reflectance", "unknown"]

VISIBLE_BANDS = frozenset({"A", "B", "G1", "G", "Y", "R"})
VEGETATION_DOMAINS = frozenset({"vegetation", "kernel"})
"""Kernel indices are vegetation indices in another form."""
USER_DOMAIN = "user"
"""Of formulas that came with a request."""

MOSTLY_VALID = 0.5
MOST = 50.0
"""From this percent on a class may be said to take the largest part of the image."""
_WORSE = frozenset({"severe_stress", "critical"})
NOTABLE_SHARE = 0.01
"""Above this share values out of their range are a sign of something wrong, not of a few glints and shadows."""


@dataclass(frozen=True)
class Circumstances:
    """What bears on how far a verdict can be trusted; the defaults add no note.

    `state` is that of the pixels as they went into the formula, None where nothing is to be said of it.
    `valid_fraction` and `background_fraction` (what a soil mask takes out) are shares of all pixels, 0..1,
    `out_of_range_fraction` of the valid ones, `odd_pixel_fraction` (a band outside 0.001..1.5) of those with data.
    `method` tells how the image itself gave the classes, None where they are not from it. `high_is_good` is None
    where high values are neither; `domain` is the field that the index serves, as Awesome Spectral Indices names
    it, or USER_DOMAIN.
    """

    state: State | None = None
    aligned: bool = True
    valid_fraction: float | None = None
    background_fraction: float = 0.0
    out_of_range_fraction: float = 0.0
    odd_pixel_fraction: float = 0.0
    method: Method | None = None
    needs_reflectance: bool = False
    visible_only: bool = False
    legacy: bool = False
    high_is_good: bool | None = True
    domain: str = "vegetation"

    @property
    def relative(self) -> bool:
        """Whether the classes come from the image itself and so compare its places with each other only."""
        return self.method is not None

    @property
    def meaningless(self) -> bool:
        """Whether the index needs reflectance and is known not to have got it."""
        return self.state == "dn" and self.needs_reflectance and not self.legacy

    @property
    def high_is_healthy(self) -> bool:
        """Whether higher values are better plants."""
        vegetation = self.high_is_good is True and self.domain in VEGETATION_DOMAINS
        return vegetation and self.aligned and not self.meaningless

    @property
    def describes_health(self) -> bool:
        """Whether the names of the classes may be taken at their word."""
        return self.high_is_healthy and not self.relative

    def to_dict(self) -> dict[str, Any]:
        """The fields, `relative` and `describes_health` as JSON-ready data."""
        return {**asdict(self), "relative": self.relative, "describes_health": self.describes_health}

    @classmethod
    def from_dict(cls, record: Mapping[str, Any]) -> Circumstances:
        """What `to_dict` wrote, also under the names of earlier records.

        Keys that are missing have their defaults, unknown ones are ignored.
        """
        known = {"odd_pixel_fraction": record.get("odd_reflectance_fraction", 0.0), **record}
        if record.get("relative") and known.get("method") is None:
            known["method"] = "quantiles"
        return cls(**{field.name: known[field.name] for field in fields(cls) if field.name in known})


def circumstances_of(
    *,
    bands: Collection[str],
    needs_reflectance: bool,
    legacy: bool,
    high_is_good: bool | None,
    domain: str,
    method: Method | None,
    state: State | None,
    aligned: bool = True,
    valid_pixels: int,
    nodata_pixels: int,
    invalid_pixels: int,
    background_pixels: int = 0,
    out_of_range_pixels: int = 0,
    odd_pixel_fraction: float = 0.0,
) -> Circumstances:
    """The circumstances of a result, from the index, the calibration, and the counts of pixels.

    The four kinds of pixels are disjoint and together the image; those out of range are among the valid.
    """
    pixels = max(1, valid_pixels + nodata_pixels + invalid_pixels + background_pixels)
    return Circumstances(
        state=state,
        aligned=aligned,
        valid_fraction=valid_pixels / pixels,
        background_fraction=background_pixels / pixels,
        out_of_range_fraction=out_of_range_pixels / max(1, valid_pixels),
        odd_pixel_fraction=odd_pixel_fraction,
        method=method,
        needs_reflectance=needs_reflectance,
        visible_only=bool(bands) and VISIBLE_BANDS.issuperset(bands),
        legacy=legacy,
        high_is_good=high_is_good,
        domain=domain,
    )


def notes(circumstances: Circumstances, language: str) -> list[dict[str, str]]:
    """What a reader has to know, the meaning of the classes first: rows `{"code", "text"}`.

    `code` is the same in every language.
    """
    code = check_language(language)
    return [
        {"code": note, "text": TEXTS[code].notes[note].format(**_values(note, circumstances, code))}
        for note in _codes(circumstances)
    ]


def conclusion(
    table: Sequence[Mapping[str, Any]], language: str, *, index_name: str, circumstances: Circumstances
) -> str:
    """The verdict: the largest class (the first of equals) with its share, what to do, and the notes.

    Where the names of the classes cannot be taken at their word it tells the range of values instead, and where
    the image gave the classes what they are, since the sizes of such classes are no finding. For the legacy
    indices with their own cuts in Russian it is the legacy contract's sentence and nothing more, since programs
    compare it; unless the image is a raw capture, which the contract does not know.

    Args:
        table: rows of `class_table`; without rows or pixels the verdict says that there is no data.
        language: code of the text.
        index_name: catalogue name.
        circumstances: of the result that the table belongs to.
    """
    code = check_language(language)
    texts = TEXTS[code]
    if not any(row["pixels"] for row in table):
        return texts.all_background if circumstances.background_fraction else texts.empty
    largest = max(table, key=lambda row: row["pixels"])
    legacy = index_name in LEGACY_INDICES and _cuts(table) == LEGACY_CUTS
    if code == "ru" and legacy and circumstances.aligned:
        return LEGACY_CONCLUSIONS[largest["name"]]
    if circumstances.describes_health:
        told = _condition(table, largest, code)
    elif circumstances.method is not None:
        told = _groups(table, largest, circumstances.method, circumstances.high_is_healthy, code)
    else:
        told = [_range(largest, percentage(largest["percent"], code), texts, code)]
    return " ".join([*told, *(note["text"] for note in notes(circumstances, code))])


def _codes(seen: Circumstances) -> list[str]:
    vegetation = seen.domain in VEGETATION_DOMAINS
    masked = seen.valid_fraction is not None and seen.valid_fraction + seen.background_fraction < MOSTLY_VALID
    conditions = {
        "relative": seen.relative,
        _direction(seen): seen.high_is_good is not True or not vegetation,
        "mostly_invalid": masked,
        "background": seen.background_fraction > 0,
        "visible_only": seen.visible_only and (vegetation or seen.domain == USER_DOMAIN),
        _calibration(seen): seen.state in {"dn", "unknown"} and not seen.legacy,
        "unaligned": not seen.aligned,
        "odd_reflectance": seen.odd_pixel_fraction > NOTABLE_SHARE and seen.state != "dn",
        "out_of_range": seen.out_of_range_fraction > NOTABLE_SHARE,
    }
    return [code for code, holds in conditions.items() if holds]


def _direction(seen: Circumstances) -> str:
    """The note on an index whose high values are not the good ones."""
    if seen.domain == USER_DOMAIN:
        return "own_formula"
    if seen.domain in TEXTS["en"].subjects:
        return "not_vegetation"
    return "inverted" if seen.high_is_good is False else "no_direction"


def _calibration(seen: Circumstances) -> str:
    """The note on pixels that are not known to be reflectance."""
    if seen.state == "dn":
        return "not_reflectance" if seen.needs_reflectance else "uncalibrated"
    return "reflectance_unknown" if seen.needs_reflectance else "calibration_unknown"


def _values(note: str, seen: Circumstances, language: Language) -> dict[str, str]:
    """What stands in a note's placeholders."""
    shares = {
        "mostly_invalid": (seen.valid_fraction or 0.0) + seen.background_fraction,
        "background": seen.background_fraction,
        "odd_reflectance": seen.odd_pixel_fraction,
        "out_of_range": seen.out_of_range_fraction,
    }
    return {
        "share": percentage(100.0 * shares.get(note, 0.0), language),
        "subject": TEXTS[language].subjects.get(seen.domain, ""),
    }


def _cuts(table: Sequence[Mapping[str, Any]]) -> tuple[float, ...]:
    return tuple(row["lower"] for row in table[:-1])


def _condition(
    table: Sequence[Mapping[str, Any]], largest: Mapping[str, Any], language: Language
) -> list[str]:
    """The sentences on how the plants do; a good class that is not most of the image is not left to stand alone."""
    texts, name = TEXTS[language], largest["name"]
    share = percentage(largest["percent"], language)
    if largest["percent"] >= MOST:
        return [texts.verdicts[name].format(share=share), texts.advice[name]]
    told = [texts.most_frequent.format(label=texts.labels[name], share=share), texts.advice[name]]
    worse = sum(row["percent"] for row in table if row["name"] in _WORSE)
    if worse and name not in _WORSE:
        told.append(texts.worse.format(share=percentage(worse, language)))
    return told


def _groups(
    table: Sequence[Mapping[str, Any]],
    largest: Mapping[str, Any],
    method: Method,
    high_is_healthy: bool,
    language: Language,
) -> list[str]:
    """The sentences on classes that the image gave: what they are, where they part, where to look first."""
    texts = TEXTS[language]
    if sum(1 for row in table if row["pixels"]) == 1:
        return [texts.constant]
    told = [texts.parted[method].format(cuts=_listed(sorted(_cuts(table)), language))]
    if method == "jenks":
        share = percentage(largest["percent"], language)
        told.append(texts.groups[largest["name"]].format(share=share))
    return [*told, texts.lowest_first] if high_is_healthy else told


def _listed(cuts: Sequence[float], language: Language) -> str:
    """Cuts with four significant digits, or as many more as tell them apart."""
    written = [[_number(cut, language, digits) for cut in cuts] for digits in range(4, 10)]
    *others, last = next((row for row in written if len(set(row)) == len(row)), written[-1])
    comma = "; " if TEXTS[language].decimal_mark == "," else ", "
    return f"{comma.join(others)} {TEXTS[language].conjunction} {last}"


def _range(row: Mapping[str, Any], share: str, texts: Texts, language: Language) -> str:
    """The sentence on the values of a class."""
    if row["upper"] is None:
        sentence = texts.values_above
    else:
        sentence = texts.values_below if row["lower"] is None else texts.values_between
    lower, upper = ("" if row[end] is None else _number(row[end], language) for end in ("lower", "upper"))
    return sentence.format(share=share, lower=lower, upper=upper)


def _number(value: float, language: Language, digits: int = 4) -> str:
    """Significant digits, and all of those before the decimal mark."""
    return decimal(f"{value:.{digits}g}" if abs(value) < 10**digits else f"{value:.0f}", language)
