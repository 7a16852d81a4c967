"""A cluster that grows by Ray's own autoscaler: `python growing.py DSN JOBS CONCURRENCY`, with `ENVIRONMENT`.

The head has no CPU; there may be up to three nodes of one CPU each. JOBS wait in the queue of DSN, each hands a task of one CPU
and some memory to Ray, and at most CONCURRENCY are under way at once (0: by the CPUs of the cluster). Writes, as JSON, how many
jobs were done, how many tasks were in Ray at once, the most nodes that there were, how many are left when nothing has waited for
a while, and the seconds that the jobs took.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import ray
from ray.autoscaler._private.fake_multi_node.node_provider import FAKE_HEAD_NODE_ID, FakeMultiNodeProvider

from actors.loop import QueueWorker
from orthoray.database import open_pool, transaction
from orthoray.queue import Queue
from orthoray.tasks import Task
from pipelines.nodes import Demand, alive_nodes, placed

# Ray reads these when it is imported.
ENVIRONMENT = {
    "RAY_AUTH_MODE": "token",
    "RAY_AUTH_TOKEN": "a-token-of-tests-that-nobody-else-has",
    "RAY_FAKE_CLUSTER": "1",
    "AUTOSCALER_UPDATE_INTERVAL_S": "1",
    "RAY_USAGE_STATS_ENABLED": "0",
}
NOTE = Task("test.note", "compute")
MAX_NODES = 3
DEMAND = Demand(1, 350_000_000)
IDLE_S = 6.0
TASK_S = 2.0
PATIENCE_S = 120.0


@ray.remote(num_cpus=1, max_retries=0)
def compute() -> None:
    time.sleep(TASK_S)


class Worker(QueueWorker):
    """`asked` is the most tasks that it had under way at once."""

    done = under_way = asked = 0

    def register(self, queue: Queue) -> None:
        @queue.app.task(name=NOTE.name, queue=NOTE.queue)
        async def note() -> None:
            self.under_way += 1
            self.asked = max(self.asked, self.under_way)
            options = await asyncio.to_thread(lambda: placed(DEMAND, alive_nodes()))
            await compute.options(**options).remote()
            self.under_way -= 1
            self.done += 1


class Provider(FakeMultiNodeProvider):  # type: ignore[misc]  # Ray gives it no types
    """Ray's, for nodes whose memory the autoscaler is told; it cannot start such itself."""

    def _create_node_with_resources_and_labels(
        self, node_config: object, tags: object, count: int, resources: dict[str, float], labels: object
    ) -> None:
        told = {name: amount for name, amount in resources.items() if name != "memory"}
        super()._create_node_with_resources_and_labels(node_config, tags, count, told, labels)


def cluster_config(address: str) -> dict[str, object]:
    # The autoscaler adds no node for a task that asks for memory, unless it is told what nodes have.
    resources = {"CPU": 1, "memory": 500_000_000, "object_store_memory": 100_000_000}
    node = {"node_config": {}, "resources": resources}
    return {
        "cluster_name": "growing",
        "max_workers": MAX_NODES,
        "idle_timeout_minutes": IDLE_S / 60,
        "upscaling_speed": 1.0,
        "provider": {
            "type": "external",
            "module": "growing.Provider",
            "gcs_address": address,
            "head_node_id": FAKE_HEAD_NODE_ID,
            "launch_multiple": True,
            "use_node_id_as_ip": True,  # for they all have the same address
            "disable_node_updaters": True,
            "disable_launch_config_check": True,
        },
        "head_node_type": "ray.head.default",
        "available_node_types": {
            "ray.head.default": {"resources": {"CPU": 0}, "node_config": {}, "max_workers": 0},
            "cpu": {**node, "max_workers": MAX_NODES},
        },
        # What the autoscaler takes for granted, and the fake provider has no use for.
        **{name: {} for name in ("auth", "docker", "file_mounts")},
        **{name: [] for name in ("cluster_synced_files", "rsync_exclude", "rsync_filter")},
        **{f"{what}_commands": [] for what in ("initialization", "setup", "head_setup", "worker_setup")},
        **{f"{what}_start_ray_commands": [] for what in ("head", "worker")},
        "file_mounts_sync_continuously": False,
    }


@contextmanager
def growing_cluster() -> Iterator[str]:
    """The address of its head."""
    folder = Path(tempfile.mkdtemp(prefix="or-", dir="/tmp"))  # short, because Ray's sockets lie below
    config, log = folder / "cluster.json", folder / "head.log"
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    address = f"127.0.0.1:{port}"
    config.write_text(json.dumps(cluster_config(address)))
    options = [
        *("--num-cpus=0", "--include-dashboard=false", "--object-store-memory=100000000"),
        *("--node-ip-address=127.0.0.1", f"--port={port}", f"--temp-dir={folder}"),
        f"--autoscaling-config={config}",
    ]
    command = [str(Path(sys.executable).with_name("ray")), "start", "--head", "--block", *options]
    with log.open("wb") as output:
        environment = {
            **os.environ,
            "PYTHONPATH": str(Path(__file__).parent),
        }  # for the autoscaler to find `Provider`
        head = subprocess.Popen(command, env=environment, stdout=output, stderr=output)
    try:
        while "Ray runtime started" not in log.read_text():
            if head.poll() is not None:
                raise RuntimeError(log.read_text())
            time.sleep(0.2)
        yield address
    finally:
        head.terminate()
        head.wait(60)
        for process in Path("/proc").glob("[0-9]*"):  # nodes outlive their head
            with suppress(OSError):
                if os.fsencode(folder) in (process / "cmdline").read_bytes():
                    os.kill(int(process.name), signal.SIGKILL)
        shutil.rmtree(folder, ignore_errors=True)


def nodes() -> int:
    return sum(node["Alive"] and node["Resources"].get("CPU", 0) > 0 for node in ray.nodes())


async def write_jobs(dsn: str, count: int) -> None:
    async with open_pool(dsn) as pool, transaction(pool) as connection:
        for _ in range(count):
            await NOTE.defer(Queue(dsn), connection)


def main(dsn: str, jobs: int, concurrency: int) -> None:
    asyncio.run(write_jobs(dsn, jobs))
    with growing_cluster() as address:
        ray.init(address=address, log_to_driver=False, logging_level="ERROR")
        worker = Worker(dsn, compute=concurrency or None)
        most, started = 0, time.monotonic()
        while worker.done < jobs and time.monotonic() - started < PATIENCE_S:
            most = max(most, nodes())
            time.sleep(0.2)
        seconds = round(time.monotonic() - started)
        while nodes() and time.monotonic() - started < seconds + PATIENCE_S / 2:
            time.sleep(0.5)
        found = {
            "done": worker.done,
            "asked": worker.asked,
            "most": most,
            "left": nodes(),
            "seconds": seconds,
        }
    sys.stdout.write(json.dumps(found))
    sys.stdout.flush()
    os._exit(0)  # the worker's thread goes on, and its Ray is gone


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
