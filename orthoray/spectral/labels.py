"""What a text beside a band says about it: its words, its wavelength, its satellite code.

A text names a band only where it can mean one thing. "B4" is the fourth band of anything, and SR_B4 is red on
Landsat 8 but near infrared on Landsat 5, so codes count where their neighbours settle which satellite it is.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

LONG_NAMES: dict[str, str] = {
    "A": "coastal aerosol",
    "B": "blue",
    "G1": "green 1",
    "G": "green",
    "Y": "yellow",
    "R": "red",
    "RE1": "red edge 1",
    "RE2": "red edge 2",
    "RE3": "red edge 3",
    "N": "near infrared",
    "N2": "near infrared 2",
    "WV": "water vapour",
    "S1": "short-wave infrared 1",
    "S2": "short-wave infrared 2",
    "T": "thermal infrared",
    "T1": "thermal infrared 1",
    "T2": "thermal infrared 2",
}

SKIP = "-"
ALPHA = "alpha"

Names = tuple[str | None, ...]

# Words without spaces, dashes and underscores; those with digits are STAC's common names and their like.
_WORDS: dict[str, str] = {
    "aerosol": "A",
    "coastal": "A",
    "coastalaerosol": "A",
    "coastalblue": "A",
    "blue": "B",
    "green": "G",
    "green1": "G1",
    "green05": "G1",
    "yellow": "Y",
    "red": "R",
    "rededge": "RE1",
    "rededge1": "RE1",
    "rededge2": "RE2",
    "rededge3": "RE3",
    "rededge071": "RE1",
    "rededge075": "RE2",
    "rededge078": "RE3",
    "nir": "N",
    "nearinfrared": "N",
    "nearir": "N",
    "infrared": "N",
    "nir2": "N2",
    "nir08": "N2",
    "nir09": "WV",
    "watervapour": "WV",
    "watervapor": "WV",
    "swir1": "S1",
    "swir2": "S2",
    "swir16": "S1",
    "swir22": "S2",
    "thermal": "T",
    "thermalinfrared": "T",
    "lwir": "T",
    "tir": "T",
    "lwir11": "T1",
    "lwir12": "T2",
    "panchro": SKIP,
    "panchromatic": SKIP,
    "cirrus": SKIP,
}
_SHORT: dict[str, str] = {name.lower(): name for name in LONG_NAMES} | {"re": "RE1", ALPHA: ALPHA}

# Ranges after bands.json of Awesome Spectral Indices, in nm; where two names share wavelengths, the earlier name
# takes the band nearest to its centre. A camera's only red edge is RE1 and its only near infrared N, wherever
# they lie: so the single-red-edge cameras (717, 730 or 735 nm) and their indices are named everywhere.
_RANGES: tuple[tuple[str, float, float, float], ...] = (
    ("A", 400, 449, 443),
    ("B", 449, 510, 480),
    ("G", 510, 585, 560),
    ("G1", 510, 550, 531),
    ("Y", 585, 620, 605),
    ("R", 620, 690, 665),
    ("RE1", 695, 760, 705),
    ("RE2", 725, 760, 740),
    ("N", 760, 900, 842),
    ("N2", 850, 880, 865),
    ("RE3", 765, 795, 783),
    ("WV", 930, 960, 945),
    ("S1", 1550, 1750, 1610),
    ("S2", 2080, 2350, 2200),
)
_FAMILIES = {"A": "B", "G1": "G", "RE2": "RE1", "RE3": "RE1", "N2": "N"}
_GREATEST_WAVELENGTH = 2500
# A longer description is prose, not a label.
_LONGEST_LABEL = 100

SENTINEL_2: dict[str, str] = {
    "B1": "A", "B2": "B", "B3": "G", "B4": "R", "B5": "RE1", "B6": "RE2", "B7": "RE3", "B8": "N", "B8A": "N2",
    "B9": "WV", "B10": SKIP, "B11": "S1", "B12": "S2",
}  # fmt: skip
LANDSAT_8_9: dict[str, str] = {
    "B1": "A", "B2": "B", "B3": "G", "B4": "R", "B5": "N", "B6": "S1", "B7": "S2", "B8": SKIP, "B9": SKIP,
    "B10": "T1", "B11": "T2",
}  # fmt: skip
LANDSAT_4_7: dict[str, str] = {
    "B1": "B", "B2": "G", "B3": "R", "B4": "N", "B5": "S1", "B6": "T", "B7": "S2", "B8": SKIP,
}  # fmt: skip
# Band codes by the key of the sensor preset.
CODES: dict[str, dict[str, str]] = {
    "sentinel-2": SENTINEL_2,
    "landsat-8-9": LANDSAT_8_9,
    "landsat-4-7": LANDSAT_4_7,
}

_CODE = re.compile(r"(?:(SR|ST)_)?(B)(\d{1,2}|8A)(?![0-9A-Z])", re.IGNORECASE)
_NUMBERED = re.compile(r"^\s*(?:band|channel|b)?[\s_#]*\d{1,2}a?(?![0-9a-z])[\s:.,_()-]*", re.IGNORECASE)
_WAVELENGTH = re.compile(r"(?<![\d.])(\d{3,4}(?:\.\d+)?)\s*nm(?![a-z])", re.IGNORECASE)
_TRAILING_NUMBER = re.compile(r"(?<=[a-z\s_(-])(\d{3})\)?\s*$", re.IGNORECASE)
_FILLERS = re.compile(
    r"\b(?:central|centre|center)?[\s_]*wavelength\b|\b(?:surface[\s_]*)?reflectance\b", re.IGNORECASE
)

_SENTINEL_FILE = re.compile(
    r"(?:^|_)T\d{2}[A-Z]{3}_\d{8}(?:T\d{6})?_(B\d{2}|B8A)(?:_(?:10|20|60)M)?$|^HLS\.S30\..*\.(B\d{2}|B8A)$"
)
_LANDSAT_FILE = re.compile(r"^L[COTEM](0[4-9])_.*_((?:S[RT]_)?B\d{1,2})$")
_HARMONISED_FILE = re.compile(r"^HLS\.L30\..*\.(B\d{2})$")
_DJI_FILE = re.compile(r"_MS_(G|R|RE|NIR)$")
_DJI_LETTERS = {"G": "G", "R": "R", "RE": "RE1", "NIR": "N"}
_FILE_FILLERS = frozenset(
    {"10m", "20m", "30m", "60m", "reflectance", "band", "cog", "ortho", "orthomosaic", "map"}
)


@dataclass(frozen=True)
class Labels:
    """Names in band order, None where the texts do not tell, and the satellite that they imply."""

    names: Names
    sensor: str | None = None


@dataclass(frozen=True)
class _Label:
    word: str | None = None
    wavelength_nm: float | None = None
    code: str | None = None


def name_of(text: str) -> str | None:
    """The band that a caller's word means, in any case: "nir", "Red Edge", "re1"; `SKIP` for "-" or "_"."""
    word = text.strip()
    if word in {SKIP, "_"}:
        return SKIP
    return _SHORT.get(word.lower()) or _WORDS.get(_squeezed(word))


