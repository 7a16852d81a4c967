"""The HAProxy of a local installation: its files are its own, and what a killed start left of it is ended."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from serve_app.local.ingress import end_leftovers, haproxy_environment, ingress_environment

# A number of a user has up to ten digits, an inode of a file system of petabytes nine.
LONGEST = Path("/tmp/orthoray-4294967295-fffffffff/h")
NODE_ID = "0" * 56
# HAProxy binds a socket under a name with its process id behind it, and renames it.
HAPROXY_SUFFIX = ".4194304.tmp"
MAX_SOCKET_BYTES = 107


@contextmanager
def program(*words: str) -> Iterator[subprocess.Popen[bytes]]:
    """A process that sleeps, with these words in its command line."""
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)", *words])
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def test_ray_is_told_of_either_ingress() -> None:
    assert ingress_environment("haproxy")["RAY_SERVE_ENABLE_HA_PROXY"] == "1"
    # A variable of the user's own shell must not switch it on.
    assert ingress_environment("proxy")["RAY_SERVE_ENABLE_HA_PROXY"] == "0"


def test_messages_have_a_limit_behind_either_ingress() -> None:
    for ingress in ("proxy", "haproxy"):
        assert ingress_environment(ingress)["RAY_SERVE_GRPC_MAX_MESSAGE_SIZE"] == "4194304"


def test_sockets_have_room_for_what_is_added_to_their_paths() -> None:
    environment = haproxy_environment(LONGEST)
    sockets = [Path(value) for name, value in environment.items() if name.endswith("SOCKET_PATH")]
    assert len(sockets) == 2
    for socket in sockets:
        assert len(str(socket.parent / NODE_ID / socket.name) + HAPROXY_SUFFIX) <= MAX_SOCKET_BYTES


def test_two_installations_have_nothing_in_common(tmp_path: Path) -> None:
    one, other = haproxy_environment(tmp_path / "one"), haproxy_environment(tmp_path / "other")
    assert one.keys() == other.keys()
    assert not set(one.values()) & set(other.values())


def test_a_haproxy_that_was_left_is_ended_and_no_other_program(tmp_path: Path) -> None:
    ours, theirs = tmp_path / "home" / "h", tmp_path / "other" / "h"
    for folder in (ours, theirs):
        folder.mkdir(parents=True)
    with (
        program("-db", "-f", str(ours / NODE_ID / "c")) as left,
        program("-db", "-f", str(theirs / NODE_ID / "c")) as other,
    ):
        assert end_leftovers(ours) == [left.pid]
        assert left.wait(5) < 0
        assert other.poll() is None
    assert not ours.exists()
    assert theirs.exists()


@pytest.mark.parametrize("made", ["nothing", "link"])
def test_a_folder_that_is_not_ours_is_left_alone(tmp_path: Path, made: str) -> None:
    precious = tmp_path / "precious"
    (precious / "h").mkdir(parents=True)
    parent = tmp_path / "orthoray-0-1"
    if made == "link":
        parent.symlink_to(precious)
    assert end_leftovers(parent / "h") == []
    assert (precious / "h").exists()
