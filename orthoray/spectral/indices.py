"""Indices: formulas with the bands they need, and where they come from.

The catalogue has every index of Awesome Spectral Indices, some of our own and six that are marked `legacy`: these
are computed in float32 with an epsilon of 1e-6 in the divisor, exactly as the programs did whose results users keep.
"""

from __future__ import annotations

import difflib
import keyword
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache, cached_property
from typing import Any, overload

import numpy as np
import numpy.typing as npt

from orthoray.errors import Impossible, UnknownIndex
from orthoray.spectral.catalogue import default_constants, entries
from orthoray.spectral.expression import Expression, parse
from orthoray.spectral.labels import LONG_NAMES
from orthoray.spectral.terms import FUNCTIONS

USER_NAME = "expr"
USER_DOMAIN = "user"
MAX_CONSTANTS = 16
MAX_CONSTANT = 1e12

_EXACT = frozenset(np.dtype(name) for name in ("uint8", "int8", "uint16", "int16"))
_THERMAL = frozenset({"T", "T1", "T2"})
_CONSTANT_NAME = re.compile(r"[A-Za-z_]\w{0,31}", re.ASCII)


@dataclass(frozen=True)
class Index:
    """An index of a multispectral image.

    Attributes:
        formula: as its source writes it, in the grammar of `orthoray.spectral.expression`.
        bands: the names of the bands that the formula needs.
        reference: a citation with DOI or URL.
        constants: the formula's parameters and their values.
        value_range: where meaningful values lie, for bands that are not negative; scales use it, nothing is clipped
            to it.
        common_name: the name under which others know it.
        needs_reflectance: the value changes when all bands are multiplied by one factor (or thermal bands are mixed
            with others), so that on raw digital numbers it has no meaning.
        legacy: it reproduces earlier results.
        domain: what it is for: vegetation, water, soil, burn, snow, urban, clouds, radar, kernel, or `user`.
        high_is_good: whether a higher value is better for a crop, None where that has no meaning.
        other_inputs: what the formula needs that no band of an image gives: radar polarisations, kernels, PAR.
        note: what a user of the index should know.
    """

    name: str
    long_name: str
    formula: str
    bands: tuple[str, ...]
    reference: str
    constants: tuple[tuple[str, float], ...] = ()
    value_range: tuple[float, float] | None = None
    common_name: str | None = None
    needs_reflectance: bool = False
    legacy: bool = False
    domain: str = "vegetation"
    high_is_good: bool | None = None
    other_inputs: tuple[str, ...] = ()
    note: str | None = None

    @property
    def computable(self) -> bool:
        """Whether an image can give everything that the formula needs."""
        return not self.other_inputs

    @cached_property
    def expression(self) -> Expression:
        """The formula, parsed at the first use. Raises `Impossible` where the constants do not fit into it."""
        return parse(self.formula, bands=(*self.bands, *self.other_inputs), constants=dict(self.constants))

    def require_computable(self) -> None:
        """Raise `Impossible` where no image can give what the formula needs."""
        if not self.computable:
            remedy = self.note or "GET /indices lists the indices that are computable."
            raise Impossible(
                f"{self.name} cannot be computed from an image: it also needs {', '.join(self.other_inputs)}. {remedy}",
                other_inputs=list(self.other_inputs),
            )

    def working_dtype(self, *dtypes: npt.DTypeLike) -> np.dtype[Any]:
        """The precision for bands of these dtypes: float32 where it loses nothing and for legacy indices, else float64.

        For a ratio, a difference or a normalised difference of 8- and 16-bit integers, float32 gives the same
        float32 as float64 would: sums are exact, and one division rounds.
        """
        exact = all(np.dtype(dtype) in _EXACT for dtype in dtypes)
        return np.dtype(
            np.float32 if self.legacy or (exact and self.expression.is_simple_ratio) else np.float64
        )

    def evaluate(self, values: Mapping[str, Any]) -> Any:
        """The formula alone on floating arrays of any library of the array API: no casting and no masking.

        `values` holds one array per band, all of one shape and dtype; the answer is like them. Raises `KeyError`
        where a band is missing.
        """
        return self.expression(values)

    def compute(
        self, bands: Mapping[str, npt.NDArray[Any]], dtype: npt.DTypeLike | None = None
    ) -> npt.NDArray[np.float32]:
        """Compute the index: arrays of one shape and any real dtype in, float32 of that shape out.

        Bands are cast before any arithmetic, because integers wrap around: to `dtype`, or to `working_dtype` of
        theirs. A value that is not finite (0/0, x/0, overflow) is NaN; no warning is raised. Raises `KeyError`
        where a band is not in `bands`, and as `require_computable`.
        """
        self.require_computable()
        given = {name: np.asarray(bands[name]) for name in self.bands}
        working = np.dtype(dtype or self.working_dtype(*(array.dtype for array in given.values())))
        with np.errstate(all="ignore"):
            cast = {name: array.astype(working, copy=False) for name, array in given.items()}
            values = self.expression(cast)
            # A formula that is one band alone gives the caller's own array back.
            shared = any(values is array for array in cast.values())
            result = np.array(values, dtype=np.float32, copy=True if shared else None)
        result[~np.isfinite(result)] = np.nan
        for array in given.values():
            if array.dtype.kind == "f":
                # no value comes from an infinite band, though a quotient by it would be 0
                result[~np.isfinite(array)] = np.nan
        return result

    def with_constants(self, constants: Mapping[str, float]) -> Index:
        """The same index with other values of its constants; needs and range follow where they depend on them.

        Raises:
            Impossible: the index has no such constant, a value is not finite or does not fit into the formula, or
                the index reproduces earlier results.
        """
        if not constants:
            return self
        if self.legacy:
            raise Impossible(
                f"The constants of {self.name} cannot be changed: it reproduces earlier results. "
                "Send the formula as an expression."
            )
        values = dict(self.constants)
        for name, value in constants.items():
            if name not in values:
                known = f"Its constants: {', '.join(values)}." if values else "It has none."
                raise Impossible(
                    f"{self.name} has no constant {str(name)[:40]!r}. {known}", known_constants=list(values)
                )
            values[name] = _checked(name, value)
        changed = replace(self, constants=tuple(values.items()))
        needs_reflectance, value_range = derived(changed.expression)
        if self.value_range != derived(self.expression)[1]:
            value_range = self.value_range
        return replace(changed, needs_reflectance=needs_reflectance, value_range=value_range)

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
            "domain": self.domain,
            "high_is_good": self.high_is_good,
            "other_inputs": list(self.other_inputs),
            "computable": self.computable,
            "note": self.note,
        }


