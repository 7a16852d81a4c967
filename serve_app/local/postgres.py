"""PostgreSQL for a local installation, as our own child process.

The server listens on one port of 127.0.0.1 and on no Unix socket. Each service has its database and its role;
no role can connect to another's database. All passwords are random and kept in the home folder.
"""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psycopg
from psycopg import sql

from orthoray.errors import ConfigurationError, WrongState
from serve_app.local.accounts import Account, server_account
from serve_app.local.binaries import Binaries, choose_binaries, clean_environment, installed_binaries
from serve_app.local.processes import ServerProcess, free_port, port_is_free, read_pid
from serve_app.local.state import DISK_FULL, home_errors, load, save, sync_folder

HOST = "127.0.0.1"
SERVICES = ("imagery", "analysis", "report")

_SUPERUSER = "postgres"
# fast shutdown, immediate shutdown (recovery at the next start), the end
_STOP_STEPS = ((signal.SIGINT, 20.0), (signal.SIGQUIT, 5.0), (signal.SIGKILL, 5.0))
_INITDB_STOP_STEPS = ((signal.SIGTERM, 3.0), (signal.SIGKILL, 5.0))
_INITDB_TIMEOUT_S = 120
_RETRY_S = 0.5
_FULL_BYTES = 1 << 20
_SETTINGS = {
    "listen_addresses": HOST,
    "unix_socket_directories": "",
    "shared_buffers": "64MB",
    "max_connections": "100",
    "max_wal_size": "256MB",
    "fsync": "on",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_checkpoints": "off",
}
_SEE_LOG = "the logs in ORTHORAY_HOME (logs/postgres.log, logs/initdb.log) say why."


@dataclass(frozen=True, slots=True)
class PostgresFacts:
    """How to reach the running server; `dsns` by service."""

    host: str
    port: int
    major: int
    pid: int
    dsns: Mapping[str, str] = field(repr=False)


