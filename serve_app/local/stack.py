"""OrthoRay on one machine: what `orthoray up` starts, in which order, and how it all ends again."""

from __future__ import annotations

import errno
import fcntl
import functools
import json
import logging
import os
import shutil
import stat
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, redirect_stderr, redirect_stdout
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from orthoray.database import migrate
from orthoray.errors import ConfigurationError, OrthoRayError
from orthoray.settings import SERVICES, Settings
from orthoray.storage.config import StorageConfig
from serve_app.local.credentials import first_api_key, ray_token, webhook_secret
from serve_app.local.ingress import end_leftovers, haproxy_environment, ingress_environment
from serve_app.local.keeper import kept_running
from serve_app.local.objectstore import EmbeddedS3
from serve_app.local.postgres import EmbeddedPostgres
from serve_app.local.processes import listening_error

# Ray spills and the databases write-ahead; with less than this something breaks in the middle of a run.
MIN_FREE_BYTES = 512 * 1024**2
# Serve's replicas and Ray's own actors take fractions of this one, so that all real cores are left for the compute.
SERVICE_CPUS = 1
# Pixels go through storage, never through the object store.
OBJECT_STORE_BYTES = 256 * 1024**2
# Ray's sockets lie below its temporary folder, and a socket's path has at most 107 bytes.
MAX_RAY_FOLDER_BYTES = 40
# Whoever only asks whether a home is in use holds its lock for much less than this.
LOCK_PROBE_S = 0.2
# What a killed stack leaves of Ray ends by itself within this time; PostgreSQL is ended by the next start.
ORPHANS_END_S = 15.0

STOPPING = "Stopping"

Step = Callable[[str], Any]


@dataclass(frozen=True)
class Running:
    """What another process may know of a running stack; never a secret."""

    pid: int
    url: str
    dashboard: str | None
    api_key_file: str
    logs: str
    embedded_s3: bool = False


def state_file(settings: Settings) -> Path:
    return settings.orthoray_home / "run" / "state.json"


def read_state(settings: Settings) -> Running | None:
    """The running stack of this home, if there is one.

    Its lock tells: a killed one leaves its state file behind, and a process id that may be another program's by now.
    """
    try:
        state = Running(**json.loads(state_file(settings).read_text()))
        with _lock_file(settings.orthoray_home).open() as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return state
    except (OSError, ValueError, TypeError):
        return None
    return None


@contextmanager
def running_stack(settings: Settings, *, with_s3: bool, verbose: bool, step: Step) -> Iterator[Running]:
    """Start everything, yield when it serves, and stop everything that was started.

    `step` is told what happens next.

    Raises:
        ConfigurationError: one line that says what is in the way and what to do.
    """
    with ExitStack() as stack:
        home = prepare_home(settings.orthoray_home)
        stack.enter_context(_only_one(home))
        end_leftovers(ingress_folder(home))
        _check_ports(settings, patience_s=ORPHANS_END_S if state_file(settings).exists() else 0.0)
        if with_s3:
            step("Starting the S3 server")
            s3 = EmbeddedS3(home)
            stack.callback(s3.stop)
            settings = settings.model_copy(update=s3.start().as_settings())
            stack.enter_context(kept_running(s3, "S3"))
        dsns = _databases(settings, home, stack, step)
        step("Bringing the databases up to date")
        migrations = Path(__file__).parents[1]
        for service in SERVICES:
            migrate(dsns[service], migrations / service / "migrations")
        key_file = first_api_key(home, dsns["imagery"])
        if settings.webhook_secret is None:
            kept = SecretStr(webhook_secret(home))
            settings = settings.model_copy(update={"webhook_secret": kept})
        _check_storage(settings.storage())
        _ray_and_serve(settings, dsns, stack, step, verbose=verbose)
        running = Running(
            pid=os.getpid(),
            url=f"http://{_shown(settings.gateway_host)}:{settings.gateway_port}",
            dashboard=None if settings.ray_address else f"http://127.0.0.1:{settings.ray_dashboard_port}",
            api_key_file=str(key_file),
            logs=str(ray_folder(home) / "session_latest" / "logs"),
            embedded_s3=with_s3,
        )
        file = state_file(settings)
        stack.callback(file.unlink, missing_ok=True)
        file.write_text(json.dumps(asdict(running)))
        yield running
        step(STOPPING)


