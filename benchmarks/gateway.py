"""`python -m benchmarks.gateway`: reads a second through gateway and service, beside the same application under plain uvicorn.

Starts an installation of its own for each ingress, with one analysed photo and a listing of fifty images, and has wrk (Debian's
package of that name) ask over loopback. One run measures all contenders, for `--rounds` rounds.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import cv2
import httpx2
import numpy as np

from serve_app.local.processes import free_ports

LISTED = 50
START_S = 180.0
INGRESSES = {"proxy": "Serve's proxy", "haproxy": "HAProxy"}


@dataclass(frozen=True)
class Place:
    """Where a contender listens, and what is asked of it."""

    name: str
    url: str
    key: str
    paths: dict[str, str]


@dataclass(frozen=True)
class Speed:
    """What wrk tells: requests a second, the latency that 99 of 100 keep, ms, and answers that are no success."""

    rate: float
    p99_ms: float
    failed: int


@contextmanager
def installation(ingress: str) -> Iterator[tuple[Path, str, str]]:
    """Home, URL and key of a running stack."""
    folder = Path(tempfile.mkdtemp(prefix="or-bench-", dir="/tmp"))  # short, for Ray's sockets
    port, dashboard = free_ports(2)
    home = folder / "home"
    environment = {
        **os.environ,
        "ORTHORAY_HOME": str(home),
        "GATEWAY_PORT": str(port),
        "RAY_DASHBOARD_PORT": str(dashboard),
        "SERVE_INGRESS": ingress,
    }
    command = [sys.executable, "-m", "serve_app.cli"]
    subprocess.run([*command, "up", "--detach"], env=environment, check=True, stdout=subprocess.DEVNULL)
    try:
        yield home, f"http://127.0.0.1:{port}", (home / "api-key").read_text().strip()
    finally:
        subprocess.run([*command, "down"], env=environment, check=True, stdout=subprocess.DEVNULL)
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def plain_uvicorn(home: Path) -> Iterator[str]:
    """The URL of the same application on the same databases, in one process."""
    (port,) = free_ports(1)
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.plain", str(home), str(port)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        url = f"http://127.0.0.1:{port}"
        deadline = time.monotonic() + START_S
        while not _answers(url):
            if process.poll() is not None or time.monotonic() > deadline:
                raise SystemExit("The application does not start under uvicorn.")
            time.sleep(0.2)
        yield url
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(30)


def _answers(url: str) -> bool:
    try:
        return httpx2.get(f"{url}/health", timeout=2).status_code == 200
    except httpx2.HTTPError:
        return False


def prepared(url: str, key: str) -> dict[str, str]:
    """Upload and analyse, and name what will be read."""
    with httpx2.Client(base_url=url, headers={"X-API-Key": key}, timeout=60) as api:
        for number in range(LISTED):
            picture = np.random.default_rng(number).integers(0, 255, (64, 64, 3), dtype=np.uint8)
            encoded = cv2.imencode(".png", picture)[1].tobytes()
            imagery = api.post("/imagery", files={"file": (f"{number}.png", encoded, "image/png")}).json()
        run = api.post("/analysis-runs", json={"imagery_id": imagery["id"]}).json()
        while api.get(f"/analysis-runs/{run['id']}").json()["status"] not in {"completed", "failed"}:
            time.sleep(0.3)
    return {"status of a run": f"/analysis-runs/{run['id']}", "listing of 50": f"/imagery?limit={LISTED}"}


def asked(place: Place, path: str, clients: int, seconds: int) -> Speed:
    """What wrk finds with so many connections."""
    done = subprocess.run(
        [
            shutil.which("wrk") or "wrk",
            "-t2",
            f"-c{clients}",
            f"-d{seconds}s",
            "--latency",
            "-H",
            f"X-API-Key: {place.key}",
            place.url + path,
        ],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    rate = re.search(r"Requests/sec:\s+([\d.]+)", done)
    p99 = re.search(r"99%\s+([\d.]+)(us|ms|s)\b", done)
    if rate is None or p99 is None:
        raise SystemExit(f"wrk said something unexpected:\n{done}")
    failed = re.search(r"Non-2xx or 3xx responses: (\d+)", done)
    scale = {"us": 1e-3, "ms": 1.0, "s": 1e3}[p99[2]]
    return Speed(float(rate[1]), float(p99[1]) * scale, int(failed[1]) if failed else 0)


def measured(clients: int, seconds: int, rounds: int) -> dict[tuple[str, str], list[Speed]]:
    """Every contender and reading, round by round."""
    found: dict[tuple[str, str], list[Speed]] = {}

    def round_of(places: list[Place]) -> None:
        for place in places:
            for what, path in place.paths.items():
                asked(place, path, clients, 2)  # warm
                speed = asked(place, path, clients, seconds)
                found.setdefault((place.name, what), []).append(speed)
                print(f"{place.name}, {what}: {speed.rate:.0f}/s, p99 {speed.p99_ms:.0f} ms", flush=True)  # noqa: T201

    for ingress, title in INGRESSES.items():
        with installation(ingress) as (home, url, key):
            paths = prepared(url, key)
            with plain_uvicorn(home) as plain:
                places = [Place(title, url, key, paths)]
                if ingress == "haproxy":
                    places.append(Place("plain uvicorn, one process", plain, key, paths))
                for _ in range(rounds):
                    round_of(places)
    return found


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description="Reads a second through gateway and service.")
    parser.add_argument("--clients", type=int, default=16)
    parser.add_argument("--seconds", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=3)
    wanted = parser.parse_args()
    if shutil.which("wrk") is None:
        raise SystemExit("wrk is missing: apt install wrk")
    found = measured(wanted.clients, wanted.seconds, wanted.rounds)
    print(f"\n| contender | read | requests/s (least to greatest) | p99, ms | failed |\n|{'---|' * 5}")  # noqa: T201
    for (name, what), speeds in found.items():
        rates = [speed.rate for speed in speeds]
        p99 = statistics.median(speed.p99_ms for speed in speeds)
        failed = sum(speed.failed for speed in speeds)
        told = f"{statistics.median(rates):.0f} ({min(rates):.0f} to {max(rates):.0f})"
        print(f"| {name} | {what} | {told} | {p99:.0f} | {failed} |")  # noqa: T201


if __name__ == "__main__":
    main()
