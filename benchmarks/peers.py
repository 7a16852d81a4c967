"""The peers that are Python programs: GDAL's decoding, and what one writes with numpy and OpenCV.

Each is written as someone who knows these libraries would, not to look slow.
"""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import rasterio
from rasterio.windows import Window

from benchmarks.child import Finding, Prepared

Plane = npt.NDArray[np.float32]

_CACHE = {"GDAL_NUM_THREADS": "ALL_CPUS", "GDAL_CACHEMAX": 512}
# as large as the heatmap that OrthoRay draws of 100 megapixels
_PICTURE = 2500
_E = np.float32(1e-6)


def decode(path: str, bands: Sequence[int], rows: int) -> Prepared:
    """GDAL's multi-threaded decoding of some bands by windows of `rows` whole rows (0: all at once)."""

    def work() -> Finding:
        with rasterio.Env(**_CACHE), rasterio.open(path) as source:
            step = rows or source.height
            buffer = np.empty((len(bands), min(step, source.height), source.width), source.dtypes[0])
            for start in range(0, source.height, step):
                count = min(step, source.height - start)
                window = Window(0, start, source.width, count)
                source.read(list(bands), window=window, out=buffer[:, :count])
        return {}

    return Prepared(work)


def decode_by_readers(path: str, bands: Sequence[int], rows: int) -> Prepared:
    """The same by one reader a core, each with a handle of its own, as its windows come."""

    def read(starts: Sequence[int]) -> None:
        with rasterio.open(path) as source:
            buffer = np.empty((len(bands), rows, source.width), source.dtypes[0])
            for start in starts:
                count = min(rows, source.height - start)
                window = Window(0, start, source.width, count)
                source.read(list(bands), window=window, out=buffer[:, :count])

    def work() -> Finding:
        cores = os.cpu_count() or 1
        with rasterio.open(path) as source:
            height = source.height
        with rasterio.Env(GDAL_CACHEMAX=512), ThreadPoolExecutor(cores) as pool:
            list(pool.map(read, [range(rows * core, height, rows * cores) for core in range(cores)]))
        return {}

    return Prepared(work)


def in_memory(path: str, red: int, nir: int, cuts: Sequence[float], cog: str | None = None) -> Prepared:
    """NDVI of a whole raster in float32 arrays: statistics, classes, a picture, and with `cog` the raster."""

    def work() -> Finding:
        with rasterio.Env(**_CACHE), rasterio.open(path) as source:
            low, high = source.read([red, nir])
            nodata, profile = source.nodata, source.profile
        values = _ndvi(low, high, nodata)
        found = _statistics(values[~np.isnan(values)], cuts)
        side = min(_PICTURE, max(values.shape))
        weight = cv2.resize(
            np.isfinite(values).astype(np.float32), (side, side), interpolation=cv2.INTER_AREA
        )
        small = cv2.resize(np.nan_to_num(values), (side, side), interpolation=cv2.INTER_AREA)
        with np.errstate(invalid="ignore"):
            _picture(np.asarray(small / weight, np.float32))
        if cog is not None:
            _write_cog(values, cog, profile)
        return found

    return Prepared(work)


def _ndvi(low: npt.NDArray[np.uint16], high: npt.NDArray[np.uint16], nodata: float | None) -> Plane:
    red, nir = low.astype(np.float32), high.astype(np.float32)
    with np.errstate(invalid="ignore", divide="ignore"):
        values: Plane = (nir - red) / (nir + red)
    if nodata is not None:
        values[(low == nodata) | (high == nodata)] = np.nan
    return values


def _statistics(values: Plane, cuts: Sequence[float]) -> Finding:
    """All that our statistics hold: extremes, moments, percentiles, a histogram and classes."""
    above = [int(np.count_nonzero(values > np.float32(cut))) for cut in cuts]
    least, greatest = values.min(), values.max()
    np.percentile(values, (2, 50, 98))
    np.histogram(values, bins=64, range=(least, greatest))
    values.std(dtype=np.float64)
    return {
        "valid": values.size,
        "mean": float(values.mean(dtype=np.float64)),
        "classes": np.diff([0, *above, values.size]).tolist(),
    }


