"""`orthoray up`, `down` and `status`: what a person sees of a running stack."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import httpx2
from rich.console import Console

from orthoray.errors import ConfigurationError
from orthoray.settings import Settings
from serve_app.local.stack import (
    STOPPING,
    Running,
    end_what_a_killed_stack_left,
    prepare_home,
    read_state,
    running_stack,
)

READY_TIMEOUT_S = 120.0
STOP_TIMEOUT_S = 90.0


class StopRequested(Exception):
    """Somebody wants it to end while it starts."""


class Steps:
    """One line a step with the time it took; a spinner while it runs, where there is a terminal.

    Between two steps of the start is where a wish to stop is heard.
    """

    def __init__(self, console: Console, stop: threading.Event) -> None:
        self._console = console
        self._stop = stop
        self._status = console.status("")
        self._name = ""
        self._since = 0.0

    def __call__(self, name: str) -> None:
        self.finish()
        if self._stop.is_set() and name != STOPPING:
            raise StopRequested
        self._name, self._since = name, time.monotonic()
        if self._console.is_terminal:
            self._status.update(f"{name} ...")
            self._status.start()
        else:
            self._console.print(f"{name} ...")

    def finish(self) -> None:
        """The step under way, if any, has ended well."""
        if self._name and self._console.is_terminal:
            self._status.stop()
            self._console.print(
                f"[green]✓[/green] {self._name} [dim]{time.monotonic() - self._since:.1f} s[/dim]"
            )
        self._name = ""

    def stop(self) -> None:
        self._status.stop()


def run_supervised(options: list[str]) -> int:
    """Run `orthoray up` in a session of its own, end it in order at SIGINT or SIGTERM, and return its exit status.

    A Ctrl-C or a `kill` of the whole process group would otherwise end databases and Ray's processes in the middle of
    an orderly stop. The end of its standard input tells the supervised process to stop: by this function, or because this
    process has died without a word. No signal is sent, for while Ray starts it answers signals in its own way.
    """
    process = subprocess.Popen(_supervised(options), stdin=subprocess.PIPE, start_new_session=True)
    lifeline = process.stdin
    assert lifeline is not None, "a pipe was asked for"
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda _number, _frame: lifeline.close())
    return process.wait()


def _supervised(options: list[str]) -> list[str]:
    """-P: what lies in the present folder must not be taken for an installed package."""
    return [sys.executable, "-P", "-m", "serve_app.cli", "up", "--supervised", *options]


def serve(
    settings: Settings, *, with_s3: bool, demo: bool, verbose: bool, notes: Console, lifeline: bool = False
) -> None:
    """Start everything, say where it is, and serve until SIGINT, SIGTERM or, with `lifeline`, the end of standard input.

    Raises:
        ConfigurationError: something is in the way; nothing is left running.
    """
    stop = threading.Event()
    handle_signals(stop)
    if lifeline:
        threading.Thread(target=_stop_at_end_of_input, args=(stop,), name="lifeline", daemon=True).start()
    steps = Steps(notes, stop)
    try:
        with running_stack(settings, with_s3=with_s3, verbose=verbose, step=steps) as running:
            steps("Waiting for the services")
            wait_until_ready(running.url, _key(running), stop)
            steps.finish()
            if not stop.is_set():
                _present(running, settings, demo=demo, ends_by="Ctrl-C stops it.", notes=notes)
            handle_signals(stop)  # again: Serve and Ray have put handlers of their own there
            while not stop.wait(1.0):
                pass
        steps.finish()
    except StopRequested:
        steps.finish()
    finally:
        steps.stop()
    notes.print(f"Stopped. Your data stays in {settings.orthoray_home}", soft_wrap=True)


def handle_signals(stop: threading.Event) -> None:
    """Let SIGINT and SIGTERM ask for the end; a second one while everything stops changes nothing."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda _number, _frame: stop.set())


def _stop_at_end_of_input(stop: threading.Event) -> None:
    while os.read(sys.stdin.fileno(), 1024):
        pass
    stop.set()


def _key(running: Running) -> str:
    return Path(running.api_key_file).read_text().strip()


def wait_until_ready(url: str, key: str, stop: threading.Event | None = None) -> None:
    """Return when `GET /ready` says so, or when `stop` is set.

    Raises:
        ConfigurationError: not in time; says what does not answer.
    """
    deadline = time.monotonic() + READY_TIMEOUT_S
    reason = "the gateway does not answer"
    while time.monotonic() < deadline:
        if stop and stop.is_set():
            return
        try:
            answer = httpx2.get(f"{url}/ready", headers={"X-API-Key": key}, timeout=10)
            if answer.status_code == 200:
                return
            reason = str(answer.json().get("failures", answer.text[:200]))
        except (httpx2.HTTPError, ValueError) as error:
            reason = type(error).__name__
        time.sleep(0.3)
    raise ConfigurationError(f"OrthoRay did not become ready in {READY_TIMEOUT_S:.0f} s: {reason}")