def describe(texts: Sequence[str | None]) -> Labels:
    """Names from band descriptions, read together: "Red", "Band 4 (Red)", "NIR_840", "668 nm", "B04", "B8A".

    A name that two texts claim belongs to the one nearest to its wavelength where all claimants tell theirs,
    else to none.
    """
    labels = [_parsed(text) for text in texts]
    sensor = _satellite([label.code for label in labels])
    return Labels(_combined(labels, _coded([label.code for label in labels], sensor)), sensor)


def tagged(names: Sequence[str | None], wavelengths_nm: Sequence[float | None]) -> Names:
    """Names from the tags Camera:BandName and Camera:CentralWavelength, one pair for each band."""
    labels = []
    for text, told in zip(names, wavelengths_nm, strict=True):
        label = _parsed(text)
        # RedEdge-P dual cameras repeat the first camera's wavelengths in the second's tags, not in its names
        nm = label.wavelength_nm
        if nm is None and told is not None and 0 < told <= _GREATEST_WAVELENGTH:
            nm = told
        labels.append(_Label(label.word, nm))
    return _combined(labels, (None,) * len(labels))


def from_codes(texts: Sequence[str | None], codes: Mapping[str, str]) -> Names | None:
    """Names by the band codes of a satellite that is known ("B4", "SR_B4", "B04").

    None unless all have one, and where they only count the bands: B1, B2, B3, ...
    """
    found = [_parsed(text).code for text in texts]
    names = tuple(codes.get(_normal(code) or "") for code in found)
    return names if names and None not in names and not _are_numbers(found) else None


