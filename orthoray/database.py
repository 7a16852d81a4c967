"""PostgreSQL: pools, named queries from `.sql` files, and numbered migrations under an advisory lock."""

from __future__ import annotations

import re
import select
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, LiteralString, cast

import psycopg
from procrastinate.exceptions import ConnectorException
from procrastinate.schema import SchemaManager
from psycopg.rows import DictRow, dict_row
from psycopg.types.json import set_json_loads
from psycopg_pool import AsyncConnectionPool, PoolTimeout
from pydantic_core import from_json

from orthoray.errors import ConfigurationError, TimedOut, Unavailable
from orthoray.tenants import ALL_TENANTS, acting_tenant

Connection = psycopg.AsyncConnection[DictRow]
Pool = AsyncConnectionPool[Connection]

# Any number will do as long as all versions of OrthoRay use the same one.
_MIGRATION_LOCK = 0x0_57_40_12_A7
# How long a migration waits for a lock of somebody else. Each of its steps takes less than a second.
LOCK_TIMEOUT_S = 60.0
# Row-level security shows a transaction the rows of this tenant; without it none (`tenants.sql`).
_ACT_FOR: LiteralString = "select set_config('orthoray.tenant', %s, true)"
_GUARD_TENANTS: LiteralString = Path(__file__).with_name("tenants.sql").read_text(encoding="utf-8")
# For connections of the command line and of maintenance, as libpq's `options`.
ALL_ROWS = f"-c orthoray.tenant={ALL_TENANTS}"
_HEADER = re.compile(r"^-- name: (\w+)\s*$", re.MULTILINE)


def read_queries(path: Path) -> Mapping[str, LiteralString]:
    """The statements of a file in which each stands below a line `-- name: <name>`."""
    parts = _HEADER.split(path.read_text(encoding="utf-8"))
    # Files that ship with the package are as trusted as code, which is what LiteralString stands for.
    return {
        name: cast(LiteralString, text.strip()) for name, text in zip(parts[1::2], parts[2::2], strict=True)
    }


@asynccontextmanager
async def open_pool(
    dsn: str, *, max_size: int = 8, wait_s: float = 10.0, statement_s: float = 30.0
) -> AsyncIterator[Pool]:
    """A pool whose connections are checked before use, so that a restarted server costs no request.

    Each statement outside of a `transaction` is one of its own. A connection is waited for `wait_s`, and the server ends a
    statement after `statement_s`.
    """
    pool: Pool = AsyncConnectionPool(
        dsn,
        min_size=1,
        max_size=max_size,
        timeout=wait_s,
        configure=_configure,
        check=_check,
        # A cut link or a lost lock must not hold a connection for ever.
        kwargs={
            "autocommit": True,
            "row_factory": dict_row,
            "connect_timeout": 5,
            "tcp_user_timeout": 30_000,
            "options": f"-c statement_timeout={1000 * statement_s:.0f}",
        },
        connection_class=psycopg.AsyncConnection[DictRow],
        open=False,
    )
    await pool.open()
    try:
        yield pool
    finally:
        await pool.close()


async def _configure(connection: Connection) -> None:
    # several times as fast as Python's own, and a run has a dozen columns of JSON
    set_json_loads(from_json, connection)


async def _check(connection: Connection) -> None:
    """Whether the server is still at the other end; asked only where something has come that nobody waits for, such as the
    end of the connection: a question each time costs a good part of what a read does."""
    poll = select.poll()
    poll.register(connection.fileno(), select.POLLIN | select.POLLHUP | select.POLLERR)
    if poll.poll(0):
        await AsyncConnectionPool.check_connection(connection)


@asynccontextmanager
async def transaction(pool: Pool, *, tenant: str | None = None) -> AsyncIterator[Connection]:
    """A connection in one transaction, committed when the block ends well.

    It sees the rows of `tenant`; None: of the acting one (`orthoray.tenants`).

    Raises:
        TimedOut: the server took too long for a statement.
        Unavailable: the database does not answer.
    """
    with _away_is_unavailable():
        async with pool.connection() as connection, connection.transaction():
            if (seen := tenant or acting_tenant()) is not None:
                await connection.execute(_ACT_FOR, [seen])
            yield connection


