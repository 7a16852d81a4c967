"""A raster of 400 megapixels over several nodes: the bytes of one process, and memory that stays bounded on each."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from nodes import MemoryWatch, raylet
from over_nodes import analyse

from benchmarks.inputs import FULL, folder, located, make_orthomosaics
from pipelines.raster import BYTES_PER_PIXEL, PROCESS_BYTES

# What the process of a block asks for, MB of 2**20 bytes.
BLOCK_MB = (PROCESS_BYTES + BYTES_PER_PIXEL * 2048 * 2048) / 2**20
IP = shutil.which("ip", path=f"{os.defpath}:/sbin:/usr/sbin") or "ip"
CHILD = Path(__file__).parents[1] / "support" / "over_nodes.py"


@dataclass(frozen=True)
class One:
    """What one process makes of the raster."""

    raster: Path
    digest: str
    statistics: str
    seconds: float


@pytest.fixture(scope="module")
def one(tmp_path_factory: pytest.TempPathFactory) -> One:
    raster = located(folder(), FULL).large
    make_orthomosaics({("zstd", "pixel"): raster}, FULL.large, lambda _: None)
    began = time.monotonic()
    digest, statistics = analyse(raster, tmp_path_factory.mktemp("one") / "index.tif", None)
    return One(raster, digest, statistics, time.monotonic() - began)


@pytest.mark.parametrize("count", [2, 3])
def test_over_nodes_of_a_cluster(
    cluster: Any, one: One, tmp_path: Path, tell: Callable[[str], None], count: int
) -> None:
    nodes = [cluster.add_node(num_cpus=1, memory=1_000_000_000) for _ in range(count)]
    cluster.wait_for_nodes()
    began = time.monotonic()
    with MemoryWatch({f"node {place}": raylet(node) for place, node in enumerate(nodes, 1)}) as watch:
        found = analyse(one.raster, tmp_path / "index.tif", "cluster")
    seconds = time.monotonic() - began
    assert found == (one.digest, one.statistics)
    assert set(watch.busiest) == set(watch.parents), "every node has computed"
    assert max(watch.busiest.values()) < BLOCK_MB
    each = ", ".join(f"{mb:.0f}" for mb in watch.busiest.values())
    tell(
        f"same bytes and statistics; {seconds:.0f} s, one process {one.seconds:.0f} s; the largest process of each node held "
        f"{each} MB of the {BLOCK_MB:.0f} MB that it asked for"
    )


@pytest.mark.skipif(
    os.geteuid() != 0 or not shutil.which(IP), reason="network namespaces need root and the command ip"
)
def test_over_two_hosts(one: One, tmp_path: Path, tell: Callable[[str], None]) -> None:
    with two_hosts() as (head, other), ExitStack() as opened:
        port = 6501
        opened.enter_context(
            ray_node(head, tmp_path, "--head", f"--port={port}", "--num-cpus=0", "--include-dashboard=false")
        )
        worker = opened.enter_context(
            ray_node(other, tmp_path, f"--address={head.address}:{port}", "--num-cpus=2")
        )
        command = [
            sys.executable,
            str(CHILD),
            f"{head.address}:{port}",
            str(one.raster),
            str(tmp_path / "index.tif"),
        ]
        began = time.monotonic()
        with MemoryWatch({"other host": worker}) as watch:
            answer = subprocess.run(
                [*head.inside, *command], capture_output=True, text=True, timeout=400, check=False
            )
        seconds = time.monotonic() - began
    assert answer.returncode == 0, answer.stderr[-2000:]
    found = json.loads(answer.stdout.splitlines()[-1])
    assert (found["digest"], found["statistics"]) == (one.digest, one.statistics)
    assert 0 < watch.busiest["other host"] < BLOCK_MB
    tell(
        f"same bytes and statistics; {seconds:.0f} s with the start of the driver; the largest process of the other host held "
        f"{watch.busiest['other host']:.0f} MB, the joining process {found['joining_mb']:.0f} MB"
    )


@dataclass(frozen=True)
class Host:
    """A network namespace with an address of its own."""

    name: str
    address: str

    @property
    def inside(self) -> list[str]:
        return [IP, "netns", "exec", self.name]


@contextmanager
def two_hosts() -> Iterator[tuple[Host, Host]]:
    """Two namespaces, connected by a virtual cable."""
    mark = secrets.token_hex(2)
    hosts = Host(f"or-a-{mark}", "10.77.0.1"), Host(f"or-b-{mark}", "10.77.0.2")

    def ip(*words: str) -> None:
        subprocess.run([IP, *words], check=True, capture_output=True)

    try:
        for host in hosts:
            ip("netns", "add", host.name)
        ends = [f"va{mark}", f"vb{mark}"]
        ip(
            "link",
            "add",
            ends[0],
            "netns",
            hosts[0].name,
            "type",
            "veth",
            "peer",
            "name",
            ends[1],
            "netns",
            hosts[1].name,
        )
        for host, end in zip(hosts, ends, strict=True):
            ip("-n", host.name, "addr", "add", f"{host.address}/24", "dev", end)
            ip("-n", host.name, "link", "set", end, "up")
            ip("-n", host.name, "link", "set", "lo", "up")
        yield hosts
    finally:
        for host in hosts:
            subprocess.run([IP, "netns", "delete", host.name], check=False, capture_output=True)


@contextmanager
def ray_node(host: Host, folder: Path, *options: str) -> Iterator[int]:
    """A node of Ray on a host, in a folder for Ray of its own; the process id of its raylet."""
    place = Path("/tmp") / f"or-{host.name}"  # short, because Ray's sockets lie below it
    log = folder / f"{host.name}.log"
    command = [str(Path(sys.executable).with_name("ray")), "start", "--block", *options]
    command += [f"--node-ip-address={host.address}", "--object-store-memory=300000000"]
    if "--head" in options:
        command.append(f"--temp-dir={place}")
    environment = {
        **os.environ,
        "RAY_GRACEFUL_SHUTDOWN_DRAIN_TIMEOUT_S": "0",
    }  # nobody else needs what it holds
    with log.open("wb") as output:
        node = subprocess.Popen([*host.inside, *command], env=environment, stdout=output, stderr=output)
    try:
        deadline = time.monotonic() + 150
        while "Ray runtime started" not in log.read_text():
            assert node.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.2)
        yield raylet_below(node.pid)
    finally:
        node.terminate()
        try:
            node.wait(60)
        except subprocess.TimeoutExpired:
            node.kill()  # its processes end with it, when they miss it
            node.wait()
        shutil.rmtree(place, ignore_errors=True)


def raylet_below(parent: int) -> int:
    """The raylet that `ray start` with this process id has started."""
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if (process / "comm").read_text().strip() == "raylet" and f"PPid:\t{parent}\n" in (
                process / "status"
            ).read_text():
                return int(process.name)
        except OSError:
            continue
    raise AssertionError("no raylet")
