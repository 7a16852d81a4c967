"""The claims of Idempotency-Keys in imagery_db. See `orthoray.idempotency`."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any
from uuid import UUID

from psycopg.rows import DictRow
from psycopg.types.json import Jsonb

from orthoray.database import Pool, fetch_one, one, read_queries, transaction
from orthoray.idempotency import LEASE, LIFETIME, Claim, Claimed, KeptAnswer

SQL = read_queries(Path(__file__).with_name("idempotency.sql"))
_SWEPT_AT_ONCE = 5000


class IdempotencyKeys:
    """Every change is conditional on who holds the claim."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def claim(self, tenant: str, claim: Claim) -> Claimed:
        values = {
            **_of(tenant, claim.key),
            **claim.model_dump(include={"fingerprint", "holder", "subject"}),
            "lease": LEASE,
            "lifetime": LIFETIME,
        }
        async with transaction(self._pool) as connection:
            won = await one(connection, SQL["claim"], values)
            row = won or await one(connection, SQL["get"], values)
        if row is None:  # forgotten between the two statements
            return Claimed(is_mine=False, subject=claim.subject, fingerprint=None)
        return Claimed(
            is_mine=won is not None,
            subject=row["subject"],
            fingerprint=row["fingerprint"],
            answer=_answer(row),
            wait_s=max(1, row.get("wait_s") or 1),
        )

    async def prolong(self, tenant: str, key: str, holder: UUID, fingerprint: str | None) -> str | None:
        """What the request is about, as whoever was first has noted it; None where the claim is no longer this holder's."""
        values = {**_of(tenant, key), "holder": holder, "fingerprint": fingerprint, "lease": LEASE}
        row = await fetch_one(self._pool, SQL["prolong"], values)
        return row["fingerprint"] if row else None

    async def keep(self, tenant: str, key: str, subject: UUID, answer: KeptAnswer) -> None:
        values = {**_of(tenant, key), "subject": subject, **answer.model_dump()}
        async with transaction(self._pool) as connection:
            await connection.execute(SQL["keep"], {**values, "headers": Jsonb(answer.headers)})

    async def end(self, tenant: str, key: str, holder: UUID, *, forget: bool) -> None:
        async with transaction(self._pool) as connection:
            statement = SQL["forget" if forget else "give_up"]
            await connection.execute(statement, {**_of(tenant, key), "holder": holder})

    async def sweep(self) -> int:
        """Forget those that have expired, some thousands in each transaction; how many there were."""
        swept, found = 0, _SWEPT_AT_ONCE
        while found == _SWEPT_AT_ONCE:
            async with transaction(self._pool) as connection:
                cursor = await connection.execute(SQL["sweep"], {"limit": _SWEPT_AT_ONCE})
                found = cursor.rowcount
                swept += found
        return swept


def _of(tenant: str, key: str) -> dict[str, Any]:
    return {"tenant": tenant, "key_sha256": hashlib.sha256(key.encode()).digest()}


def _answer(row: DictRow) -> KeptAnswer | None:
    if row["status"] is None:
        return None
    return KeptAnswer(status=row["status"], headers=row["headers"], body=row["body"])
