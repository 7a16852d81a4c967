"""A run's labels, verdict and notes in the language that a report is asked for in."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from orthoray.contracts import AnalysisRun, Language, Note, Statistics
from orthoray.spectral.classes import stats_by_label
from orthoray.spectral.presets import find_sensor
from orthoray.spectral.texts import TEXTS
from orthoray.spectral.thresholds import CLASS_NAMES, LEGACY_INDICES, method_of, threshold_source
from orthoray.spectral.verdict import Circumstances, conclusion, notes


def in_language(run: AnalysisRun, language: Language) -> AnalysisRun:
    """The run with words of `language`; classes that a user's own OLD package named keep its words."""
    run = run.model_copy(update={"provenance": told_in(run.provenance, run.index_type, language)})
    found = run.statistics
    if language == run.language or found is None or any(row.name not in CLASS_NAMES for row in found.classes):
        return run
    labels = TEXTS[language].labels
    classes = [row.model_copy(update={"label": labels[row.name]}) for row in found.classes]
    table = [row.model_dump() for row in classes]
    circumstances = _circumstances(run, found)
    words = conclusion(table, language, index_name=run.index_type, circumstances=circumstances)
    return run.model_copy(
        update={
            "language": language,
            "stats": stats_by_label(table),
            "conclusion": words,
            "statistics": found.model_copy(update={"classes": classes}),
            "warnings": _translated(run.warnings, notes(circumstances, language)),
        }
    )


def told_in(provenance: dict[str, Any] | None, index_name: str, language: Language) -> dict[str, Any] | None:
    """The provenance with the source of its thresholds in the language, and with the title of its sensor.

    Records tell that source in English, whatever the run's language, and earlier ones have the key of a sensor alone.
    """
    facts = provenance or {}
    thresholds, preset = facts.get("thresholds"), find_sensor(str(facts.get("sensor") or ""))
    told: dict[str, Any] = {}
    if preset is not None:
        told["sensor_title"] = preset.title
    if isinstance(thresholds, dict):
        cuts, crop = thresholds.get("cuts") or (), thresholds.get("crop")
        source = threshold_source(str(thresholds.get("id")), index_name, cuts, crop, language)
        told["thresholds"] = {**thresholds, "source": source or thresholds.get("source")}
    return {**facts, **told} if told else provenance


def presumed(index_name: str, *, needs_reflectance: bool, dtype: str, valid_fraction: float) -> Circumstances:
    """The circumstances of a result whose record does not keep them, as far as they can be told.

    Whole numbers are what cameras store; an index of reflectance cannot have had that from them.
    """
    legacy = index_name in LEGACY_INDICES
    return Circumstances(
        state="dn" if needs_reflectance and not dtype.startswith("float") else None,
        valid_fraction=valid_fraction,
        needs_reflectance=needs_reflectance,
        visible_only=legacy,
        legacy=legacy,
        high_is_good=index_name != "CIVE",
    )


def _circumstances(run: AnalysisRun, found: Statistics) -> Circumstances:
    facts: dict[str, Any] = run.provenance or {}
    kept, thresholds = facts.get("circumstances"), facts.get("thresholds")
    if isinstance(kept, dict):
        named = thresholds.get("id") if isinstance(thresholds, dict) else None
        return Circumstances.from_dict({"method": method_of(str(named)), **kept})
    return presumed(
        run.index_type,
        needs_reflectance=bool(facts.get("needs_reflectance")),
        dtype=str(facts.get("dtype", "")),
        valid_fraction=_valid_fraction(found),
    )


def _translated(warnings: Iterable[Note], known: Iterable[dict[str, str]]) -> list[Note]:
    """The run's warnings, those that the circumstances make in the words of `known`."""
    texts = {note["code"]: note["text"] for note in known}
    return [
        note.model_copy(update={"text": texts[note.code]}) if note.code in texts else note
        for note in warnings
    ]


def _valid_fraction(found: Statistics) -> float:
    return found.valid_pixels / max(1, found.valid_pixels + found.nodata_pixels + found.invalid_pixels)
