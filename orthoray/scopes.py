"""What credentials allow: the scopes of keys and tokens."""

from __future__ import annotations

from collections.abc import Iterable

IMAGERY_READ = "imagery:read"
IMAGERY_WRITE = "imagery:write"
ANALYSIS_RUN = "analysis:run"
REPORTS_READ = "reports:read"
REPORTS_WRITE = "reports:write"
ADMIN = "admin"
"""Includes all others."""

SCOPES = (IMAGERY_READ, IMAGERY_WRITE, ANALYSIS_RUN, REPORTS_READ, REPORTS_WRITE, ADMIN)
MEANINGS = {
    IMAGERY_READ: "see the catalogue and its files",
    IMAGERY_WRITE: "upload and delete images; deleting one deletes its runs and reports",
    ANALYSIS_RUN: "start, see, cancel and delete runs and their results",
    REPORTS_READ: "see the results of runs and batches, and reports",
    REPORTS_WRITE: "ask for reports and delete them",
    ADMIN: "everything",
}


def allows(held: Iterable[str], wanted: Iterable[str]) -> bool:
    """Whether one of the wanted scopes is held; nothing wanted is always allowed."""
    held, wanted = set(held), set(wanted)
    return not wanted or ADMIN in held or not held.isdisjoint(wanted)
