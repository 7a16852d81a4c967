"""How a result came about, for whoever wants to repeat it: the same account in a run's record and in its raster."""

from __future__ import annotations

from importlib.metadata import version
from typing import Any

from orthoray.spectral.bands import BandMap
from orthoray.spectral.calibration import Calibration
from orthoray.spectral.indices import Index
from orthoray.spectral.kernel import Background
from orthoray.spectral.presets import find_sensor
from orthoray.spectral.thresholds import Thresholds, ThresholdSet

_PACKAGES = ("orthoray", "numpy", "rasterio", "opencv-python-headless", "imagecodecs")


def provenance_of(
    name: str,
    index: Index | None,
    *,
    engine: str,
    bands: tuple[str, ...],
    band_map: BandMap,
    dtype: str,
    calibration: Calibration,
    thresholds: Thresholds,
    is_scaled: bool = True,
    background: Background | None = None,
    recognised: str | None = None,
) -> dict[str, Any]:
    """The account as JSON-ready data.

    `index` is None for one that only another program knows under `name`; `bands` are the names that were read,
    `dtype` is that of the pixels,
    `is_scaled` tells whether scale and offset were applied, and `recognised` says
    what the files' own tags told of the sensor.
    """
    facts = index.to_dict() if index else {"name": name}
    numbers = band_map.numbers
    preset = find_sensor(band_map.sensor) if band_map.sensor else None
    return {
        "index": facts.pop("name"),
        **facts,
        "band_map": {band: numbers[band] for band in bands},
        "bands_source": band_map.source,
        "bands_reason": band_map.reason or None,
        "sensor": band_map.sensor,
        "sensor_title": preset.title if preset else None,
        "sensor_reason": recognised,
        "scale": {band: calibration.scales[numbers[band] - 1] for band in bands},
        "offset": {band: calibration.offsets[numbers[band] - 1] for band in bands},
        "scale_applied": is_scaled,
        "calibration": calibration.to_dict(),
        "dtype": dtype,
        "background": None
        if background is None
        else {
            "index": background.index.name,
            "formula": background.index.formula,
            "constants": dict(background.index.constants),
            "above": background.above,
        },
        "thresholds": threshold_facts(thresholds),
        "engine": engine,
        "versions": {package: version(package) for package in _PACKAGES},
    }


def threshold_facts(thresholds: Thresholds) -> dict[str, Any]:
    """The thresholds as JSON-ready data; those that the values will give have no cuts yet."""
    if isinstance(thresholds, ThresholdSet):
        return {
            "id": thresholds.id,
            "cuts": list(thresholds.cuts),
            "crop": thresholds.crop,
            "source": thresholds.source,
        }
    return {"id": thresholds.id, "cuts": None, "crop": thresholds.crop, "source": None}
