"""Row-level security on a real PostgreSQL: what a forgotten `where` shows."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, LiteralString, cast
from uuid import uuid4

import psycopg
import pytest
from psycopg import sql
from wired import Services

from orthoray.contracts import AnalysisRequest, ReportRequest
from orthoray.database import Pool, fetch_all, open_pool, transaction
from orthoray.errors import BadInput
from orthoray.settings import SERVICES
from orthoray.tenants import ALL_TENANTS, acting_for

pytestmark = pytest.mark.anyio
TABLES = {"imagery": "imagery", "analysis": "analysis_runs", "report": "reports"}


@pytest.fixture
async def shared(services: Services) -> Services:
    """An imagery, a run and a report of each of two tenants."""
    for tenant in ("one", "two"):
        run = await services.completed(tenant)
        await services.report.create(tenant, ReportRequest(analysis_run_id=run.id))
    return services


def statement(words: str, service: str) -> Any:
    return sql.SQL(cast(LiteralString, words)).format(table=sql.Identifier(TABLES[service]))


async def seen(pool: Pool, service: str) -> list[str]:
    """The tenants whose rows a query without a `where` shows."""
    rows = await fetch_all(pool, statement("select tenant_id from {table} order by tenant_id", service), {})
    return [row["tenant_id"] for row in rows]


@pytest.mark.parametrize("service", SERVICES)
async def test_a_forgotten_where_shows_nothing_of_others(shared: Services, service: str) -> None:
    async with open_pool(shared.dsns[service], max_size=2) as pool:
        with acting_for("one"):
            assert await seen(pool, service) == ["one"]
        with acting_for("two"):
            assert await seen(pool, service) == ["two"]
        with acting_for(ALL_TENANTS):
            assert await seen(pool, service) == ["one", "two"]
        assert await seen(pool, service) == []  # and nothing is left on the connection
        with acting_for("default"):
            assert await seen(pool, service) == []


@pytest.mark.parametrize("service", SERVICES)
async def test_a_forgotten_where_changes_nothing_of_others(shared: Services, service: str) -> None:
    async def change(words: str) -> int:
        with acting_for("one"):
            async with transaction(pool) as connection:
                return (await connection.execute(statement(words, service))).rowcount

    async with open_pool(shared.dsns[service], max_size=2) as pool:
        with pytest.raises(psycopg.errors.InsufficientPrivilege):  # given away
            await change("update {table} set tenant_id = 'two'")
        assert await change("delete from {table}") == 1
        with acting_for(ALL_TENANTS):
            assert await seen(pool, service) == ["two"]


async def test_calls_at_the_same_time_keep_their_tenants(shared: Services) -> None:
    async def ask(pool: Pool, tenant: str) -> None:
        with acting_for(tenant):
            assert await seen(pool, "imagery") == [tenant]

    async with open_pool(shared.dsns["imagery"], max_size=3) as pool:
        await asyncio.gather(*(ask(pool, tenant) for _ in range(40) for tenant in ("one", "two")))


@pytest.mark.parametrize("service", SERVICES)
def test_every_table_that_names_a_tenant_is_guarded(dsns: Mapping[str, str], service: str) -> None:
    with psycopg.connect(dsns[service]) as connection:
        rows = connection.execute(
            "select relname, relrowsecurity and relforcerowsecurity and exists"
            " (select from pg_policy where polrelid = pg_class.oid) from pg_class"
            " join pg_attribute on attrelid = pg_class.oid and attname = 'tenant_id'"
            " where relkind = 'r' and relnamespace = current_schema()::regnamespace"
        ).fetchall()
        bypasses = connection.execute(
            "select rolsuper or rolbypassrls from pg_roles where rolname = current_user"
        ).fetchone()
    assert rows
    assert [name for name, guarded in rows if not guarded] == []
    assert bypasses == (False,)


async def test_another_tenants_id_is_taken_neither_for_reading_nor_for_writing(shared: Services) -> None:
    (own,) = shared.query("imagery", "select id from imagery where tenant_id = 'two'")
    assert await shared.imagery.find("one", own["id"]) is None
    assert await shared.imagery.find("one", uuid4()) is None
    assert await shared.imagery.find("two", own["id"]) is not None


async def test_many_at_once_are_those_of_the_tenant_alone(shared: Services) -> None:
    def ids(service: str) -> dict[str, Any]:
        return {
            row["tenant_id"]: row["id"]
            for row in shared.query(service, statement("select id, tenant_id from {table}", service))
        }

    image, run, report = ids("imagery"), ids("analysis"), ids("report")
    for call, known in (
        (shared.imagery.get_many, image),
        (shared.analysis.get_many, run),
        (shared.report.get_many, report),
    ):
        assert [found.id for found in await call("one", [*known.values(), uuid4()])] == [known["one"]]
        assert await call("one", []) == []
        with pytest.raises(BadInput, match="at most 200 ids"):
            await call("one", [uuid4()] * 201)
    for search, parents, children in (
        (shared.analysis.search_of_imagery, image, run),
        (shared.report.search_of_runs, run, report),
    ):
        pages = await search("one", list(parents.values()), 10, None, None)
        assert {parent: [child.id for child in page.items] for parent, page in pages.items()} == {
            parents["one"]: [children["one"]],
            parents["two"]: [],
        }
        with pytest.raises(BadInput, match="rows at a time"):
            await search("one", [uuid4()] * 100, 100, None, None)


async def test_pages_of_several_parents_are_those_of_each_alone(services: Services) -> None:
    images = [await services.register() for _ in range(3)]
    for image in [images[0]] * 3 + [images[1]]:
        run = await services.analysis.create(
            "default", AnalysisRequest(imagery_id=image.id, index_type="NDVI")
        )
    await services.analysis.delete("default", run.id)
    known = [image.id for image in images]
    for status in (None, "queued", "cancelled"):
        token = None
        for _ in range(2):
            pages = await services.analysis.search_of_imagery("default", known, 2, token, status)
            for one in known:
                assert pages[one] == await services.analysis.search("default", 2, token, one, status)
            token = pages[known[0]].next or token


async def test_indexes_are_still_used(shared: Services) -> None:
    async with open_pool(shared.dsns["analysis"], max_size=1) as pool:
        with acting_for("one"):
            async with transaction(pool) as connection:
                await connection.execute("set local enable_seqscan = off")
                plan = await (
                    await connection.execute(
                        "explain select * from analysis_runs where tenant_id = 'one'"
                        " and (created_at, id) < (now(), gen_random_uuid()) order by created_at desc, id desc limit 50"
                    )
                ).fetchall()
    text = "\n".join(line["QUERY PLAN"] for line in plan)
    assert "analysis_runs_newest_first" in text
    assert "Index Cond" in text
    assert "Sort" not in text