def _picture(values: Plane) -> bytes:
    """A coloured PNG as OpenCV makes one."""
    scaled = np.nan_to_num((values + 1) * np.float32(127.5)).clip(0, 255).astype(np.uint8)
    encoded: bytes = cv2.imencode(".png", cv2.applyColorMap(scaled, cv2.COLORMAP_JET))[1].tobytes()
    return encoded


def _write_cog(values: Plane, path: str, source: dict[str, Any]) -> None:
    height, width = values.shape
    with rasterio.open(
        path,
        "w",
        driver="COG",
        width=width,
        height=height,
        count=1,
        dtype="float32",
        nodata=np.nan,
        crs=source["crs"],
        transform=source["transform"],
        compress="ZSTD",
        level=1,
        predictor="YES",
        num_threads="ALL_CPUS",
        overview_resampling="AVERAGE",
    ) as file:
        file.write(values, 1)


def decode_photo(path: str, decoder: str) -> Prepared:
    """A photo's pixels, and nothing else, by the fastest decoders at hand."""
    if decoder == "imagecodecs":
        import imagecodecs  # one of three ways, and slow to import

        def decoded() -> object:
            return imagecodecs.jpeg8_decode(Path(path).read_bytes(), outcolorspace="rgb")

    elif decoder == "simplejpeg":
        import simplejpeg

        def decoded() -> object:
            return simplejpeg.decode_jpeg(Path(path).read_bytes(), "RGB")

    else:

        def decoded() -> object:
            return cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_COLOR_RGB)

    def work() -> Finding:
        decoded()
        return {}

    return Prepared(work)


def six_indices(path: str, picture: str) -> Prepared:
    """All six legacy indices in numpy at once, one of them classified and drawn with OpenCV's PNG."""

    def work() -> Finding:
        image = np.asarray(cv2.imread(path, cv2.IMREAD_COLOR_RGB)).astype(np.float32)
        r, g, b = image[..., 0], image[..., 1], image[..., 2]
        maps = {
            "NDVI_emp": (g - r) / (g + r + _E),
            "VARI": (g - r) / (g + r - b + _E),
            "GLI": (2 * g - r - b) / (2 * g + r + b + _E),
            "ExG": 2 * g - r - b,
            "CIVE": 0.441 * r - 0.881 * g + 0.385 * b + 18.78745,
            "MGRVI": (g**2 - r**2) / (g**2 + r**2 + _E),
        }
        values = maps["NDVI_emp"]
        above = [int(np.count_nonzero(values > cut)) for cut in (0.1, 0.0, -0.1)]
        low, high = values.min(), values.max()
        scaled = ((values - low) / (high - low + 1e-6) * 255).astype(np.uint8)
        # drawn as the legacy program drew: OpenCV's JET, low red and high blue
        coloured = cv2.cvtColor(cv2.applyColorMap(scaled, cv2.COLORMAP_JET), cv2.COLOR_BGR2RGB)
        cv2.imwrite(picture, coloured)
        return {"classes": np.diff([0, *above, values.size]).tolist()}

    return Prepared(work)


def _capture(out: str, red: int, nir: int, cuts: Sequence[float], path: str) -> Finding:
    with rasterio.open(path) as source:
        low, high = source.read([red, nir])
        nodata = source.nodata
    values = _ndvi(low, high, nodata)
    found = _statistics(values[~np.isnan(values)], cuts)
    (Path(out) / Path(path).with_suffix(".png").name).write_bytes(_picture(values))
    return found


def captures(folder: str, out: str, red: int, nir: int, cuts: Sequence[float]) -> Prepared:
    """Statistics and a full-size PNG of every capture, in two processes."""
    paths = sorted(str(path) for path in Path(folder).glob("*.tif"))
    one: Callable[[str], Finding] = partial(_capture, out, red, nir, cuts)

    def work() -> Finding:
        cv2.setNumThreads(1)
        with multiprocessing.get_context("fork").Pool(2) as pool:
            found = pool.map(one, paths, chunksize=4)
        return together(found)

    return Prepared(work)


def together(found: Sequence[Finding]) -> Finding:
    """The findings of several images as one."""
    valid = sum(one["valid"] for one in found)
    return {
        "valid": valid,
        "mean": sum(one["mean"] * one["valid"] for one in found) / valid,
        "classes": [sum(counts) for counts in zip(*(one["classes"] for one in found), strict=True)],
    }
