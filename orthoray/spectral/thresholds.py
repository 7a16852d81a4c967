"""Threshold sets: where the classes of an index begin, which are chosen for an image, and where they come from.

The sets are data (`data/thresholds.json`), by index and crop, each with a version and with the words on its
source in every language. A set that was once published stays, so that old records can be read.
"""

from __future__ import annotations

import json
import math
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from orthoray.errors import Impossible
from orthoray.spectral.breaks import Cuts, jenks_cuts, quantile_cuts
from orthoray.spectral.texts import check_language

CLASS_NAMES = ("healthy", "mild_stress", "severe_stress", "critical")

Method = Literal["quantiles", "jenks"]
ADAPTIVE: tuple[Method, ...] = ("quantiles", "jenks")
"""The ways in which an image's own values give its cuts."""

_CUSTOM = "custom"
GREATEST_CUT = 1e6
"""No index of reflectance comes near it; float32 still tells tenths there."""
_METHODS = MappingProxyType({"quantiles": quantile_cuts, "jenks": jenks_cuts})
_REMEDY = (
    "Send exactly three different finite numbers in order, for example [0.6, 0.4, 0.2], or one of the words "
    f"{' and '.join(ADAPTIVE)}, which take the classes from the image itself."
)


@dataclass(frozen=True)
class ThresholdSet:
    """Three descending cuts c0 > c1 > c2 of an index.

    healthy is v > c0, mild stress c1 < v <= c0, severe stress c2 < v <= c1, critical v <= c2. `source` tells a
    reader in English where the cuts come from and how far to trust them; `reference` is what that rests on.
    """

    id: str
    index: str
    cuts: Cuts
    crop: str | None
    source: str
    reference: str | None = None

    @property
    def method(self) -> Method | None:
        """How the image itself gave the cuts, which then compare its places with each other only; None if it did not."""
        return method_of(self.id)

    def bounds(self) -> dict[str, tuple[float | None, float | None]]:
        """(lower, upper) by class name; the lower bound is exclusive, the upper inclusive, None is open."""
        first, second, third = self.cuts
        return dict(
            zip(CLASS_NAMES, ((first, None), (second, first), (third, second), (None, third)), strict=True)
        )


@dataclass(frozen=True)
class Adaptive:
    """Cuts that the values of an image will give: chosen before any pixel is read, known when all are counted."""

    method: Method
    index: str
    crop: str | None = None

    @property
    def id(self) -> str:
        """The id that the resolved set will have, such as `quantiles/1`."""
        return f"{self.method}/1"

    def resolve(self, edges: npt.NDArray[np.float64], counts: npt.NDArray[np.int64]) -> ThresholdSet:
        """The set that a histogram of the index gives; arguments and errors as `breaks.quantile_cuts`."""
        return self.with_cuts(_METHODS[self.method](edges, counts))

    def with_cuts(self, cuts: Sequence[float]) -> ThresholdSet:
        """The set of three cuts that `resolve` gave before."""
        first, second, third = cuts
        return _sourced(self.id, self.index, (first, second, third), self.crop)


Thresholds = ThresholdSet | Adaptive


@dataclass(frozen=True)
class Crop:
    """NDVI levels of a crop: above `healthy` it does well, at `stressed` and below it suffers.

    `name` is in English; `aliases` are its names in Russian, English and Romanian.
    """

    name: str
    aliases: tuple[str, ...]
    healthy: float
    stressed: float


@dataclass(frozen=True)
class _Published:
    """A set as the data has it: its version, and its source by language."""

    id: str
    version: int
    index: str
    crop: str | None
    cuts: Cuts
    reference: str
    source: Mapping[str, str]


@cache
def _data() -> Any:
    return json.loads(Path(__file__).with_name("data").joinpath("thresholds.json").read_text("utf-8"))


@cache
def _published() -> tuple[_Published, ...]:
    return tuple(_Published(**{**entry, "cuts": tuple(entry["cuts"])}) for entry in _data()["sets"])


def _current(index_name: str, crop: str | None) -> _Published | None:
    fitting = (entry for entry in _published() if (entry.index, entry.crop) == (index_name, crop))
    return max(fitting, key=lambda entry: entry.version, default=None)


def _crops() -> tuple[Crop, ...]:
    crops = []
    for name, entry in _data()["crops"].items():
        levels = _current("NDVI", name)
        assert levels is not None, f"the data has a crop without thresholds: {name}"
        crops.append(Crop(name, tuple(entry["aliases"]), *levels.cuts[:2]))
    return tuple(crops)


CROPS = _crops()

LEGACY_INDICES = tuple(entry.index for entry in _published() if entry.id == "legacy/1")
"""The indices of visible bands that keep the earlier program's cuts and sentences, in its order."""

LEGACY_CUTS: Cuts = next(entry.cuts for entry in _published() if entry.id == "legacy/1")


