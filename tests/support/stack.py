"""`orthoray` as a user runs it: real processes on free ports, with a home and a working folder of their own."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import httpx2
import jwt

from serve_app.local.processes import port_is_free

# Half a minute on an idle machine; two start at once, and some machines are slow.
START_TIMEOUT_S = 300.0
STOP_TIMEOUT_S = 60.0
# Small enough that a test can pass it in a second.
MAX_UPLOAD_BYTES = 24 * 1024**2
SERVING = "OrthoRay is serving."
# Of tokens that the tests sign themselves.
TOKENS = {
    "JWT_ISSUER": "https://id.example.org",
    "JWT_AUDIENCE": "orthoray",
    "JWT_HS256_SECRET": "a-secret-of-tests-with-32-bytes-or-more",
}
# A setting of the developer's own shell must not reach the product under test.
_OWN_SETTINGS = (
    *(
        "ORTHORAY_",
        "GATEWAY_",
        "GRPC_PORT",
        "RAY_",
        "SERVE_INGRESS",
        "AUTH_MODE",
        "MAX_",
        "MINIO_",
        "S3_",
        "RECONCILE",
        "STORAGE_",
        "REDIS_",
        "PYTHONPATH",
        "JWT_",
        "CORS_",
        "BEHIND_HTTPS",
        "REQUESTS_",
        "FAILED_LOGINS_",
        "TRUSTED_",
        "PUBLIC_URL",
        "GRAPHQL_",
    ),
    *("CALLBACK_", "WEBHOOK_", "IMAGERY_DB_", "ANALYSIS_", "REPORT_", "DEFAULT_LANGUAGE", "OTEL_"),
)

Found = TypeVar("Found")


def eventually(ask: Callable[[], Found], timeout_s: float, what: str) -> Found:
    """Ask until the answer is true, and return it."""
    deadline = time.monotonic() + timeout_s
    while True:
        if answer := ask():
            return answer
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {timeout_s:.0f} s: {what}")
        time.sleep(0.2)


@dataclass(frozen=True)
class Process:
    """One running process, as /proc shows it."""

    pid: int
    command: str


class Stack:
    """One installation: its home, its ports, and the commands of its command line.

    Every process that belongs to it, however deep, can be told by the folder: it stands in the environment, in the command
    or in the working folder of each.
    """

    def __init__(self, settings: Mapping[str, str] | None = None, *, grpc: bool = False) -> None:
        # Short, because Ray's sockets lie below the home.
        self.folder = Path(tempfile.mkdtemp(prefix="or-", dir="/tmp"))
        self.home = self.folder / "home"
        self.work = self.folder / "work"
        self.work.mkdir()
        self.log = self.folder / "up.log"
        self.port, self.dashboard_port, self.grpc_port = lasting_port(), lasting_port(), lasting_port()
        self.url = f"http://127.0.0.1:{self.port}"
        kept = {name: value for name, value in os.environ.items() if not name.startswith(_OWN_SETTINGS)}
        self.environment = {
            **kept,
            "ORTHORAY_HOME": str(self.home),
            "GATEWAY_PORT": str(self.port),
            "RAY_DASHBOARD_PORT": str(self.dashboard_port),
            **({"GRPC_PORT": str(self.grpc_port)} if grpc else {}),
            **(settings or {}),
        }
        self.process: subprocess.Popen[bytes] | None = None

    def run(self, *words: str, **settings: str) -> subprocess.CompletedProcess[str]:
        """`orthoray WORDS`, awaited; `settings` differ from the stack's own."""
        return subprocess.run(
            self._command(*words),
            env={**self.environment, **settings},
            cwd=self.work,
            capture_output=True,
            text=True,
            timeout=START_TIMEOUT_S,
            check=False,
        )

    def start(self, *options: str) -> None:
        """`orthoray up` in the foreground of a process group of its own; returns when it says that it serves."""
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                self._command("up", *options),
                env=self.environment,
                cwd=self.work,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        process = self.process
        eventually(
            lambda: SERVING in self.output() or process.poll() is not None,
            START_TIMEOUT_S,
            "a start",
        )
        assert process.poll() is None, self.output()

    @property
    def is_serving(self) -> bool:
        with suppress(httpx2.HTTPError):
            return httpx2.get(f"{self.url}/api/ping").status_code == 200
        return False

    @property
    def key(self) -> str:
        return (self.home / "api-key").read_text().strip()

    def output(self) -> str:
        """What the foreground process and its children have printed."""
        return self.log.read_text(errors="replace")

    def metrics(self) -> str:
        """What Prometheus would read of this stack's nodes."""
        discovery = json.loads((self.home / "run/ray/prom_metrics_service_discovery.json").read_text())
        targets = [target for entry in discovery for target in entry["targets"]]
        return "".join(httpx2.get(f"http://{target}/metrics").text for target in targets)

    def client(self, **headers: str) -> httpx2.Client:
        """An HTTP client with the first API key."""
        return httpx2.Client(base_url=self.url, headers={"X-API-Key": self.key, **headers}, timeout=60)

    def ready(self) -> bool:
        with self.client() as api, suppress(httpx2.HTTPError):
            return api.get("/ready").status_code == 200
        return False

    def processes(self, title: str = "") -> list[Process]:
        """What runs of this stack, apart from zombies; with `title` only commands that contain it."""
        mark = os.fsencode(self.folder)
        found = []
        for entry in Path("/proc").iterdir():
            with suppress(OSError, IndexError):
                if not entry.name.isdigit() or int(entry.name) == os.getpid():
                    continue
                command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").strip()
                facts = command, os.fsencode((entry / "cwd").readlink()), (entry / "environ").read_bytes()
                state = (entry / "stat").read_text().rpartition(")")[2].split()[0]
                if state != "Z" and any(mark in fact for fact in facts) and title.encode() in command:
                    found.append(Process(int(entry.name), command.decode(errors="replace")))
        return found

    def pid(self, title: str) -> int:
        """The one process whose command contains `title`."""
        found = self.processes(title)
        assert len(found) == 1, found
        return found[0].pid

    def terminate_group(self) -> int:
        """SIGTERM to the foreground process and all of its group, as a service manager does; the exit status."""
        assert self.process is not None
        os.killpg(self.process.pid, signal.SIGTERM)
        return self.wait()

    def wait(self) -> int:
        """The exit status of the foreground process."""
        assert self.process is not None
        status = self.process.wait(STOP_TIMEOUT_S)
        self.process = None
        return status

    def close(self) -> None:
        """End whatever is left, and remove the folder."""
        if self.process is not None and self.process.poll() is None:
            with suppress(subprocess.TimeoutExpired):
                self.terminate_group()
        if self.processes():
            self.run("down")
        for process in self.processes():
            with suppress(ProcessLookupError):
                os.kill(process.pid, signal.SIGKILL)
        if self.process is not None:
            self.process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _command(self, *words: str) -> list[str]:
        return [sys.executable, "-m", "serve_app.cli", *words]


def token(tenant: str, scope: str) -> str:
    """One that `TOKENS` make valid for ten minutes."""
    claims = {
        "iss": TOKENS["JWT_ISSUER"],
        "aud": TOKENS["JWT_AUDIENCE"],
        "exp": int(time.time()) + 600,
        "sub": "ana",
        "tenant": tenant,
        "scope": scope,
    }
    return jwt.encode(claims, TOKENS["JWT_HS256_SECRET"], "HS256")


def lasting_port() -> int:
    """A free port below those that the system gives away by itself, so that it stays free until the product takes it."""
    return next(
        port
        for port in iter(lambda: random.randrange(20_000, 32_000), None)
        if port_is_free("127.0.0.1", port)
    )
