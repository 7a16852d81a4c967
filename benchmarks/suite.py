"""What is measured, with whom it is compared, and what is asked of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from benchmarks.field import BANDS
from benchmarks.inputs import CODECS, INTERLEAVES, Inputs
from benchmarks.measure import OUT, Contender, Kind

CUTS = (0.6, 0.4, 0.2)
_RED, _NIR = BANDS.index("R") + 1, BANDS.index("N") + 1
_PEAK: Kind = "peak_mb"
_NUMPY = ("A: numpy",)
_PAIR = {"red": _RED, "nir": _NIR}

Rule = Literal["ours/theirs <=", "theirs/ours >=", "ours-theirs <=", "ours <="]


@dataclass(frozen=True)
class Comparison:
    """One row of the table: a quantity of `ours` beside that of the fastest of `peers`.

    `target` is what is asked by `rule`, `aim` what one would like beyond it, both None where the row only
    tells. `kind` is the quantity: "seconds" of the work alone, or of the whole "process" on our side (a peer
    that is a program is timed from start to end anyway).
    """

    work: str
    ours: str
    against: str
    peers: tuple[str, ...]
    rule: Rule
    target: float | None = None
    aim: float | None = None
    kind: Kind = "seconds"
    peers_kind: Kind = "seconds"
    checked: tuple[str, ...] = ()
    """Whose findings ours must equal, where `peers` find nothing."""
    count: int | None = None
    """How many images the seconds are for: the table then shows images per second."""


@dataclass(frozen=True)
class Group:
    """What runs in turn, and the rows of the table that come of it."""

    title: str
    contenders: tuple[Contender, ...]
    comparisons: tuple[Comparison, ...]


def _ours(name: str, path: Path, *, cog: bool) -> Contender:
    arguments: dict[str, Any] = {"path": str(path), "cuts": CUTS, "picture": f"{OUT}/heatmap.png"}
    if cog:
        arguments["cog"] = f"{OUT}/index.tif"
    return Contender(name, "ours", "analyse", arguments, (path,))


def _decoders(variant: str, path: Path) -> tuple[Contender, ...]:
    """GDAL's decoding of two bands in every way worth trying: its own threads, and a handle for each core."""
    bands, reads = {"path": str(path), "bands": [_RED, _NIR]}, (path,)
    name = f"{variant}: GDAL decode"
    return (
        Contender(f"{name}, windows of 512 rows", "peers", "decode", {**bands, "rows": 512}, reads),
        Contender(f"{name}, windows of 2048 rows", "peers", "decode", {**bands, "rows": 2048}, reads),
        Contender(f"{name}, at once", "peers", "decode", {**bands, "rows": 0}, reads),
        Contender(f"{name}, a reader a core", "peers", "decode_by_readers", {**bands, "rows": 512}, reads),
        Contender(f"{name}, gdal_translate", "commands", "decode", {"path": str(path), **_PAIR}, reads),
    )


def orthomosaic(inputs: Inputs) -> Group:
    """A: NDVI of a 100-megapixel five-band orthomosaic with a border without data."""
    contenders: list[Contender] = []
    rows: list[Comparison] = []
    for (codec, interleave), path in inputs.orthomosaics.items():
        variant = f"A {codec} {interleave}"
        decoders = _decoders(variant, path)
        # its own threads are the yardstick; handles for each core are what a program would have to add
        names = tuple(decoder.name for decoder in decoders if "a reader a core" not in decoder.name)
        statistics, raster = f"{variant}: ours", f"{variant}: ours with raster"
        contenders += [*decoders, _ours(statistics, path, cog=False), _ours(raster, path, cog=True)]
        decode = "GDAL decode of 2 bands"
        title = f"A, {codec}, {interleave}: statistics, classes, heatmap overview"
        rows.append(Comparison(title, statistics, decode, names, "ours/theirs <=", 1.4, 1.25, checked=_NUMPY))
        title = f"A, {codec}, {interleave}: the same and a float32 zstd COG"
        rows.append(Comparison(title, raster, decode, names, "ours/theirs <=", 2.2, 1.8, checked=_NUMPY))
    for codec in CODECS:
        pixel, band = (f"A {codec} {interleave}: ours" for interleave in INTERLEAVES)
        title = f"A, {codec}, band: statistics, classes, heatmap overview"
        against = "ours on the pixel-interleaved file"
        rows.append(Comparison(title, band, against, (pixel,), "ours/theirs <=", 0.5))
    path = inputs.orthomosaics["zstd", "pixel"]
    contenders += _orthomosaic_peers(path)
    return Group("A", tuple(contenders), (*rows, *_orthomosaic_peer_rows()))


def _orthomosaic_peers(path: Path) -> list[Contender]:
    pair: dict[str, Any] = {"path": str(path), **_PAIR}
    plain = {**pair, "cuts": CUTS}
    return [
        Contender("A: numpy", "peers", "in_memory", plain, (path,)),
        Contender("A: numpy with raster", "peers", "in_memory", {**plain, "cog": f"{OUT}/i.tif"}, (path,)),
        Contender("A: gdal_calc", "commands", "chain", {**pair, "out": OUT}, (path,)),
        Contender("A: OTB", "commands", "band_math", {**pair, "out": OUT}, (path,)),
    ]


