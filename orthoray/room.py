"""Room in the queues: how many runs, and how many reports, of one tenant may wait at once."""

from __future__ import annotations

from typing import LiteralString

from orthoray.database import Connection, one
from orthoray.errors import TooMany

MAX_WAITING = 10_000
# How long a full queue is asked to be left alone.
RETRY_AFTER_S = 30
_HOLD: LiteralString = "select pg_advisory_xact_lock(hashtextextended(%(tenant)s, 0))"


async def hold_queue(connection: Connection, tenant: str) -> None:
    """Nobody else adds to the tenant's queue until the end of the transaction, so that what is counted stays so."""
    await one(connection, _HOLD, {"tenant": tenant})


async def refuse_if_full(
    connection: Connection, count: LiteralString, tenant: str, most: int, what: str
) -> None:
    """To be called after the row was written: it counts too, and goes with the transaction.

    Args:
        count: a statement that counts the rows that wait, those `most` and one more at most.

    Raises:
        TooMany: there is no room.
    """
    row = await one(connection, count, {"tenant": tenant, "most": most})
    if row and row["rows"] > most:
        raise TooMany(
            f"{most:,} of your {what} wait already, and no more may: try again when some of them are done.",
            max_waiting=most,
            retry_after_s=RETRY_AFTER_S,
        )
