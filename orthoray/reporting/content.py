"""What a report says, as plain values: everything that may be missing is None or empty."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

from orthoray.reporting import records
from orthoray.reporting.formats import significant
from orthoray.reporting.provenance import (
    USER_FORMULA,
    describes_health,
    formula_words,
    notes_beside,
    provenance_words,
)
from orthoray.reporting.purposes import purpose_of
from orthoray.reporting.texts import DEFAULT_LANGUAGE, Texts, texts_for
from orthoray.reporting.theme import PALETTE, Palette
from orthoray.reporting.verdict import ClassRow, class_color, class_label, class_name


@dataclass(frozen=True, slots=True)
class ImageFacts:
    """The uploaded image.

    `captured_at` is a moment, or the text that stood in its place; `bounds_wgs84` is west, south, east,
    north in degrees; `gsd_m` is metres per pixel; `latitude` and `longitude` are where the camera was.
    """

    filename: str | None = None
    width: int | None = None
    height: int | None = None
    size_bytes: int | None = None
    gsd_m: float | None = None
    captured_at: datetime | str | None = None
    camera: str | None = None
    latitude: float | None = None
    longitude: float | None = None
    altitude_m: float | None = None
    bounds_wgs84: tuple[float, float, float, float] | None = None
    crs: str | None = None

    @property
    def centre(self) -> tuple[float, float] | None:
        """Latitude and longitude of the middle of the bounds; west > east means across the antimeridian."""
        if self.bounds_wgs84 is None:
            return None
        west, south, east, north = self.bounds_wgs84
        longitude = (west + east) / 2 if west <= east else (west + east + 360) / 2
        return (south + north) / 2, (longitude + 180) % 360 - 180


@dataclass(frozen=True, slots=True)
class IndexFacts:
    """The vegetation index; `purpose` is a sentence on what it is good for."""

    name: str | None = None
    long_name: str | None = None
    common_name: str | None = None
    formula: str | None = None
    reference: str | None = None
    purpose: str | None = None


@dataclass(frozen=True, slots=True)
class IndexText:
    """A user's own words on an index; each that is None leaves the report's usual one."""

    long_name: str | None = None
    description: str | None = None
    formula: str | None = None


@dataclass(frozen=True, slots=True)
class CropText:
    """A user's own words on a crop: above `healthy` it does well, at `stressed` and below it suffers."""

    name: str
    healthy: float
    stressed: float
    description: str | None = None


@dataclass(frozen=True, slots=True)
class ThresholdFacts:
    """The threshold set: a value v lies above a cut when v > cut."""

    name: str | None = None
    cuts: tuple[float, ...] = ()
    source: str | None = None
    crop: CropText | None = None


@dataclass(frozen=True, slots=True)
class Histogram:
    """`counts[i]` pixels lie between `edges[i]` and `edges[i + 1]`; the edges strictly ascend."""

    edges: tuple[float, ...]
    counts: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Legend:
    """The heatmap's colours: `stops` are (value, "#rrggbb") in ascending order, at least two."""

    stops: tuple[tuple[float, str], ...]
    vmin: float
    vmax: float
    title: str | None = None


@dataclass(frozen=True, slots=True)
class StatisticsFacts:
    """Statistics of the valid pixels; areas in square metres, None without georeference."""

    valid_pixels: int | None = None
    nodata_pixels: int | None = None
    invalid_pixels: int | None = None
    min: float | None = None
    max: float | None = None
    mean: float | None = None
    std: float | None = None
    median: float | None = None
    p2: float | None = None
    p98: float | None = None
    area_m2: float | None = None
    background_pixels: int | None = None
    out_of_range_pixels: int | None = None


@dataclass(frozen=True, slots=True)
class ReportContent:
    """All that `report_pdf` prints.

    `language` is a tag of `texts.LANGUAGES`; pictures are encoded images or paths of them; `provenance`
    maps a key of `texts.PHRASES` (or a word of the caller's own) to what is printed beside it. `notes` are
    what to bear in mind beside the conclusion; `describes_health` is whether the names of the classes may be
    taken at their word, `relative` whether the image's own values gave the classes.
    """

    language: str = DEFAULT_LANGUAGE
    report_id: str | None = None
    created_at: datetime | None = None
    image: ImageFacts = field(default_factory=ImageFacts)
    index: IndexFacts = field(default_factory=IndexFacts)
    thresholds: ThresholdFacts = field(default_factory=ThresholdFacts)
    statistics: StatisticsFacts = field(default_factory=StatisticsFacts)
    classes: tuple[ClassRow, ...] = ()
    histogram: Histogram | None = None
    legend: Legend | None = None
    conclusion: str | None = None
    original: bytes | Path | None = None
    heatmap: bytes | Path | None = None
    provenance: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    describes_health: bool = True
    relative: bool = False
    palette: Palette = PALETTE