def _shown(host: str) -> str:
    return {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, host)  # noqa: S104 - compared, not bound


def prepare_home(home: Path) -> Path:
    try:
        home.mkdir(parents=True, exist_ok=True, mode=0o700)
        (home / "run").mkdir(exist_ok=True, mode=0o700)
        free = shutil.disk_usage(home).free
        if not os.access(home, os.W_OK):
            raise PermissionError
    except OSError as error:
        raise ConfigurationError(
            f"The folder {home} cannot be written ({error.strerror or 'no permission'}): "
            "set ORTHORAY_HOME to a folder of yours."
        ) from error
    if free < MIN_FREE_BYTES:
        raise ConfigurationError(
            f"The disk of {home} is full ({free // 1024**2} MiB free, {MIN_FREE_BYTES // 1024**2} needed): "
            "free some space or set ORTHORAY_HOME to another disk."
        )
    return home


def _lock_file(home: Path) -> Path:
    return home / "run" / "lock"


@contextmanager
def _only_one(home: Path) -> Iterator[None]:
    """Two stacks on one home would fight for its database."""
    with _lock_file(home).open("w") as lock:
        for last_try in (False, True):
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except OSError:
                if last_try:
                    raise ConfigurationError(
                        f"OrthoRay is already running from {home}: `orthoray status` shows where, `orthoray down` ends it; "
                        "a second one needs its own ORTHORAY_HOME, GATEWAY_PORT and RAY_DASHBOARD_PORT."
                    ) from None
                time.sleep(LOCK_PROBE_S)
        yield


def _check_ports(settings: Settings, patience_s: float) -> None:
    """`patience_s` is how long ports may still be taken: Ray's processes outlive a killed stack by some seconds."""
    wanted = {"GATEWAY_PORT": (settings.gateway_host, settings.gateway_port)}
    if settings.grpc_port:
        wanted["GRPC_PORT"] = ("0.0.0.0", settings.grpc_port)  # noqa: S104 - Serve's proxy knows no other
    if not settings.ray_address:
        wanted["RAY_DASHBOARD_PORT"] = ("127.0.0.1", settings.ray_dashboard_port)
    deadline = time.monotonic() + patience_s
    for port, named in _by_port(wanted).items():
        if len(named) > 1:
            raise ConfigurationError(f"{named[0]} and {named[1]} are both {port}: give each its own.")
    for name, (host, port) in wanted.items():
        while (error := listening_error(host, port)) is not None:
            if error.errno == errno.EACCES:
                raise ConfigurationError(
                    f"Port {port} may be used by root only: choose another with {name}=8080."
                )
            if error.errno != errno.EADDRINUSE:
                raise ConfigurationError(
                    f"{host} is not an address of this machine: set GATEWAY_HOST=127.0.0.1."
                )
            if time.monotonic() > deadline:
                raise ConfigurationError(
                    f"Port {port} is in use by another program: stop it, or choose another with {name}={port + 1}."
                )
            time.sleep(0.2)


def _by_port(wanted: Mapping[str, tuple[str, int]]) -> dict[int, list[str]]:
    found: dict[int, list[str]] = {}
    for name, (_, port) in wanted.items():
        found.setdefault(port, []).append(name)
    return found


def _databases(settings: Settings, home: Path, stack: ExitStack, step: Step) -> Mapping[str, str]:
    if settings.external_databases:
        step("Connecting to PostgreSQL")
        return {service: settings.dsn(service) for service in SERVICES}
    step("Starting PostgreSQL")
    postgres = EmbeddedPostgres(home)
    stack.callback(postgres.stop)
    postgres.start()
    stack.enter_context(kept_running(postgres, "PostgreSQL"))
    return {service: postgres.dsn(service) for service in SERVICES}


