"""What an analysis would do, decided before any pixel is read: the same decision for the service, workers and command line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from OLD.image_processing import compute_indices
from orthoray.contracts import Imagery
from orthoray.errors import UnknownIndex
from orthoray.spectral.bands import BandMap, band_map_from_names, parse_bands, require
from orthoray.spectral.classes import ThresholdSet, thresholds_for
from orthoray.spectral.indices import CATALOGUE, Index, get_index

RGB = ("R", "G", "B")


@dataclass(frozen=True)
class Plan:
    """One analysis: `index` is None for an index that only the OLD package knows; `via_old` goes through that package."""

    index_name: str
    index: Index | None
    band_map: BandMap
    thresholds: ThresholdSet
    own_thresholds: bool
    via_old: bool

    @property
    def bands(self) -> tuple[str, ...]:
        """The bands that are read."""
        return RGB if self.via_old or self.index is None else self.index.bands


@cache
def old_indices() -> tuple[str, ...]:
    """The names that `OLD.image_processing.compute_indices` offers; a deployment may have its own OLD."""
    return tuple(compute_indices(np.zeros((2, 2, 3), dtype=np.uint8)))


def make_plan(
    band_map: BandMap, index_type: str, *, crop: str | None = None, thresholds: Sequence[float] | None = None
) -> Plan:
    """
    Raises:
        UnknownIndex: neither the catalogue nor OLD has it.
        MissingBands: the image lacks bands that it needs.
        Impossible: crop or thresholds do not fit.
    """
    of_old = {name.lower(): name for name in old_indices()}.get(index_type.strip().lower())
    index = _catalogued(of_old) if of_old else get_index(index_type)
    name = of_old or get_index(index_type).name
    chosen = thresholds_for("NDVI_emp" if index is None else name, crop, thresholds)
    plan = Plan(name, index, band_map, chosen, bool(crop or thresholds), of_old is not None)
    require(band_map, plan.bands)
    return plan


def plan_of_record(
    imagery: Imagery, index_type: str, bands: str | None, crop: str | None, thresholds: Sequence[float] | None
) -> Plan:
    """The plan for a catalogued image; `bands` names its bands anew. Raises as `make_plan` and `parse_bands`."""
    return make_plan(band_map_of(imagery, bands), index_type, crop=crop, thresholds=thresholds)


def band_map_of(imagery: Imagery, bands: str | None = None) -> BandMap:
    """The bands as catalogued, or as the caller names them now."""
    if named := parse_bands(bands, imagery.band_count):
        return band_map_from_names(named, "caller", imagery.alpha_band)
    by_number = {number: name for name, number in imagery.bands.items()}
    names = tuple(by_number.get(number) for number in range(1, imagery.band_count + 1))
    return BandMap(names, imagery.bands_source, imagery.alpha_band)


def index_catalogue(bands: Mapping[str, int] | None) -> list[dict[str, Any]]:
    """Every index that can be asked for; with an image's `bands` also whether it can be computed from them."""
    known = {index.name for index in CATALOGUE}
    described: list[tuple[dict[str, Any], tuple[str, ...]]] = [
        (index.to_dict(), index.bands) for index in CATALOGUE
    ]
    described += [({"name": name, "bands": list(RGB)}, RGB) for name in old_indices() if name not in known]
    entries = []
    for entry, needed in described:
        if bands is not None:
            entry["missing_bands"] = [band for band in needed if band not in bands]
            entry["computable"] = not entry["missing_bands"]
        entries.append(entry)
    return entries


def _catalogued(name: str) -> Index | None:
    try:
        return get_index(name)
    except UnknownIndex:
        return None
