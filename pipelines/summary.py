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

Cuts = tuple[tuple[float | None, float | None, str], ...]
_CATALOGUE = {"en": "the whole catalogue", "ru": "весь каталог", "ro": "întregul catalog"}


class Summary:
    """What is told of all images together, gathered row by row."""

    def __init__(self, request: BatchRequest, batch_id: UUID) -> None:
        self._request = request
        self._batch_id = batch_id
        self._index = request.wish.index_type
        self._images: list[CampaignImage] = []
        self._previews: list[str] = []
        self._failures: list[tuple[str, str]] = []
        self._classes: list[ClassRow] = []
        self._cuts: Cuts | None = None
        self._shared = True
        self._pixels, self._sum = 0, 0.0
        self._area: float | None = None
        self._describes_health = True

    def add(self, row: ItemRow) -> None:
        if row.status == "failed":
            self._failures.append((row.name, row.error or ""))
        if row.result is None:
            return
        result, found = row.result, row.result.findings.statistics
        run = _run_of(result)
        if not self._images:
            self._index, self._cuts = run["index_type"], _cuts(result)
        self._images.append(_image(result))
        self._previews.append(result.files["preview"])
        self._shared = self._shared and _cuts(result) == self._cuts
        self._classes = added(self._classes, found.classes) if self._shared else []
        self._pixels += found.valid_pixels
        self._sum += (found.mean or 0.0) * found.valid_pixels
        self._area = _sum(self._area, found.area_m2)
        self._describes_health = self._describes_health and describes_health(run)

    def pdf(self, output: Output, created_at: datetime) -> bytes:
        """The summary in the language of the request; `output` has the small pictures."""
        request = self._request
        return campaign_pdf(
            CampaignContent(
                index=self._index,
                batch_id=str(self._batch_id),
                source=_CATALOGUE[request.language] if request.source == CATALOGUE else request.shown_source,
                created_at=created_at,
                images=self._images,
                failures=self._failures,
                pictures=self._pictures(output),
                classes=tuple(self._classes),
                mean=self._sum / self._pixels if self._pixels else None,
                area_m2=self._area,
                table=TABLE,
                language=request.language,
                relative=bool(self._images) and not self._shared,
                describes_health=self._describes_health,
                palette=read_styling().palette,
            )
        )

    def _pictures(self, output: Output) -> list[tuple[str, bytes]]:
        """Of more images than there is room for, some from all over the campaign."""
        step = max(1, -(-len(self._images) // MAX_PICTURES))
        found = []
        for image, preview in zip(self._images[::step], self._previews[::step], strict=True):
            try:
                found.append((image.name, output.get_bytes(preview)))
            except NotFound:
                continue  # the picture is gone; the figures are not
        return found


def added(sums: Sequence[ClassRow], table: Sequence[Class]) -> list[ClassRow]:
    """The classes of one more image with equal cuts added to those of others; the area of those whose area is known."""
    before: Sequence[ClassRow | None] = sums or [None] * len(table)
    pixels = [((old and old.pixels) or 0) + row.pixels for old, row in zip(before, table, strict=True)]
    total = sum(pixels)
    return [
        ClassRow(
            name=row.name,
            label=row.label,
            lower=row.lower,
            upper=row.upper,
            pixels=count,
            percent=100 * count / total if total else 0.0,
            area_m2=_sum(old.area_m2 if old else None, row.area_m2),
            color=class_color(row.name, place, len(table)),
        )
        for place, (old, row, count) in enumerate(zip(before, table, pixels, strict=True))
    ]


def _sum(one: float | None, other: float | None) -> float | None:
    """What is not known adds nothing."""
    if one is None or other is None:
        return other if one is None else one
    return one + other


def _run_of(result: ItemResult) -> dict[str, Any]:
    """The part of a run's record that the report's functions read."""
    provenance = result.findings.provenance
    return {"index_type": str(provenance.get("index")), "provenance": provenance}


def _cuts(result: ItemResult) -> Cuts:
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