def from_filenames(filenames: Sequence[str | None]) -> Labels:
    """Names from the names of files that hold one band each.

    Understood are the products of Sentinel-2, Landsat and HLS, and endings in plain words
    ("..._reflectance_nir.tif", "..._red edge.tif", DJI's "..._MS_RE.TIF").
    """
    found = [product(filename) or (None, _ending(filename)) for filename in filenames]
    sensors = {sensor for sensor, _ in found}
    names = unique([name for _, name in found])
    return Labels(names, sensors.pop() if len(sensors) == 1 else None)


def product(filename: str | None) -> tuple[str, str] | None:
    """(sensor key, band name) of a file of a satellite product, told by its name; None for any other file."""
    stem = _stem(filename).upper()
    if match := _SENTINEL_FILE.search(stem):
        sensor, code = "sentinel-2", match[1] or match[2]
    elif match := _LANDSAT_FILE.search(stem):
        sensor, code = ("landsat-8-9" if match[1] in {"08", "09"} else "landsat-4-7"), match[2]
    elif match := _HARMONISED_FILE.search(stem):
        sensor, code = "landsat-8-9", match[1]
    else:
        return None
    name = CODES[sensor].get(_normal(code) or "")
    return None if name is None else (sensor, name)


def from_wavelengths(wavelengths_nm: Sequence[float | None]) -> Names:
    """Names by central wavelengths in nm, read together: the same 865 nm is N2 beside an N at 842 nm, else N."""
    names: list[str | None] = [None] * len(wavelengths_nm)
    for name, low, high, centre in _RANGES:
        inside = [
            (abs(nm - centre), position)
            for position, nm in enumerate(wavelengths_nm)
            if nm is not None and low <= nm < high and names[position] is None
        ]
        if inside:
            names[min(inside)[1]] = name
    return tuple(names)


def unique(names: Sequence[str | None]) -> Names:
    """A name that two bands claim belongs to neither."""
    return tuple(name if name in {None, SKIP} or names.count(name) == 1 else None for name in names)


def _parsed(text: str | None) -> _Label:
    if text is None or not text.strip() or len(text) > _LONGEST_LABEL:
        return _Label()
    code = _CODE.match(text.strip())
    told = _WAVELENGTH.search(text)
    rest = _FILLERS.sub(" ", _WAVELENGTH.sub(" ", text))
    word = _word(rest) or _word(_NUMBERED.sub("", _CODE.sub("", rest, count=1) if code else rest))
    nm = float(told[1]) if told else None
    if word is None and told is None and (number := _TRAILING_NUMBER.search(rest)):
        # a number without its unit is a wavelength only beside a word that it agrees with
        word = _word(_NUMBERED.sub("", rest[: number.start()]))
        nm = float(number[1]) if word is not None and _agrees(word, float(number[1])) else None
    if nm is not None and nm > _GREATEST_WAVELENGTH:
        nm = None
    return _Label(word, nm, code[0].upper() if code else None)


def _word(text: str) -> str | None:
    return _WORDS.get(_squeezed(text))


def _squeezed(text: str) -> str:
    return re.sub(r"[\s_.,:;()\[\]-]+", "", text).lower()