def _present(running: Running, settings: Settings, *, demo: bool, ends_by: str, notes: Console) -> None:
    if demo:
        from serve_app.local.demo import run_demo  # here: it brings image libraries

        run_demo(running, settings.orthoray_home / "demo", notes)
    _show_links(running, settings, ends_by, notes)


def _show_links(running: Running, settings: Settings, ends_by: str, notes: Console) -> None:
    lines = {
        "API": running.url,
        "API docs": f"{running.url}/docs",
        **({"gRPC": _grpc_address(settings)} if settings.grpc_port else {}),
        "API key": "none needed (AUTH_MODE=none)" if settings.auth_mode == "none" else running.api_key_file,
        "Ray dashboard": f"{running.dashboard} (asks for the token in {settings.orthoray_home / 'ray-token'})"
        if running.dashboard
        else str(settings.ray_address),
        "Data": str(settings.orthoray_home),
        "Logs": running.logs,
    }
    notes.print(f"\n[bold green]OrthoRay is serving.[/bold green] {ends_by}")
    for name, text in lines.items():
        notes.print(f"  {name:<14} {text}", soft_wrap=True)
    if settings.auth_mode == "key":
        command = (
            f'curl -H "X-API-Key: $(cat {running.api_key_file})" -F file=@field.jpg {running.url}/imagery'
        )
        notes.print(f"\n  Try            {command}", soft_wrap=True)


def _grpc_address(settings: Settings) -> str:
    if settings.serve_ingress == "haproxy":
        return f"{settings.gateway_host}:{settings.grpc_port}"
    return f"port {settings.grpc_port} on all addresses"


def start_detached(settings: Settings, *, with_s3: bool, demo: bool, notes: Console) -> None:
    """Start `orthoray up` in a session of its own; return when it serves.

    Raises:
        ConfigurationError: it did not start; says why.
    """
    if read_state(settings):
        raise ConfigurationError("OrthoRay is already running: `orthoray status` shows where.")
    folder = prepare_home(settings.orthoray_home) / "run"
    log = folder / "up.log"
    command = _supervised(["--s3"] if with_s3 else [])
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, stdout=output, stderr=output, stdin=subprocess.DEVNULL, start_new_session=True
        )
    with notes.status("Starting OrthoRay ..."):
        running = None
        while process.poll() is None and running is None:
            time.sleep(0.2)
            state = read_state(settings)
            running = state if state and state.pid == process.pid else None
        if running:
            wait_until_ready(running.url, _key(running))
    if running:
        _present(running, settings, demo=demo, ends_by="`orthoray down` stops it.", notes=notes)
        return
    lines = [line for line in log.read_text(errors="replace").splitlines() if line.strip()]
    last = lines[-1].removeprefix("orthoray: ") if lines else "no output"
    raise ConfigurationError(f"{last} (log: {log})")


def stop(settings: Settings, *, notes: Console) -> None:
    """End the running stack of this home and wait until it is gone.

    Raises:
        ConfigurationError: it does not end.
    """
    running = read_state(settings)
    if running is None:
        if end_what_a_killed_stack_left(settings):
            notes.print("The HAProxy of a start that was killed has been ended.")
        notes.print(f"OrthoRay is not running from {settings.orthoray_home}.")
        return
    os.kill(running.pid, signal.SIGTERM)
    deadline = time.monotonic() + STOP_TIMEOUT_S
    with notes.status("Stopping OrthoRay ..."):
        while time.monotonic() < deadline:
            if not _is_alive(running.pid):
                notes.print("Stopped.")
                return
            time.sleep(0.2)
    raise ConfigurationError(f"OrthoRay (process {running.pid}) did not stop in {STOP_TIMEOUT_S:.0f} s.")


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (OSError, IndexError):
        return False


def show_status(settings: Settings, *, notes: Console) -> bool:
    """Print how it is; whether it is ready."""
    running = read_state(settings)
    if running is None:
        notes.print(f"OrthoRay is not running from {settings.orthoray_home}: `orthoray up` starts it.")
        return False
    try:
        # Longer than the services wait for a database that does not answer.
        answer = httpx2.get(f"{running.url}/ready", headers={"X-API-Key": _key(running)}, timeout=30)
    except httpx2.HTTPError:
        notes.print(f"OrthoRay (process {running.pid}) runs, but {running.url} does not answer yet.")
        return False
    if answer.status_code == 200:
        _show_links(running, settings, "`orthoray down` stops it.", notes)
        return True
    for name, reason in answer.json().get("failures", {}).items():
        notes.print(f"[red]✗[/red] {name}: {reason}")
    return False
