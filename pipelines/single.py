"""One image, from a file to a heatmap, an index raster and the findings; needs neither Ray nor servers."""

from __future__ import annotations

import contextlib
import math
import tempfile
from collections.abc import Callable, Iterator, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import rasterio
from rasterio.errors import NotGeoreferencedWarning

from OLD.image_processing import classify_index, compute_indices, generate_heatmap, load_image
from orthoray.contracts import Findings, Language, Statistics
from orthoray.errors import Impossible, NotAnImage, TooLarge
from orthoray.spectral.classes import class_table, conclusion, stats_by_label
from orthoray.spectral.cog import overview_array
from orthoray.spectral.engine import ENGINE, analyse_array, analyse_bands
from orthoray.spectral.heatmap import class_limits, heatmap_png, legend_dict
from orthoray.spectral.integrity import check_complete
from orthoray.spectral.orientation import UPRIGHT, orientation_of, turned, upright_copy
from orthoray.spectral.quiet import without
from orthoray.spectral.raster import RasterInfo, inspect, open_raster, read_nodata_mask, read_window, windows
from orthoray.spectral.statistics import Statistics as Measured
from pipelines.planning import RGB, Plan
from pipelines.wording import is_calibrated

# Larger maps are drawn from an overview: no screen and no page shows more.
HEATMAP_MAX_PIXELS = 25_000_000
# OLD's functions work on whole images in memory, up to some 20 bytes a pixel.
OLD_MAX_PIXELS = 200_000_000

Progress = Callable[[float], None]


def analyse_file(
    source: Path, plan: Plan, *, language: Language, heatmap_path: Path, index_path: Path, progress: Progress
) -> Findings:
    """Analyse one file; writes the heatmap (PNG) and the index raster (COG) to the given paths.

    A photo is analysed as it stands upright by its EXIF orientation, so both have its upright size.

    Raises:
        NotAnImage: not an image, or an incomplete one.
        Impossible: the index cannot be computed from such pixels.
        TooLarge: more pixels than the way of this index can take.
    """
    info = inspect(source)  # first: it knows the limits
    check_complete(source)
    orientation = orientation_of(source, info)
    if plan.via_old:
        return _through_old(source, info, orientation, plan, language, heatmap_path, index_path, progress)
    assert plan.index is not None, "only OLD's own indices are not in the catalogue"
    with _upright(source, orientation) as upright:
        found = analyse_bands(
            upright,
            plan.index,
            band_map=plan.band_map,
            cuts=plan.thresholds.cuts,
            index_path=index_path,
            progress=lambda fraction: progress(0.9 * fraction),
        ).statistics
    low, high = class_limits(plan.thresholds.cuts, plan.index.value_range)
    heatmap_path.write_bytes(heatmap_png(_picture(index_path, info), low, high))
    progress(1.0)
    legend = legend_dict(low, high, title=plan.index_name, classes=plan.thresholds, language=language)
    table = class_table(found.class_pixels, plan.thresholds, language, found.pixel_area_m2)
    return Findings(
        stats=stats_by_label(table),
        conclusion=conclusion(
            table,
            language,
            index_name=plan.index_name,
            calibrated=is_calibrated(plan.index.needs_reflectance, info.dtype),
            valid_fraction=_valid_fraction(found),
        ),
        statistics=Statistics.model_validate({**found.to_dict(), "classes": table}),
        legend=legend,
        provenance=_provenance(plan, info, ENGINE),
    )


@contextlib.contextmanager
def _upright(source: Path, orientation: int) -> Iterator[Path]:
    """The source itself, or a copy turned upright."""
    if orientation == UPRIGHT:
        yield source
        return
    with tempfile.TemporaryDirectory(prefix="orthoray-upright-") as folder:
        copy = Path(folder) / "upright.tif"
        upright_copy(source, orientation, copy)
        yield copy


def _picture(index_path: Path, info: RasterInfo) -> Any:
    """The index map for drawing, at most HEATMAP_MAX_PIXELS of it."""
    scale = min(1.0, math.sqrt(HEATMAP_MAX_PIXELS / (info.width * info.height)))
    return overview_array(index_path, max(1, int(max(info.width, info.height) * scale)))


def _through_old(
    source: Path,
    info: RasterInfo,
    orientation: int,
    plan: Plan,
    language: Language,
    heatmap_path: Path,
    index_path: Path,
    progress: Progress,
) -> Findings:
    """The legacy way: OLD loads, computes, draws and classifies; pixels without data are kept out of it."""
    if info.width * info.height > OLD_MAX_PIXELS:
        raise TooLarge(
            f"{plan.index_name} is computed in memory, for up to {OLD_MAX_PIXELS:,} pixels: "
            "cut the image, or choose an index that is computed in pieces, such as NDVI.",
            max_pixels=OLD_MAX_PIXELS,
        )
    with _photo(source, info, plan) as photo:
        try:
            image = load_image(str(photo))
        except RuntimeError as error:
            raise NotAnImage("The image cannot be read as an RGB photo: it may be damaged.") from error
        if photo != source and orientation != UPRIGHT:  # a copy has no EXIF for OLD to turn it by
            image = np.ascontiguousarray(turned(image, orientation))
    progress(0.2)
    index_map = np.asarray(compute_indices(image)[plan.index_name], dtype=np.float32)
    del image
    progress(0.4)
    numbers = [plan.band_map.numbers[name] for name in RGB]
    nodata = turned(read_nodata_mask(source, numbers, alpha=plan.band_map.alpha), orientation)
    if nodata.shape != index_map.shape:
        # a user's own OLD need not turn photos as EXIF says
        nodata = np.zeros(index_map.shape, dtype=np.bool_)
    masked = bool(nodata.any())
    if masked:
        index_map[nodata] = np.nan
    progress(0.5)
    found = analyse_array(
        index_map,
        nodata,
        index_name=plan.index_name,
        cuts=plan.thresholds.cuts,
        like=info,
        index_path=index_path,
        progress=lambda fraction: progress(0.5 + 0.3 * fraction),
    ).statistics
    if found.valid_pixels:
        generate_heatmap(index_map, str(heatmap_path))
        if masked:
            _make_transparent(heatmap_path, nodata)
    else:
        heatmap_path.write_bytes(heatmap_png(index_map, 0.0, 1.0))
    progress(0.9)
    stats, verdict = classify_index(index_map[~nodata] if masked else index_map)
    progress(1.0)
    table, stats, verdict = _classes(found, plan, language, dict(stats), verdict)
    low, high = found.minimum or 0.0, found.maximum or 0.0
    return Findings(
        stats=stats,
        conclusion=verdict,
        statistics=Statistics.model_validate({**found.to_dict(), "classes": table}),
        legend=legend_dict(
            low, high, "jet_legacy", title=plan.index_name, classes=plan.thresholds, language=language
        ),
        provenance=_provenance(plan, info, "OLD.image_processing"),
    )


