"""Many clients at once."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import httpx2
from journey import Record, finished, start_run, upload
from scenes import photo

CLIENTS = 20


def test_twenty_uploads_analysed_at_once(api: httpx2.Client) -> None:
    def journey(number: int) -> Record:
        imagery = upload(api, f"field-{number}.jpg", photo(seed=number))
        run = start_run(api, imagery["id"], auto_report=True, language=("ru", "ro", "en")[number % 3])
        done = finished(api, f"/analysis-runs/{run['id']}", timeout_s=240)
        return finished(api, f"/reports/{done['report_id']}", timeout_s=240)

    with ThreadPoolExecutor(CLIENTS) as clients:
        reports = list(clients.map(journey, range(CLIENTS)))

    assert len({report["id"] for report in reports}) == CLIENTS
    for kind in ("/analysis-runs", "/reports"):
        for status in ("queued", "processing", "failed"):
            left = [item["id"] for item in api.get(kind, params={"status": status}).json()["items"]]
            assert not {report["analysis_run_id"] for report in reports} & set(left)
            assert not {report["id"] for report in reports} & set(left)
