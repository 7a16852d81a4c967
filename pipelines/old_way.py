"""The legacy way: the four functions of OLD load, compute, draw and classify a photo; what is no data is kept out."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import rasterio
from rasterio.errors import NotGeoreferencedWarning

from OLD import image_processing
from OLD.image_processing import classify_index, compute_indices, generate_heatmap, load_image
from orthoray.contracts import Findings, Language
from orthoray.errors import NotAnImage, OrthoRayError
from orthoray.spectral.bands import require
from orthoray.spectral.calibration import Calibration
from orthoray.spectral.classes import class_table, stats_by_label
from orthoray.spectral.encoding import encoding_for
from orthoray.spectral.engine import analyse_array, background_mask
from orthoray.spectral.heatmap import heatmap_png
from orthoray.spectral.legacy import legacy_heatmap_png
from orthoray.spectral.legend import legend_dict
from orthoray.spectral.masks import Mask, mask_rules
from orthoray.spectral.orientation import UPRIGHT, orientation_of, turned
from orthoray.spectral.palette import is_palette
from orthoray.spectral.quiet import without
from orthoray.spectral.raster import windows
from orthoray.spectral.stack import Stack, open_stack, read_stack_window
from orthoray.spectral.survey import IndexResult
from orthoray.spectral.thresholds import ThresholdSet
from pipelines.drawing import draw
from pipelines.findings import account, cuts_of, findings, resolved
from pipelines.planning import RGB, Plan, require_photo
from pipelines.small import small_of_file, small_of_values


def analyse_photo(
    stack: Stack,
    plan: Plan,
    calibration: Calibration,
    *,
    language: Language,
    heatmap_path: Path,
    index_path: Path,
    preview_path: Path | None,
    progress: Callable[[float], None],
) -> Findings:
    """Analyse an image by an index of OLD. Raises as `pipelines.single.analyse_files`."""
    info = stack.info
    require_photo(plan.index_name, info.dtype, info.width * info.height)
    require(plan.band_map, RGB)
    orientation = orientation_of(stack.files[0], info) if len(stack.files) == 1 else UPRIGHT
    index_map = _index_map(stack, plan, orientation)
    progress(0.4)
    nodata = _upright_mask(_nodata(stack, plan), orientation, index_map)
    background = None
    if plan.soil_mask is not None:
        taken = background_mask(stack, plan.soil_mask, band_map=plan.band_map, calibration=calibration)
        background = _upright_mask(taken, orientation, index_map)
    hidden = nodata if background is None else nodata | background
    masked = bool(hidden.any())
    if masked:
        index_map[hidden] = np.nan
    progress(0.5)
    provenance = account(plan, info.dtype, calibration)
    value_range = plan.index.value_range if plan.index else None
    found = analyse_array(
        index_map,
        nodata,
        index_name=plan.index_name,
        cuts=cuts_of(plan),
        like=info,
        index_path=index_path,
        background_mask=background,
        value_range=value_range,
        encoding=encoding_for(plan.raster, value_range, plan.index_name),
        provenance=provenance,
        progress=lambda fraction: progress(0.5 + 0.3 * fraction),
    )
    thresholds = resolved(plan, found.statistics)
    if plan.drawn_by_old:
        legend = _drawn_by_old(index_map, hidden, plan, found, thresholds, language, heatmap_path)
        if preview_path is not None:
            preview_path.write_bytes(_small_by_old(index_map, heatmap_path, is_whole=not masked))
    else:
        legend = draw(
            found.picture,
            plan,
            found.statistics,
            thresholds,
            photos=stack.files,
            masks=stack.masks,
            band_map=plan.band_map,
            language=language,
            target=heatmap_path,
            small=preview_path,
        )
    progress(0.9)
    stats, verdict = classify_index(index_map[~hidden] if masked else index_map)
    progress(1.0)
    judged = _judged_by_old(plan, found, thresholds, language, dict(stats), verdict)
    return findings(
        plan, found, language, calibration=calibration, legend=legend, provenance=provenance, **judged
    )


def _index_map(stack: Stack, plan: Plan, orientation: int) -> npt.NDArray[np.float32]:
    with _photo(stack, plan) as photo:
        try:
            image = load_image(str(photo))
        except RuntimeError as error:
            if isinstance(error.__cause__, OrthoRayError):
                raise error.__cause__ from None
            raise NotAnImage("The image cannot be read as an RGB photo: it may be damaged.") from error
        if photo != stack.files[0] and orientation != UPRIGHT:  # a copy has no EXIF for OLD to turn it by
            image = np.ascontiguousarray(turned(image, orientation))
    return np.asarray(compute_indices(image)[plan.index_name], dtype=np.float32)


def _nodata(stack: Stack, plan: Plan) -> Mask:
    """Where there is no data, bool (height, width) as stored."""
    numbers = [plan.band_map.numbers[name] for name in RGB]
    mask: Mask = np.zeros((stack.info.height, stack.info.width), dtype=np.bool_)
    with open_stack(stack) as datasets:
        # a photo is decoded once more for its mask only where it can have one
        rules = None if is_palette(datasets[0]) else mask_rules(datasets[0], numbers, plan.band_map.alpha)
        if len(datasets) == 1 and rules is not None and rules.hides_nothing:
            return mask
        for window in windows(stack.info):
            found = read_stack_window(datasets, stack, window, numbers, alpha=plan.band_map.alpha)
            mask[window.toslices()] = found[1]
    return mask


def _upright_mask(mask: Mask, orientation: int, index_map: npt.NDArray[np.float32]) -> Mask:
    upright = turned(mask, orientation)
    # a user's own OLD need not turn photos as EXIF says
    return upright if upright.shape == index_map.shape else np.zeros(index_map.shape, dtype=np.bool_)


def _drawn_by_old(
    index_map: npt.NDArray[np.float32],
    hidden: Mask,
    plan: Plan,
    found: IndexResult,
    thresholds: ThresholdSet,
    language: Language,
    target: Path,
) -> dict[str, Any]:
    """Let OLD draw the heatmap, and return the legend of its colours."""
    if found.statistics.valid_pixels:
        generate_heatmap(index_map, str(target))
        if hidden.any():
            _make_transparent(target, hidden)
    else:
        target.write_bytes(heatmap_png(index_map, 0.0, 1.0))
    low, high = found.statistics.minimum or 0.0, found.statistics.maximum or 0.0
    return legend_dict(low, high, "jet_legacy", title=plan.index_name, classes=thresholds, language=language)


def _small_by_old(index_map: npt.NDArray[np.float32], heatmap: Path, *, is_whole: bool) -> bytes:
    """A small copy of the heatmap that OLD drew; nothing is decoded where its colours are known."""
    low, high = index_map.min(), index_map.max()
    if not (is_whole and np.isfinite(high - low) and getattr(image_processing, "PLAIN_HEATMAPS", False)):
        return small_of_file(heatmap)
    return small_of_values(index_map, lambda part: legacy_heatmap_png(part, (low, high)))


def _make_transparent(picture: Path, hidden: Mask) -> None:
    """OLD's pictures are opaque, and its colour for the lowest value would stand where there is no data."""
    colours = cv2.imread(str(picture), cv2.IMREAD_COLOR)
    if colours is not None and colours.shape[:2] == hidden.shape:
        alpha = np.where(hidden, 0, 255).astype(np.uint8)
        cv2.imwrite(str(picture), np.dstack([colours, alpha]))


