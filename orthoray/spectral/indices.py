"""The catalogue of vegetation indices: formulas, the bands they need, and where they come from.

Names and formulas follow Awesome Spectral Indices. Six indices are marked `legacy`: they are computed in
float32 with an epsilon of 1e-6 in the divisor, exactly as the programs did whose results users keep.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from orthoray.errors import UnknownIndex

Floats = npt.NDArray[np.floating[Any]]
Expression = Callable[[Mapping[str, Any]], Any]

EPSILON = 1e-6


@dataclass(frozen=True)
class Index:
    """A vegetation index.

    `bands` are the names the formula needs, `constants` its parameters, `value_range` where meaningful
    values lie (scales use it, nothing is clipped to it), `reference` a citation with DOI or URL and
    `common_name` the name under which others know it. `needs_reflectance` says that the formula adds
    constants to bands: on raw digital numbers its values have no meaning. `expression` is the formula on
    float arrays, written with operators alone so that any array library can run it.
    """

    name: str
    long_name: str
    formula: str
    bands: tuple[str, ...]
    reference: str
    expression: Expression = field(repr=False)
    constants: tuple[tuple[str, float], ...] = ()
    value_range: tuple[float, float] | None = (-1.0, 1.0)
    common_name: str | None = None
    needs_reflectance: bool = False
    legacy: bool = False

    def compute(
        self, bands: Mapping[str, npt.NDArray[Any]], dtype: npt.DTypeLike | None = None
    ) -> npt.NDArray[np.float32]:
        """Compute the index: arrays of one shape and any real dtype in, float32 of that shape out.

        Bands are cast before any arithmetic, because integers wrap around: to float64, for the legacy
        indices to float32, or to `dtype` where given. A value that is not finite (0/0, x/0, overflow)
        is NaN; no warning is raised. Raises `KeyError` where a band is not in `bands`.
        """
        working = np.dtype(dtype if dtype is not None else (np.float32 if self.legacy else np.float64))
        with np.errstate(all="ignore"):
            cast = {name: np.asarray(bands[name]).astype(working, copy=False) for name in self.bands}
            result = np.array(self.expression(cast), dtype=np.float32, ndmin=0)
        result[~np.isfinite(result)] = np.nan
        return result

    def to_dict(self) -> dict[str, Any]:
        """The catalogue entry as JSON-ready data."""
        return {
            "name": self.name,
            "long_name": self.long_name,
            "common_name": self.common_name,
            "formula": self.formula,
            "bands": list(self.bands),
            "constants": dict(self.constants),
            "value_range": list(self.value_range) if self.value_range else None,
            "reference": self.reference,
            "needs_reflectance": self.needs_reflectance,
            "legacy": self.legacy,
        }


def _ndvi(b: Mapping[str, Any]) -> Any:
    return (b["N"] - b["R"]) / (b["N"] + b["R"])


def _gndvi(b: Mapping[str, Any]) -> Any:
    return (b["N"] - b["G"]) / (b["N"] + b["G"])


def _ndre(b: Mapping[str, Any]) -> Any:
    return (b["N"] - b["RE1"]) / (b["N"] + b["RE1"])


def _savi(b: Mapping[str, Any]) -> Any:
    """Soil brightness factor L = 0.5; the bands are reflectance 0..1."""
    return 1.5 * (b["N"] - b["R"]) / (b["N"] + b["R"] + 0.5)


def _evi(b: Mapping[str, Any]) -> Any:
    """Gain 2.5, C1 = 6, C2 = 7.5, L = 1; the bands are reflectance 0..1, since L is added to them."""
    return 2.5 * (b["N"] - b["R"]) / (b["N"] + 6.0 * b["R"] - 7.5 * b["B"] + 1.0)


def _ndvi_emp(b: Mapping[str, Any]) -> Any:
    return (b["G"] - b["R"]) / (b["G"] + b["R"] + EPSILON)


def _vari(b: Mapping[str, Any]) -> Any:
    return (b["G"] - b["R"]) / (b["G"] + b["R"] - b["B"] + EPSILON)


def _gli(b: Mapping[str, Any]) -> Any:
    return (2 * b["G"] - b["R"] - b["B"]) / (2 * b["G"] + b["R"] + b["B"] + EPSILON)


def _exg(b: Mapping[str, Any]) -> Any:
    return 2 * b["G"] - b["R"] - b["B"]


def _cive(b: Mapping[str, Any]) -> Any:
    return 0.441 * b["R"] - 0.881 * b["G"] + 0.385 * b["B"] + 18.78745


def _mgrvi(b: Mapping[str, Any]) -> Any:
    green, red = b["G"] * b["G"], b["R"] * b["R"]
    return (green - red) / (green + red + EPSILON)


_LEGACY_CONSTANTS = (("e", EPSILON),)

CATALOGUE: tuple[Index, ...] = (
    Index(
        name="NDVI",
        long_name="Normalized Difference Vegetation Index",
        formula="(N - R) / (N + R)",
        bands=("N", "R"),
        reference="Rouse et al. 1974, https://ntrs.nasa.gov/citations/19740022614",
        expression=_ndvi,
    ),
    Index(
        name="GNDVI",
        long_name="Green Normalized Difference Vegetation Index",
        formula="(N - G) / (N + G)",
        bands=("N", "G"),
        reference="Gitelson et al. 1996, https://doi.org/10.1016/S0034-4257(96)00072-7",
        expression=_gndvi,
    ),
    Index(
        name="NDRE",
        long_name="Normalized Difference Red Edge Index",
        formula="(N - RE1) / (N + RE1)",
        bands=("N", "RE1"),
        reference="Gitelson and Merzlyak 1994, https://doi.org/10.1016/1011-1344(93)06963-4",
        expression=_ndre,
        common_name="NDREI",
    ),
    Index(
        name="SAVI",
        long_name="Soil-Adjusted Vegetation Index",
        formula="(1 + L) * (N - R) / (N + R + L)",
        bands=("N", "R"),
        constants=(("L", 0.5),),
        reference="Huete 1988, https://doi.org/10.1016/0034-4257(88)90106-X",
        expression=_savi,
        needs_reflectance=True,
    ),
    Index(
        name="EVI",
        long_name="Enhanced Vegetation Index",
        formula="g * (N - R) / (N + C1 * R - C2 * B + L)",
        bands=("N", "R", "B"),
        constants=(("g", 2.5), ("C1", 6.0), ("C2", 7.5), ("L", 1.0)),
        reference="Huete et al. 1997, https://doi.org/10.1016/S0034-4257(96)00112-5",
        expression=_evi,
        needs_reflectance=True,
    ),
    Index(
        name="NDVI_emp",
        long_name="Normalized Green Red Difference Index",
        formula="(G - R) / (G + R + e)",
        bands=("G", "R"),
        constants=_LEGACY_CONSTANTS,
        reference="Tucker 1979, https://doi.org/10.1016/0034-4257(79)90013-0",
        expression=_ndvi_emp,
        common_name="NGRDI",
        legacy=True,
    ),
    Index(
        name="VARI",
        long_name="Visible Atmospherically Resistant Index",
        formula="(G - R) / (G + R - B + e)",
        bands=("G", "R", "B"),
        constants=_LEGACY_CONSTANTS,
        reference="Gitelson et al. 2002, https://doi.org/10.1016/S0034-4257(01)00289-9",
        expression=_vari,
        legacy=True,
    ),
    Index(
        name="GLI",
        long_name="Green Leaf Index",
        formula="(2 * G - R - B) / (2 * G + R + B + e)",
        bands=("G", "R", "B"),
        constants=_LEGACY_CONSTANTS,
        reference="Louhaichi et al. 2001, https://doi.org/10.1080/10106040108542184",
        expression=_gli,
        legacy=True,
    ),
    Index(
        name="ExG",
        long_name="Excess Green Index",
        formula="2 * G - R - B",
        bands=("G", "R", "B"),
        value_range=(-510.0, 510.0),
        reference="Woebbecke et al. 1995, https://doi.org/10.13031/2013.27838",
        expression=_exg,
        legacy=True,
    ),
    # The paper's coefficient of green is widely quoted both as 0.811 and as 0.881; the latter is the one
    # that the legacy results were made with.
    Index(
        name="CIVE",
        long_name="Color Index of Vegetation Extraction",
        formula="0.441 * R - 0.881 * G + 0.385 * B + 18.78745",
        bands=("R", "G", "B"),
        value_range=(-205.86755, 229.41745),
        reference="Kataoka et al. 2003, https://doi.org/10.1109/AIM.2003.1225492",
        expression=_cive,
        legacy=True,
    ),
    Index(
        name="MGRVI",
        long_name="Modified Green Red Vegetation Index",
        formula="(G^2 - R^2) / (G^2 + R^2 + e)",
        bands=("G", "R"),
        constants=_LEGACY_CONSTANTS,
        reference="Bendig et al. 2015, https://doi.org/10.1016/j.jag.2015.02.012",
        expression=_mgrvi,
        legacy=True,
    ),
)

_BY_NAME: dict[str, Index] = {index.name: index for index in CATALOGUE}
_BY_LOWER_NAME: dict[str, Index] = {index.name.lower(): index for index in CATALOGUE}


def get_index(name: str) -> Index:
    """The index called `name`, in any case. Raises `UnknownIndex` with the closest names."""
    index = _BY_NAME.get(name) or _BY_LOWER_NAME.get(name.strip().lower())
    if index is not None:
        return index
    close = [
        _BY_LOWER_NAME[match].name
        for match in difflib.get_close_matches(name.strip().lower(), _BY_LOWER_NAME, n=3)
    ]
    hint = f" Did you mean {' or '.join(close)}?" if close else f" Known: {', '.join(_BY_NAME)}."
    raise UnknownIndex(f"There is no index named {name[:40]!r}.{hint}", known=list(_BY_NAME), close=close)


def computable(index: Index, band_names: Collection[str]) -> bool:
    """Whether `band_names` hold every band that `index` needs."""
    return all(name in band_names for name in index.bands)
