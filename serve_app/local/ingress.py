"""What stands before the gateway of a local installation: Ray Serve's own proxy or, with SERVE_INGRESS=haproxy, HAProxy.

HAProxy is a process that Ray starts. It can survive a Ray that is killed, and keeps the port then. So its files lie in a
folder of their own for each home, by which the next start, or `orthoray down`, tells whose it is.
"""

from __future__ import annotations

import os
import shutil
import signal
import stat
from collections.abc import Mapping
from functools import partial
from pathlib import Path

from serve_app.local.processes import command_line, end_process, free_ports
from serve_app.rpc.limits import grpc_environment

# What it was forwarding is lost either way, for the Ray behind it is gone.
_STOP_STEPS = ((signal.SIGTERM, 2.0), (signal.SIGKILL, 5.0))


def ingress_environment(ingress: str) -> Mapping[str, str]:
    """What every node of a cluster, and whoever joins it, must find in the environment before Ray is imported."""
    return {"RAY_SERVE_ENABLE_HA_PROXY": "1" if ingress == "haproxy" else "0", **grpc_environment()}


def haproxy_environment(folder: Path) -> Mapping[str, str]:
    """What keeps the HAProxy of this installation apart from all others on the machine.

    Names are short, because Ray puts the node's id of 56 characters before them, and a socket's path has at most 107 bytes. The
    ports of its statistics, and of Serve's own proxy of gRPC behind it, are free ones: they are open on all addresses and cannot
    be closed.
    """
    statistics, metrics, grpc = free_ports(3)
    return {
        "RAY_SERVE_HAPROXY_CONFIG_FILE_LOC": str(folder / "c"),
        "RAY_SERVE_HAPROXY_SOCKET_PATH": str(folder / "a"),
        "RAY_SERVE_HAPROXY_METRICS_SOCKET_PATH": str(folder / "m"),
        "RAY_SERVE_HAPROXY_SERVER_STATE_BASE": str(folder),
        "RAY_SERVE_HAPROXY_SERVER_STATE_FILE": str(folder / "s"),
        "RAY_SERVE_HAPROXY_STATS_PORT": str(statistics),
        "RAY_SERVE_HAPROXY_METRICS_PORT": str(metrics),
        "RAY_SERVE_FALLBACK_PROXY_GRPC_PORT": str(grpc),
    }


def end_leftovers(folder: Path) -> list[int]:
    """End each HAProxy of ours whose files are in `folder`, remove the folder, and return the process ids.

    Raises:
        ConfigurationError: one cannot be ended.
    """
    if not _is_of_this_user(folder.parent):
        return []
    mark = f" -f {folder}{os.sep}"

    def is_ours(pid: int) -> bool:
        return mark in command_line(pid)

    def is_gone(pid: int) -> bool:
        return not is_ours(pid)

    found = [
        int(entry.name)
        for entry in Path("/proc").glob("[0-9]*")
        if _is_of_this_user(entry) and is_ours(int(entry.name))
    ]
    for pid in found:
        end_process(pid, _STOP_STEPS, partial(is_gone, pid))
    shutil.rmtree(folder, ignore_errors=True)
    return found


def _is_of_this_user(folder: Path) -> bool:
    try:
        facts = folder.lstat()
    except OSError:
        return False
    return stat.S_ISDIR(facts.st_mode) and facts.st_uid == os.getuid()