def _judged_by_old(
    plan: Plan,
    result: IndexResult,
    thresholds: ThresholdSet,
    language: Language,
    stats: dict[str, float],
    verdict: str,
) -> dict[str, Any]:
    """The table, stats and verdict that OLD gave, where they are asked for and differ from ours; else nothing."""
    found = result.statistics
    ours = stats_by_label(class_table(found.class_pixels, thresholds, "ru", found.pixel_area_m2))
    agrees = list(ours) == list(stats) and all(abs(ours[label] - stats[label]) < 1e-3 for label in ours)
    if plan.own_thresholds or (agrees and language != "ru") or not found.valid_pixels:
        return {}
    if agrees:
        return {"stats": stats, "verdict": verdict}
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
    return {"table": rows, "stats": stats, "verdict": verdict}


def refuses_incomplete(stack: Stack, plan: Plan) -> bool:
    """Whether OLD itself will look if the only file of the stack is whole; a user's own OLD is not known to."""
    looks = getattr(image_processing, "REFUSES_INCOMPLETE", False)
    return plan.via_old and looks and stack.masks[0] is None and _is_plain(stack, plan)


def _is_plain(stack: Stack, plan: Plan) -> bool:
    """Whether OLD can load the stack's file as it is."""
    info = stack.info
    numbers = [plan.band_map.numbers.get(name) for name in RGB]
    is_photo = info.driver in {"JPEG", "PNG", "BMP"} and numbers == [1, 2, 3] and not info.palette
    return is_photo and len(stack.files) == 1


@contextlib.contextmanager
def _photo(stack: Stack, plan: Plan) -> Iterator[Path]:
    """A file in which OLD finds red, green and blue: the source itself when it is a plain photo, else a copy
    with its pixels as stored and without EXIF."""
    info = stack.info
    if _is_plain(stack, plan):
        yield stack.files[0]
        return
    numbers = [plan.band_map.numbers[name] for name in RGB]
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
        with target, open_stack(stack) as datasets:
            for window in windows(info):
                arrays, _ = read_stack_window(datasets, stack, window, numbers, alpha=plan.band_map.alpha)
                target.write(np.stack(arrays), window=window)
        yield copy
