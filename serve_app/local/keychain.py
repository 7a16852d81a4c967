"""`orthoray key create | list | revoke`: the API keys of an installation, straight in its database."""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
from psycopg.rows import DictRow, dict_row
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from orthoray.database import ALL_ROWS
from orthoray.errors import BadInput, ConfigurationError
from orthoray.scopes import MEANINGS, SCOPES
from orthoray.settings import Settings
from orthoray.tenants import checked_tenant
from serve_app.imagery.repository import SQL, key_row
from serve_app.local.credentials import KEY_PREFIX
from serve_app.local.postgres import EmbeddedPostgres
from serve_app.local.stack import read_state

MAX_NAME = 100
_UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_SPAN = re.compile(r"([1-9][0-9]{0,4})([mhdw])")

Row = Mapping[str, Any]


def read_scopes(words: Sequence[str]) -> list[str]:
    """In the order of the table; several may stand in one word, separated by commas.

    Raises:
        BadInput: there are none, or one that does not exist.
    """
    given = {scope.strip() for word in words for scope in word.split(",") if scope.strip()}
    known = "\n".join(f"  {scope:15} {MEANINGS[scope]}" for scope in SCOPES)
    if not given:
        raise BadInput(f"Say what the key may do, with --scope, as often as needed:\n{known}")
    if strange := sorted(given - set(SCOPES)):
        raise BadInput(f"There is no scope {', '.join(strange)}. There are:\n{known}")
    return [scope for scope in SCOPES if scope in given]


def read_span(words: str | None) -> timedelta | None:
    """`90d`, `12h`, `30m`, `8w`; None for `never`.

    Raises:
        BadInput: it is none of these.
    """
    if words is None or words == "never":
        return None
    found = _SPAN.fullmatch(words)
    if found is None:
        raise BadInput(f"--expires is 90d, 12h, 30m, 8w or never, not {words!r}.")
    return timedelta(**{_UNITS[found[2]]: int(found[1])})


def create_key(
    settings: Settings, *, name: str, scopes: Sequence[str], expires: str | None, tenant: str, notes: Console
) -> str:
    """The new key. It is kept nowhere but in the hands of who gets it.

    Raises:
        BadInput: a name, scope, span or tenant that will not do.
    """
    if not name.strip() or len(name) > MAX_NAME or not name.isprintable():
        raise BadInput(f"A key's name has 1 to {MAX_NAME} printable characters and tells what it is for.")
    allowed, span = read_scopes(scopes), read_span(expires)
    key = KEY_PREFIX + secrets.token_urlsafe(32)
    until = datetime.now(UTC) + span if span else None
    row = key_row(checked_tenant(tenant), name.strip(), key, allowed, until)
    with opened(settings) as connection:
        connection.execute(SQL["insert_key"], row)
    ends = f"{until:%Y-%m-%d %H:%M} UTC" if until else "never"
    notes.print(
        f"Key {row['prefix']}… of tenant {tenant}: {', '.join(allowed)}; expires: {ends}.", soft_wrap=True
    )
    notes.print("This is the only time that it is shown:")
    return key


def list_keys(settings: Settings, tenant: str | None) -> Table:
    with opened(settings) as connection:
        rows = connection.execute(SQL["list_keys"], {"tenant": tenant}).fetchall()
    return table_of(rows)


def table_of(rows: Sequence[Row]) -> Table:
    table = Table("Key", "Name", "Tenant", "Scopes", "Created", "Expires", "Last used", "State", box=None)
    for row in rows:
        table.add_row(
            f"{row['prefix']}…",
            escape(row["name"]),
            row["tenant_id"],
            " ".join(row["scopes"]),
            _day(row["created_at"]),
            _day(row["expires_at"], "never"),
            _minute(row["last_used_at"]),
            _state(row),
        )
    return table


def revoke_key(settings: Settings, word: str, notes: Console) -> None:
    """End a key, by what `list` shows of it, by its name or its id.

    Raises:
        BadInput: there is no such key, or several.
    """
    word = word.rstrip("…")
    with opened(settings) as connection:
        rows = connection.execute(SQL["keys_called"], {"word": word}).fetchall()
        valid = [row for row in rows if row["revoked_at"] is None]
        if not rows:
            raise BadInput(f"There is no key {word!r}: `orthoray key list` shows those that there are.")
        if len(valid) > 1:
            names = ", ".join(f"{row['prefix']} ({row['tenant_id']})" for row in valid)
            raise BadInput(f"{len(valid)} keys are called {word!r}: say which one of {names}.")
        if not valid:
            notes.print(f"{word} was revoked before.", markup=False)
            return
        connection.execute(SQL["revoke_key"], {"id": valid[0]["id"]})
    notes.print(
        f"Revoked {valid[0]['prefix']}… ({valid[0]['name']}): it opens nothing after 15 seconds at most.",
        markup=False,
        soft_wrap=True,
    )


@contextmanager
def opened(settings: Settings) -> Iterator[psycopg.Connection[DictRow]]:
    """The catalogue's database, in one transaction.

    Raises:
        ConfigurationError: it cannot be reached, or was made by another version.
    """
    if settings.external_databases:
        dsn = settings.dsn("imagery")
    elif read_state(settings) is None:
        raise ConfigurationError(
            "The database with the keys is not running: start it with `orthoray up` (or `orthoray up --detach`)."
        )
    else:
        dsn = EmbeddedPostgres(settings.orthoray_home).dsn("imagery")
    try:
        with psycopg.connect(dsn, row_factory=dict_row, connect_timeout=10, options=ALL_ROWS) as connection:
            yield connection
    except psycopg.OperationalError as error:
        reason = str(error).strip().splitlines()[0]
        raise ConfigurationError(f"imagery_db cannot be reached: {reason}") from error
    except (psycopg.errors.UndefinedTable, psycopg.errors.UndefinedColumn) as error:
        raise ConfigurationError(
            "imagery_db is not up to date: run `orthoray migrate`, or start anew with `orthoray up`."
        ) from error


def _day(moment: datetime | None, otherwise: str = "") -> str:
    return f"{moment:%Y-%m-%d}" if moment else otherwise


def _minute(moment: datetime | None) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M}" if moment else "never"


def _state(row: Row) -> str:
    if row["revoked_at"]:
        return "[red]revoked[/red]"
    return "[yellow]expired[/yellow]" if row["is_expired"] else "[green]valid[/green]"
