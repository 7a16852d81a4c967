"""The summary PDF of a batch: what its rows say together."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from orthoray.batches import CATALOGUE, TABLE, BatchRequest, ItemResult, ItemRow
from orthoray.contracts import ClassRow as Class
from orthoray.errors import NotFound
from orthoray.reporting.campaign import MAX_PICTURES, CampaignContent, CampaignImage, campaign_pdf
from orthoray.reporting.provenance import describes_health
from orthoray.reporting.verdict import ClassRow, class_color
from pipelines.output import Output
from pipelines.styling import read_styling

_CATALOGUE = {"en": "the whole catalogue", "ru": "весь каталог", "ro": "întregul catalog"}


def summary_pdf(
    rows: Sequence[ItemRow], request: BatchRequest, output: Output, *, batch_id: UUID, created_at: datetime
) -> bytes:
    """The summary in the language of the request."""
    results = [row.result for row in rows if row.result is not None]
    told = [_run_of(result) for result in results]
    measured = [result.findings.statistics for result in results]
    pixels = sum(found.valid_pixels for found in measured)
    areas = [found.area_m2 for found in measured if found.area_m2 is not None]
    shared = len({_cuts(result) for result in results}) == 1
    return campaign_pdf(
        CampaignContent(
            index=told[0]["index_type"] if told else request.wish.index_type,
            batch_id=str(batch_id),
            source=_CATALOGUE[request.language] if request.source == CATALOGUE else request.source,
            created_at=created_at,
            images=[_image(result) for result in results],
            failures=[(row.name, row.error or "") for row in rows if row.status == "failed"],
            pictures=_pictures(results, output),
            classes=classes_of_all([found.classes for found in measured]) if shared else (),
            mean=sum((found.mean or 0.0) * found.valid_pixels for found in measured) / pixels
            if pixels
            else None,
            area_m2=sum(areas) if areas else None,
            table=TABLE,
            language=request.language,
            relative=bool(results) and not shared,
            describes_health=all(describes_health(run) for run in told),
            palette=read_styling().palette,
        )
    )


def classes_of_all(tables: Sequence[Sequence[Class]]) -> tuple[ClassRow, ...]:
    """The classes of several images with equal cuts, added up; the area of those whose area is known."""
    added = []
    total = sum(row.pixels for table in tables for row in table)
    for place, row in enumerate(tables[0] if tables else ()):
        same = [table[place] for table in tables]
        pixels = sum(one.pixels for one in same)
        areas = [one.area_m2 for one in same if one.area_m2 is not None]
        added.append(
            ClassRow(
                name=row.name,
                label=row.label,
                lower=row.lower,
                upper=row.upper,
                pixels=pixels,
                percent=100 * pixels / total if total else 0.0,
                area_m2=sum(areas) if areas else None,
                color=class_color(row.name, place, len(tables[0])),
            )
        )
    return tuple(added)


def _run_of(result: ItemResult) -> dict[str, Any]:
    """The part of a run's record that the report's functions read."""
    provenance = result.findings.provenance
    return {"index_type": str(provenance.get("index")), "provenance": provenance}


def _cuts(result: ItemResult) -> tuple[tuple[float | None, float | None, str], ...]:
    return tuple((row.lower, row.upper, row.name) for row in result.findings.statistics.classes)


def _image(result: ItemResult) -> CampaignImage:
    statistics = result.findings.statistics
    healthy = next((row.percent for row in statistics.classes if row.name == "healthy"), None)
    return CampaignImage(
        name=result.imagery.original_filename,
        mean=statistics.mean,
        median=statistics.median,
        std=statistics.std,
        healthy_percent=healthy,
        area_m2=statistics.area_m2,
    )


def _pictures(results: Sequence[ItemResult], output: Output) -> list[tuple[str, bytes]]:
    """Of more images than there is room for, some from all over the campaign."""
    step = max(1, -(-len(results) // MAX_PICTURES))
    found = []
    for result in results[::step]:
        try:
            found.append((result.imagery.original_filename, output.get_bytes(result.files["preview"])))
        except NotFound:
            continue  # the picture is gone; the figures are not
    return found
