"""The databases of a cluster: waiting until they answer, and bringing their schemas up to date."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path

import psycopg

from orthoray.database import migrate
from orthoray.errors import ConfigurationError
from orthoray.settings import SERVICES, Settings

Step = Callable[[str], None]

PAUSE_S = 1.0
CONNECT_TIMEOUT_S = 5


def external_dsns(settings: Settings) -> Mapping[str, str]:
    """The connection strings of the three databases by service.

    Raises:
        ConfigurationError: the settings name none; the built-in server is the business of `orthoray up`.
    """
    if not settings.external_databases:
        raise ConfigurationError(
            "Set IMAGERY_DB_HOST, ANALYSIS_DB_HOST and REPORT_DB_HOST: "
            "`orthoray up` looks after the built-in PostgreSQL by itself."
        )
    return {service: settings.dsn(service) for service in SERVICES}


def trouble(dsn: str) -> str | None:
    """Why a database cannot be used, in one line; None when it answers."""
    try:
        psycopg.connect(dsn, connect_timeout=CONNECT_TIMEOUT_S).close()
    except psycopg.OperationalError as error:
        return str(error).strip().splitlines()[0]
    return None


def wait_for_databases(
    dsns: Mapping[str, str],
    patience_s: float,
    step: Step,
    *,
    trouble: Callable[[str], str | None] = trouble,
    pause_s: float = PAUSE_S,
) -> None:
    """Return when all databases answer; each is asked at least once.

    Whatever is wrong may still be mended while it waits: a server that is being made refuses connections first, then knows
    neither role nor password.

    Raises:
        ConfigurationError: not in time; names each database that does not answer, and the reason of the first.
    """
    deadline = time.monotonic() + patience_s
    missing = dict(dsns)
    told = False
    while True:
        reasons = {service: reason for service, dsn in missing.items() if (reason := trouble(dsn))}
        if not reasons:
            return
        missing = {service: missing[service] for service in reasons}
        names = ", ".join(f"{service}_db" for service in missing)
        if time.monotonic() + pause_s > deadline:
            within = f" within {patience_s:g} s" if patience_s else ""
            raise ConfigurationError(
                f"{names}: no connection{within} ({next(iter(reasons.values()))}). "
                f"Check {next(iter(missing)).upper()}_DB_HOST, _PORT, _NAME, _USER and _PASSWORD, and that the server runs."
            )
        if not told:
            step(f"Waiting for {names} ...")
            told = True
        time.sleep(pause_s)


def migrate_databases(dsns: Mapping[str, str], step: Step) -> None:
    """Bring every database to the newest schema; nothing happens to those that are there already.

    Raises:
        ConfigurationError: a database cannot be reached, or was made by a newer version.
    """
    for service, dsn in dsns.items():
        try:
            applied = migrate(dsn, Path(__file__).parent / service / "migrations")
        except ConfigurationError as error:
            raise ConfigurationError(f"{service}_db: {error.detail}") from error
        step(f"{service}_db: {', '.join(applied) or 'up to date'}")
