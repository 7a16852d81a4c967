"""The facts of a report in the reader's words: about the index, the image, and how the result came about."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from orthoray.reporting.content import CropText, ReportContent
from orthoray.reporting.formats import Formats, bound_decimals
from orthoray.reporting.records import moment
from orthoray.reporting.tables import Fact
from orthoray.reporting.texts import Texts

_MAX_PROVENANCE: Final = 20


def index_facts(content: ReportContent, texts: Texts) -> list[Fact]:
    """What the index is good for, its formula, and where its classes begin."""
    index, thresholds = content.index, content.thresholds
    formats = Formats(texts)
    values = "; ".join(formats.number(cut, bound_decimals(cut)) for cut in class_cuts(content))
    named = ": ".join(part for part in (thresholds.name, values) if part)
    return _known(
        texts,
        ("long_name", index.long_name, True),
        ("common_name", index.common_name if index.common_name != index.name else None, True),
        ("purpose", index.purpose, True),
        ("formula", index.formula, True),
        ("reference", index.reference, True),
        ("thresholds", f"{named} ({texts('edge_rule')})" if values else named, True),
        ("threshold_source", thresholds.source, True),
        ("crop_levels", _crop_levels(thresholds.crop, texts), True),
    )


def image_facts(content: ReportContent, texts: Texts) -> list[Fact]:
    """The file, the camera, the place."""
    image, formats = content.image, Formats(texts)
    sizes = []
    if image.width is not None and image.height is not None:
        sizes.append(
            texts("pixel_size", width=formats.number(image.width), height=formats.number(image.height))
        )
    if image.size_bytes is not None:
        sizes.append(formats.file_size(image.size_bytes))
    placed = image.latitude is not None and image.longitude is not None
    return _known(
        texts,
        ("file_name", image.filename, True),
        ("size", ", ".join(sizes), False),
        ("gsd", formats.gsd(image.gsd_m) if image.gsd_m is not None else None, False),
        ("captured_at", _moment(image.captured_at, formats), False),
        ("camera", image.camera, False),
        ("position", formats.position(image.latitude, image.longitude) if placed else None, False),
        ("altitude", formats.metres(image.altitude_m) if image.altitude_m is not None else None, False),
        ("centre", formats.position(*image.centre) if image.centre else None, False),
        ("crs", image.crs or texts("not_georeferenced"), False),
        ("bounds", _bounds(image.bounds_wgs84, formats), True),
    )


def provenance_facts(content: ReportContent, texts: Texts) -> list[Fact]:
    """Pixel counts, bands, masks, engine, versions, calibration."""
    statistics, formats = content.statistics, Formats(texts)
    provenance = dict(content.provenance)
    completed = moment(provenance.pop("completed_at", None))
    calibration = provenance.pop("calibration", None) or texts("calibration_unknown")
    counts = {
        "valid_pixels": statistics.valid_pixels,
        "nodata_pixels": statistics.nodata_pixels,
        "invalid_pixels": statistics.invalid_pixels,
        # most images have none of these
        "background_pixels": statistics.background_pixels or None,
        "out_of_range_pixels": statistics.out_of_range_pixels or None,
    }
    return _known(
        texts,
        *(
            (key, formats.number(count) if count is not None else None, False)
            for key, count in counts.items()
        ),
        ("completed_at", _moment(completed, formats), False),
        *((key, value, False) for key, value in list(provenance.items())[:_MAX_PROVENANCE]),
        ("calibration", calibration, True),
    )


def class_cuts(content: ReportContent) -> tuple[float, ...]:
    """The thresholds, or where there are none the inner bounds of the classes."""
    if content.thresholds.cuts:
        return content.thresholds.cuts
    bounds = {row.lower for row in content.classes} & {row.upper for row in content.classes}
    return tuple(sorted(bound for bound in bounds if bound is not None))


def _crop_levels(crop: CropText | None, texts: Texts) -> str | None:
    if crop is None:
        return None
    formats = Formats(texts)
    levels = texts(
        "crop_level",
        name=crop.name,
        healthy=formats.number(crop.healthy, bound_decimals(crop.healthy)),
        stressed=formats.number(crop.stressed, bound_decimals(crop.stressed)),
    )
    return f"{levels}. {crop.description}" if crop.description else levels


def _moment(value: datetime | str | None, formats: Formats) -> str | None:
    return formats.date_time(value) if isinstance(value, datetime) else value


def _bounds(bounds: tuple[float, float, float, float] | None, formats: Formats) -> str | None:
    if bounds is None:
        return None
    west, south, east, north = bounds
    return f"{formats.position(south, west)} – {formats.position(north, east)}"


def _known(texts: Texts, *facts: tuple[str, str | None, bool]) -> list[Fact]:
    return [Fact(texts.get(key) or key, value, wide) for key, value, wide in facts if value]