def content_from_records(
    run: Mapping[str, Any],
    imagery: Mapping[str, Any],
    *,
    language: str | None,
    report_id: str | None,
    created_at: datetime | None,
    original: bytes | Path | None = None,
    heatmap: bytes | Path | None = None,
    legend: Mapping[str, Any] | None = None,
    index_text: IndexText | None = None,
    crop_text: CropText | None = None,
    palette: Palette = PALETTE,
) -> ReportContent:
    """The content of a report from the JSON records of an analysis run and its imagery.

    What is missing from a record, or is not of the expected kind, is left out of the report. Labels of known
    classes are written in the report's language; the conclusion is the record's. `index_text` and `crop_text`
    are words that a user has chosen, in the report's language. Raises `BadInput` for a language in which no
    report is written.
    """
    texts = texts_for(language)
    statistics = records.mapping(run, "statistics")
    provenance = records.mapping(run, "provenance")
    conclusion = records.text(run.get("conclusion"))
    return ReportContent(
        language=texts.language,
        report_id=report_id,
        created_at=created_at,
        image=_image(imagery),
        index=_index(run, provenance, index_text or IndexText(), texts),
        thresholds=_thresholds(provenance, crop_text),
        statistics=_statistics(statistics),
        classes=_classes(run, statistics, texts),
        histogram=_histogram(records.mapping(statistics, "histogram")),
        legend=_legend(legend or {}),
        conclusion=conclusion,
        original=original,
        heatmap=heatmap,
        provenance=provenance_words(run, texts),
        notes=notes_beside(run, conclusion),
        describes_health=describes_health(run),
        relative=_is_relative(provenance),
        palette=palette,
    )


def _in_another_language(run: Mapping[str, Any], texts: Texts) -> bool:
    language = records.text(run.get("language"))
    return language is not None and language.replace("_", "-").split("-")[0].lower() != texts.language


def _image(imagery: Mapping[str, Any]) -> ImageFacts:
    camera = records.mapping(imagery, "camera")
    gps = records.mapping(imagery, "gps")
    crs = records.mapping(imagery, "crs")
    make, model = records.text(camera.get("make")), records.text(camera.get("model"))
    if make and model and model.lower().startswith(make.lower()):
        make = None
    epsg = records.whole(crs.get("epsg"))
    crs_name = records.text(crs.get("name"))
    return ImageFacts(
        filename=records.text(imagery.get("original_filename")),
        width=records.whole(imagery.get("width")),
        height=records.whole(imagery.get("height")),
        size_bytes=records.whole(imagery.get("size_bytes")),
        gsd_m=records.number(imagery.get("gsd_m")),
        captured_at=records.moment(imagery.get("captured_at")),
        camera=" ".join(part for part in (make, model) if part) or None,
        latitude=records.number(gps.get("latitude")),
        longitude=records.number(gps.get("longitude")),
        altitude_m=records.number(gps.get("altitude_m")),
        bounds_wgs84=records.bounds(imagery.get("bounds_wgs84"))
        or records.footprint_bounds(imagery.get("footprint")),
        crs=", ".join(part for part in (crs_name, f"EPSG:{epsg}" if epsg else None) if part) or None,
    )


def _index(run: Mapping[str, Any], provenance: Mapping[str, Any], own: IndexText, texts: Texts) -> IndexFacts:
    name = records.text(run.get("index_type")) or records.text(provenance.get("index"))
    # the record's words on a formula of the request are English, and its reference is the request
    requested = name == USER_FORMULA
    long_name = texts("user_formula") if requested else records.text(provenance.get("long_name"))
    formula = records.text(provenance.get("formula"))
    return IndexFacts(
        name=name,
        long_name=own.long_name or long_name,
        common_name=records.text(provenance.get("common_name")),
        formula=own.formula or formula_words(formula, records.mapping(provenance, "constants")),
        reference=None if requested else records.text(provenance.get("reference")),
        purpose=own.description or purpose_of(name, texts.language, records.text(provenance.get("domain"))),
    )


