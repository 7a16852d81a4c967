"""Faults 1 and 2: processes that are killed, one after another and all at once."""

from __future__ import annotations

import os
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import httpx2
from faults import Site, check, send_runs, told, upload_some, wait_until_under_way
from stack import eventually

ACTORS = ("ray::AnalysisWorker", "ray::ReportWorker", "ray::EventRelay")
TASKS = ("ray::analyse_object", "ray::render_report")


def kill(site: Site, title: str) -> int:
    """How many there were."""
    found = site.stack.processes(title)
    for process in found:
        with suppress(ProcessLookupError):
            os.kill(process.pid, signal.SIGKILL)
    return len(found)


def test_every_process_that_works_in_turn(site: Site) -> None:
    began = time.monotonic()
    load = send_runs(site, upload_some(site), 36)
    wait_until_under_way(site)
    before = {actor: site.stack.pid(actor) for actor in ACTORS}
    for actor in ACTORS:
        assert kill(site, actor) == 1
        time.sleep(2.0)
    eventually(lambda: site.stack.processes(ACTORS[0]), 60, "a new worker")
    for title in TASKS:
        eventually(lambda title=title: kill(site, title), 60, f"a process of {title}")  # type: ignore[misc]
    found = check(site, load)
    assert found["attempts"].keys() - {"1"}, "nothing was under way when its process died"
    assert {actor: site.stack.pid(actor) for actor in ACTORS}.items().isdisjoint(before.items())
    eventually(site.stack.ready, 60, "a service that is ready again")
    assert len(load.runs) >= 36
    with site.stack.client() as api:
        ended = [api.get(f"/analysis-runs/{run}").json() for run in load.runs]
        time.sleep(1)  # whatever is done twice would be done now
        assert [api.get(f"/analysis-runs/{run}").json() for run in load.runs] == ended
    told("SIGKILL of every actor in turn, then of processes that compute", found, began)


def test_the_gateway_between_a_request_and_its_answer(site: Site) -> None:
    """A client that waits for the answer sends its request again, with the same key: one run, whoever died."""
    began = time.monotonic()
    images = upload_some(site)
    load = send_runs(site, images, 36)
    wait_until_under_way(site)
    body = {"imagery_id": images[0], "index_type": "NDVI_emp", "priority": "low"}
    headers = {"Idempotency-Key": f"fault-{began}", "Prefer": "wait=50"}
    made = "select id from analysis_runs where priority = 'low'"
    with site.stack.client() as api, ThreadPoolExecutor(1) as beside:
        first = beside.submit(api.post, "/analysis-runs", json=body, headers=headers, timeout=60)
        (row,) = eventually(lambda: site.query("analysis", made), 30, "its run")
        assert kill(site, "ServeReplica:orthoray:api-gateway") >= 1
        lost = first.exception(60)
        assert lost is not None or first.result().status_code >= 500

        def repeated() -> httpx2.Response | None:
            with suppress(httpx2.HTTPError):
                answer = api.post("/analysis-runs", json=body, headers={**headers, "Prefer": ""})
                return answer if answer.status_code < 400 else None
            return None

        answer = eventually(repeated, 90, "the answer to a repeat")
        waited = time.monotonic() - began
        assert answer.json()["id"] == str(row["id"])
        assert api.post("/analysis-runs", json=body, headers=headers).json()["id"] == str(row["id"])
    assert len(site.query("analysis", made)) == 1
    load.runs.append(str(row["id"]))
    told(f"SIGKILL of the gateway in a POST, answered after {waited:.0f} s", check(site, load), began)


def test_everything_at_once(site: Site) -> None:
    """The whole installation dies, as in a power cut: Ray, gateway, services. `orthoray up` goes on from the rows."""
    began = time.monotonic()
    load = send_runs(site, upload_some(site))
    wait_until_under_way(site)
    kill(site, "")
    assert site.stack.process is not None
    site.stack.process.wait()
    eventually(lambda: not site.stack.processes(), 30, "the end of all processes")
    site.stack.process = None
    site.stack.start()
    told("SIGKILL of the whole cluster and the gateway", check(site, load), began)
