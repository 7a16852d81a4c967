"""What pixel values mean: digital numbers of one camera, or reflectance that compares between dates and cameras."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import numpy as np

from orthoray.errors import Impossible
from orthoray.spectral.labels import ALPHA
from orthoray.spectral.presets import SENSORS
from orthoray.spectral.sensors import Recognition

State = Literal["dn", "reflectance", "unknown"]

_LEAST_SCALE, _GREATEST_SCALE = 1e-12, 1e12
_GREATEST_OFFSET = 1e6
# Temperatures in kelvin stand beside reflectance by nature.
_THERMAL = frozenset({"T", "T1", "T2"})
# What bands can hold, in words for people; the first is no reflectance, the others may be.
_COUNTS, _SCALED = "plain camera numbers", "scaled whole numbers"
_FRACTIONS, _RESCALED = "decimal numbers without a scale", "scaled decimal numbers"
_MIXTURES = (
    {_COUNTS, _SCALED},
    {_COUNTS, _FRACTIONS},
    {_COUNTS, _RESCALED},
    {_FRACTIONS, _RESCALED},
)
# A mixture where one scale was given for all; in tags each file has its own.
_ONE_SCALE = {_SCALED, _RESCALED}
# A longer list of scales would hide the sentence.
_MOST_SHOWN = 12


class Scaled(Protocol):
    """What calibration reads of a raster; `orthoray.spectral.raster.RasterInfo` is one."""

    @property
    def count(self) -> int: ...

    @property
    def dtype(self) -> str: ...

    @property
    def colours(self) -> tuple[str, ...]: ...

    @property
    def scales(self) -> tuple[float, ...]: ...

    @property
    def offsets(self) -> tuple[float, ...]: ...


@dataclass(frozen=True)
class Calibration:
    """How pixels become values: value = pixel * scale + offset, with one scale and offset for each band.

    `state` is "reflectance" where the values are (0..1, thermal bands in kelvin), "dn" where they are what the
    camera counted, "unknown" where nothing tells. `source` is "caller", "sensor preset KEY", "file tags" or "none";
    `reason` is one sentence for people. `aligned` is False where the bands are raw pictures of several lenses,
    `per_band` is True where the caller gave a scale for each band and so answers for their units.
    """

    state: State
    scales: tuple[float, ...]
    offsets: tuple[float, ...]
    source: str
    aligned: bool = True
    reason: str = ""
    per_band: bool = False

    def to_dict(self) -> dict[str, Any]:
        """The same as JSON-ready data."""
        return {
            "state": self.state,
            "scales": list(self.scales),
            "offsets": list(self.offsets),
            "source": self.source,
            "aligned": self.aligned,
            "reason": self.reason,
            "per_band": self.per_band,
        }


def calibrate(
    info: Scaled,
    *,
    scale: float | Sequence[float] | None = None,
    offset: float | Sequence[float] | None = None,
    recognition: Recognition | None = None,
) -> Calibration:
    """The calibration by the first of: the caller's `scale` and `offset`, the product that `recognition` tells,
    the scales and offsets in the file's tags.

    One number counts for every band, a sequence has one for each. A scale of the caller's sets the tags' offsets
    aside too (0 unless given); an offset alone is added to the tags' scales. Tags of zero, NaN or infinity say
    nothing. Values are taken for reflectance where something scales every band that is not alpha, or where the
    caller gives any scale (1 too) for floating-point pixels; whole numbers that nothing scales are "dn", other
    floating-point pixels "unknown". A raw capture stays "dn" and unaligned whatever the caller says.

    Raises `Impossible` on a scale that is zero, not finite or beyond 1e-12..1e12 in size, an offset that is not
    finite or beyond 1e6 in size, and on a sequence of another length than the image has bands.
    """
    tagged, ignored = _tagged(info)
    scales, offsets = (tuple(values) for values in zip(*tagged, strict=True))
    source, reason = "file tags", "The file's tags carry scale and offset."
    if scale is not None or offset is not None:
        if scale is not None:
            scales = _per_band(scale, info.count, "scale", _is_scale, "a number from 1e-12 to 1e12, not 0")
        offsets = (
            (0.0,) * info.count
            if offset is None
            else _per_band(offset, info.count, "offset", _is_offset, "a number from -1000000 to 1000000")
        )
        source, reason = "caller", "Scale and offset were given with the request."
    elif (documented := _documented(info, recognition)) is not None:
        scales, offsets, source, reason = documented
    state = _state(info, scales, offsets, declared=scale is not None)
    if source == "file tags" and all(pair == (1.0, 0.0) for pair in tagged):
        source, reason = "none", _without_scale(state)
    if ignored and source in {"none", "file tags"}:
        reason += " A scale or offset in its tags is impossible and was ignored."
    raw = recognition is not None and recognition.raw_capture
    if raw:
        state, reason = "dn", f"A raw capture is neither calibrated nor aligned. {reason}"
    return Calibration(state, scales, offsets, source, not raw, reason, isinstance(scale, Sequence))


def refuse_mixture(bands: Mapping[str, int], dtypes: Sequence[str], calibration: Calibration) -> None:
    """Raise `Impossible` where a formula would mix reflectance with plain camera numbers.

    `bands` are the names and 1-based numbers of the bands in use, `dtypes` those of every band's pixels. The bands
    have to be all whole numbers without a scale, or all in reflectance: scaled, or floating-point from the start.
    What the caller scaled band by band is not questioned.
    """
    if calibration.per_band:
        return
    units: dict[str, list[str]] = {}
    for name, number in bands.items():
        dtype, scale = dtypes[number - 1], calibration.scales[number - 1]
        is_whole = np.dtype(dtype).kind != "f"
        if name in _THERMAL and not is_whole:
            continue
        if scale == 1 and (is_whole or calibration.offsets[number - 1] == 0):
            unit = _COUNTS if is_whole else _FRACTIONS
        else:
            unit = _SCALED if is_whole else _RESCALED
        units.setdefault(unit, []).append(f"{name} ({dtype}{'' if scale == 1 else f' x {scale:g}'})")
    is_one_scale = calibration.source == "caller" and len(set(calibration.scales)) == 1
    if not any(mixture <= units.keys() for mixture in (*_MIXTURES, *([_ONE_SCALE] if is_one_scale else []))):
        return
    told = ", but ".join(f"{', '.join(names)} in {unit}" for unit, names in units.items())
    raise Impossible(
        f"The bands are not in the same units: {told}. Send scale with one number per band, in the order of the "
        f"bands in the files{_example(dtypes, calibration)}, so that each becomes reflectance; and offset likewise, "
        "where there is one.",
        bands=dict(bands),
        dtypes={name: dtypes[number - 1] for name, number in bands.items()},
        scales={name: calibration.scales[number - 1] for name, number in bands.items()},
    )


def refuse_raw(recognition: Recognition | None, insisted: bool) -> None:
    """Raise `Impossible` for a raw capture of a multispectral camera, unless the caller insists."""
    if recognition is None or not recognition.raw_capture or insisted:
        return
    raise Impossible(
        f"This is a raw capture of a {recognition.camera}: its pixels need calibration and the pictures of its "
        "lenses need alignment before an index means anything. Analyse the reflectance map that your "
        "photogrammetry program makes of such captures, or send raw=true to insist: the result will say "
        "dn, unaligned.",
        sensor=recognition.sensor,
        raw_capture=True,
    )


def _example(dtypes: Sequence[str], calibration: Calibration) -> str:
    """A scale for each band, as far as it can be guessed."""
    if len(dtypes) > _MOST_SHOWN:
        return ""
    shown = []
    for dtype, scale in zip(dtypes, calibration.scales, strict=True):
        if np.dtype(dtype).kind != "f":
            shown.append("0.0001" if scale == 1 else f"{scale:g}")
        else:
            shown.append("1" if calibration.source == "caller" else f"{scale:g}")
    return f" (such as {','.join(shown)})"


def _tagged(info: Scaled) -> tuple[list[tuple[float, float]], bool]:
    """Scale and offset of every band by its tags, (1, 0) where they are impossible, and whether any were."""
    pairs = list(zip(info.scales, info.offsets, strict=True))
    usable = [_is_scale(scale) and _is_offset(offset) for scale, offset in pairs]
    return [pair if fine else (1.0, 0.0) for pair, fine in zip(pairs, usable, strict=True)], not all(usable)


def _documented(
    info: Scaled, recognition: Recognition | None
) -> tuple[tuple[float, ...], tuple[float, ...], str, str] | None:
    if recognition is None or recognition.scales is None or recognition.offsets is None:
        return None
    if len(recognition.scales) != info.count or any(pair != (1.0, 0.0) for pair in _tagged(info)[0]):
        return None
    title = SENSORS[recognition.sensor].title
    reason = f"The files are of a product of {title} whose scale and offset are published."
    return recognition.scales, recognition.offsets, f"sensor preset {recognition.sensor}", reason


def _state(info: Scaled, scales: Sequence[float], offsets: Sequence[float], *, declared: bool) -> State:
    floating = np.dtype(info.dtype).kind == "f"
    scaled = [
        scale != 1 or (offset != 0 and floating)
        for scale, offset, colour in zip(scales, offsets, info.colours, strict=True)
        if colour != ALPHA
    ]
    if (scaled and all(scaled)) or (declared and floating):
        return "reflectance"
    return "unknown" if floating or any(scaled) else "dn"


def _without_scale(state: State) -> str:
    if state == "dn":
        return "The pixels are whole numbers and nothing tells their scale."
    return "Nothing tells whether the pixels are reflectance."


def _is_scale(value: float) -> bool:
    return math.isfinite(value) and _LEAST_SCALE <= abs(value) <= _GREATEST_SCALE


def _is_offset(value: float) -> bool:
    return math.isfinite(value) and abs(value) <= _GREATEST_OFFSET


def _per_band(
    given: float | Sequence[float], count: int, name: str, fits: Callable[[float], bool], wanted: str
) -> tuple[float, ...]:
    values = tuple(given) if isinstance(given, Sequence) else (given,) * count
    if len(values) != count:
        raise Impossible(
            f"{name} has {len(values)} values, the image has {count} bands: "
            "give one number for all bands, or one for every band in file order."
        )
    for value in values:
        if not fits(value):
            raise Impossible(f"{name} {value!r} is not {wanted}.")
    return tuple(float(value) for value in values)