def _make_transparent(picture: Path, nodata: npt.NDArray[np.bool_]) -> None:
    """OLD's pictures are opaque, and its colour for the lowest value would stand where there is no data."""
    colours = cv2.imread(str(picture), cv2.IMREAD_COLOR)
    if colours is not None and colours.shape[:2] == nodata.shape:
        alpha = np.where(nodata, 0, 255).astype(np.uint8)
        cv2.imwrite(str(picture), np.dstack([colours, alpha]))


def _classes(
    found: Measured, plan: Plan, language: Language, stats: Mapping[str, float], verdict: str
) -> tuple[list[dict[str, Any]], dict[str, float], str]:
    """The class table, stats and verdict: OLD's own where it judged by other classes than ours, else ours in the language."""
    table = class_table(found.class_pixels, plan.thresholds, language, found.pixel_area_m2)
    russian = class_table(found.class_pixels, plan.thresholds, "ru", found.pixel_area_m2)
    ours = stats_by_label(russian)
    agrees = list(ours) == list(stats) and all(abs(ours[label] - stats[label]) < 1e-3 for label in ours)
    if plan.own_thresholds or (agrees and language != "ru") or not found.valid_pixels:
        words = conclusion(table, language, index_name=plan.index_name, valid_fraction=_valid_fraction(found))
        return table, stats_by_label(table), words
    if agrees:
        return table, dict(stats), verdict
    rows = [
        {
            "name": label,
            "label": label,
            "lower": None,
            "upper": None,
            "pixels": round(percent * found.valid_pixels / 100),
            "percent": percent,
            "area_m2": found.pixel_area_m2 and percent / 100 * found.valid_pixels * found.pixel_area_m2,
        }
        for label, percent in stats.items()
    ]
    return rows, dict(stats), verdict


def _valid_fraction(found: Measured) -> float:
    return found.valid_pixels / (found.valid_pixels + found.nodata_pixels + found.invalid_pixels)


@contextlib.contextmanager
def _photo(source: Path, info: RasterInfo, plan: Plan) -> Iterator[Path]:
    """A file in which OLD finds red, green and blue: the source itself when it is a plain photo, else a copy
    with its pixels as stored and without EXIF."""
    numbers = [plan.band_map.numbers[name] for name in RGB]
    if info.driver != "GTiff" and numbers == [1, 2, 3] and not info.palette:
        yield source
        return
    if info.dtype not in {"uint8", "uint16"}:
        raise Impossible(
            f"{plan.index_name} is defined for 8-bit photos, and this image has {info.dtype} pixels: "
            "choose an index for reflectance, such as NDVI or GNDVI."
        )
    # OpenCV reads neither every TIFF compression nor bands in any order, so it gets a plain copy.
    with tempfile.TemporaryDirectory(prefix="orthoray-rgb-") as folder:
        copy = Path(folder) / "rgb.tif"
        profile = {
            "driver": "GTiff",
            "width": info.width,
            "height": info.height,
            "count": 3,
            "dtype": info.dtype,
            "photometric": "RGB",
            "bigtiff": "if_safer",
        }
        with without(NotGeoreferencedWarning):
            target = rasterio.open(copy, "w", **profile)
        with target, open_raster(source) as dataset:
            for window in windows(info):
                arrays, _ = read_window(dataset, window, numbers, alpha=plan.band_map.alpha)
                target.write(np.stack(arrays), window=window)
        yield copy


def _provenance(plan: Plan, info: RasterInfo, engine: str) -> dict[str, Any]:
    """How the result came about, for whoever wants to repeat it."""
    facts = plan.index.to_dict() if plan.index else {"name": plan.index_name}
    return {
        "index": facts.pop("name"),
        **facts,
        "band_map": {name: plan.band_map.numbers[name] for name in plan.bands},
        "bands_source": plan.band_map.source,
        "scale": {name: info.scales[plan.band_map.numbers[name] - 1] for name in plan.bands},
        "offset": {name: info.offsets[plan.band_map.numbers[name] - 1] for name in plan.bands},
        "scale_applied": False,
        "dtype": info.dtype,
        "thresholds": {
            "id": plan.thresholds.id,
            "cuts": list(plan.thresholds.cuts),
            "crop": plan.thresholds.crop,
            "source": plan.thresholds.source,
        },
        "engine": engine,
        "versions": {
            name: version(name) for name in ("orthoray", "numpy", "rasterio", "opencv-python-headless")
        },
    }
