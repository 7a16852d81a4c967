"""`orthoray doctor`: is everything there that OrthoRay needs, and do rows and objects agree?

It asks databases and storage itself, so it works whether OrthoRay is running or not, as long as they do.
"""

from __future__ import annotations

import asyncio
import io
import shutil
from collections.abc import Iterator, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import psycopg
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from orthoray.database import open_pool
from orthoray.errors import OrthoRayError
from orthoray.ports import AnalysisPort, ImageryPort, ReportPort
from orthoray.queue import Queue
from orthoray.reconciling import Reconciled, ReconcileOrder
from orthoray.remote import remote_by_name
from orthoray.settings import SERVICES, Settings
from orthoray.storage.base import Storage
from orthoray.storage.config import StorageConfig
from serve_app import migration
from serve_app.analysis.service import AnalysisService
from serve_app.imagery.service import ImageryService
from serve_app.local.foreground import show_status
from serve_app.local.objectstore import EmbeddedS3
from serve_app.local.postgres import EmbeddedPostgres
from serve_app.local.stack import read_state
from serve_app.report.service import ReportService

# Less room than this on the disk of the home is worth a word.
_LITTLE_BYTES = 1 << 30
_SHOWN = 20
_STEPS = "select name from schema_migrations"
_JOBS = """
select count(*) filter (where status = 'todo') as waiting, count(*) filter (where status = 'doing') as doing,
       count(*) filter (where status = 'failed') as failed
from procrastinate_jobs
"""


@dataclass(frozen=True)
class Finding:
    """One line of the table; `is_well` None: nothing was asked."""

    what: str
    is_well: bool | None
    detail: str


def examine(settings: Settings, *, fix: bool, grace: timedelta, notes: Console) -> bool:
    """Print what was found; whether all is well, or was made so."""
    found: dict[str, Reconciled] = {}
    findings = list(_findings(settings, ReconcileOrder(fix=fix, grace=grace), found))
    table = Table(box=None, pad_edge=False)
    for column in ("", "what", "how it is"):
        table.add_column(column, overflow="fold")
    marks = {True: "[green]✓[/green]", False: "[red]✗[/red]", None: "-"}
    for finding in findings:
        table.add_row(marks[finding.is_well], finding.what, escape(finding.detail))
    out = Console(highlight=False)
    out.print(table)
    for one in found.values():
        _show(one, out, fix=fix)
    if any(one.open for one in found.values()) and not fix:
        notes.print("`orthoray doctor --fix` removes orphans and draws lost thumbnails anew.")
    return all(finding.is_well is not False for finding in findings)


def _findings(settings: Settings, order: ReconcileOrder, found: dict[str, Reconciled]) -> Iterator[Finding]:
    yield _home(settings)
    running = read_state(settings)
    yield _running(settings)
    if running and running.embedded_s3:
        settings = settings.model_copy(update=EmbeddedS3(settings.orthoray_home).facts().as_settings())
    config = settings.storage()
    storage, finding = _storage(config)
    yield finding
    if settings.redis_url:
        yield _redis(settings.redis_url.get_secret_value())
    dsns = _dsns(settings, is_running=running is not None)
    if dsns is None:
        yield Finding(
            "databases", False, "The built-in PostgreSQL is not running: start it with `orthoray up`."
        )
        return
    usable = True
    for service, dsn in dsns.items():
        finding = _database(service, dsn)
        usable = usable and finding.is_well is True
        yield finding
    if not usable or storage is None:
        yield Finding("rows and objects", None, "not compared: databases and storage have to answer first")
        return
    try:
        found |= asyncio.run(_reconciled(settings, dsns, storage, config, order))
    except OrthoRayError as error:
        yield Finding("rows and objects", False, error.detail)
        return
    for service, one in found.items():
        yield Finding(f"rows and objects of {service}", one.open == 0, _told(one))


def _home(settings: Settings) -> Finding:
    home = settings.orthoray_home
    if not home.is_dir():
        return Finding("home", None, f"{home} does not exist yet: `orthoray up` makes it")
    free = shutil.disk_usage(home).free
    return Finding("home", free >= _LITTLE_BYTES, f"{home}, {_size(free)} free")


def _running(settings: Settings) -> Finding:
    """What `orthoray status` says; not to run is no fault."""
    if read_state(settings) is None:
        return Finding("OrthoRay", None, "not running from this home")
    said = io.StringIO()
    is_ready = show_status(settings, notes=Console(file=said, width=200))
    lines = [line.strip() for line in said.getvalue().splitlines() if line.strip()]
    return Finding("OrthoRay", is_ready, "ready" if is_ready else " ".join(lines))


