"""What an analysis would do, decided before any pixel is read: the same decision for the service, workers and command line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import numpy as np

from OLD.image_processing import compute_indices
from orthoray.contracts import Imagery
from orthoray.errors import Impossible, TooLarge, UnknownIndex
from orthoray.options import AnalysisOptions, AnalysisWish, RasterType, SoilMask
from orthoray.spectral.bands import BandMap, require, resolve_bands
from orthoray.spectral.calibration import Calibration, calibrate, refuse_mixture, refuse_raw
from orthoray.spectral.colormaps import check_colour_map
from orthoray.spectral.encoding import encoding_for
from orthoray.spectral.indices import (
    CATALOGUE,
    USER_DOMAIN,
    USER_NAME,
    Index,
    get_index,
    index_from_expression,
)
from orthoray.spectral.kernel import Background
from orthoray.spectral.labels import LONG_NAMES
from orthoray.spectral.sensors import Recognition
from orthoray.spectral.stretch import Stretch, parse_stretch
from orthoray.spectral.thresholds import Thresholds, thresholds_for

RGB = ("R", "G", "B")
PHOTO_DTYPES = ("uint8", "uint16")
# OLD's functions work on whole images in memory, some 30 bytes a pixel.
PHOTO_MAX_PIXELS = 200_000_000


@dataclass(frozen=True)
class Plan:
    """One analysis, decided.

    `index` is None for an index that only the OLD package knows; `via_old` goes through that package, on pixels as
    stored. `calibration` None means what the files say. `cmap` and `stretch` None are the index's usual ones (OLD's
    own picture, where it goes through OLD); `blend` is the heatmap's opacity over the photo, None for a heatmap alone.
    `recognition` is what the files' own tags told of their origin.
    """

    index_name: str
    index: Index | None
    band_map: BandMap
    thresholds: Thresholds
    own_thresholds: bool
    via_old: bool
    calibration: Calibration | None = None
    soil_mask: Background | None = None
    cmap: str | None = None
    stretch: Stretch | None = None
    blend: float | None = None
    raster: RasterType = "float32"
    recognition: Recognition | None = None

    @property
    def bands(self) -> tuple[str, ...]:
        """The bands that the index needs."""
        return RGB if self.via_old or self.index is None else self.index.bands

    @property
    def calibrated_bands(self) -> dict[str, int]:
        """The numbers of the bands whose values are scaled: those of index and soil mask, but OLD's are as stored."""
        names = [
            *(() if self.via_old else self.bands),
            *(self.soil_mask.index.bands if self.soil_mask else ()),
        ]
        return {name: self.band_map.numbers[name] for name in names}

    @property
    def drawn_by_old(self) -> bool:
        """Whether OLD draws the heatmap: it does so in one way only."""
        return self.via_old and (self.cmap, self.stretch, self.blend) == (None, None, None)


@dataclass(frozen=True)
class _Recorded:
    """A catalogued image as the spectral functions ask for it."""

    count: int
    dtype: str
    descriptions: tuple[str | None, ...]
    colours: tuple[str, ...]
    scales: tuple[float, ...]
    offsets: tuple[float, ...]


@cache
def old_indices() -> tuple[str, ...]:
    """The names that `OLD.image_processing.compute_indices` offers; a deployment may have its own OLD."""
    return tuple(compute_indices(np.zeros((2, 2, 3), dtype=np.uint8)))


def make_plan(
    band_map: BandMap,
    index_type: str,
    *,
    crop: str | None = None,
    thresholds: Sequence[float] | str | None = None,
    options: AnalysisOptions | None = None,
    calibration: Calibration | None = None,
    recognition: Recognition | None = None,
) -> Plan:
    """The plan for an image with these bands; of `options` those that are about bands are decided already.

    Raises:
        UnknownIndex: neither the catalogue nor OLD has it.
        MissingBands: the image lacks bands that it, the soil mask or the blend needs.
        Impossible: an option is wrong in itself, or cannot apply to this index.
    """
    asked = options or AnalysisOptions()
    of_old = {name.lower(): name for name in old_indices()}.get(index_type.strip().lower())
    if of_old:
        _refuse_for_old(of_old, asked)
        index, name = _catalogued(of_old), of_old
    else:
        index = _chosen(index_type, asked.expression, asked.constants)
        name = index.name
    plan = Plan(
        index_name=name,
        index=index,
        band_map=band_map,
        thresholds=thresholds_for("NDVI_emp" if index is None else name, crop, thresholds),
        own_thresholds=bool(crop or thresholds),
        via_old=of_old is not None,
        calibration=calibration,
        soil_mask=_background(asked.soil_mask),
        cmap=None if asked.cmap is None else check_colour_map(asked.cmap),
        stretch=None if asked.stretch is None else parse_stretch(asked.stretch),
        blend=asked.blend,
        raster=asked.raster,
        recognition=recognition,
    )
    encoding_for(plan.raster, index.value_range if index else None, name)
    require(band_map, plan.bands)
    if plan.soil_mask is not None:
        require(band_map, plan.soil_mask.index.bands)
    if plan.blend is not None:
        require(band_map, RGB)
    return plan


