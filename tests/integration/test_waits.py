"""How long a service waits for its database."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping

import pytest

from orthoray.database import open_pool, transaction
from orthoray.errors import TimedOut, Unavailable

pytestmark = pytest.mark.anyio


async def test_a_statement_that_takes_too_long_is_ended_by_the_server(migrated: Mapping[str, str]) -> None:
    async with open_pool(migrated["analysis"], max_size=1, statement_s=0.2) as pool:
        began = time.monotonic()
        with pytest.raises(TimedOut, match="database did not answer in time"):
            async with transaction(pool) as connection:
                await connection.execute("select pg_sleep(60)")
        assert time.monotonic() - began < 20
        async with transaction(pool) as connection:  # the connection is good again
            await connection.execute("select 1")


async def test_a_lock_that_nobody_gives_back_is_not_waited_for(migrated: Mapping[str, str]) -> None:
    async with (
        open_pool(migrated["analysis"], max_size=2, statement_s=0.2) as pool,
        transaction(pool) as holder,
    ):
        await holder.execute("select pg_advisory_xact_lock(1)")
        with pytest.raises(TimedOut):
            async with transaction(pool) as connection:
                await connection.execute("select pg_advisory_xact_lock(1)")


async def test_a_connection_is_not_waited_for_without_end(migrated: Mapping[str, str]) -> None:
    async with open_pool(migrated["analysis"], max_size=1, wait_s=0.2) as pool, transaction(pool):
        with pytest.raises(Unavailable, match="database does not answer"):
            async with asyncio.timeout(20), transaction(pool):
                pass
