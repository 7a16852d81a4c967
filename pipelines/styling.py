"""A user's own colours and words for the reports, from `OLD.styles`; what it lacks or breaks is as usual."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import structlog

from orthoray.contracts import AnalysisRun, Language
from orthoray.reporting.content import CropText, IndexText
from orthoray.reporting.records import number, text
from orthoray.reporting.theme import Palette
from orthoray.spectral.thresholds import CROPS, crop_name

STYLES = "OLD.styles"

log = structlog.get_logger(__name__)

Entries = Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True)
class Styling:
    """Colours, descriptions by index and levels by crop, as the desktop program has them; its words are Russian."""

    palette: Palette = field(default_factory=Palette)
    indices: Entries = field(default_factory=dict)
    crops: Entries = field(default_factory=dict)

    def index_text(self, index_name: str, language: Language) -> IndexText | None:
        """The words on an index, in Russian reports; names are compared without case, and `Civi` is CIVE."""
        wanted = index_name.casefold()
        for key, entry in self.indices.items() if language == "ru" else ():
            name = key.casefold()
            if wanted == ("cive" if name == "civi" else name):
                return IndexText(*(text(entry.get(word)) for word in ("name", "description", "formula")))
        return None

    def crop_text(self, crop: str | None, language: Language) -> CropText | None:
        """The levels of a crop (its English name), listed under any name of it; the description in Russian reports."""
        names = {alias.casefold() for known in CROPS if known.name == crop for alias in known.aliases}
        for key, entry in self.crops.items():
            healthy, stressed = number(entry.get("healthy")), number(entry.get("stressed"))
            if crop and key.casefold() in names and healthy is not None and stressed is not None:
                if language == "ru":
                    return CropText(key, healthy, stressed, text(entry.get("description")))
                return CropText(crop_name(crop, language).capitalize(), healthy, stressed)
        return None


def read_styling() -> Styling:
    """What `OLD.styles` says now; a deployment may have its own OLD, and its styles may need a desktop's packages."""
    try:
        styles = importlib.import_module(STYLES)
    except Exception as error:  # a user's module may fail in any way, and the report is made all the same
        log.warning("styles_unreadable", module=STYLES, error=str(error))
        return Styling()

    def setting(name: str) -> object:
        return getattr(styles, name, None)

    return Styling(
        palette=Palette.of(setting("PRIMARY_COLOR"), setting("SECONDARY_COLOR"), setting("TEXT_COLOR")),
        indices=_entries(setting("SPECTRAL_INDEX_DESCRIPTIONS")),
        crops=_entries(setting("CROP_THRESHOLDS")),
    )


def crop_of(run: AnalysisRun) -> str | None:
    """The English name of the crop whose thresholds the run used."""
    thresholds = (run.provenance or {}).get("thresholds")
    return text(thresholds.get("crop")) if isinstance(thresholds, Mapping) else None


def _entries(table: object) -> Entries:
    if not isinstance(table, Mapping):
        return {}
    return {key: entry for key, entry in table.items() if isinstance(key, str) and isinstance(entry, Mapping)}
