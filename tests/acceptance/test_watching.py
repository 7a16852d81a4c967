"""What is seen from outside of the way from a request to its PDF: one trace, log lines with ids, metrics."""

from __future__ import annotations

import json
import re
from pathlib import Path
from uuid import uuid4

import httpx2
from collector import Collector
from journey import finished, start_run, stored_files, upload
from scenes import multispectral_scene
from stack import Stack, eventually

from actors.metrics import ALL, CALLBACKS

# From the request on, one after another: (service, step).
WAY = [
    ("api-gateway", "POST /analysis-runs"),
    ("analysis-service", "analysis.create"),
    ("analysis-worker", "analysis.analyse"),
    ("analysis-service", "analysis.complete_run"),
    ("analysis-worker", "analysis.request-report"),
    ("report-service", "report.create"),
    ("report-worker", "report.render"),
    ("compute", "render"),
]


def test_one_trace_runs_from_the_request_to_the_pdf(
    stack: Stack, api: httpx2.Client, collected: Collector, tmp_path: Path
) -> None:
    scene = multispectral_scene(tmp_path / "secret field.tif")
    imagery = upload(api, scene.path.name, scene.path)
    trace, client, request = uuid4().hex, uuid4().hex[:16], f"request-{uuid4().hex}"
    answer = api.post(
        "/analysis-runs",
        json={"imagery_id": imagery["id"], "index_type": "NDVI", "auto_report": True},
        headers={"traceparent": f"00-{trace}-{client}-01", "X-Request-ID": request},
    )
    assert (answer.status_code, answer.headers["X-Request-ID"]) == (202, request)
    run = finished(api, f"/analysis-runs/{answer.json()['id']}", 120)
    finished(api, f"/reports/{run['report_id']}", 120)

    def done() -> bool:
        names = [span.name for span in collected.of(trace)]
        return "report.render" in names and names.count("write") == 2

    eventually(done, 20, "the last spans")
    spans = collected.of(trace)
    ways = [collected.way_to(span) for span in spans if span.name == "write"]
    assert sorted(ways, key=len) == [
        [*WAY[:3], ("compute", "analyse"), ("compute", "write")],
        [*WAY, ("compute", "write")],
    ]
    assert [span.parent for span in spans if span.name == WAY[0][1]] == [client]
    assert {("compute", name) for name in ("read", "compute", "write", "draw")} <= {
        (span.service, span.name) for span in spans
    }
    assert not any(span.failed for span in spans)
    assert {span.attributes["orthoray.run_id"] for span in spans if span.service == "compute"} == {run["id"]}
    assert {span.attributes["orthoray.request_id"] for span in spans} == {request}
    told = str([span.attributes for span in spans])
    assert not [
        secret for secret in (stack.key, str(stack.home), "secret field", "heatmaps") if secret in told
    ]

    lines = [line for line in log_lines(stack) if line.get("run_id") == run["id"]]
    assert {"run completed", "report completed"} <= {line["event"] for line in lines}
    assert {(line.get("trace_id"), line.get("request_id")) for line in lines if line["event"] != "event"} == {
        (trace, request)
    }


def log_lines(stack: Stack) -> list[dict[str, str]]:
    """The JSON lines that all processes have written."""
    logs = (stack.home / "run/ray/session_latest/logs").glob("worker-*.err")
    lines = [line for log in logs for line in log.read_text(errors="replace").splitlines()]
    return [json.loads(line) for line in lines if line.startswith("{")]


def test_every_metric_comes_out_of_the_node(stack: Stack, api: httpx2.Client, tmp_path: Path) -> None:
    # content of its own, for the file is removed
    scene = multispectral_scene(tmp_path / "field.tif", seed=42)
    imagery = upload(api, "field.tif", scene.path)
    finished(api, f"/analysis-runs/{start_run(api, imagery['id'], 'NDVI')['id']}")
    (image,) = [
        path
        for path in stored_files(stack.home / "storage" / "imagery", imagery["id"])
        if path.suffix == ".tif"
    ]
    image.unlink()
    failed = start_run(api, imagery["id"], "NDVI")
    eventually(
        lambda: api.get(f"/analysis-runs/{failed['id']}").json()["status"] == "failed",
        30,
        "a run without its image",
    )
    # callbacks go to other hosts only, and there is none here
    wanted = {f"ray_{metric.info['name']}" for metric in ALL if metric is not CALLBACKS}

    def missing() -> set[str]:
        told = re.findall(r"^(ray_orthoray_\w+)\{", stack.metrics(), re.MULTILINE)
        return wanted - {re.sub(r"_(total|bucket|sum|count)$", "", name) for name in told}

    eventually(lambda: not missing(), 90, f"all metrics; at first {missing()} were missing")
    text = stack.metrics()
    assert re.search(r'^ray_orthoray_failures_total\{.*kind="analysis".*reason="gone"', text, re.MULTILINE)
    assert re.search(r'^ray_orthoray_runs_open\{.*kind="report".*state="queued"', text, re.MULTILINE)
