"""Workers that are killed: what they were at is taken up again, and done once."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Sequence

import httpx2
import pytest
from journey import Record, finished, start_run, upload
from scenes import photo
from stack import Stack, eventually

pytestmark = pytest.mark.timeout(280)

WORKERS = ("ray::AnalysisWorker", "ray::ReportWorker")
LANGUAGES = ("ru", "ro", "en")


def any_processing(api: httpx2.Client, path: str, ids: Sequence[str]) -> bool:
    return any(api.get(f"{path}/{id_}").json()["status"] == "processing" for id_ in ids)


def all_finished(api: httpx2.Client, path: str, ids: Sequence[str]) -> list[Record]:
    return [finished(api, f"{path}/{id_}", timeout_s=150) for id_ in ids]


def test_runs_and_reports_survive_their_workers(stack: Stack, api: httpx2.Client) -> None:
    small = upload(api, "small.jpg", photo(400, 300))
    big = upload(api, "big.jpg", photo(4000, 3000))
    first = finished(api, f"/analysis-runs/{start_run(api, small['id'])['id']}")["id"]
    runs = [start_run(api, big["id"])["id"] for _ in range(6)]
    eventually(lambda: any_processing(api, "/analysis-runs", runs), 30, "a run under way")
    orders = [{"analysis_run_id": first, "language": language} for language in LANGUAGES]
    reports = [api.post("/reports", json=order).json()["id"] for order in orders]
    eventually(lambda: any_processing(api, "/reports", reports), 30, "a report under way")

    killed = {worker: stack.pid(worker) for worker in WORKERS}
    for pid in killed.values():
        os.kill(pid, signal.SIGKILL)

    done = all_finished(api, "/analysis-runs", runs), all_finished(api, "/reports", reports)
    for records in done:
        assert max(record["attempts"] for record in records) == 2, "no job was under way when its worker died"
    assert len({(run["conclusion"], str(run["stats"])) for run in done[0]}) == 1
    for report in reports:
        assert api.get(f"/reports/{report}/pdf").content.startswith(b"%PDF-")
    assert {worker: stack.pid(worker) for worker in WORKERS}.items().isdisjoint(killed.items())
    eventually(stack.ready, 30, "a service that is ready again")
    time.sleep(1)  # whatever is done twice would be done now
    again = all_finished(api, "/analysis-runs", runs), all_finished(api, "/reports", reports)
    assert again == done
