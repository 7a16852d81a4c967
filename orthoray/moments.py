"""Moments in time as clients write them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

from pydantic import AfterValidator


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


Moment = Annotated[datetime, AfterValidator(in_utc)]
