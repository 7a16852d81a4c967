"""How far runs and reports are: the little that is asked for again and again while somebody waits."""

from __future__ import annotations

from typing import Self
from uuid import UUID

from pydantic import BaseModel

from orthoray.contracts import AnalysisRun, Report, RunStatus

FINAL = frozenset({"completed", "failed", "cancelled"})


class Standing(BaseModel):
    """Of one run or report. Reports have no progress."""

    id: UUID
    tenant: str
    status: RunStatus
    progress: float = 0.0
    attempts: int = 0
    error: str | None = None

    @classmethod
    def of(cls, tenant: str, record: AnalysisRun | Report) -> Self:
        facts = record.model_dump(include={"id", "status", "progress", "attempts", "error"})
        return cls(tenant=tenant, **facts)

    @property
    def is_final(self) -> bool:
        return self.status in FINAL

    @property
    def place(self) -> tuple[int, int, int]:
        """Where it is on its way, which leads forwards only: attempt, part of it, thousandths.

        Between two attempts it is queued.
        """
        part = 2 if self.is_final else 1 if self.status == "queued" else 0
        return self.attempts, part, round(1000 * self.progress)