def _check_storage(config: StorageConfig) -> None:
    try:
        config.open().ensure_buckets(config.buckets)
    except OrthoRayError as error:
        where = "MINIO_ENDPOINT and its keys" if config.endpoint else "STORAGE_ROOT"
        raise ConfigurationError(f"The storage cannot be used: {error.detail} (see {where})") from error


def ray_folder(home: Path) -> Path:
    """Ray's session folders: below home, or, where that path is too long for sockets, a short one of our own."""
    folder = home / "run" / "ray"
    if len(os.fsencode(folder)) <= MAX_RAY_FOLDER_BYTES:
        return folder
    return _short_folder(home) / "ray"


def ingress_folder(home: Path) -> Path:
    """HAProxy's files, among them a socket that takes orders from everybody who reaches it."""
    return _short_folder(home) / "h"


def _short_folder(home: Path) -> Path:
    return Path(f"/tmp/orthoray-{os.getuid()}-{home.stat().st_ino:x}")  # noqa: S108 - closed by _own_folder


def end_what_a_killed_stack_left(settings: Settings) -> bool:
    """End the HAProxy of a stack that was killed, as its next start would; whether there was one."""
    home = settings.orthoray_home
    try:
        with _lock_file(home).open() as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return bool(end_leftovers(ingress_folder(home)))
    except OSError:
        return False  # never started, or a start is under way and sees to it itself


def _leave_present_folder(folder: Path) -> None:
    """Ray puts the driver's folder in front of every worker's path, where it would hide an OLD package on PYTHONPATH."""
    if entries := os.environ.get("PYTHONPATH"):
        absolute = (str(Path(entry).absolute()) for entry in entries.split(os.pathsep) if entry)
        os.environ["PYTHONPATH"] = os.pathsep.join(absolute)
    os.chdir(folder)


def _quietly(stop: Callable[[], None]) -> None:
    """Ray reports the controller's orderly end as a failure to be retried: not for people to read."""
    with open(os.devnull, "w") as nowhere, redirect_stderr(nowhere), redirect_stdout(nowhere):  # noqa: PTH123 - a device
        stop()


def _own_folder(folder: Path) -> Path:
    """Ray opens its folder to everybody (0777), so the one above is ours and closed."""
    folder.parent.mkdir(mode=0o700, exist_ok=True)
    facts = folder.parent.lstat()
    if not stat.S_ISDIR(facts.st_mode) or facts.st_uid != os.getuid():
        raise ConfigurationError(
            f"The folder {folder.parent} belongs to someone else: set ORTHORAY_HOME to a shorter path."
        )
    folder.parent.chmod(0o700)
    folder.mkdir(mode=0o700, exist_ok=True)
    return folder


def _free_agent_port() -> None:
    """Let Ray's agent, which takes jobs, choose a free port: its usual one is the same for all installations of a machine,
    and `ray.init` has no word for another."""
    from ray._private import parameter  # here: see below

    parameter.RayParams = functools.partial(parameter.RayParams, dashboard_agent_listen_port=0)  # type: ignore[misc,assignment]


def _tell_jobs(address: str, folder: Path) -> None:
    """Jobs look here for their cluster; without it they take any that they find on the machine."""
    from ray._private import utils  # here: see below

    utils.write_ray_address(address, str(folder))


