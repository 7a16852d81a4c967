"""A run's labels, verdict and notes in the language that a report is asked for in."""

from __future__ import annotations

from typing import Any

from orthoray.contracts import AnalysisRun, Language, Statistics
from orthoray.spectral.classes import CLASS_NAMES, conclusion, stats_by_label, threshold_source
from orthoray.spectral.texts import TEXTS


def is_calibrated(needs_reflectance: bool, dtype: str) -> bool | None:
    """False where an index of reflectance was computed from whole numbers, as cameras store them; else not known."""
    return False if needs_reflectance and not dtype.startswith("float") else None


def in_language(run: AnalysisRun, language: Language) -> AnalysisRun:
    """The run with words of `language`; classes that a user's own OLD package named keep its words."""
    run = _with_source(run, language)
    found = run.statistics
    if language == run.language or found is None or any(row.name not in CLASS_NAMES for row in found.classes):
        return run
    labels = TEXTS[language].labels
    classes = [row.model_copy(update={"label": labels[row.name]}) for row in found.classes]
    table = [row.model_dump() for row in classes]
    facts: dict[str, Any] = run.provenance or {}
    words = conclusion(
        table,
        language,
        index_name=run.index_type,
        calibrated=is_calibrated(bool(facts.get("needs_reflectance")), str(facts.get("dtype", ""))),
        valid_fraction=_valid_fraction(found),
    )
    return run.model_copy(
        update={
            "language": language,
            "stats": stats_by_label(table),
            "conclusion": words,
            "statistics": found.model_copy(update={"classes": classes}),
        }
    )


def _with_source(run: AnalysisRun, language: Language) -> AnalysisRun:
    """Records tell the source of their thresholds in English, whatever the run's language."""
    facts = run.provenance or {}
    thresholds = facts.get("thresholds")
    if not isinstance(thresholds, dict):
        return run
    cuts, crop = thresholds.get("cuts") or (), thresholds.get("crop")
    source = threshold_source(str(thresholds.get("id")), run.index_type, cuts, crop, language)
    if source in {None, thresholds.get("source")}:
        return run
    return run.model_copy(update={"provenance": {**facts, "thresholds": {**thresholds, "source": source}}})


def _valid_fraction(found: Statistics) -> float:
    return found.valid_pixels / max(1, found.valid_pixels + found.nodata_pixels + found.invalid_pixels)
