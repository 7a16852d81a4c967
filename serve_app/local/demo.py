"""What `make run` shows: two sample images through the HTTP API, as any client would do it."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from orthoray.errors import OrthoRayError
from serve_app.local.samples import make_samples
from serve_app.local.stack import Running

RUN_TIMEOUT_S = 180.0
POLL_S = 0.3
Json = dict[str, Any]


def run_demo(running: Running, folder: Path, notes: Console) -> None:
    """Analyse both samples (yesterday's results are used again) and leave heatmaps and PDF in `folder`.

    Raises:
        OrthoRayError: an analysis did not complete.
    """
    scene, photo = make_samples(folder)
    key = Path(running.api_key_file).read_text().strip()
    with httpx2.Client(base_url=running.url, headers={"X-API-Key": key}, timeout=60) as api:
        for image, index in ((scene, "NDVI"), (photo, "NDVI_emp")):
            run = _analysed(api, image, index, notes)
            heatmap = folder / f"{image.stem}-{index}.png"
            heatmap.write_bytes(_checked(api.get(f"/analysis-runs/{run['id']}/heatmap")).content)
            report = _finished(api, f"/reports/{run['report_id']}", "the report", notes)
            pdf = heatmap.with_suffix(".pdf")
            pdf.write_bytes(_checked(api.get(f"/reports/{report['id']}/pdf")).content)
            notes.print(f"\n[bold]{index}[/bold] of {image.name}: {run['conclusion']}")
            for name, place in {
                "heatmap": heatmap,
                "PDF": pdf,
                "run": f"{running.url}/analysis-runs/{run['id']}",
            }.items():
                notes.print(f"  {name:<14} {place}", soft_wrap=True)


def _analysed(api: httpx2.Client, image: Path, index: str, notes: Console) -> Json:
    """A completed run of the image; made now unless there is one already."""
    imagery = _known(api, image)
    if imagery is None:
        with image.open("rb") as file:
            imagery = _checked(api.post("/imagery", files={"file": (image.name, file)})).json()
    runs = _checked(api.get("/analysis-runs", params={"imagery_id": imagery["id"], "limit": 200})).json()[
        "items"
    ]
    wanted = [
        run for run in runs if run["index_type"] == index and run["status"] != "failed" and run["auto_report"]
    ]
    if wanted:
        run = wanted[0]
    else:
        body = {"imagery_id": imagery["id"], "index_type": index, "auto_report": True, "language": "en"}
        run = _checked(api.post("/analysis-runs", json=body)).json()
    return _finished(api, f"/analysis-runs/{run['id']}", f"{index} of {image.name}", notes)


def _known(api: httpx2.Client, image: Path) -> Json | None:
    digest = hashlib.sha256(image.read_bytes()).hexdigest()
    for imagery in _pages(api, "/imagery"):
        if imagery["sha256"] == digest:
            return imagery
    return None


def _pages(api: httpx2.Client, path: str) -> Iterator[Json]:
    token = None
    while True:
        page = _checked(api.get(path, params={"limit": 200, **({"next": token} if token else {})})).json()
        yield from page["items"]
        token = page["next"]
        if token is None:
            return


def _finished(api: httpx2.Client, path: str, what: str, notes: Console) -> Json:
    """Poll until it is completed."""
    deadline = time.monotonic() + RUN_TIMEOUT_S
    with _bar(notes, what) as show:
        while time.monotonic() < deadline:
            answer = api.get(path)
            # The report is asked for a moment after its run has completed.
            record: Json = {"status": "queued"} if answer.status_code == 404 else _checked(answer).json()
            show(record.get("progress", 0.0))
            if record["status"] == "completed":
                return record
            if record["status"] in {"failed", "cancelled"}:
                raise OrthoRayError(f"{what} is {record['status']}: {record.get('error')}")
            time.sleep(POLL_S)
    raise OrthoRayError(f"{what} did not complete in {RUN_TIMEOUT_S:.0f} s.")


@contextmanager
def _bar(notes: Console, what: str) -> Iterator[Any]:
    if not notes.is_terminal:
        notes.print(f"Waiting for {what} ...")
        yield lambda _fraction: None
        return
    with Progress(
        TextColumn("[progress.description]{task.description}"),
        BarColumn(),
        TimeElapsedColumn(),
        console=notes,
        transient=True,
    ) as bar:
        task = bar.add_task(what, total=1.0)
        yield lambda fraction: bar.update(task, completed=fraction)


def _checked(answer: httpx2.Response) -> httpx2.Response:
    if answer.is_error:
        raise OrthoRayError(f"{answer.request.url.path} answered {answer.status_code}: {answer.text[:300]}")
    return answer