def derived(expression: Expression) -> tuple[bool, tuple[float, float] | None]:
    """(needs_reflectance, value_range) as far as the formula itself tells them."""
    mixed = not _THERMAL.isdisjoint(expression.bands) and not _THERMAL.issuperset(expression.bands)
    return mixed or not expression.scale_free, expression.value_range


def index_from_expression(text: str, constants: Mapping[str, float] | None = None) -> Index:
    """The index of a user's formula, named `expr`.

    `constants` gives values to names that the formula uses, at most `MAX_CONSTANTS`; other names of constants are
    those of Awesome Spectral Indices with their defaults, except single small letters: `n` is more often meant for
    the band N than for the constant, and what is missing shall not become a number silently.

    Raises:
        Impossible: the formula is not one (see `orthoray.spectral.expression.parse`), or a constant has a name that
            is taken, a value that is not finite, or no use in the formula.
    """
    own = {} if constants is None else dict(constants)
    if len(own) > MAX_CONSTANTS:
        raise Impossible(f"A formula has at most {MAX_CONSTANTS} constants, not {len(own)}.")
    for name in own:
        _check_name(name)
    given = {name: _checked(name, value) for name, value in own.items()}
    offered = {name: value for name, value in default_constants().items() if len(name) > 1 or name.isupper()}
    expression = parse(text, bands=tuple(LONG_NAMES), constants=offered | given)
    used = dict(expression.constants)
    if unused := [name for name in given if name not in used]:
        raise Impossible(f"The expression does not use the constant {unused[0]!r}.", unused_constants=unused)
    needs_reflectance, value_range = derived(expression)
    return Index(
        name=USER_NAME,
        long_name="User formula",
        formula=expression.text,
        bands=expression.bands,
        reference="The user's own formula",
        constants=expression.constants,
        value_range=value_range,
        needs_reflectance=needs_reflectance,
        domain=USER_DOMAIN,
    )