def _orthomosaic_peer_rows() -> list[Comparison]:
    statistics, raster = "A zstd pixel: ours", "A zstd pixel: ours with raster"
    first = "A, zstd, pixel: statistics, classes, heatmap overview"
    second = "A, zstd, pixel: the same and a float32 zstd COG"
    chain = "gdal_calc, COG, gdalinfo, gdaldem"
    alone = "OTB BandMath (the NDVI alone)"
    return [
        Comparison(second, raster, chain, ("A: gdal_calc",), "theirs/ours >=", 4, 6, "process"),
        Comparison(second, raster, alone, ("A: OTB",), "theirs/ours >=", 2.5, 4, "process"),
        Comparison(first, statistics, "numpy in memory", _NUMPY, "theirs/ours >="),
        Comparison(second, raster, "numpy in memory", ("A: numpy with raster",), "theirs/ours >="),
    ]


def memory(inputs: Inputs) -> Group:
    """M: the memory of A and of a raster four times its size."""
    contenders: list[Contender] = []
    rows: list[Comparison] = []
    small, large = inputs.orthomosaics["zstd", "pixel"], inputs.large
    for words, cog in (("statistics, classes, heatmap overview", False), ("the same and the COG", True)):
        names = [f"M {size}: ours{' with raster' if cog else ''}" for size in ("A", "4 x A")]
        contenders += [_ours(name, path, cog=cog) for name, path in zip(names, (small, large), strict=True)]
        rows += [
            Comparison(f"{size}: peak memory, MB: {words}", name, "-", (), "ours <=", 500, kind=_PEAK)
            for size, name in zip(("A", "4 x A"), names, strict=True)
        ]
        title, kind = f"4 x A: peak memory: {words}", _PEAK
        rows.append(
            Comparison(
                title, names[1], "ours on A", (names[0],), "ours/theirs <=", 1.1, kind=kind, peers_kind=kind
            )
        )
    return Group("M", tuple(contenders), tuple(rows))


def photo(inputs: Inputs) -> Group:
    """B: a legacy index of a 20-megapixel photo."""
    path, reads = str(inputs.photo), (inputs.photo,)
    picture = {"path": path, "picture": f"{OUT}/heatmap.png"}
    decoders = tuple(
        Contender(f"B: {decoder}", "peers", "decode_photo", {"path": path, "decoder": decoder}, reads, 5)
        for decoder in ("cv2", "imagecodecs", "simplejpeg")
    )
    contenders = (
        *decoders,
        Contender("B: ours", "ours", "photo", picture, reads, 5),
        Contender("B: six indices", "peers", "six_indices", picture, reads, 2),
    )
    work = "B: NDVI_emp, classes, full-size coloured PNG"
    names = tuple(decoder.name for decoder in decoders)
    six = "six indices in numpy, PNG by cv2"
    return Group(
        "B",
        contenders,
        (
            Comparison(
                work, "B: ours", "JPEG decode", names, "ours/theirs <=", 2.0, checked=("B: six indices",)
            ),
            Comparison(work, "B: ours", six, ("B: six indices",), "theirs/ours >=", 10),
        ),
    )


def captures(inputs: Inputs) -> Group:
    """C: many small five-band captures."""
    arguments = {"folder": str(inputs.captures), "out": OUT, "cuts": CUTS}
    reads = (inputs.captures,)
    contenders = (
        Contender("C: ours", "ours", "captures", arguments, reads),
        Contender("C: numpy, cv2", "peers", "captures", {**arguments, **_PAIR}, reads),
    )
    count = len(list(inputs.captures.glob("*.tif")))
    work = "C: captures: statistics, classes, full-size PNG (no index raster), two processes"
    against = "numpy and cv2 in two processes"
    return Group(
        "C",
        contenders,
        (Comparison(work, "C: ours", against, ("C: numpy, cv2",), "theirs/ours >=", 3, count=count),),
    )


def start(inputs: Inputs) -> Group:
    """S: the first result of the command line on a 2-megapixel photo, the whole process."""
    arguments = {"path": str(inputs.small_photo), "out": f"{OUT}/results"}
    contenders = (
        Contender("S: orthoray analyze", "commands", "analyze", arguments, (inputs.small_photo,), 3),
        Contender("S: imports", "commands", "importing", {}, (), 3),
    )
    work = "S: orthoray analyze on a 2-megapixel photo, seconds beyond the peer's"
    against = 'python -c "import cv2, rasterio"'
    row = Comparison(work, "S: orthoray analyze", against, ("S: imports",), "ours-theirs <=", 1.5)
    return Group("S", contenders, (row,))


GROUPS: Mapping[str, Callable[[Inputs], Group]] = {
    "A": orthomosaic,
    "M": memory,
    "B": photo,
    "C": captures,
    "S": start,
}
"""What `--only` knows."""