def _thresholds(provenance: Mapping[str, Any], crop: CropText | None) -> ThresholdFacts:
    thresholds = records.mapping(provenance, "thresholds")
    cuts, relative = records.numbers(thresholds.get("cuts")), _is_relative(provenance)
    return ThresholdFacts(
        # the source of those of a request says all that this name would
        name=None if thresholds.get("id") == "custom" else records.text(thresholds.get("id")),
        cuts=tuple(sorted(significant(cut) if relative else cut for cut in cuts)),
        source=records.text(thresholds.get("source")),
        crop=crop,
    )


def _statistics(statistics: Mapping[str, Any]) -> StatisticsFacts:
    def number(key: str) -> float | None:
        return records.number(statistics.get(key))

    def whole(key: str) -> int | None:
        return records.whole(statistics.get(key))

    return StatisticsFacts(
        valid_pixels=whole("valid_pixels"),
        nodata_pixels=whole("nodata_pixels"),
        invalid_pixels=whole("invalid_pixels"),
        min=number("min"),
        max=number("max"),
        mean=number("mean"),
        std=number("std"),
        median=number("median"),
        p2=number("p2"),
        p98=number("p98"),
        area_m2=number("area_m2"),
        background_pixels=whole("background_pixels"),
        out_of_range_pixels=whole("out_of_range_pixels"),
    )


def _classes(run: Mapping[str, Any], statistics: Mapping[str, Any], texts: Texts) -> tuple[ClassRow, ...]:
    entries: list[Mapping[str, Any]] = [row for row in records.items(statistics.get("classes")) if row]
    if not entries:
        entries = [
            {"label": label, "percent": percent} for label, percent in records.mapping(run, "stats").items()
        ]
    translate = _in_another_language(run, texts) or records.text(run.get("language")) is None
    relative = _is_relative(records.mapping(run, "provenance"))
    rows = []
    for position, entry in enumerate(entries):
        given = records.text(entry.get("label"))
        name = class_name(records.text(entry.get("name")), given)
        known = class_label(name, texts)
        label = (known or given) if translate else (given or known)
        rows.append(
            ClassRow(
                name=name,
                label=label or texts("class_unnamed", number=position + 1),
                lower=_printed(records.number(entry.get("lower")), relative),
                upper=_printed(records.number(entry.get("upper")), relative),
                pixels=records.whole(entry.get("pixels")),
                percent=records.number(entry.get("percent")),
                area_m2=records.number(entry.get("area_m2")),
                color=records.color(entry.get("color")) or class_color(name, position, len(entries)),
            )
        )
    return tuple(rows)


def _is_relative(provenance: Mapping[str, Any]) -> bool:
    """Whether the cuts are what the image's own values gave, with all their digits."""
    return records.mapping(provenance, "circumstances").get("relative") is True


def _printed(cut: float | None, relative: bool) -> float | None:
    return significant(cut) if relative and cut is not None else cut


def _histogram(histogram: Mapping[str, Any]) -> Histogram | None:
    edges = records.numbers(histogram.get("edges"))
    counts = records.numbers(histogram.get("counts"))
    ascending = all(low < high for low, high in pairwise(edges))
    if not counts or len(edges) != len(counts) + 1 or not ascending or min(counts) < 0:
        return None
    return Histogram(edges=edges, counts=tuple(int(count) for count in counts))


def _legend(legend: Mapping[str, Any]) -> Legend | None:
    stops = []
    listed = legend.get("stops")
    for stop in listed if isinstance(listed, list | tuple) else ():
        value, color = (
            (stop.get("value"), stop.get("color")) if isinstance(stop, Mapping) else records.pair(stop)
        )
        at, shade = records.number(value), records.color(color)
        if at is not None and shade is not None:
            stops.append((at, shade))
    stops.sort(key=lambda stop: stop[0])
    if len(stops) < 2 or stops[0][0] == stops[-1][0]:
        return None
    vmin, vmax = records.number(legend.get("vmin")), records.number(legend.get("vmax"))
    if vmin is None or vmax is None or vmin >= vmax:
        vmin, vmax = stops[0][0], stops[-1][0]
    return Legend(stops=tuple(stops), vmin=vmin, vmax=vmax, title=records.text(legend.get("title")))