def _ray_and_serve(
    settings: Settings, dsns: Mapping[str, str], stack: ExitStack, step: Step, *, verbose: bool
) -> None:
    home = settings.orthoray_home
    environment: dict[str, str] = {
        "RAY_USAGE_STATS_ENABLED": "0",
        # A job's command that begins with `python` means the one that OrthoRay is installed for.
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)]),
        "LOG_LEVEL": settings.log_level,
        "LOG_FORMAT": settings.log_format,
        # Stopping would wait half a minute for load balancers that a laptop does not have.
        "RAY_SERVE_DIRECT_INGRESS_MIN_DRAINING_PERIOD_S": "0",
        # After Serve's own 5 s the proxy of a busy machine would be killed while it starts, and the whole start would fail.
        "RAY_SERVE_PROXY_READY_CHECK_TIMEOUT_S": "60",
        "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
        # Else uvicorn believes whoever is on this machine where a request comes from: TRUSTED_PROXIES says who is believed.
        "FORWARDED_ALLOW_IPS": "",
        # By name, for whoever starts a stack needs no web server: bounds on the heads of requests.
        "RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH": "serve_app.doorway.guard",
    }
    if settings.otel_exporter_otlp_endpoint:
        # OpenTelemetry's own name, which every process below looks at: it may come from `.env`.
        environment["OTEL_EXPORTER_OTLP_ENDPOINT"] = settings.otel_exporter_otlp_endpoint
    environment |= ingress_environment(settings.serve_ingress)
    if not settings.ray_address:
        environment |= {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": ray_token(home)}
        if settings.serve_ingress == "haproxy":
            files = _own_folder(ingress_folder(home))
            # After Ray has ended: its manager of HAProxy may have been killed, and HAProxy not.
            stack.callback(end_leftovers, files)
            environment |= haproxy_environment(files)
    os.environ.update(environment)
    _leave_present_folder(home / "run")

    if not verbose:
        logging.getLogger("ray.serve").disabled = True
    step("Starting Ray")
    import ray  # here: it reads its environment when it is imported, and takes seconds
    from ray import serve
    from ray.serve.config import HTTPOptions
    from ray.serve.schema import LoggingConfig

    from orthoray.remote import APPLICATION
    from serve_app.app import application
    from serve_app.rpc.server import grpc_options

    stack.callback(_quietly, ray.shutdown)
    if settings.ray_address:
        try:
            ray.init(address=settings.ray_address, log_to_driver=verbose, logging_level=logging.WARNING)
        except (ConnectionError, RuntimeError, ValueError) as error:
            raise ConfigurationError(
                f"There is no Ray cluster at RAY_ADDRESS={settings.ray_address}, or it refuses RAY_AUTH_TOKEN: "
                "leave RAY_ADDRESS out to start one here."
            ) from error
    else:
        _free_agent_port()
        ray.init(
            address="local",  # not what a killed start has left, which still answers for some seconds
            num_cpus=(os.cpu_count() or 1) + SERVICE_CPUS,
            object_store_memory=OBJECT_STORE_BYTES,
            include_dashboard=True,
            dashboard_host="127.0.0.1",
            _node_ip_address="127.0.0.1",
            dashboard_port=settings.ray_dashboard_port,
            log_to_driver=verbose,
            logging_level=logging.WARNING,
            _temp_dir=str(_own_folder(ray_folder(home))),
        )
        _tell_jobs(ray.get_runtime_context().gcs_address, ray_folder(home))
    step("Starting the services")
    if settings.ray_address:
        stack.callback(_quietly, lambda: serve.delete(APPLICATION))  # the cluster may serve others too
    else:
        stack.callback(_quietly, serve.shutdown)
    quiet = LoggingConfig(log_level="WARNING", enable_access_log=False)
    serve.start(
        http_options=HTTPOptions(host=settings.gateway_host, port=settings.gateway_port),
        grpc_options=grpc_options(settings.grpc_port) if settings.grpc_port else None,
        logging_config=quiet,
    )
    try:
        serve.run(application(settings, dsns), name=APPLICATION, route_prefix="/", logging_config=quiet)
    except RuntimeError as error:
        raise ConfigurationError(
            f"The services did not start; the reason is in {ray_folder(home) / 'session_latest' / 'logs' / 'serve'}"
        ) from error
