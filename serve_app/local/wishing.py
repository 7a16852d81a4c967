"""The options of `orthoray analyze` as the wish that the service too would get."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from pydantic import ValidationError

from orthoray.errors import BadInput
from orthoray.options import AnalysisWish

_CONDITION = re.compile(r"(?P<left>[^<>=]+)>(?P<above>[^<>=]+)")

# Options that are not called as their fields are.
_OPTIONS = {"index_type": "index", "constants": "constant"}


def read_wish(
    *,
    index: str,
    constants: Iterable[str],
    scale: str | None,
    offset: str | None,
    soil_mask: str | None,
    thresholds: str | None,
    stretch: str | None,
    **plain: Any,
) -> AnalysisWish:
    """Texts as a person types them; `plain` are fields of `AnalysisWish` as they are.

    Raises:
        BadInput: an option is not written as it has to be; its name is in the message.
    """
    given = {
        "index_type": index,
        "constants": _constants(constants),
        "scale": _per_band(scale, "scale"),
        "offset": _per_band(offset, "offset"),
        "soil_mask": _soil_mask(soil_mask),
        "thresholds": _numbers_or_word(thresholds),
        "stretch": _numbers_or_word(stretch),
        **plain,
    }
    try:
        return AnalysisWish.model_validate(given)
    except ValidationError as error:
        first = error.errors()[0]
        field = str(first["loc"][0])
        option = _OPTIONS.get(field, field.replace("_", "-"))
        raise BadInput(f"--{option}: {first['msg']}.") from None


def _constants(texts: Iterable[str]) -> dict[str, float] | None:
    found = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or not name.strip():
            raise BadInput(f"--constant takes a name and a number, such as L=0.5, not {text!r}.")
        found[name.strip()] = _number(value, "constant", "a name and a number, such as L=0.5")
    return found or None


def _per_band(text: str | None, option: str) -> float | list[float] | None:
    if text is None:
        return None
    wanted = "one number, such as 0.0001, or one for each band with commas between"
    values = [_number(part, option, wanted) for part in text.split(",")]
    return values[0] if len(values) == 1 else values


def _numbers_or_word(text: str | None) -> str | list[float] | None:
    """The numbers of a list with commas; what is none is left for the contract to judge."""
    if text is None or "," not in text:
        return text.strip().lower() if text else None
    try:
        return [float(part) for part in text.split(",")]
    except ValueError:
        return text


def _soil_mask(text: str | None) -> dict[str, Any] | None:
    if text is None:
        return None
    found = _CONDITION.fullmatch(text)
    if found is None:
        raise BadInput(
            f"--soil-mask takes an index or a formula above a number, such as NDVI>0.2, not {text!r}."
        )
    left = found["left"].strip()
    above = _number(found["above"], "soil-mask", "an index or a formula above a number, such as NDVI>0.2")
    if re.fullmatch(r"\w+", left):
        return {"index_type": left, "above": above}
    return {"index_type": "expr", "expression": left, "above": above}


def _number(text: str, option: str, wanted: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise BadInput(f"--{option} takes {wanted}, not {text.strip()!r}.") from None
