"""`orthoray analyze`: one image, here and now; no server, no Ray, no database."""

from __future__ import annotations

import errno
import json
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from orthoray.contracts import Findings, Imagery, Language
from orthoray.errors import BadInput, OrthoRayError
from orthoray.options import AnalysisWish
from orthoray.ports import StoredFile, Upload
from orthoray.spectral.maskfiles import with_masks
from orthoray.spectral.texts import check_language
from pipelines.facts import Subject, examine, picture_of, record_of
from pipelines.planning import Plan, plan_of_record
from pipelines.single import analyse_files
from pipelines.wording import told_in

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


def analyze_image(
    images: Sequence[Path],
    wish: AnalysisWish,
    *,
    out: Path | None,
    report: bool,
    language: str,
    as_json: bool,
    notes: Console,
) -> None:
    """Print the findings, and write the files into `out` (with `report`: into the present folder by default).

    Several files are one image; results are named after the first. A mask that lies beside its image goes with it.

    Raises:
        OrthoRayError: what is wrong with the image or the wish, in one line.
    """
    for image in images:
        if not image.is_file():
            raise BadInput(f"There is no file {image}.")
    code = check_language(language)
    images = with_masks(images)
    subject, imagery = _catalogued(images, wish)
    names = [asset.filename for asset in imagery.images]
    plan = plan_of_record(imagery, wish)
    with _folder(out or (Path() if report else None)) as folder:
        stem = f"{Path(names[0]).stem}-{plan.index_name}"
        files = {"heatmap": folder / f"{stem}.png", "index": folder / f"{stem}.tif"}
        with _writing(folder, images), _progress(notes) as tell:
            findings = analyse_files(
                images,
                [image.name for image in images],
                plan,
                language=code,
                heatmap_path=files["heatmap"],
                index_path=files["index"],
                progress=tell,
            )
        if report:
            files["report"] = folder / f"{stem}.pdf"
            pdf = _report(subject, imagery, plan, findings, code, files["heatmap"])
            with _writing(folder, images):
                files["report"].write_bytes(pdf)
        kept = {name: str(path) for name, path in files.items()} if out or report else {}
        result = {
            "image": ", ".join(names),
            "index": plan.index_name,
            **findings.model_dump(mode="json"),
            "files": kept,
        }
        if out:
            text = json.dumps(result, ensure_ascii=False, indent=2) + "\n"
            with _writing(folder, images):
                (folder / f"{stem}.json").write_text(text)
    if as_json:
        typed = json.dumps(result, ensure_ascii=False, indent=2)
        Console(soft_wrap=True, markup=False, highlight=False).print(typed)
    else:
        _show(result, Console(highlight=False))


def _catalogued(images: Sequence[Path], wish: AnalysisWish) -> tuple[Subject, Imagery]:
    """What these files are, and the record that they would get in the catalogue if they were sent with the bands and the
    sensor of the wish; nothing of it is kept, so they have no digests."""
    files = [
        StoredFile(filename=image.name, object_key="", size_bytes=image.stat().st_size, sha256="")
        for image in images
    ]
    upload = Upload(id=uuid4(), files=files, bands=wish.bands, sensor=wish.sensor)
    subject = examine(images, upload)
    record = record_of(subject, upload, bucket="")
    return subject, Imagery(**record, created_at=datetime.now(UTC))


@contextmanager
def _folder(wanted: Path | None) -> Iterator[Path]:
    if wanted is None:
        with tempfile.TemporaryDirectory(prefix="orthoray-analyze-") as folder:
            yield Path(folder)
        return
    try:
        wanted.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _unwritable(wanted, error) from error
    yield wanted


@contextmanager
def _writing(folder: Path, images: Sequence[Path]) -> Iterator[None]:
    """What fails to be written into the folder is told in one line; failures of other files, and of images that lie
    there, pass as they are."""
    try:
        yield
    except OSError as error:
        named = {Path(name).resolve() for name in (error.filename, error.filename2) if isinstance(name, str)}
        read = {image.resolve() for image in images}
        # a full disk names no file
        is_ours = error.errno in _FULL or any(path.is_relative_to(folder.resolve()) for path in named - read)
        if not is_ours:
            raise
        raise _unwritable(folder, error) from error


def _unwritable(folder: Path, error: OSError) -> OrthoRayError:
    return OrthoRayError(f"{folder} cannot be written: {error.strerror}. Choose another folder with --out.")


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
    subject: Subject, imagery: Imagery, plan: Plan, findings: Findings, language: Language, heatmap: Path
) -> bytes:
    from orthoray.reporting.content import content_from_records  # here: most calls write no report
    from orthoray.reporting.document import report_pdf

    now = datetime.now(UTC)
    run = {
        **findings.model_dump(mode="json"),
        "index_type": plan.index_name,
        "language": language,
        "completed_at": now.isoformat(),
        "provenance": told_in(findings.provenance, plan.index_name, language),
    }
    content = content_from_records(
        run,
        imagery.model_dump(mode="json"),
        language=language,
        report_id=str(uuid4()),
        created_at=now,
        original=picture_of(replace(subject, band_map=plan.band_map)),
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
    kinds = ["valid", "nodata", "invalid", *(["background"] if statistics["background_pixels"] else [])]
    counts = [f"{kind} {statistics[f'{kind}_pixels']:,}" for kind in kinds]
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
    # a note that the verdict tells already needs no second line
    for note in result["warnings"]:
        if note["text"] not in result["conclusion"]:
            console.print(f"{escape(note['text'])}\n")
    for name, path in result["files"].items():
        console.print(f"{name:<8} {escape(path)}", soft_wrap=True)
