"""OrthoRay's part: its public functions, called as the product calls them, in a process that has loaded the compiled
loops, as workers have from their second run on."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import cv2

from benchmarks.child import Finding, Prepared
from benchmarks.field import BANDS
from benchmarks.peers import together
from OLD.image_processing import classify_index, compute_indices, generate_heatmap, load_image
from orthoray.spectral.bands import resolve_bands
from orthoray.spectral.engine import analyse_bands
from orthoray.spectral.heatmap import heatmap_png
from orthoray.spectral.loops import load_compiled
from orthoray.spectral.stack import inspect_stack
from orthoray.spectral.stretch import class_limits


def analyse(path: str, cuts: Sequence[float], picture: str, cog: str | None = None) -> Prepared:
    """Statistics, classes and the heatmap that the product draws; with `cog` the index raster too."""
    load_compiled()

    def work() -> Finding:
        return _analysed(path, cuts, Path(picture), None if cog is None else Path(cog))

    return Prepared(work)


def _analysed(path: str, cuts: Sequence[float], picture: Path, cog: Path | None) -> Finding:
    stack = inspect_stack([path])
    band_map = resolve_bands(stack.info, bands=",".join(BANDS))
    result = analyse_bands(stack, "NDVI", band_map=band_map, cuts=cuts, index_path=cog)
    found = result.statistics
    low, high = class_limits((cuts[0], cuts[1], cuts[2]), (-1, 1))
    picture.write_bytes(heatmap_png(result.picture, low, high))
    return {"valid": found.valid_pixels, "mean": found.mean, "classes": list(found.class_pixels)}


def photo(path: str, picture: str) -> Prepared:
    """The legacy functions on a photo: NDVI_emp, its classes and its full-size heatmap."""
    load_compiled()

    def work() -> Finding:
        values = compute_indices(load_image(path))["NDVI_emp"]
        percents, _ = classify_index(values)
        generate_heatmap(values, picture)
        return {"classes": [round(percent * values.size / 100) for percent in percents.values()]}

    return Prepared(work)


def captures(folder: str, out: str, cuts: Sequence[float]) -> Prepared:
    """Statistics, classes and a full-size PNG of every capture, two at a time; no index raster is written."""
    paths = sorted(str(path) for path in Path(folder).glob("*.tif"))
    # As Ray's tasks of one processor each run it: two processes, no threads in them.
    os.environ["OMP_NUM_THREADS"] = "1"
    cv2.setNumThreads(1)
    load_compiled()
    one: Callable[[str], Finding] = partial(_capture, out, cuts)

    def work() -> Finding:
        with multiprocessing.get_context("fork").Pool(2) as pool:
            return together(pool.map(one, paths, chunksize=4))

    return Prepared(work)


def _capture(out: str, cuts: Sequence[float], path: str) -> Finding:
    return _analysed(path, cuts, Path(out) / Path(path).with_suffix(".png").name, None)
