"""How a result came about, read from a run's record: calibration, masks, bands, engine, as printable words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from orthoray.reporting import records
from orthoray.reporting.formats import Formats
from orthoray.reporting.texts import Texts

Record = Mapping[str, Any]

USER_FORMULA = "expr"
"""The name of every index that is a formula of a request."""
_PRESET = "sensor preset "
_BY_WAVELENGTH = "-by-wavelength"


def provenance_words(run: Record, texts: Texts) -> dict[str, str]:
    """What the record of `run` tells of its making, by a key of `texts.PHRASES`; what it lacks is left out.

    Words are made from the codes of the record, since its sentences are English.
    """
    facts = records.mapping(run, "provenance")
    calibration = records.mapping(facts, "calibration")
    words = {
        "run_id": records.text(run.get("id")),
        "completed_at": records.text(run.get("completed_at")),
        "band_map": records.listed(facts.get("band_map"), sign=" = "),
        "sensor": _sensor(facts, records.text(facts.get("sensor")), texts),
        # an English sentence
        "sensor_reason": records.text(facts.get("sensor_reason")) if texts.language == "en" else None,
        "bands_reason": _said_by(facts, "bands", records.text(facts.get("bands_source")), texts),
        "scale": _factor(facts, calibration, "scale", 1.0, texts),
        "offset": _factor(facts, calibration, "offset", 0.0, texts),
        "background": _background(run, records.mapping(facts, "background"), texts),
        "calibration": _calibration(facts, calibration, texts) or records.text(facts.get("calibration")),
        **{key: records.listed(facts.get(key)) for key in ("engine", "versions", "image_sha256")},
    }
    return {key: value for key, value in words.items() if value is not None}


def notes_beside(run: Record, conclusion: str | None) -> tuple[str, ...]:
    """The texts of the run's warnings that its conclusion does not say already."""
    texts = (records.text(note.get("text")) for note in records.items(run.get("warnings")))
    return tuple(text for text in texts if text and text not in (conclusion or ""))


def describes_health(run: Record) -> bool:
    """Whether the names of the classes may be taken at their word: unless the record says no."""
    circumstances = records.mapping(records.mapping(run, "provenance"), "circumstances")
    return circumstances.get("describes_health") is not False


def formula_words(formula: str | None, constants: Record) -> str | None:
    """A formula with its constants and their values, written as the formula writes numbers: `N/(R + L); L = 0.3`."""
    return None if formula is None else "; ".join([formula, *_constants(constants)])


def _constants(constants: Record) -> list[str]:
    """All constants as one text, or none."""
    values = {name: records.number(value) for name, value in constants.items()}
    told = [f"{name} = {value:.9g}" for name, value in values.items() if value is not None]
    return [", ".join(told)] if told else []


def _sensor(facts: Record, key: str | None, texts: Texts) -> str | None:
    """The name of the sensor `key` in the language; the key itself where nothing tells another name."""
    if key is None:
        return None
    base = key.removesuffix(_BY_WAVELENGTH)
    title = records.text(facts.get("sensor_title")) if key == facts.get("sensor") else None
    name = texts.get(f"sensor_{base}") or (title or base).partition(",")[0]
    return name if base == key else texts("sensor_by_wavelength", sensor=name)


def _said_by(facts: Record, kind: str, source: str | None, texts: Texts) -> str | None:
    """The words for who or what named the bands or gave the scale; None for a source that has none."""
    if source is None:
        return None
    if source.startswith(_PRESET):
        sensor = _sensor(facts, source.removeprefix(_PRESET), texts)
        return texts(f"{kind}_by_sensor_preset", sensor=sensor)
    return texts.get(f"{kind}_by_{source}".replace(" ", "_"))


def _calibration(facts: Record, calibration: Record, texts: Texts) -> str | None:
    """What the pixels are, who says so, and whether the bands lie on each other.

    What is reflectance by its scale went into the formula as stored numbers where that was not applied.
    """
    state = records.text(calibration.get("state"))
    if state not in {"dn", "reflectance", "unknown"}:
        return None
    source = records.text(calibration.get("source"))
    if facts.get("scale_applied") is False and state == "reflectance":
        state, source = "dn", None
    said = [texts(f"calibration_{state}")]
    by = _said_by(facts, "calibration", source, texts)
    if by is not None:
        said.append(texts("calibration_by", source=by))
    if calibration.get("aligned") is False:
        said.append(texts("unaligned"))
    return " ".join(said)


def _factor(facts: Record, calibration: Record, key: str, neutral: float, texts: Texts) -> str | None:
    """A scale or offset that was applied, or one that the file has and that was not; None where it is neutral."""
    applied = records.numbers(calibration.get(f"{key}s"))
    if applied and facts.get("scale_applied") is not False:
        return _by_band(applied, records.mapping(facts, "band_map"), neutral, Formats(texts))
    stored = facts.get(key)
    members = stored.values() if isinstance(stored, Mapping) else [stored]
    if all(records.number(member) in {None, neutral} for member in members):
        return None
    value = records.listed(stored, sign=" = ")
    return value if facts.get("scale_applied") is True else texts("not_applied", value=value)


def _by_band(values: Sequence[float], band_map: Record, neutral: float, formats: Formats) -> str | None:
    """One number where all the bands used have it, else `R = 0.0001; N = 0.0002`; None where all are neutral."""
    numbers = {name: records.whole(number) for name, number in band_map.items()}
    used = {
        name: values[number - 1]
        for name, number in numbers.items()
        if number is not None and 1 <= number <= len(values)
    } or {str(number): value for number, value in enumerate(values, start=1)}
    distinct = set(used.values())
    if distinct == {neutral}:
        return None
    if len(distinct) == 1:
        return formats.plain(distinct.pop())
    return "; ".join(f"{name} = {formats.plain(value)}" for name, value in used.items())


def _background(run: Record, background: Record, texts: Texts) -> str | None:
    """Which pixels counted as plants, and how much of the image was left out."""
    formats = Formats(texts)
    index = records.text(background.get("index"))
    if index == USER_FORMULA:
        index = records.text(background.get("formula"))
    above = records.number(background.get("above"))
    if index is None or above is None:
        return None
    kept = [texts("background_kept", index=index, above=formats.plain(above))]
    kept += _constants(records.mapping(background, "constants"))
    statistics = records.mapping(run, "statistics")
    counts = [
        records.whole(statistics.get(f"{kind}_pixels")) or 0
        for kind in ("background", "valid", "nodata", "invalid")
    ]
    if sum(counts):
        kept.append(texts("background_share", share=formats.percent(100.0 * counts[0] / sum(counts))))
    return "; ".join(kept)
