"""From measurements to a table: ratios beside what is asked of them."""

from __future__ import annotations

import os
import platform
import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from benchmarks.measure import Measured, Ratio, fastest, ratio, same_work
from benchmarks.suite import Comparison, Group

_UNITS = {"seconds": " s", "process": " s", "peak_mb": " MB", "baseline_mb": " MB"}
_HEADINGS = (
    "work",
    "ours",
    "compared with",
    "theirs",
    "ratio (least to greatest)",
    "target",
    "met",
    "same result",
)


@dataclass(frozen=True)
class Row:
    """A comparison with its figures; `problem` says why there are none."""

    work: str
    against: str
    ours: float | None
    theirs: float | None
    unit: str
    found: Ratio | None
    rule: str
    target: float | None
    aim: float | None
    met: bool | None
    same: bool | None
    fastest_peer: str | None
    problem: str
    count: int | None = None

    def cells(self) -> tuple[str, ...]:
        """The row as the table shows it."""
        return (
            self.work,
            _quantity(self.ours, self),
            self.against,
            self.problem or _quantity(self.theirs, self),
            "" if self.found is None else _ratio_words(self.found, self.rule),
            _target_words(self),
            {None: "", True: "yes", False: "NO"}[self.met],
            {None: "", True: "yes", False: "NO"}[self.same],
        )


def rows(groups: Sequence[Group], measured: Mapping[str, Measured]) -> list[Row]:
    """All comparisons of the groups that were measured."""
    return [_row(wanted, measured) for group in groups for wanted in group.comparisons]


def _row(wanted: Comparison, measured: Mapping[str, Measured]) -> Row:
    ours = measured[wanted.ours]
    peer = fastest(wanted.peers, measured)
    problem = "ours did not run" if ours.problem else ""
    if not problem and wanted.peers and peer is None:
        problem = "did not run"
    found = met = same = theirs = None
    mine = None if ours.problem else _median(getattr(ours, wanted.kind))
    if not problem and mine is not None:
        values = getattr(ours, wanted.kind)
        if peer is None:
            found = Ratio(mine, min(values), max(values))
        else:
            others = getattr(measured[peer], wanted.peers_kind)
            theirs = _median(others)
            found = _compared(wanted.rule, values, others)
        met = _met(wanted, found)
        same = _same(wanted, measured, peer)
    return Row(
        work=wanted.work,
        against=wanted.against,
        ours=mine,
        theirs=theirs,
        unit=_UNITS[wanted.kind],
        found=found,
        rule=wanted.rule,
        target=wanted.target,
        aim=wanted.aim,
        met=met,
        same=same,
        fastest_peer=peer,
        problem=problem,
        count=wanted.count,
    )


def _same(wanted: Comparison, measured: Mapping[str, Measured], peer: str | None) -> bool | None:
    """Whether ours found what those it is checked against found; memory is not about what was found."""
    if wanted.kind == "peak_mb":
        return None
    ours, against = measured[wanted.ours].finding, () if peer is None else (peer,)
    told = [same_work(ours, measured[name].finding) for name in wanted.checked or against if name in measured]
    return None if None in told or not told else all(told)


def _compared(rule: str, ours: Sequence[float], theirs: Sequence[float]) -> Ratio:
    if rule == "theirs/ours >=":
        return ratio(theirs, ours)
    if rule == "ours-theirs <=":
        pairs = [a - b for a, b in zip(ours, theirs, strict=False)]
        return Ratio(statistics.median(ours) - statistics.median(theirs), min(pairs), max(pairs))
    return ratio(ours, theirs)


def _met(wanted: Comparison, found: Ratio) -> bool | None:
    if wanted.target is None:
        return None
    return found.value >= wanted.target if wanted.rule.endswith(">=") else found.value <= wanted.target


def _median(values: Sequence[float]) -> float:
    return statistics.median(values)


def _quantity(value: float | None, row: Row) -> str:
    if value is None:
        return ""
    if row.count is not None:
        return f"{row.count / value:.1f} a second"
    return f"{value:.0f}{row.unit}" if "MB" in row.unit else f"{value:.{_decimals(value)}f}{row.unit}"


def _decimals(seconds: float) -> int:
    return 2 if seconds >= 1 else 3


def _ratio_words(found: Ratio, rule: str) -> str:
    if rule == "ours <=":
        return f"({found.least:.0f} to {found.greatest:.0f})"
    unit = " s" if "-" in rule else "x"
    sign = "+" if "-" in rule else ""
    return f"{sign}{found.value:.2f}{unit} ({found.least:.2f} to {found.greatest:.2f})"


def _target_words(row: Row) -> str:
    if row.target is None:
        return ""
    sign = "at least" if row.rule.endswith(">=") else "at most"
    unit = row.unit if row.rule == "ours <=" else " s" if "-" in row.rule else "x"
    aim = "" if row.aim is None else f" (aim {row.aim:g}{unit})"
    return f"{sign} {row.target:g}{unit}{aim}"


