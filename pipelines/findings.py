"""What is said of a result: the table of classes, the verdict, the notes, and how it came about."""

from __future__ import annotations

from typing import Any

from orthoray.contracts import Findings, Language, Note, Statistics
from orthoray.spectral.calibration import Calibration
from orthoray.spectral.classes import class_table, stats_by_label
from orthoray.spectral.engine import ENGINE
from orthoray.spectral.provenance import provenance_of, threshold_facts
from orthoray.spectral.statistics import Statistics as Measured
from orthoray.spectral.survey import Cuts, IndexResult
from orthoray.spectral.thresholds import Adaptive, ThresholdSet
from orthoray.spectral.verdict import Circumstances, circumstances_of, conclusion, notes
from pipelines.planning import Plan

OLD_ENGINE = "OLD.image_processing"


def cuts_of(plan: Plan) -> Cuts:
    """The cuts of the plan, or how its thresholds find them in the values."""
    thresholds = plan.thresholds
    if isinstance(thresholds, Adaptive):
        return lambda edges, counts: thresholds.resolve(edges, counts).cuts
    return thresholds.cuts


def resolved(plan: Plan, found: Measured) -> ThresholdSet:
    """The plan's thresholds, with the cuts that were found where the values gave them."""
    if isinstance(plan.thresholds, ThresholdSet):
        return plan.thresholds
    return plan.thresholds.with_cuts(found.cuts)


def account(plan: Plan, dtype: str, calibration: Calibration) -> dict[str, Any]:
    """The provenance of a result that is still to be computed."""
    return provenance_of(
        plan.index_name,
        plan.index,
        engine=OLD_ENGINE if plan.via_old else ENGINE,
        bands=plan.bands,
        band_map=plan.band_map,
        dtype=dtype,
        calibration=calibration,
        thresholds=plan.thresholds,
        is_scaled=not plan.via_old,
        background=plan.soil_mask,
        recognised=plan.recognition.reason if plan.recognition else None,
    )


def circumstances(plan: Plan, found: IndexResult, calibration: Calibration) -> Circumstances:
    """What bears on how far the verdict can be trusted."""
    index, counted = plan.index, found.statistics
    return circumstances_of(
        bands=plan.bands,
        needs_reflectance=index is not None and index.needs_reflectance,
        legacy=index is None or index.legacy,
        high_is_good=index.high_is_good if index else True,
        domain=index.domain if index else "vegetation",
        method=plan.thresholds.method,
        # the legacy indices are made for photos as they are stored
        state=None if plan.via_old else calibration.state,
        aligned=calibration.aligned,
        valid_pixels=counted.valid_pixels,
        nodata_pixels=counted.nodata_pixels,
        invalid_pixels=counted.invalid_pixels,
        background_pixels=counted.background_pixels,
        out_of_range_pixels=counted.out_of_range_pixels,
        odd_pixel_fraction=found.odd_fraction,
    )


def findings(
    plan: Plan,
    found: IndexResult,
    language: Language,
    *,
    calibration: Calibration,
    legend: dict[str, Any],
    provenance: dict[str, Any],
    table: list[dict[str, Any]] | None = None,
    stats: dict[str, float] | None = None,
    verdict: str | None = None,
) -> Findings:
    """The findings; `table`, `stats` and `verdict` replace ours where the OLD package judged by its own."""
    thresholds = resolved(plan, found.statistics)
    seen = circumstances(plan, found, calibration)
    rows = table or class_table(
        found.statistics.class_pixels, thresholds, language, found.statistics.pixel_area_m2
    )
    if table is None and not seen.aligned:
        verdict = None  # what OLD advises is for photos of a field
    words = verdict or conclusion(rows, language, index_name=plan.index_name, circumstances=seen)
    return Findings(
        stats=stats or stats_by_label(rows),
        conclusion=words,
        statistics=Statistics.model_validate({**found.statistics.to_dict(), "classes": rows}),
        legend=legend,
        provenance={
            **provenance,
            "thresholds": threshold_facts(thresholds),
            "circumstances": seen.to_dict(),
        },
        warnings=[Note(**note) for note in notes(seen, language)],
    )
