"""Child servers: started with a log and a pid file, awaited, and ended - they and nothing else.

A child outlives a supervisor that is killed. The next start finds it by its pid file, makes sure by its
command line and working folder that the process is the one meant (pids are reused), and ends it.
"""

from __future__ import annotations

import fcntl
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack, suppress
from functools import partial
from pathlib import Path
from typing import IO

from orthoray.errors import ConfigurationError, WrongState

StopSteps = Sequence[tuple[signal.Signals, float]]

_POLL_S = 0.02
_LOG_ROTATION_BYTES = 20 << 20
_LOOPBACK = "127.0.0.1"
# The child itself writes the pid file before it becomes the server, so there is no moment in which the
# supervisor can die and leave a server that nobody knows of.
_WRITE_PID_AND_BECOME = 'umask 077 && echo "$$" > "$1" && shift && exec "$@"'


class ServerProcess:
    """One child server of one home.

    `home/run/<name>.pid` and `.lock`, `home/logs/<name>.log` belong to it. The lock is held from `claim` to
    `stop`, so that two supervisors never end each other's servers.
    """

    def __init__(self, home: Path, name: str, folder: Path, mark: str) -> None:
        """The server, and no other process, works in `folder` or has the argument `mark`."""
        self._folder = folder
        self._mark = mark
        self._pid_file = home / "run" / f"{name}.pid"
        self._lock_file = home / "run" / f"{name}.lock"
        self._log_file = home / "logs" / f"{name}.log"
        self._lock: IO[bytes] | None = None
        self._child: subprocess.Popen[bytes] | None = None
        self._log_start = 0

    @property
    def pid(self) -> int | None:
        """The child's process id while it runs."""
        return self._child.pid if self._child and not _has_ended(self._child.pid) else None

    def claim(self) -> None:
        """Become the only supervisor of this server.

        Raises:
            WrongState: another process is.
        """
        for path in (self._lock_file, self._log_file):
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if self._lock is None:
            with ExitStack() as cleanup:
                lock = cleanup.enter_context(self._lock_file.open("ab"))
                try:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    raise WrongState(
                        "OrthoRay already runs with this ORTHORAY_HOME: stop it with `orthoray down`, "
                        "or set another ORTHORAY_HOME."
                    ) from None
                cleanup.pop_all()
                self._lock = lock

    def reap(self, steps: StopSteps, more: Iterable[int | None] = ()) -> None:
        """End what a killed supervisor left running: by the pid file, and the pids `more` found elsewhere."""
        for pid in {read_pid(self._pid_file), *more}:
            if pid is not None and self._is_ours(pid):
                end_process(pid, steps, partial(self._is_gone, pid))
                _end_group(pid)
        self._pid_file.unlink(missing_ok=True)

    def start(self, command: Sequence[str], environment: Mapping[str, str], folder: Path) -> None:
        """Run `command` in `folder`, in a session of its own, its output appended to the log."""
        if self._child is not None:
            self._child.wait()  # it has ended: its exit status is collected
        _rotate(self._log_file)
        with self._log_file.open("ab") as log:
            os.fchmod(log.fileno(), 0o600)
            self._log_start = log.tell()
            self._child = subprocess.Popen(
                ["/bin/sh", "-c", _WRITE_PID_AND_BECOME, "sh", str(self._pid_file), *command],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=dict(environment),
                cwd=folder,
                start_new_session=True,
            )

    def wait_until(self, ready: Callable[[], bool], timeout_s: float) -> bool:
        """Ask `ready` until it agrees (True), or the child has ended or the time is over (False)."""
        deadline = time.monotonic() + timeout_s
        while self.pid is not None and time.monotonic() < deadline:
            if ready():
                return self.pid is not None
            time.sleep(_POLL_S)
        return False

    def wait(self, timeout_s: float) -> int | None:
        """The exit status of a child that ends by itself; None when it has not within `timeout_s`."""
        self.wait_until(lambda: False, timeout_s)
        return None if self._child is None or self.pid is not None else self._child.wait()

    def output(self) -> str:
        """What the child has written since it was started."""
        with self._log_file.open("rb") as log:
            log.seek(self._log_start)
            return log.read().decode(errors="replace")

    def end(self, steps: StopSteps) -> None:
        """End the child by each signal in turn, and the seconds to wait for it; then its group."""
        child = self._child
        if child is None:
            return
        if not _has_ended(child.pid):
            end_process(child.pid, steps, lambda: _has_ended(child.pid))
        _end_group(child.pid)
        child.wait()
        self._child = None
        self._pid_file.unlink(missing_ok=True)

    def release(self) -> None:
        """Let another process claim the server."""
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def _is_ours(self, pid: int) -> bool:
        return f" {self._mark} " in f" {command_line(pid)} " or working_folder(pid) == str(self._folder)

    def _is_gone(self, pid: int) -> bool:
        return not self._is_ours(pid)