def plan_of_record(imagery: Imagery, wish: AnalysisWish) -> Plan:
    """The plan for a catalogued image; bands, sensor, scale and offset of the wish stand before those of the record.

    Raises:
        OrthoRayError: as `make_plan`, and as `resolve_bands` and `calibrate` for what the wish says of the image.
        Impossible: the image is a raw multispectral capture, and the wish does not insist; or bands in reflectance
            would be mixed with plain camera numbers.
        TooLarge: see `require_photo`.
    """
    recognition = _recognition(imagery)
    refuse_raw(recognition, wish.raw)
    plan = make_plan(
        band_map_of(imagery, bands=wish.bands, sensor=wish.sensor),
        wish.index_type,
        crop=wish.crop,
        thresholds=wish.thresholds,
        options=wish,
        calibration=calibration_of(imagery, scale=wish.scale, offset=wish.offset),
        recognition=recognition,
    )
    if plan.via_old:
        require_photo(plan.index_name, imagery.dtype, imagery.width * imagery.height)
    if plan.calibration is not None:
        dtypes = [asset.dtype for asset in imagery.images for _ in range(asset.band_count)]
        refuse_mixture(plan.calibrated_bands, dtypes, plan.calibration)
    return plan


def check_wish(wish: AnalysisWish) -> None:
    """What could be told of a wish before there is an image; raises as `make_plan`, for an image that has every band."""
    make_plan(
        BandMap(tuple(LONG_NAMES), "none"),
        wish.index_type,
        crop=wish.crop,
        thresholds=wish.thresholds,
        options=wish,
    )


def require_photo(index_name: str, dtype: str, pixels: int) -> None:
    """
    Raises:
        Impossible: OLD cannot compute an index from such pixels.
        TooLarge: nor from so many.
    """
    if dtype not in PHOTO_DTYPES:
        raise Impossible(
            f"{index_name} is defined for 8-bit photos, and this image has {dtype} pixels: "
            "choose an index for reflectance, such as NDVI or GNDVI."
        )
    if pixels > PHOTO_MAX_PIXELS:
        raise TooLarge(
            f"{index_name} is computed in memory, for up to {PHOTO_MAX_PIXELS:,} pixels: "
            "cut the image, or choose an index that is computed in pieces, such as NDVI.",
            max_pixels=PHOTO_MAX_PIXELS,
        )


def band_map_of(imagery: Imagery, *, bands: str | None = None, sensor: str | None = None) -> BandMap:
    """The bands as catalogued, or as the caller names them now."""
    recorded = _recorded(imagery)
    if (bands and bands.strip()) or (sensor and sensor.strip()):
        filenames = [asset.filename for asset in imagery.images]
        return resolve_bands(recorded, bands=bands, sensor=sensor, filenames=filenames)
    return BandMap(
        recorded.descriptions,
        imagery.bands_source,
        imagery.alpha_band,
        reason=imagery.bands_reason or "",
        sensor=imagery.sensor,
    )


def calibration_of(
    imagery: Imagery,
    *,
    scale: float | Sequence[float] | None = None,
    offset: float | Sequence[float] | None = None,
) -> Calibration | None:
    """What the pixels are by the record, or as the caller says now; None where an old record does not tell."""
    known = imagery.calibration
    if scale is not None or offset is not None:
        found = calibrate(_recorded(imagery), scale=scale, offset=offset, recognition=_recognition(imagery))
        return replace(found, per_band=known.per_band) if known and scale is None else found
    if known is None:
        return None
    return Calibration(
        known.state,
        tuple(known.scales),
        tuple(known.offsets),
        known.source,
        known.aligned,
        known.reason,
        known.per_band,
    )


