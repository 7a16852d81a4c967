"""`python -m benchmarks`: make the inputs, run ours and the peers in turn, show the ratios."""

from __future__ import annotations

import argparse
import json
import shlex
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table

from benchmarks import commands, inputs, report
from benchmarks.measure import Measured, in_turn
from benchmarks.suite import GROUPS

_FILE_WIDTH = 180
_NEEDED_GB = {False: 9, True: 1}


def main(arguments: Sequence[str] | None = None) -> None:
    """Run what the command line asks for."""
    words = sys.argv[1:] if arguments is None else list(arguments)
    given = _parser().parse_args(words)
    terminal = Console()
    console = terminal if terminal.is_terminal else Console(width=_FILE_WIDTH)
    sizes = inputs.QUICK if given.quick else inputs.FULL
    root = inputs.folder()
    root.mkdir(parents=True, exist_ok=True)
    wanted = inputs.located(root, sizes)
    console.print(f"Inputs and results: {root}", highlight=False)
    _make(console, wanted, sizes, root)
    groups = [GROUPS[name](wanted) for name in given.only]
    if given.quick:
        console.print("A quick run: the ratios of such small inputs say nothing about the targets.")
    if "A" in given.only:
        for program, reason in commands.install().items():
            console.print(f"{program} will not run: {reason}", highlight=False)

    measured: dict[str, Measured] = {}
    with _progress(console) as progress:
        task = progress.add_task("", total=given.runs * sum(len(group.contenders) for group in groups))
        for group in groups:

            def said(words: str) -> None:
                progress.update(task, description=words)
                progress.advance(task)

            measured |= in_turn(group.contenders, given.runs, root / "scratch", said)

    found = report.rows(groups, measured)
    _show(console, found)
    for name, value in measured.items():
        if value.problem:
            console.print(f"{name} did not run: {value.problem}", highlight=False, soft_wrap=True)
    results = root / ("results-quick.json" if given.quick else "results.json")
    about = {"quick": given.quick, "runs": given.runs}
    results.write_text(json.dumps(report.as_json(found, measured, **about), indent=1))
    console.print(f"All figures: {results}", highlight=False)
    if given.write is not None:
        command = shlex.join(["python", "-m", "benchmarks", *words])
        given.write.write_text(report.markdown(found, measured, command=command, runs=given.runs))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description="Measure OrthoRay beside its peers. Inputs of about 7 GB are made once, in $ORTHORAY_BENCH_DIR.",
    )
    parser.add_argument("--quick", action="store_true", help="small inputs, to see that everything runs")
    parser.add_argument(
        "--only", type=_groups, default=list(GROUPS), help=f"groups, of {','.join(GROUPS)} (default: all)"
    )
    parser.add_argument("--runs", type=_positive, default=3, help="runs of each contender (default: 3)")
    parser.add_argument("--write", type=Path, help="write the page of the documentation here")
    return parser


def _groups(text: str) -> list[str]:
    names = [name.strip() for name in text.split(",")]
    unknown = [name for name in names if name not in GROUPS]
    if unknown:
        raise argparse.ArgumentTypeError(f"there is no group {', '.join(unknown)}: {', '.join(GROUPS)} are")
    return names


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError("at least 1")
    return int(text)


def _make(console: Console, wanted: inputs.Inputs, sizes: inputs.Sizes, root: Path) -> None:
    work = inputs.missing(wanted, sizes)
    if not work:
        return
    needed = _NEEDED_GB[sizes == inputs.QUICK]
    free = shutil.disk_usage(root).free / 1e9
    if free < needed:
        raise SystemExit(
            f"The inputs and results take about {needed} GB and {free:.0f} GB are free in {root}: "
            "name a folder with more room in ORTHORAY_BENCH_DIR."
        )
    with _progress(console) as progress:
        for name, make in work.items():
            task = progress.add_task(f"making input {name}", total=1.0)

            def tick(share: float, task: TaskID = task) -> None:
                progress.update(task, completed=share)

            make(tick)


def _progress(console: Console) -> Progress:
    return Progress(
        SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn(), console=console
    )


def _show(console: Console, found: Sequence[report.Row]) -> None:
    table = Table(title="OrthoRay beside its peers", show_lines=True)
    for heading in report.headings():
        table.add_column(heading)
    for row in found:
        table.add_row(*row.cells(), style="red" if row.met is False or row.same is False else None)
    console.print(table)


if __name__ == "__main__":
    main()
