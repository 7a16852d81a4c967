"""Moments in time as clients write them."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator

_NUMBER = re.compile(r"[+-]?[0-9.]+(e[+-]?[0-9]+)?", re.IGNORECASE)


def in_utc(moment: datetime) -> datetime:
    """The moment in UTC; one without a zone is taken for UTC, whatever a database's zone is.

    Raises:
        ValueError: in UTC it lies outside of the years 1 to 9999.
    """
    try:
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
    except OverflowError:
        raise ValueError("in UTC this moment lies outside of the years 1 to 9999") from None


def seconds_since(moment: datetime) -> float:
    """Never less than nothing, though the clocks of two machines differ."""
    return max(0.0, (datetime.now(UTC) - moment).total_seconds())


def _as_text(value: Any) -> Any:
    """Pydantic takes any number for seconds since 1970, and nobody who sends 2026 means that."""
    if isinstance(value, int | float) or (isinstance(value, str) and _NUMBER.fullmatch(value.strip())):
        raise ValueError("write a moment as 2026-05-31T12:00:00Z")
    return value


Moment = Annotated[datetime, BeforeValidator(_as_text), AfterValidator(in_utc)]