def index_catalogue(
    bands: Mapping[str, int] | None, *, domain: str | None = None, words: str | None = None
) -> list[dict[str, Any]]:
    """Every index that can be asked for; with an image's `bands` also whether it can be computed from them.

    `domain` keeps those of one field of application, `words` those with these words in a name; case does not count.
    """
    known = {index.name for index in CATALOGUE}
    described = [index.to_dict() for index in CATALOGUE]
    described += [_entry_of_old(name) for name in old_indices() if name not in known]
    chosen = [
        entry
        for entry in described
        if (domain is None or entry["domain"].casefold() == domain.strip().casefold())
        and (words is None or _is_named(entry, words))
    ]
    if bands is not None:
        for entry in chosen:
            entry["missing_bands"] = [band for band in entry["bands"] if band not in bands]
            entry["computable"] = entry["computable"] and not entry["missing_bands"]
    return chosen


def _is_named(entry: Mapping[str, Any], words: str) -> bool:
    names = (entry["name"], entry["long_name"], entry["common_name"])
    return any(words.strip().casefold() in str(name or "").casefold() for name in names)


def _entry_of_old(name: str) -> dict[str, Any]:
    """What can be told of an index that only a user's own OLD knows."""
    return {
        "name": name,
        "long_name": None,
        "common_name": None,
        "bands": list(RGB),
        "domain": USER_DOMAIN,
        "high_is_good": None,
        "computable": True,
    }


def _catalogued(name: str) -> Index | None:
    try:
        return get_index(name)
    except UnknownIndex:
        return None


def _chosen(index_type: str, expression: str | None, constants: Mapping[str, float] | None) -> Index:
    """The caller's own formula, or an index of the catalogue with the caller's constants."""
    if index_type.strip().lower() == USER_NAME:
        if expression is None:
            raise Impossible(
                "The index expr is a formula of your own: send it as expression, such as (N-R)/(N+R)."
            )
        return index_from_expression(expression, constants)
    if expression is not None:
        raise Impossible(
            f"The index {index_type[:64]} has its own formula: leave out expression, or send index_type expr."
        )
    index = get_index(index_type)
    index.require_computable()
    return index.with_constants(constants) if constants else index


def _background(mask: SoilMask | None) -> Background | None:
    if mask is None:
        return None
    return Background(_chosen(mask.index_type, mask.expression, mask.constants), mask.above)


def _refuse_for_old(name: str, asked: AnalysisOptions) -> None:
    """An option that would be passed over is refused."""
    given = {
        "expression": asked.expression,
        "constants": asked.constants,
        "scale": asked.scale,
        "offset": asked.offset,
    }
    wrong = [option for option, value in given.items() if value is not None]
    if wrong:
        raise Impossible(
            f"{name} is computed from the pixels of a photo as they are stored, by a formula that does not change: "
            f"leave out {', '.join(wrong)}, or send the formula you want as index_type expr.",
            options=wrong,
        )


def _recorded(imagery: Imagery) -> _Recorded:
    by_number = {number: name for name, number in imagery.bands.items()}
    numbers = range(1, imagery.band_count + 1)
    known = imagery.calibration
    return _Recorded(
        count=imagery.band_count,
        dtype=imagery.dtype,
        descriptions=tuple(by_number.get(number) for number in numbers),
        colours=tuple("alpha" if number == imagery.alpha_band else "undefined" for number in numbers),
        scales=tuple(known.scales) if known else (1.0,) * imagery.band_count,
        offsets=tuple(known.offsets) if known else (0.0,) * imagery.band_count,
    )


def _recognition(imagery: Imagery) -> Recognition | None:
    if imagery.sensor is None or imagery.sensor_reason is None:
        return None  # nobody but the caller, if anyone, named the sensor
    camera = imagery.camera
    told = [word for word in ((camera.make, camera.model) if camera else ()) if word]
    return Recognition(
        imagery.sensor, " ".join(told) or imagery.sensor, imagery.sensor_reason, imagery.raw_capture
    )