def machine() -> dict[str, str]:
    """What the figures depend on."""
    found = {
        "processor": _processor(),
        "cores": str(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()),
        "system": f"{platform.system()} {platform.release()}",
        "Python": platform.python_version(),
    }
    packages = ("numpy", "opencv-python-headless", "rasterio", "imagecodecs", "simplejpeg", "isal")
    return found | {name: version(name) for name in packages}


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, platform.machine())


def as_json(found: Sequence[Row], measured: Mapping[str, Measured], **about: Any) -> dict[str, Any]:
    """Everything that was measured, JSON-ready."""
    return {
        **about,
        "machine": machine(),
        "rows": [asdict(row) for row in found],
        "measured": {name: asdict(value) for name, value in measured.items()},
    }


def markdown(found: Sequence[Row], measured: Mapping[str, Measured], *, command: str, runs: int) -> str:
    """The page of the documentation, whole."""
    return "\n".join(_page(found, measured, command, runs)) + "\n"


def _page(found: Sequence[Row], measured: Mapping[str, Measured], command: str, runs: int) -> Iterator[str]:
    yield "# Benchmarks"
    yield ""
    yield f"This page is written by `{command}`: change the code in `benchmarks/`, not the page. `make bench`"
    yield "measures again and prints the same table; the inputs (about 7 GB, made once) lie in"
    yield "`$ORTHORAY_BENCH_DIR`, and `python -m benchmarks --quick` tries everything with small ones."
    yield ""
    yield "## What is measured"
    yield ""
    yield from _METHOD.format(runs=runs).splitlines()
    yield ""
    yield "## Results"
    yield ""
    yield from _table(_HEADINGS, [row.cells() for row in found])
    yield ""
    yield (
        "`ours` and `theirs` are medians. Machine: "
        + ", ".join(f"{key} {value}" for key, value in machine().items())
        + "."
    )
    problems = {name: value.problem for name, value in measured.items() if value.problem}
    if problems:
        yield ""
        yield "Could not run:"
        yield ""
        yield from (f"- {name}: {problem}" for name, problem in problems.items())
    yield ""
    yield "## Every contender"
    yield ""
    yield from _table(
        (
            "contender",
            "work, s (all runs)",
            "CPU, s",
            "whole process, s",
            "memory after imports, MB",
            "peak memory, MB",
        ),
        [_contender_cells(name, value) for name, value in measured.items() if value.seconds],
    )


def _contender_cells(name: str, value: Measured) -> tuple[str, ...]:
    runs = ", ".join(f"{seconds:.2f}" for seconds in value.seconds)
    return (
        name,
        f"{_median(value.seconds):.2f} ({runs})",
        f"{_median(value.cpu):.2f}",
        f"{_median(value.process):.2f}",
        f"{_median(value.baseline_mb):.0f}",
        f"{max(value.peak_mb):.0f}",
    )


def _table(headings: Sequence[str], cells: Sequence[Sequence[str]]) -> Iterator[str]:
    yield "| " + " | ".join(headings) + " |"
    yield "|" + "---|" * len(headings)
    for row in cells:
        yield "| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |"


def headings() -> tuple[str, ...]:
    """The names of the columns of `Row.cells`."""
    return _HEADINGS


_METHOD = """\
- **A**: NDVI of a 10,000 x 10,000 pixel orthomosaic, 5 bands of uint16, tiles of 512, predictor 2, a fifth of
  it without data; as zstd and deflate, pixel- and band-interleaved. The yardstick is GDAL's own multi-threaded
  decoding of the two bands that NDVI needs, in the fastest of four ways (a GDAL
  handle for each core, which a program would have to add, is among the contenders below).
- **M**: the same and a raster of 20,000 x 20,000 pixels: the most memory a process held, imports included.
- **B**: the six-index legacy functions (`OLD.image_processing`) on a 5472 x 3648 JPEG, of which one index is
  wanted. The yardstick is decoding the JPEG, by the fastest of OpenCV, imagecodecs and simplejpeg (all libjpeg-turbo).
- **C**: 200 captures, each one uncompressed TIFF of 5 x 1280 x 960 uint16: statistics, classes and a
  full-size coloured PNG of each; no index raster. Both in two processes.
- **S**: one command on a photo of 2 megapixels, from starting the process to its end.

Every contender runs in a process of its own, one after the other, {runs} times in turn, with its input in the
page cache. Only the work is timed, without starting Python and importing; against peers that are programs our
whole process is. A ratio is one of medians; in brackets are the least and the greatest ratio of a turn. `same
result` compares valid pixels, class counts (both exactly) and means (within 1e-6), as far as the peer tells them.
A missed target is marked, it fails nothing."""
