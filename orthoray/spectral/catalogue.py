"""The data of the catalogue of indices: the list of Awesome Spectral Indices and what we add to it.

`data/indices.json` is the list (Montero et al. 2023, doi:10.1038/s41597-023-02096-0; its MIT licence stands in its
head), made by `tools/refresh_catalogue.py` together with two facts derived from each formula. `data/additions.json`
is kept by hand: indices of our own, constants that publications fix, and what a value means for a crop.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypedDict

DATA = Path(__file__).with_name("data")

OWN_DOMAIN = "vegetation"


class Entry(TypedDict):
    """One index: the fields of `orthoray.spectral.indices.Index`, which says what they mean."""

    name: str
    long_name: str
    formula: str
    bands: tuple[str, ...]
    reference: str
    constants: tuple[tuple[str, float], ...]
    value_range: tuple[float, float] | None
    common_name: str | None
    needs_reflectance: bool
    legacy: bool
    domain: str
    high_is_good: bool | None
    other_inputs: tuple[str, ...]
    note: str | None


@cache
def entries() -> tuple[Entry, ...]:
    """Every index: our own first, then the list's in its order without those. Read once; nothing is parsed."""
    listed, additions = read("indices.json"), read("additions.json")
    own = tuple(_own(entry) for entry in additions["own"])
    names = {entry["name"] for entry in own}
    defaults = defaults_of(listed["constants"], additions)
    others = (
        _listed(index, listed["bands"], defaults, additions["indices"].get(index["short_name"], {}))
        for index in listed["indices"]
        if index["short_name"] not in names
    )
    return own + tuple(others)


@cache
def default_constants() -> Mapping[str, float]:
    """The constants of the list's formulas and their defaults, from which single indices differ."""
    return MappingProxyType(defaults_of(read("indices.json")["constants"], read("additions.json")))


def read(name: str) -> Any:
    """A file of the catalogue's data."""
    return json.loads((DATA / name).read_text(encoding="utf-8"))


def defaults_of(constants: Mapping[str, float | None], additions: Mapping[str, Any]) -> dict[str, float]:
    """The list's constants that have a default, there or in our additions."""
    known = {name: float(value) for name, value in constants.items() if value is not None}
    return known | {name: float(value) for name, value in additions["constants"].items()}


def split(
    inputs: list[str], defaults: Mapping[str, float], added: Mapping[str, Any]
) -> tuple[tuple[str, ...], dict[str, float]]:
    """What a formula of the list needs: the names of its arrays, and its constants with their values."""
    constants = {name: value for name, value in defaults.items() if name in inputs} | added.get(
        "constants", {}
    )
    arrays = tuple(name for name in inputs if name not in constants)
    return arrays, {name: float(constants[name]) for name in inputs if name in constants}


def _listed(
    index: Mapping[str, Any], bands: list[str], defaults: Mapping[str, float], added: Mapping[str, Any]
) -> Entry:
    arrays, constants = split(index["bands"], defaults, added)
    return Entry(
        name=index["short_name"],
        long_name=index["long_name"],
        formula=index["formula"],
        bands=tuple(name for name in arrays if name in bands),
        reference=index["reference"],
        constants=tuple(constants.items()),
        value_range=_pair(added.get("value_range", index["value_range"])),
        common_name=added.get("common_name"),
        needs_reflectance=index["needs_reflectance"],
        legacy=False,
        domain=index["application_domain"],
        high_is_good=added.get("high_is_good"),
        other_inputs=tuple(name for name in arrays if name not in bands),
        note=added.get("note"),
    )


def _own(entry: Mapping[str, Any]) -> Entry:
    return Entry(
        name=entry["name"],
        long_name=entry["long_name"],
        formula=entry["formula"],
        bands=tuple(entry["bands"]),
        reference=entry["reference"],
        constants=tuple(entry.get("constants", {}).items()),
        value_range=_pair(entry["value_range"]),
        common_name=entry.get("common_name"),
        needs_reflectance=entry.get("needs_reflectance", False),
        legacy=entry.get("legacy", False),
        domain=OWN_DOMAIN,
        high_is_good=entry["high_is_good"],
        other_inputs=(),
        note=entry.get("note"),
    )


def _pair(limits: list[float] | None) -> tuple[float, float] | None:
    return None if limits is None else (float(limits[0]), float(limits[1]))
