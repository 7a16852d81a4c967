"""Fault 3: the databases go away for a while, and connections are cut at random."""

from __future__ import annotations

import os
import random
import signal
import threading
import time
from contextlib import suppress

import psycopg
from faults import Load, Site, check, send_runs, told, upload_some, wait_until_under_way

from orthoray.settings import SERVICES

OUTAGE_S = 20.0
CUTTING_S = 30.0


def send_on(site: Site, images: list[str], load: Load, until: threading.Event) -> None:
    """A client that goes on asking whatever it is answered."""
    with site.stack.client() as api:
        while not until.is_set():
            load.post(api, imagery_id=random.choice(images), index_type="NDVI_emp")
            until.wait(1.0)


def cut_connections(site: Site, seconds: float) -> int:
    """Ends half of the connections of some database again and again; how many there were."""
    cut, end = 0, time.monotonic() + seconds
    statement = (
        "select pg_terminate_backend(pid) from pg_stat_activity"
        " where datname = current_database() and pid <> pg_backend_pid() and random() < 0.5"
    )
    while time.monotonic() < end:
        with suppress(psycopg.OperationalError):
            cut += len(site.query(random.choice(SERVICES), statement))
        time.sleep(random.uniform(0.1, 0.6))
    return cut


def test_databases_that_go_away_and_connections_that_are_cut(site: Site) -> None:
    began = time.monotonic()
    images = upload_some(site)
    load, later, over = send_runs(site, images), Load(), threading.Event()
    wait_until_under_way(site)
    client = threading.Thread(target=send_on, args=(site, images, later, over))
    client.start()
    try:
        os.kill(site.postgres_pid(), signal.SIGQUIT)  # immediate shutdown
        time.sleep(OUTAGE_S)
        site.postgres.stop()  # takes note of its end
        site.postgres.start()
        more = send_runs(site, images, 10)
        cut = cut_connections(site, CUTTING_S)
    finally:
        over.set()
        client.join()
    assert later.refused, "nobody noticed that the database was away"
    assert cut > 20
    found = check(site, load, later, more)
    told(f"PostgreSQL away for {OUTAGE_S:.0f} s, then {cut} connections cut", found, began)