class EmbeddedPostgres:
    """One PostgreSQL server below `home/postgres`.

    `start` may be interrupted anywhere, even by SIGKILL, and repeated.
    """

    def __init__(self, home: Path, *, binaries: Sequence[Binaries] | None = None) -> None:
        """`binaries`: what to choose from (default: `installed_binaries()`)."""
        self._folder = home.absolute() / "postgres"
        self._data = self._folder / "data"
        self._passwords_file = home / "secrets" / "postgres.json"
        self._port_file = home / "run" / "postgres.json"
        self._password_file = self._folder / "initdb-password"
        pwfile = f"--pwfile={self._password_file}"
        self._initdb = ServerProcess(home, "initdb", folder=self._folder, mark=pwfile)
        self._process = ServerProcess(home, "postgres", folder=self._data, mark=str(self._data))
        self._binaries = binaries
        self._has_served = False

    def start(self, timeout_s: float = 60) -> PostgresFacts:
        """Start the server; first make its data folder, afterwards roles and databases, where they are missing.

        Raises:
            ConfigurationError: it cannot be started; one line says why and what to do.
            WrongState: another process runs this server.
        """
        with home_errors():
            if self._process.pid is not None:
                raise WrongState("The built-in PostgreSQL is running already.")
            self._process.claim()
            try:
                return self._start(timeout_s)
            except BaseException:
                self._end()
                raise

    @property
    def is_running(self) -> bool:
        """Whether the server that `start` started is there."""
        return self._process.pid is not None

    def stop(self) -> None:
        """Shut the server down; nothing happens when it does not run."""
        self._has_served = False
        self._end()

    def _end(self) -> None:
        try:
            self._initdb.end(_INITDB_STOP_STEPS)
            self._process.end(_STOP_STEPS)
        finally:
            self._process.release()

    def dsn(self, service: str) -> str:
        """The connection URL of one service's database, from what the home remembers.

        Raises:
            WrongState: the server has never been started.
        """
        port, password = load(self._port_file).get("port"), load(self._passwords_file).get(service)
        if port is None or password is None:
            raise WrongState("The built-in PostgreSQL has never been started with this ORTHORAY_HOME.")
        return _dsn(service, password, port)

    def _start(self, timeout_s: float) -> PostgresFacts:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = installed_binaries() if self._binaries is None else self._binaries
        binaries = choose_binaries(found, self._recorded_major())
        account = server_account(self._folder, binaries.folder / "postgres")
        self._reap()
        passwords = self._passwords()
        if not self._data.exists():
            self._initialise(binaries, account, passwords[_SUPERUSER])
        port = self._run(binaries, account, passwords[_SUPERUSER], time.monotonic() + timeout_s)
        _make_databases(port, passwords)
        pid = self._process.pid
        if pid is None:
            raise ConfigurationError(f"PostgreSQL has ended right after its start: {_SEE_LOG}")
        dsns = {service: _dsn(service, passwords[service], port) for service in SERVICES}
        self._has_served = True
        return PostgresFacts(HOST, port, binaries.major, pid, dsns)

    def _recorded_major(self) -> int | None:
        """The version that made the data folder; None when there is none yet."""
        try:
            return int((self._data / "PG_VERSION").read_text(encoding="ascii"))
        except FileNotFoundError:
            if not self._data.exists():
                return None
        except PermissionError:
            raise ConfigurationError(
                "The database in ORTHORAY_HOME belongs to another user: "
                "start OrthoRay as that user, or set ORTHORAY_HOME to a folder of your own."
            ) from None
        except ValueError:
            pass
        raise ConfigurationError(
            "The folder postgres/data in ORTHORAY_HOME is not a PostgreSQL data folder: "
            "move it away, or restore it from a backup."
        )

    def _reap(self) -> None:
        """End a server that a killed supervisor left, and remove what an interrupted `initdb` left."""
        self._initdb.reap(_INITDB_STOP_STEPS)
        self._password_file.unlink(missing_ok=True)
        for unfinished in self._folder.glob("new-*"):
            shutil.rmtree(unfinished, ignore_errors=True)
        postmaster_file = self._data / "postmaster.pid"
        postmaster = read_pid(postmaster_file)
        self._process.reap(_STOP_STEPS, (postmaster,))
        if postmaster is not None and _blocks(postmaster):  # the pid is another program's now
            postmaster_file.unlink(missing_ok=True)

    def _passwords(self) -> dict[str, str]:
        known = load(self._passwords_file)
        if not known and self._data.exists():
            raise ConfigurationError(
                "The passwords of the database in ORTHORAY_HOME are gone: "
                "restore secrets/postgres.json from a backup, or set ORTHORAY_HOME to a new folder."
            )
        passwords = {name: known.get(name) or secrets.token_urlsafe(24) for name in (_SUPERUSER, *SERVICES)}
        if passwords != known:
            save(self._passwords_file, passwords)
        return passwords

    def _initialise(self, binaries: Binaries, account: Account, password: str) -> None:
        """Make the data folder under another name, so that it is whole as soon as it has its own."""
        unfinished = Path(tempfile.mkdtemp(prefix="new-", dir=self._folder))
        self._password_file.touch(mode=0o600)
        self._password_file.write_text(password, encoding="ascii")
        for path in (self._password_file, unfinished):
            account.own(path)
        command = [*account.launcher, str(binaries.folder / "initdb"), "-D", str(unfinished / "data")]
        command += [f"--username={_SUPERUSER}", f"--pwfile={self._password_file}", "--auth=scram-sha-256"]
        command += ["--encoding=UTF8", "--locale=C"]
        if binaries.major >= 17:  # the first with Unicode rules that need no library
            command += ["--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
        self._initdb.start(command, clean_environment(), self._folder)
        if self._initdb.wait(_INITDB_TIMEOUT_S) != 0:
            raise self._reason(self._initdb.output())
        self._initdb.end(_INITDB_STOP_STEPS)
        (unfinished / "data").rename(self._data)
        sync_folder(self._folder)
        self._password_file.unlink()
        shutil.rmtree(unfinished, ignore_errors=True)

    def _run(self, binaries: Binaries, account: Account, password: str, deadline: float) -> int:
        """Start the server on the remembered port, or another one when that is taken; return the port."""
        while True:
            port = self._port()
            settings = [f"{name}={value}" for name, value in {**_SETTINGS, "port": port}.items()]
            options = [word for setting in settings for word in ("-c", setting)]
            program = str(binaries.folder / "postgres")
            self._process.start(
                [*account.launcher, program, "-D", str(self._data), *options],
                clean_environment(),
                self._folder,
            )
            if self._process.wait_until(partial(_accepts, port, password), deadline - time.monotonic()):
                return port
            running, output = self._process.pid is not None, self._process.output()
            self._process.end(_STOP_STEPS)
            if running:
                raise ConfigurationError(f"PostgreSQL is not ready in time: {_SEE_LOG}")
            # a port taken in the last moment, or the last processes of a killed server, which will go
            passing = "could not bind" in output or "pre-existing shared memory" in output
            if not passing or time.monotonic() > deadline:
                raise self._reason(output)
            time.sleep(_RETRY_S)

    def _reason(self, output: str) -> ConfigurationError:
        """What a failed start says to its user."""
        words = ("No space left on device", "Disk quota exceeded")
        if any(word in output for word in words) or shutil.disk_usage(self._folder).free < _FULL_BYTES:
            return ConfigurationError(DISK_FULL)
        if any(word in output for word in ("ermission denied", "wrong ownership", "invalid permissions")):
            return ConfigurationError(
                "PostgreSQL may not use its data folder in ORTHORAY_HOME: "
                "start OrthoRay as the user who owns it."
            )
        return ConfigurationError(f"PostgreSQL does not start: {_SEE_LOG}")

    def _port(self) -> int:
        remembered = load(self._port_file).get("port")
        if isinstance(remembered, int) and (self._has_served or port_is_free(HOST, remembered)):
            return remembered  # who has its address already would not learn of another
        port = free_port()
        save(self._port_file, {"port": port})
        return port


def _blocks(pid: int) -> bool:
    """Whether PostgreSQL would take the process for a predecessor: one that it may send signals to."""
    try:
        os.kill(pid, 0)
    except OSError:
        return False
    return True


def _dsn(service: str, password: str, port: int) -> str:
    options = "sslmode=disable&gssencmode=disable"  # whatever PGSSLMODE says: the server has no TLS
    return f"postgresql://{service}:{quote(password)}@{HOST}:{port}/{service}_db?{options}"


def _connect(port: int, password: str) -> psycopg.Connection[Any]:
    return psycopg.connect(
        host=HOST,
        port=port,
        user=_SUPERUSER,
        password=password,
        dbname=_SUPERUSER,
        sslmode="disable",
        gssencmode="disable",
        connect_timeout=5,
        autocommit=True,
    )


def _accepts(port: int, password: str) -> bool:
    """Whether the server answers; that it knows the password proves that it is ours."""
    try:
        _connect(port, password).close()
    except psycopg.OperationalError as error:
        if "password authentication failed" in str(error):
            raise ConfigurationError(
                "The passwords in ORTHORAY_HOME do not fit its database: restore both from the same backup."
            ) from error
        return False
    return True


def _make_databases(port: int, passwords: Mapping[str, str]) -> None:
    """A role and a database for each service; whoever is interrupted here finishes at the next start."""
    try:
        with _connect(port, passwords[_SUPERUSER]) as connection:
            for service in SERVICES:
                _make_database(connection, service, passwords[service])
            for database in (_SUPERUSER, "template1"):
                _close_to_public(connection, database)
    except psycopg.errors.DiskFull as error:
        raise ConfigurationError(DISK_FULL) from error
    except psycopg.Error as error:
        raise ConfigurationError(f"PostgreSQL could not make the databases: {_SEE_LOG}") from error


def _make_database(connection: psycopg.Connection[Any], service: str, password: str) -> None:
    role, database = sql.Identifier(service), f"{service}_db"
    if not connection.execute("SELECT FROM pg_roles WHERE rolname = %s", [service]).rowcount:
        connection.execute(sql.SQL("CREATE ROLE {} LOGIN").format(role))
    # the verifier, not the password: statements that fail are logged
    verifier = connection.pgconn.encrypt_password(password.encode(), service.encode(), b"scram-sha-256")
    connection.execute(sql.SQL("ALTER ROLE {} PASSWORD {}").format(role, sql.Literal(verifier.decode())))
    if not connection.execute("SELECT FROM pg_database WHERE datname = %s", [database]).rowcount:
        connection.execute(sql.SQL("CREATE DATABASE {} OWNER {}").format(sql.Identifier(database), role))
    _close_to_public(connection, database)


def _close_to_public(connection: psycopg.Connection[Any], database: str) -> None:
    connection.execute(sql.SQL("REVOKE ALL ON DATABASE {} FROM PUBLIC").format(sql.Identifier(database)))