def _check_name(name: str) -> None:
    if not _CONSTANT_NAME.fullmatch(name) or keyword.iskeyword(name):
        raise Impossible(
            f"{name[:40]!r} cannot be the name of a constant: use up to 32 letters, digits and underscores."
        )
    if name in LONG_NAMES or name in FUNCTIONS:
        kind = "band" if name in LONG_NAMES else "function"
        raise Impossible(f"{name!r} is the name of a {kind}: give the constant another name.")


def _checked(name: str, value: object) -> float:
    if (
        isinstance(value, bool)
        or not isinstance(value, int | float)
        or not -MAX_CONSTANT <= value <= MAX_CONSTANT
    ):
        raise Impossible(
            f"The constant {name} must be a number from -{MAX_CONSTANT:g} to {MAX_CONSTANT:g}.", constant=name
        )
    return float(value)


class _Catalogue(Sequence[Index]):
    """The indices, read from the data at the first look."""

    @overload
    def __getitem__(self, at: int) -> Index: ...
    @overload
    def __getitem__(self, at: slice) -> tuple[Index, ...]: ...
    def __getitem__(self, at: int | slice) -> Index | tuple[Index, ...]:
        return _indices()[at]

    def __len__(self) -> int:
        return len(_indices())

    def __iter__(self) -> Iterator[Index]:
        return iter(_indices())


CATALOGUE: Sequence[Index] = _Catalogue()
"""Every index by name: our own and the legacy ones first, then those of Awesome Spectral Indices."""


@cache
def _indices() -> tuple[Index, ...]:
    return tuple(Index(**entry) for entry in entries())


@cache
def _by_name() -> dict[str, Index]:
    return {index.name: index for index in _indices()}


@cache
def _by_lower_name() -> dict[str, list[Index]]:
    found: dict[str, list[Index]] = {}
    for index in _indices():
        found.setdefault(index.name.lower(), []).append(index)
    return found


def get_index(name: str) -> Index:
    """The index called `name`, exactly or in any case.

    Raises:
        UnknownIndex: there is none, or several that differ by case alone; the closest names are in it.
    """
    wanted = name.strip()
    if wanted in _by_name():
        return _by_name()[wanted]
    same = _by_lower_name().get(wanted.lower(), [])
    if len(same) == 1:
        return same[0]
    known = list(_by_name())
    if same:
        names = [index.name for index in same]
        raise UnknownIndex(
            f"There are {' and '.join(names)}, which are different indices: write the name in its own case.",
            known=known,
            close=names,
        )
    close = _closest(wanted[:80].lower())
    hint = (
        f"Did you mean {' or '.join(close)}?"
        if close
        else f"Known: {', '.join(known[:11])} and {len(known) - 11} more, which GET /indices lists."
    )
    raise UnknownIndex(f"There is no index named {name[:40]!r}. {hint}", known=known, close=close)


def _closest(lower: str) -> list[str]:
    """Up to three names like this one; of equally good ones the first of the catalogue, which are the most used."""
    scored = [(difflib.SequenceMatcher(None, lower, name.lower()).ratio(), name) for name in _by_name()]
    scored.sort(key=lambda one: -one[0])
    return [name for score, name in scored[:3] if score >= 0.6]