@contextmanager
def _away_is_unavailable() -> Iterator[None]:
    try:
        yield
    except psycopg.errors.QueryCanceled as error:
        raise TimedOut("The database did not answer in time: try again in a few seconds.") from error
    except (psycopg.OperationalError, PoolTimeout, ConnectorException) as error:
        if isinstance(error, ConnectorException) and not isinstance(
            error.__cause__, psycopg.OperationalError
        ):
            raise
        # The last of them is what the queue makes of the first.
        raise Unavailable(
            "The database does not answer at the moment: try again in a few seconds."
        ) from error


@asynccontextmanager
async def transactionless(pool: Pool) -> AsyncIterator[Connection]:
    """A connection of which each statement is a transaction, to be held for long: locks of its session end with it.

    Raises:
        Unavailable: the database does not answer, before the block begins.
    """
    with _away_is_unavailable():
        connection = await pool.getconn()
    try:
        yield connection
    finally:
        await pool.putconn(connection)


async def one(connection: Connection, query: LiteralString, parameters: Mapping[str, Any]) -> DictRow | None:
    """The first row of a statement in the caller's transaction."""
    return await (await connection.execute(query, parameters)).fetchone()


async def fetch_one(pool: Pool, query: LiteralString, parameters: Mapping[str, Any]) -> DictRow | None:
    """The first row of a statement in a transaction of its own. Raises as `transaction`."""
    return await (await _executed(pool, query, parameters)).fetchone()


async def fetch_all(pool: Pool, query: LiteralString, parameters: Mapping[str, Any]) -> list[DictRow]:
    """All of its rows."""
    return await (await _executed(pool, query, parameters)).fetchall()


async def _executed(
    pool: Pool, query: LiteralString, parameters: Mapping[str, Any]
) -> psycopg.AsyncCursor[DictRow]:
    """The statement and whose rows it sees in one message to the server, which takes a pipeline for one transaction."""
    with _away_is_unavailable():
        async with pool.connection() as connection, connection.pipeline():
            if (seen := acting_tenant()) is not None:
                await connection.execute(_ACT_FOR, [seen])
            return await connection.execute(query, parameters)


async def ping(pool: Pool, name: str) -> dict[str, str]:
    """Nothing when the database answers, else the reason under its name."""
    try:
        async with transaction(pool) as connection:
            await connection.execute("select 1")
    except Unavailable as error:
        return {name: error.detail}
    return {}


def migrate(dsn: str, folder: Path, *, lock_timeout_s: float = LOCK_TIMEOUT_S) -> list[str]:
    """Bring a database to the newest schema; returns the names of the steps that were applied.

    Steps are `folder/NNNN_name.sql` in order, after the queue's own schema. Each runs in its own transaction together with
    its entry in `schema_migrations`; an advisory lock makes a second migrator wait. Every table that names a tenant then has its
    row-level security.

    Raises:
        ConfigurationError: the database cannot be reached, or was made by a newer version, or somebody has held a lock on it
            for longer than `lock_timeout_s`.
    """
    steps: dict[str, LiteralString] = {"0000_queue": SchemaManager.get_schema()}
    steps |= {path.stem: path.read_text(encoding="utf-8") for path in sorted(folder.glob("[0-9]*.sql"))}
    applied = []
    try:
        with psycopg.connect(dsn, autocommit=True, connect_timeout=10, options=ALL_ROWS) as connection:
            connection.execute(
                "select set_config('lock_timeout', %s, false)", [f"{lock_timeout_s * 1000:.0f}ms"]
            )
            connection.execute("select pg_advisory_lock(%s)", [_MIGRATION_LOCK])
            connection.execute(
                "create table if not exists schema_migrations"
                " (name text primary key, applied_at timestamptz not null default now())"
            )
            done = {row[0] for row in connection.execute("select name from schema_migrations")}
            if unknown := sorted(done - set(steps)):
                raise ConfigurationError(
                    f"The database was made by a newer OrthoRay (it has {unknown[-1]}): install that version or newer."
                )
            for name, sql in steps.items():
                if name in done:
                    continue
                with connection.transaction():
                    connection.execute(sql)
                    connection.execute("insert into schema_migrations (name) values (%s)", [name])
                applied.append(name)
            with connection.transaction():
                connection.execute(_GUARD_TENANTS)
    except psycopg.errors.LockNotAvailable as error:
        raise ConfigurationError(
            f"Another session has held a lock on the database for more than {lock_timeout_s:g} s: wait until a migration that is "
            "under way is done, or end that session (the view pg_stat_activity shows it), then try again."
        ) from error
    except psycopg.OperationalError as error:
        reason = str(error).strip().splitlines()[0]
        raise ConfigurationError(f"The database cannot be reached: {reason}") from error
    return applied
