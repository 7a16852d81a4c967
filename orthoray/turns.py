"""Whose turn it is: tenants share the workers fairly, whoever queues ten thousand runs.

Start-time fair queueing (Goyal, Vin, Cheng 1996) with equal weights: a new run gets a turn, a number. It is the turn of the first
in the queue, or the one after the tenant's own last that waits, whichever is later. Jobs go in the order of their turns. So a
tenant's first run waits for one of each other tenant at most, and nobody is overtaken for ever.

Priorities order a tenant's own runs: high ones are not put behind the tenant's others. Low ones of all tenants wait until nothing
else does, and share among themselves as fairly.
"""

from __future__ import annotations

from orthoray.contracts import Priority

_LOW = 1_000_000_000
"""Behind all turns of others. procrastinate's priorities are 32-bit integers; the larger goes first."""


def job_priority(priority: Priority, turn: int) -> int:
    """What the queue sorts jobs by, before their age."""
    behind = _LOW if priority == "low" else 0
    return -(behind + 2 * turn + (priority != "high"))


def turn_parameters(tenant: str, priority: Priority) -> dict[str, str]:
    """What the statements that give a turn need: who shares the queue (`beside`), and who of the tenant's own goes first
    (`above`)."""
    beside = {"low": "low", "normal": "high", "high": "normal"}[priority]
    return {
        "tenant": tenant,
        "priority": priority,
        "beside": beside,
        "above": "high" if priority == "normal" else priority,
    }