def method_of(id: str) -> Method | None:
    """The way in which an image gave the cuts of a set with this `id`; None where they are not from the image."""
    return next((method for method in ADAPTIVE if id.partition("/")[0] == method), None)


def crop_name(crop: str, language: str) -> str:
    """A crop's everyday name in the language; `crop` is the `name` of one of CROPS. Raises KeyError for another."""
    return str(_data()["crops"][crop]["names"][check_language(language)])


def thresholds_for(
    index_name: str, crop: str | None = None, custom: Sequence[float] | str | None = None
) -> Thresholds:
    """The thresholds of an index: the caller's own, a crop's, or the default, in this order.

    An index without a default gets the quantiles of the image.

    Args:
        index_name: catalogue name, for example `NDVI` or `NDVI_emp`.
        crop: a crop's name in Russian, English or Romanian, in any case; only NDVI has crop thresholds.
        custom: three strictly descending or ascending numbers up to GREATEST_CUT in size, different in float32 too,
            in which values are compared; or a word of ADAPTIVE.

    Raises:
        Impossible: the crop is unknown or the index has no thresholds for it, or `custom` is not as above.
    """
    chosen = _crop(crop).name if crop is not None else None
    if isinstance(custom, str):
        return Adaptive(_method(custom), index_name, chosen)
    if custom is not None:
        return _sourced(_CUSTOM, index_name, _custom_cuts(custom), chosen)
    published = _current(index_name, chosen)
    if published is not None:
        return _sourced(published.id, index_name, published.cuts, chosen)
    if chosen is not None:
        known = sorted({entry.index for entry in _published() if entry.crop == chosen})
        raise Impossible(
            f"There are crop thresholds for {', '.join(known)} only, not for {index_name}: "
            f"leave the crop out, choose {' or '.join(known)}, or send your own thresholds."
        )
    return Adaptive("quantiles", index_name)


def threshold_source(
    id: str, index_name: str, cuts: Sequence[float], crop: str | None, language: str
) -> str | None:
    """Where the cuts of a threshold set come from and how far to trust them, in the language.

    Args:
        id: `ThresholdSet.id`; with `index_name`, `cuts` and `crop` as in the set, also when read from a record.
        index_name: catalogue name.
        cuts: three descending cuts.
        crop: the crop's English name.
        language: code of the text.

    Returns:
        None for a set that `thresholds_for` does not make.
    """
    code = check_language(language)
    by_id = _data()["sources"].get(id)
    if by_id is not None:
        return str(by_id[code])
    for entry in _published():
        if (entry.id, entry.index, entry.crop) == (id, index_name, crop) and entry.cuts == tuple(cuts):
            return entry.source[code]
    return None


def _sourced(id: str, index_name: str, cuts: Cuts, crop: str | None = None) -> ThresholdSet:
    source = threshold_source(id, index_name, cuts, crop, "en")
    assert source is not None
    reference = next(
        (entry.reference for entry in _published() if (entry.id, entry.index) == (id, index_name)), None
    )
    return ThresholdSet(id, index_name, cuts, crop, source, reference)


def _folded(name: str) -> str:
    """Case and diacritics removed, so that `GRAU` finds `grâu`."""
    decomposed = unicodedata.normalize("NFKD", name.strip().casefold())
    return "".join(c for c in decomposed if not unicodedata.combining(c))


def _crop(name: str) -> Crop:
    wanted = _folded(name)
    for crop in CROPS:
        if wanted in {_folded(alias) for alias in crop.aliases}:
            return crop
    known = [crop.name for crop in CROPS]
    aliases = "; ".join(", ".join(crop.aliases) for crop in CROPS)
    raise Impossible(f"There are no thresholds for this crop: choose one of {aliases}.", crops=known)


def _method(word: str) -> Method:
    for method in ADAPTIVE:
        if word.strip().casefold() == method:
            return method
    raise Impossible(f"The thresholds are not known. {_REMEDY}", methods=list(ADAPTIVE))


def _custom_cuts(custom: Sequence[float]) -> Cuts:
    try:
        values = [float(value) for value in custom]
    except (TypeError, ValueError, OverflowError) as error:
        raise Impossible(f"The thresholds are not numbers. {_REMEDY}") from error
    if isinstance(custom, bytes) or len(values) != 3 or not all(map(math.isfinite, values)):
        raise Impossible(f"The thresholds are not three finite numbers. {_REMEDY}")
    if values[0] < values[2]:
        values.reverse()
    first, second, third = values
    if not first > second > third:
        raise Impossible(f"The thresholds are not in order. {_REMEDY}")
    if max(first, -third) > GREATEST_CUT:
        raise Impossible(
            f"The thresholds reach beyond {GREATEST_CUT:,.0f} in size: no index has such values. {_REMEDY}"
        )
    if not np.float32(first) > np.float32(second) > np.float32(third):
        raise Impossible(
            "Two of the thresholds are so close that the map of the index, which has about seven significant digits, "
            f"cannot tell them apart. {_REMEDY}"
        )
    return first, second, third
