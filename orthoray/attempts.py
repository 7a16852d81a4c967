"""Attempts to compute a run or a report: counted durably before the compute starts, so that no death goes uncounted.

Each service's database has a table `attempts`. Its rows outlive the run or report that they are about for a while: the id of a
report is used again when it is asked for anew, and a number of an attempt, which stands in the keys of what it writes, never is.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from uuid import UUID

from pydantic import BaseModel

from orthoray.contracts import AttemptOutcome
from orthoray.database import Connection, one, read_queries
from orthoray.errors import PROCESS_LOST, REASONS, NoNode, Unavailable

SQL = read_queries(Path(__file__).with_name("attempts.sql"))

MAX_ATTEMPTS = 5
"""How often the process of a run may die before it is given up."""
MAX_OUTAGES = 30
"""How often something else may be away: with the waits of the queue about half an hour."""
MAX_WAITS_FOR_NODES = 3
"""How often an attempt may wait in vain for a node that could compute it, ten minutes each (`pipelines.nodes`)."""
LATE_S = 900
"""After so many seconds no process of an attempt that was given up writes any more; what it left is removed then."""
LATE_MARGIN_S = 60
NO_NODE = NoNode().detail
LOST = "The process or the node that computed it was lost."


class Ending(BaseModel):
    """How an attempt ended, with a reason that clients may read.

    `failed` is final; `lost` and `unavailable` are tried again.
    """

    outcome: Literal["failed", "lost", "unavailable"]
    reason: str


@dataclass(frozen=True)
class Tally:
    """How many attempts ended in vain; one that is under way counts as lost. Those `without_node` are `unavailable` too."""

    lost: int
    unavailable: int
    without_node: int = 0


async def begin(connection: Connection, subject: UUID, number: int) -> None:
    """Write an attempt down; those before it are over."""
    await connection.execute(SQL["close_open"], {"subject": subject, "reason": LOST})
    await connection.execute(SQL["begin"], {"subject": subject, "number": number})


async def place(connection: Connection, subject: UUID, number: int, node: str) -> None:
    """Say where it is computed."""
    await connection.execute(SQL["place"], {"subject": subject, "number": number, "node": node})


async def end(
    connection: Connection, subject: UUID, number: int, outcome: AttemptOutcome, reason: str | None = None
) -> None:
    """Write down how it ended; the first word counts."""
    values = {"subject": subject, "number": number, "outcome": outcome, "reason": reason}
    await one(connection, SQL["end"], values)


async def cancel(connection: Connection, subject: UUID) -> None:
    await connection.execute(SQL["cancel"], {"subject": subject})


async def tally(connection: Connection, subject: UUID, after: int = 0) -> Tally:
    """Of the attempts with a number above `after`."""
    values = {"subject": subject, "after": after, "no_node": NO_NODE}
    row = await one(connection, SQL["tally"], values)
    assert row is not None, "an aggregate has one row"
    return Tally(row["lost"], row["unavailable"], row["without_node"])


async def last_number(connection: Connection, subject: UUID) -> int:
    row = await one(connection, SQL["last"], {"subject": subject})
    assert row is not None, "an aggregate has one row"
    return int(row["number"])


async def forget(connection: Connection, subject: UUID) -> bool:
    """Of a subject that is gone, forget the attempts that cannot be under way any more; whether there are others."""
    await connection.execute(SQL["forget"], {"subject": subject, "age_s": LATE_S - LATE_MARGIN_S})
    return await one(connection, SQL["any_left"], {"subject": subject}) is not None


async def final_reason(
    connection: Connection, subject: UUID, what: str, ending: Ending, most: int, after: int = 0
) -> str | None:
    """Why the attempt that ended so was the last one, in words for clients; None when there is another."""
    if ending.outcome == "failed":
        return ending.reason
    return given_up(what, await tally(connection, subject, after), most, ending.reason)


def given_up(what: str, found: Tally, most: int, reason: str | None = None) -> str | None:
    """Why there is no further attempt, in words for clients; None when there is one. `reason` is the last failure's."""
    if found.lost >= most:
        ending = f", the last time because of this: {reason}" if reason and reason != LOST else "."
        return (
            f"The {what} was given up after its process was lost {most} times: the image may need more memory than "
            f"there is, or crash the program{ending}"
        )
    if found.without_node >= MAX_WAITS_FOR_NODES:
        return (
            f"The {what} was given up after it had waited for half an hour. {NO_NODE} Then ask for it again."
        )
    if found.unavailable > MAX_OUTAGES:
        return (
            f"The {what} was given up after {MAX_OUTAGES} attempts, the last time because of this: {reason}"
        )
    return None


def code_of(found: Tally, most: int) -> str:
    """The word that a run or report is counted by that was given up before its next attempt began."""
    if found.lost >= most:
        return PROCESS_LOST
    return REASONS[NoNode] if found.without_node >= MAX_WAITS_FOR_NODES else REASONS[Unavailable]
