"""`orthoray analyze`: one image, here and now; no server, no Ray, no database."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from orthoray.contracts import Findings
from orthoray.errors import BadInput, OrthoRayError
from orthoray.spectral.bands import resolve_bands
from orthoray.spectral.metadata import read_metadata
from orthoray.spectral.orientation import orientation_of, upright_size
from orthoray.spectral.raster import RasterInfo, inspect
from orthoray.spectral.texts import check_language
from orthoray.spectral.thumbnail import thumbnail_png
from pipelines.planning import Plan, make_plan
from pipelines.single import analyse_file


def analyze_image(
    image: Path,
    *,
    index: str,
    bands: str | None,
    sensor: str | None,
    crop: str | None,
    thresholds: str | None,
    out: Path | None,
    report: bool,
    language: str,
    as_json: bool,
    notes: Console,
) -> None:
    """Print the findings, and write the files into `out` (with `report`: into the present folder by default).

    Raises:
        OrthoRayError: what is wrong with the image or the wish, in one line.
    """
    if not image.is_file():
        raise BadInput(f"There is no file {image}.")
    code = check_language(language)
    info = inspect(image)
    band_map = resolve_bands(info, bands=bands, sensor=sensor)
    plan = make_plan(band_map, index, crop=crop, thresholds=_numbers(thresholds))
    with _folder(out or (Path() if report else None)) as folder:
        stem = f"{image.stem}-{plan.index_name}"
        files = {"heatmap": folder / f"{stem}.png", "index": folder / f"{stem}.tif"}
        with _progress(notes) as tell:
            findings = analyse_file(
                image,
                plan,
                language=code,
                heatmap_path=files["heatmap"],
                index_path=files["index"],
                progress=tell,
            )
        if report:
            files["report"] = folder / f"{stem}.pdf"
            files["report"].write_bytes(_report(image, info, plan, findings, code, files["heatmap"]))
        kept = {name: str(path) for name, path in files.items()} if out or report else {}
        result = {
            "image": image.name,
            "index": plan.index_name,
            **findings.model_dump(mode="json"),
            "files": kept,
        }
        if out:
            (folder / f"{stem}.json").write_text(json.dumps(result, ensure_ascii=False, indent=2) + "\n")
    if as_json:
        typed = json.dumps(result, ensure_ascii=False, indent=2)
        Console(soft_wrap=True, markup=False, highlight=False).print(typed)
    else:
        _show(result, Console(highlight=False))


def _numbers(text: str | None) -> list[float] | None:
    try:
        return [float(part) for part in text.split(",")] if text else None
    except ValueError:
        raise BadInput("--thresholds takes three numbers with commas between: 0.6,0.4,0.2") from None


@contextmanager
def _folder(wanted: Path | None) -> Iterator[Path]:
    if wanted is None:
        with tempfile.TemporaryDirectory(prefix="orthoray-analyze-") as folder:
            yield Path(folder)
        return
    try:
        wanted.mkdir(parents=True, exist_ok=True)
        yield wanted
    except OSError as error:
        raise OrthoRayError(
            f"{wanted} cannot be written: {error.strerror}. Choose another folder with --out."
        ) from error


@contextmanager
def _progress(notes: Console) -> Iterator[Any]:
    """A bar on a terminal, nothing in a pipe."""
    if not notes.is_terminal:
        yield lambda _fraction: None
        return
    columns = (TextColumn("Analysing"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=notes, transient=True) as bar:
        task = bar.add_task("analyse", total=1.0)
        yield lambda fraction: bar.update(task, completed=fraction)


def _report(
    image: Path, info: RasterInfo, plan: Plan, findings: Findings, language: str, heatmap: Path
) -> bytes:
    from orthoray.reporting.content import content_from_records  # here: most calls write no report
    from orthoray.reporting.document import report_pdf

    facts = info.to_dict()
    metadata = read_metadata(image).to_dict()
    width, height = upright_size(info.width, info.height, orientation_of(image, info))
    imagery = {
        **facts,
        "width": width,
        "height": height,
        "gsd_m": facts["gsd_m"] and facts["gsd_m"][0],
        "crs": {"epsg": info.epsg, "name": f"EPSG:{info.epsg}" if info.epsg else None},
        "original_filename": image.name,
        "size_bytes": image.stat().st_size,
        "captured_at": metadata["captured_at"],
        "gps": metadata["gps"],
        "camera": metadata["camera"],
    }
    now = datetime.now(UTC)
    run = {**findings.model_dump(mode="json"), "index_type": plan.index_name, "completed_at": now.isoformat()}
    content = content_from_records(
        run,
        imagery,
        language=language,
        report_id=str(uuid4()),
        created_at=now,
        original=thumbnail_png(image, plan.band_map, max_side=768),
        heatmap=heatmap.read_bytes(),
        legend=findings.legend,
    )
    return report_pdf(content)


def _show(result: dict[str, Any], console: Console) -> None:
    statistics = result["statistics"]
    console.print(f"\n[bold]{result['index']}[/bold] of {escape(result['image'])}\n")
    if statistics["mean"] is not None:
        names = ("mean", "median", "std", "min", "max")
        console.print("   ".join(f"{name} [bold]{statistics[name]:.3f}[/bold]" for name in names))
    counts = [f"{name} {statistics[f'{name}_pixels']:,}" for name in ("valid", "nodata", "invalid")]
    area = statistics["area_m2"]
    console.print(
        "pixels: " + ", ".join(counts) + (f"   area {area / 10_000:,.2f} ha" if area else "") + "\n"
    )
    table = Table(box=None, pad_edge=False)
    for heading in ("class", "from", "to", "percent", "hectares"):
        table.add_column(heading, justify="left" if heading == "class" else "right")
    for row in statistics["classes"]:
        table.add_row(
            escape(row["label"]),
            *("" if row[end] is None else f"{row[end]:g}" for end in ("lower", "upper")),
            f"{row['percent']:.1f}",
            "" if row["area_m2"] is None else f"{row['area_m2'] / 10_000:,.2f}",
        )
    console.print(table)
    console.print(f"\n{escape(result['conclusion'])}\n")
    for name, path in result["files"].items():
        console.print(f"{name:<8} {escape(path)}", soft_wrap=True)
