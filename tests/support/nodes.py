"""Nodes of clusters on one machine: their environment, their memory, and the type of a fixture that adds some. No Ray here."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

AddNode = Callable[..., Any]
"""`add_node(num_cpus=1, num_gpus=0, resources={}, labels={}, memory=..., object_store_memory=...)`: a node of its own in the
cluster, which `cluster.remove_node(node, allow_graceful=False)` kills."""
# Ray reads these when it is imported; explicit, so that no token of the developer's own is taken for that of a test.
ENVIRONMENT = {
    "RAY_AUTH_MODE": "token",
    "RAY_AUTH_TOKEN": "a-token-of-tests-that-nobody-else-has",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    # A node that was killed refuses connections, and is known to be dead after some seconds rather than a quarter of a
    # minute; one on a machine that is slow answers late, and is given half a minute.
    "RAY_health_check_initial_delay_ms": "1000",
    "RAY_health_check_period_ms": "1000",
    "RAY_health_check_timeout_ms": "10000",
    "RAY_health_check_failure_threshold": "3",
}


def raylet(node: Any) -> int:
    """The process id of a node's raylet."""
    return int(node.all_processes["raylet"][0].process.pid)


class MemoryWatch:
    """Watches, as long as its block lasts, what the processes of nodes hold of their own: files and shared memory not counted.

    `parents` are the raylets, whose children compute. `busiest` is the most that one process of each has held, MB of 2**20
    bytes; with `own` also that of this process, under that name.
    """

    def __init__(self, parents: Mapping[str, int], *, own: bool = False) -> None:
        self.parents = parents
        self.busiest: dict[str, float] = {}
        self._own = own
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> MemoryWatch:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _watch(self) -> None:
        names = {parent: name for name, parent in self.parents.items()}
        while not self._over.wait(0.1):
            for process in Path("/proc").glob("[0-9]*"):
                with suppress(OSError, KeyError):
                    lines = (process / "status").read_text().splitlines()
                    status = dict(line.split(":", 1) for line in lines if ":" in line)
                    name = names.get(int(status["PPid"]))
                    if self._own and int(process.name) == os.getpid():
                        name = "own"
                    # agents of the node are its children too
                    if name == "own" or (name and status["Name"].strip().startswith("ray::")):
                        held = int(status["RssAnon"].split()[0]) / 1024
                        self.busiest[name] = max(held, self.busiest.get(name, 0.0))