def end_process(pid: int, steps: StopSteps, ended: Callable[[], bool]) -> None:
    """Send each signal in turn and wait up to its seconds until `ended`.

    Raises:
        ConfigurationError: the process withstood them all, or belongs to another user.
    """
    for number, patience_s in steps:
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            return
        except PermissionError:
            break
        deadline = time.monotonic() + patience_s
        while time.monotonic() < deadline:
            if ended():
                return
            time.sleep(_POLL_S)
    if not ended():
        raise ConfigurationError(
            f"Process {pid} of an earlier start cannot be ended: end it, then start again."
        )


def command_line(pid: int) -> str:
    """The words of a running process's command, with single spaces; empty when there is none."""
    if Path("/proc/self/cmdline").exists():
        try:
            return os.fsdecode(Path(f"/proc/{pid}/cmdline").read_bytes()).replace("\0", " ").strip()
        except OSError:
            return ""
    ps = ["ps", "-ww", "-o", "command=", "-p", str(pid)]  # where there is no /proc
    return subprocess.run(ps, capture_output=True, text=True, check=False).stdout.strip()


def working_folder(pid: int) -> str:
    """The folder that a running process works in; empty when that cannot be known."""
    try:
        return str(Path(f"/proc/{pid}/cwd").readlink())
    except OSError:
        return ""


def free_port() -> int:
    """A TCP port of the loopback interface that nobody listens on."""
    return free_ports(1)[0]


def free_ports(count: int) -> list[int]:
    """Several different ones."""
    with ExitStack() as sockets:
        bound = [sockets.enter_context(socket.socket()) for _ in range(count)]
        for candidate in bound:
            candidate.bind((_LOOPBACK, 0))
        return [candidate.getsockname()[1] for candidate in bound]


def port_is_free(host: str, port: int) -> bool:
    """Whether a server could listen there."""
    return listening_error(host, port) is None


def listening_error(host: str, port: int) -> OSError | None:
    """Why a server could not listen there: the port is taken or needs more rights, the address is not this machine's."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # connections in TIME_WAIT do not count
        try:
            probe.bind((host, port))
        except OSError as error:
            return error
    return None


def port_answers(host: str, port: int) -> bool:
    """Whether a server listens there."""
    try:
        socket.create_connection((host, port), timeout=1).close()
    except OSError:
        return False
    return True


def _end_group(leader: int) -> None:
    """End what an ended child has left in its process group."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(leader, signal.SIGKILL)


def _has_ended(pid: int) -> bool:
    """Whether a child has ended; its remains stay, so that nobody else gets its pid or its group."""
    try:
        return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
    except ChildProcessError:
        return True


def read_pid(path: Path) -> int | None:
    """The process id on the first line of a pid file; None when there is none."""
    try:
        pid = int(path.read_text(encoding="ascii").split("\n", 1)[0])
    except (OSError, ValueError):
        return None
    return pid if pid > 1 else None


def _rotate(log: Path) -> None:
    with suppress(FileNotFoundError):
        if log.stat().st_size > _LOG_ROTATION_BYTES:
            log.replace(log.with_suffix(".log.1"))
