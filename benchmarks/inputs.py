"""The files that are measured on, made once and kept.

They lie in `$ORTHORAY_BENCH_DIR` (by default `orthoray-bench` in the system's folder for temporary files) and
take about 9 GB, or 0.4 GB with `--quick`. A file appears complete or not at all, so an interrupted run costs
nothing but the file it was at.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import rasterio
import tifffile
from affine import Affine
from rasterio.windows import Window

from benchmarks.field import BANDS, GSD_M, NODATA, Field

Tick = Callable[[float], None]

CODECS = ("zstd", "deflate")
INTERLEAVES = ("pixel", "band")
_TILE = 512
# So that a photo of 20 megapixels takes about 9 MB, as drones write them.
_LEAF_CONTRAST = 80
_COLOUR_NOISE = 6


@dataclass(frozen=True)
class Sizes:
    """How large the inputs are, pixels; a quick run takes 1/25 of the area (and of the captures)."""

    orthomosaic: int
    large: int
    photo: tuple[int, int]
    small_photo: tuple[int, int]
    capture: tuple[int, int]
    captures: int


FULL = Sizes(10000, 20000, (5472, 3648), (1632, 1224), (1280, 960), 200)
QUICK = Sizes(2000, 4000, (1094, 730), (1632, 1224), (1280, 960), 8)


@dataclass(frozen=True)
class Inputs:
    """Where the inputs lie."""

    orthomosaics: Mapping[tuple[str, str], Path]
    """By codec and interleave."""
    large: Path
    photo: Path
    small_photo: Path
    captures: Path


def folder() -> Path:
    """The folder of all inputs and results."""
    given = os.environ.get("ORTHORAY_BENCH_DIR")
    return Path(given) if given else Path(tempfile.gettempdir()) / "orthoray-bench"


def located(root: Path, sizes: Sizes) -> Inputs:
    """The inputs' names below `root`, whether they are there or not."""
    place = root / ("full" if sizes == FULL else f"side-{sizes.orthomosaic}")
    return Inputs(
        orthomosaics={
            (codec, interleave): place / f"a-{codec}-{interleave}.tif"
            for codec in CODECS
            for interleave in INTERLEAVES
        },
        large=place / "a4-zstd-pixel.tif",
        photo=place / "b-photo.jpg",
        small_photo=place / "photo-2mpx.jpg",
        captures=place / "c-captures",
    )


def make_orthomosaics(paths: Mapping[tuple[str, str], Path], side: int, tick: Tick) -> None:
    """Write the same five-band field to every path whose file is missing, by codec and interleave.

    One strip of tiles is in memory at a time. Raises OSError where the disk is full.
    """
    wanted = {key: path for key, path in paths.items() if not path.exists()}
    field = Field(side, side)
    with ExitStack() as stack:
        files = []
        for (codec, interleave), path in wanted.items():
            part = stack.enter_context(_appearing(path))
            files.append(stack.enter_context(_open_orthomosaic(part, side, codec, interleave)))
        for start in range(0, side, _TILE) if files else ():
            stop = min(start + _TILE, side)
            pixels = field.strip(start, stop)
            for file in files:
                file.write(pixels, window=Window(0, start, side, stop - start))
            tick(stop / side)
    tick(1.0)


def make_photo(path: Path, width: int, height: int, tick: Tick) -> None:
    """Write an RGB photo of the field as a JPEG of quality 90."""
    if not path.exists():
        pixels = Field(width, height, seed=2, border=False).strip(0, height)
        bgr = np.dstack([_developed(pixels[BANDS.index(band)]) for band in "BGR"])
        bgr = np.asarray(cv2.add(bgr, _leaves(height, width), dtype=cv2.CV_8U))
        done, encoded = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, 90])
        if not done:
            raise OSError(f"{path.name} could not be encoded.")
        with _appearing(path) as part:
            part.write_bytes(encoded.tobytes())
    tick(1.0)


def make_captures(place: Path, width: int, height: int, count: int, tick: Tick) -> None:
    """Write `count` captures, each one uncompressed five-band uint16 TIFF, band after band, not georeferenced."""
    for number in range(count):
        path = place / f"capture-{number:04}.tif"
        if not path.exists():
            pixels = Field(width, height, seed=100 + number, border=False).strip(0, height)
            with _appearing(path) as part:
                tifffile.imwrite(part, pixels, photometric="minisblack", planarconfig="separate")
        tick((number + 1) / count)


def missing(inputs: Inputs, sizes: Sizes) -> dict[str, Callable[[Tick], None]]:
    """What is still to be made: a title and the function that makes it, by what the measurements call it."""
    work: dict[str, Callable[[Tick], None]] = {}
    if not all(path.exists() for path in inputs.orthomosaics.values()):
        work["A"] = lambda tick: make_orthomosaics(inputs.orthomosaics, sizes.orthomosaic, tick)
    if not inputs.large.exists():
        work["A4"] = lambda tick: make_orthomosaics({("zstd", "pixel"): inputs.large}, sizes.large, tick)
    if not inputs.photo.exists():
        work["B"] = lambda tick: make_photo(inputs.photo, *sizes.photo, tick)
    if not inputs.small_photo.exists():
        work["start"] = lambda tick: make_photo(inputs.small_photo, *sizes.small_photo, tick)
    if len(list(inputs.captures.glob("*.tif"))) < sizes.captures:
        work["C"] = lambda tick: make_captures(inputs.captures, *sizes.capture, sizes.captures, tick)
    return work


@contextmanager
def _appearing(path: Path) -> Iterator[Path]:
    """A name to write under; the file takes `path` as its name when the block ends well."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.part")
    try:
        yield part
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def _open_orthomosaic(path: Path, side: int, codec: str, interleave: str) -> Any:
    return rasterio.open(
        path,
        "w",
        driver="GTiff",
        width=side,
        height=side,
        count=len(BANDS),
        dtype="uint16",
        nodata=NODATA,
        crs="EPSG:32633",
        transform=Affine(GSD_M, 0, 500_000, 0, -GSD_M, 5_400_000),
        tiled=True,
        blockxsize=_TILE,
        blockysize=_TILE,
        compress=codec,
        predictor=2,
        interleave=interleave,
        bigtiff="IF_SAFER",
        num_threads="ALL_CPUS",
    )


def _leaves(height: int, width: int) -> npt.NDArray[np.int16]:
    """The light and shade of leaves, a few pixels each, and colour noise: int16 (height, width, 3).

    Without it a JPEG is small and fast to decode.
    """
    random = np.random.Generator(np.random.SFC64(7))
    light = cv2.GaussianBlur(random.standard_normal((height, width), np.float32), (0, 0), 0.9)
    channels = []
    for _ in range(3):
        colour = random.standard_normal((height, width), np.float32) * np.float32(_COLOUR_NOISE)
        channels.append(np.rint(light * np.float32(_LEAF_CONTRAST) + colour).astype(np.int16))
    return np.dstack(channels)


def _developed(dn: npt.NDArray[np.uint16]) -> npt.NDArray[np.uint8]:
    """DN as a camera shows them: brightened, with a gamma, 8 bits."""
    bright = np.clip(dn.astype(np.float32) / 9000, 0, 1) ** np.float32(1 / 2.2)
    developed: npt.NDArray[np.uint8] = np.rint(bright * 255).astype(np.uint8)
    return developed