def _combined(labels: Sequence[_Label], coded: Names) -> Names:
    claimed = [code or _claim(label) for code, label in zip(coded, labels, strict=True)]
    names = list(unique(claimed))
    waves = from_wavelengths([label.wavelength_nm for label in labels])
    for position, (label, wave) in enumerate(zip(labels, waves, strict=True)):
        claim = claimed[position]
        rivals = [
            other for other, same in zip(labels, claimed, strict=True) if claim is not None and same == claim
        ]
        settled = all(rival.wavelength_nm is not None for rival in rivals)
        told = label.word is None or (
            label.wavelength_nm is not None and _agrees(label.word, label.wavelength_nm)
        )
        if names[position] is None and wave is not None and wave not in names and settled and told:
            names[position] = wave
    return tuple(names)


def _claim(label: _Label) -> str | None:
    """The word, unless the wavelength beside it belongs to another band: "Blue-444" is coastal."""
    if label.word is None or label.wavelength_nm is None:
        return label.word
    inside = [low <= label.wavelength_nm < high for name, low, high, _ in _RANGES if name == label.word]
    return label.word if not inside or inside[0] else None


def _agrees(word: str, wavelength_nm: float) -> bool:
    """Whether the wavelength lies in the part of the spectrum that the word means, numbered variants included."""
    return any(
        _FAMILIES.get(name, name) == _FAMILIES.get(word, word) and low <= wavelength_nm < high
        for name, low, high, _ in _RANGES
    )


def _satellite(codes: Sequence[str | None]) -> str | None:
    """The satellite that a set of band codes can only belong to."""
    known = {code for code in codes if code is not None}
    if _are_numbers(codes):
        return None
    if known & {"SR_B6", "ST_B10"}:
        return "landsat-8-9"
    if "ST_B6" in known:
        return "landsat-4-7"
    padded = any(re.fullmatch(r"B0\d", code) for code in known)
    # HLS numbers Landsat's bands in the same style, but has neither B08 nor B12
    if "B8A" in known or "B08" in known or (padded and "B12" in known):
        return "sentinel-2"
    return None


def _are_numbers(codes: Sequence[str | None]) -> bool:
    """Whether the codes only count the bands of the file: B01, B02, B03, ..."""
    return all(
        code is not None and code.removeprefix("B").lstrip("0") == str(position)
        for position, code in enumerate(codes, start=1)
    )


def _coded(codes: Sequence[str | None], sensor: str | None) -> Names:
    if _are_numbers(codes):
        return (None,) * len(codes)
    if sensor is not None:
        return tuple(CODES[sensor].get(_normal(code) or "") for code in codes)
    # the first four are the same bands on Sentinel-2 and in HLS, which alone write B04 for B4
    return tuple(
        SENTINEL_2[f"B{int(code[1:])}"] if code is not None and re.fullmatch(r"B0[1-4]", code) else None
        for code in codes
    )


def _normal(code: str | None) -> str | None:
    """ "SR_B4" and "B04" are "B4"."""
    match = _CODE.fullmatch(code) if code is not None else None
    return None if match is None else f"B{match[3].upper().lstrip('0')}"


def _stem(filename: str | None) -> str:
    """A file's name without its extension."""
    return re.sub(r"\.(?:tiff?|jp2|j2k|jpe?g|png|bmp)$", "", filename or "", flags=re.IGNORECASE)


def _ending(filename: str | None) -> str | None:
    stem = _stem(filename)
    if match := _DJI_FILE.search(stem.upper()):
        return _DJI_LETTERS[match[1]]
    words = [word for word in re.split(r"[^a-z0-9]+", stem.lower()) if word]
    while words and (words[-1] in _FILE_FILLERS or re.fullmatch(r"\d{3,4}(?:nm)?", words[-1])):
        words.pop()
    for length in (3, 2, 1):
        name = _WORDS.get("".join(words[-length:])) if len(words) >= length else None
        if name is not None:
            # "nir_red_green" is a composite, not a green band
            before = words[-length - 1] if len(words) > length else ""
            return None if before in _WORDS else name
    return None