def _storage(config: StorageConfig) -> tuple[Storage | None, Finding]:
    where = config.endpoint or str(config.root)
    try:
        storage = config.open()
        storage.check(*config.buckets)
    except OrthoRayError as error:
        return None, Finding("storage", False, f"{where}: {error.detail}")
    return storage, Finding("storage", True, f"{where}, buckets {', '.join(config.buckets)}")


def _redis(url: str) -> Finding:
    import redis  # here: most installations run without it

    try:
        with redis.Redis.from_url(url, socket_timeout=5, socket_connect_timeout=5) as client:
            client.ping()
    except (redis.RedisError, ValueError) as error:
        return Finding("Redis", False, f"REDIS_URL: {type(error).__name__}; events wait until it answers")
    return Finding("Redis", True, "answers")


def _dsns(settings: Settings, *, is_running: bool) -> Mapping[str, str] | None:
    if settings.external_databases:
        return migration.external_dsns(settings)
    if not is_running:
        return None
    server = EmbeddedPostgres(settings.orthoray_home)
    return {service: server.dsn(service) for service in SERVICES}


def _database(service: str, dsn: str) -> Finding:
    """Whether it answers, has the newest schema, and what waits in its queue."""
    what = f"{service}_db and its queue"
    steps = {path.stem for path in (Path(migration.__file__).parent / service / "migrations").glob("*.sql")}
    try:
        with psycopg.connect(dsn, connect_timeout=5) as connection:
            done = {row[0] for row in connection.execute(_STEPS)}
            waiting, doing, failed = connection.execute(_JOBS).fetchone() or (0, 0, 0)
    except psycopg.errors.UndefinedTable:
        return Finding(what, False, "It is empty: `orthoray migrate` makes its tables.")
    except psycopg.OperationalError as error:
        return Finding(what, False, str(error).strip().splitlines()[0])
    if missing := sorted(steps - done):
        return Finding(
            what, False, f"It lacks {', '.join(missing)}: run `orthoray migrate`, or `orthoray up`."
        )
    return Finding(what, True, f"answers; jobs: {waiting} waiting, {doing} under way, {failed} failed")


async def _reconciled(
    settings: Settings,
    dsns: Mapping[str, str],
    storage: Storage,
    config: StorageConfig,
    order: ReconcileOrder,
) -> dict[str, Reconciled]:
    """What each service finds; the uploads that have expired are given up first."""
    async with AsyncExitStack() as stack:
        pools = {
            name: await stack.enter_async_context(open_pool(dsns[name], max_size=2)) for name in SERVICES
        }
        imagery, analysis = (
            remote_by_name("imagery-service", ImageryPort),
            remote_by_name("analysis-service", AnalysisPort),
        )
        services: dict[str, Any] = {
            "imagery": ImageryService(
                pools["imagery"],
                Queue(dsns["imagery"]),
                storage,
                config.imagery,
                analysis=analysis,
                max_pixels=settings.max_pixels,
                parts=config.open_parts(storage),
            ),
            "analysis": AnalysisService(
                pools["analysis"],
                Queue(dsns["analysis"]),
                storage,
                config.heatmaps,
                imagery=imagery,
                report=remote_by_name("report-service", ReportPort),
                default_language=settings.default_language,
            ),
            "report": ReportService(
                pools["report"],
                Queue(dsns["report"]),
                storage,
                config.reports,
                imagery=imagery,
                analysis=analysis,
            ),
        }
        if order.fix:
            await services["imagery"].sweep_uploads()
        return {name: await service.reconcile(order) for name, service in services.items()}


def _told(found: Reconciled) -> str:
    said = [f"{found.rows} rows, {found.objects} objects in {found.bucket}"]
    if found.young:
        said.append(f"{found.young} objects without a row are younger than the grace period")
    if found.orphans:
        said.append(f"{len(found.orphans)} orphans of {_size(found.orphan_bytes)}")
    if found.lost:
        said.append(f"{len(found.lost)} lost")
    if found.fixed:
        said.append(f"{found.fixed} fixed")
    return "; ".join(said)


def _show(found: Reconciled, out: Console, *, fix: bool) -> None:
    lines = [f"{'removed' if fix else 'orphan'}: {found.bucket}/{key}" for key in found.orphans[:_SHOWN]]
    if len(found.orphans) > _SHOWN:
        lines.append(f"... and {len(found.orphans) - _SHOWN} more in {found.bucket}")
    lines += [f"lost: {line}" for line in found.lost[:_SHOWN]]
    if len(found.lost) > _SHOWN:
        lines.append(f"... and {len(found.lost) - _SHOWN} more that are lost in {found.bucket}")
    for line in lines:
        out.print(line, soft_wrap=True, markup=False)


def _size(count: int) -> str:
    for unit, factor in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if count >= factor:
            return f"{count / factor:.1f} {unit}"
    return f"{count} bytes"
