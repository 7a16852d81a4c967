"""The command line: `orthoray up | down | status | doctor | key | audit | migrate | deploy | import | batch | analyze`."""

from __future__ import annotations

import os
import stat
import sys
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape

from orthoray.errors import OrthoRayError
from orthoray.logs import configure_logs
from orthoray.settings import load_settings

app = typer.Typer(
    name="orthoray",
    help="Vegetation indices, field statistics and reports from aerial imagery.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)
keys = typer.Typer(help="Make, show and revoke API keys.", no_args_is_help=True)
app.add_typer(keys, name="key")
notes = Console(stderr=True, highlight=False)


def main() -> None:
    """The console script: errors of ours are one line on standard error, exit status 1."""
    configure_logs("WARNING")
    try:
        app()
    except OrthoRayError as error:
        notes.print(f"[red]orthoray:[/red] {escape(error.detail)}", soft_wrap=True)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)


def _show_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        Console(highlight=False).print(f"orthoray {version('orthoray')}")
        raise typer.Exit


@app.callback()
def common(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="show the version"),
    ] = False,
) -> None:
    """Vegetation indices, field statistics and reports from aerial imagery."""


@app.command()
def up(
    detach: Annotated[
        bool, typer.Option("--detach", help="return when it serves, and leave it running")
    ] = False,
    s3: Annotated[
        bool, typer.Option("--s3", help="keep files in an S3 server of its own, to try that")
    ] = False,
    demo: Annotated[
        bool, typer.Option("--demo", help="analyse two sample images and show where the results are")
    ] = False,
    verbose: Annotated[bool, typer.Option("--verbose", help="show the log lines of all processes")] = False,
    supervised: Annotated[bool, typer.Option("--supervised", hidden=True)] = False,
) -> None:
    """Start everything on this machine and serve until Ctrl-C."""
    from serve_app.local import foreground

    settings = load_settings()
    chosen = {"--s3": s3, "--demo": demo, "--verbose": verbose}
    options = [name for name, wanted in chosen.items() if wanted]
    if detach:
        foreground.start_detached(settings, with_s3=s3, demo=demo, notes=notes)
    elif not supervised:
        sys.exit(foreground.run_supervised(options))
    else:
        lifeline = stat.S_ISFIFO(os.fstat(sys.stdin.fileno()).st_mode)
        foreground.serve(settings, with_s3=s3, demo=demo, verbose=verbose, notes=notes, lifeline=lifeline)


@app.command()
def down() -> None:
    """Stop what `orthoray up` started."""
    from serve_app.local import foreground

    foreground.stop(load_settings(), notes=notes)


@app.command()
def status() -> None:
    """Say whether OrthoRay runs, where, and what does not answer (exit status 1 when it is not ready)."""
    from serve_app.local import foreground

    sys.exit(0 if foreground.show_status(load_settings(), notes=notes) else 1)


@keys.command("create")
def create_key(
    name: Annotated[str, typer.Option(help="what the key is for", show_default=False)],
    scope: Annotated[
        list[str] | None,
        typer.Option(
            help="what it allows, as often as needed: imagery:read, imagery:write, analysis:run ..."
        ),
    ] = None,
    expires: Annotated[str | None, typer.Option(help="90d, 12h, 30m, 8w or never")] = None,
    tenant: Annotated[str, typer.Option(help="whose data it opens")] = "default",
) -> None:
    """Make an API key and print it, once."""
    from serve_app.local import keychain

    made = keychain.create_key(
        load_settings(), name=name, scopes=scope or [], expires=expires, tenant=tenant, notes=notes
    )
    typer.echo(made)


@keys.command("list")
def list_keys(
    tenant: Annotated[str | None, typer.Option(help="of this tenant only")] = None,
) -> None:
    """Show the API keys: what they allow, until when, and when they were last used."""
    from serve_app.local import keychain

    Console(highlight=False).print(keychain.list_keys(load_settings(), tenant))


@keys.command("revoke")
def revoke_key(
    key: Annotated[str, typer.Argument(help="its first characters as `list` shows them, its name or its id")],
) -> None:
    """End an API key; requests with it are refused after 15 seconds at most."""
    from serve_app.local import keychain

    keychain.revoke_key(load_settings(), key, notes)


@app.command()
def audit(
    tenant: Annotated[str | None, typer.Option(help="of this tenant only")] = None,
    since: Annotated[str, typer.Option(help="how far back: 7d, 12h, 30m, 8w")] = "7d",
    limit: Annotated[int, typer.Option(min=1, max=100_000, help="how many at most")] = 100,
    keep: Annotated[
        str | None, typer.Option(help="instead remove what is older than this: 400d", show_default=False)
    ] = None,
) -> None:
    """Show who changed what through the API, newest first."""
    from serve_app.local import auditing

    settings = load_settings()
    if keep is not None:
        auditing.forget_writes(settings, keep, notes)
    else:
        table = auditing.list_writes(settings, tenant=tenant, since=since, limit=limit)
        Console(highlight=False).print(table)


@app.command()
def doctor(
    fix: Annotated[
        bool, typer.Option("--fix", help="remove orphaned objects, and draw lost thumbnails anew")
    ] = False,
    grace: Annotated[
        float,
        typer.Option(min=0, help="hours; younger objects without a row may belong to work in progress"),
    ] = 24,
) -> None:
    """Check settings, databases, queues and storage, and whether rows and objects agree (exit status 1 when not)."""
    from datetime import timedelta

    from serve_app.local.doctoring import examine

    if not examine(load_settings(), fix=fix, grace=timedelta(hours=grace), notes=notes):
        sys.exit(1)


@app.command()
def migrate(
    wait: Annotated[float, typer.Option(min=0, help="seconds to wait for databases that do not answer")] = 0,
    first_key: Annotated[
        bool,
        typer.Option(
            "--first-key", help="let the key in ORTHORAY_HOME/api-key in; make one if there is none"
        ),
    ] = False,
) -> None:
    """Bring the databases of a cluster up to date, before `serve deploy`; may be repeated."""
    from serve_app import migration

    settings = load_settings()
    dsns = migration.external_dsns(settings)

    def step(line: str) -> None:
        notes.print(escape(line), soft_wrap=True)

    migration.wait_for_databases(dsns, wait, step)
    migration.migrate_databases(dsns, step)
    if first_key:
        from serve_app.local.credentials import first_api_key
        from serve_app.local.state import home_errors

        with home_errors():
            settings.orthoray_home.mkdir(parents=True, exist_ok=True, mode=0o700)
            step(f"API key: {first_api_key(settings.orthoray_home, dsns['imagery'])}")


@app.command()
def deploy(
    description: Annotated[
        Path, typer.Argument(help="what `serve deploy` takes, such as deploy/serve.yaml", show_default=False)
    ],
    address: Annotated[
        str, typer.Option(envvar="RAY_DASHBOARD_ADDRESS", help="of the Ray dashboard")
    ] = "http://127.0.0.1:8265",
    wait: Annotated[float, typer.Option(min=0, help="seconds to wait until it serves")] = 300,
) -> None:
    """Hand the application to a Ray cluster and wait until it serves; changed settings and new code take effect."""
    from serve_app import rollout

    wanted = rollout.read_description(description, load_settings())
    rollout.roll_out(
        rollout.connect(address), wanted, wait, lambda line: notes.print(escape(line), soft_wrap=True)
    )


@app.command("import")
def import_(
    paths: Annotated[list[Path], typer.Argument(help="image files, and folders to search for them")],
    bands: Annotated[str | None, typer.Option(help="names of the bands in file order: R,G,B,N")] = None,
    sensor: Annotated[str | None, typer.Option(help="a sensor preset, such as micasense-rededge")] = None,
    together: Annotated[
        bool, typer.Option("--together", help="the files are the bands of one image")
    ] = False,
) -> None:
    """Put image files into the catalogue, straight to storage; what is there already is passed over."""
    from serve_app.local.importing import import_files

    if not import_files(load_settings(), paths, bands=bands, sensor=sensor, together=together, notes=notes):
        sys.exit(1)


@app.command()
def batch(
    index: Annotated[str, typer.Option("--index", "-i", help="NDVI, GNDVI, NDVI_emp, ... or expr")] = "NDVI",
    prefix: Annotated[
        str | None, typer.Option(help="s3://bucket/prefix/ or a folder; without it the whole catalogue")
    ] = None,
    crop: Annotated[str | None, typer.Option(help="thresholds of a crop: corn, wheat, barley")] = None,
    options: Annotated[
        str | None, typer.Option(help="further fields of POST /analysis-runs, as JSON")
    ] = None,
    bbox: Annotated[
        str | None, typer.Option(help="of the catalogue: west,south,east,north in degrees")
    ] = None,
    captured_after: Annotated[datetime | None, typer.Option(help="of the catalogue")] = None,
    captured_before: Annotated[datetime | None, typer.Option(help="of the catalogue")] = None,
    language: Annotated[str, typer.Option(help="of verdicts and summary: en, ru or ro")] = "en",
    report: Annotated[bool, typer.Option("--report", help="write the summary as a PDF too")] = False,
    wait: Annotated[bool, typer.Option("--wait", help="show how far it is, and return at the end")] = False,
) -> None:
    """Analyse many images as one Ray job of the running OrthoRay; repeated, it does what is missing."""
    from pipelines.batch import read_request
    from serve_app.local.batching import submit_batch

    request = read_request(
        prefix=prefix,
        index=index,
        crop=crop,
        options=options,
        bbox=bbox,
        captured_after=captured_after,
        captured_before=captured_before,
        language=language,
        report=report,
    )
    if not submit_batch(load_settings(), request, wait=wait, notes=notes):
        sys.exit(1)


@app.command()
def analyze(
    images: Annotated[
        list[Path],
        typer.Argument(help="an image; several files are one image whose bands lie in files of their own"),
    ],
    index: Annotated[
        str, typer.Option("--index", "-i", help="NDVI, GNDVI, NDRE, SAVI, EVI, NDVI_emp, ... or expr")
    ] = "NDVI",
    expression: Annotated[
        str | None, typer.Option(help="a formula of your own, for --index expr: (N-R)/(N+R)")
    ] = None,
    constant: Annotated[
        list[str] | None, typer.Option(help="a constant of the index, as often as needed: L=0.5")
    ] = None,
    bands: Annotated[str | None, typer.Option(help="names of the bands in file order: R,G,B,N")] = None,
    sensor: Annotated[str | None, typer.Option(help="a sensor preset, such as micasense-rededge")] = None,
    scale: Annotated[
        str | None, typer.Option(help="pixels times this are reflectance: 0.0001; or one for each band")
    ] = None,
    offset: Annotated[str | None, typer.Option(help="added after --scale; or one for each band")] = None,
    raw: Annotated[
        bool, typer.Option("--raw", help="analyse a raw multispectral capture all the same")
    ] = False,
    soil_mask: Annotated[
        str | None, typer.Option(help="count only pixels where this holds: NDVI>0.2")
    ] = None,
    crop: Annotated[str | None, typer.Option(help="thresholds of a crop: corn, wheat, barley")] = None,
    thresholds: Annotated[
        str | None, typer.Option(help="three numbers of your own: 0.6,0.4,0.2; or quantiles, or jenks")
    ] = None,
    cmap: Annotated[str | None, typer.Option(help="colour map of the heatmap, such as viridis")] = None,
    stretch: Annotated[
        str | None, typer.Option(help="values that the colours span: classes, minmax, percentile or 0.1,0.9")
    ] = None,
    blend: Annotated[
        float | None, typer.Option(help="lay the heatmap over the photo with this opacity, 0 to 1")
    ] = None,
    raster: Annotated[str, typer.Option(help="pixels of the index raster: float32 or int16")] = "float32",
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="folder for heatmap, raster and JSON")
    ] = None,
    report: Annotated[bool, typer.Option("--report", help="write the PDF too")] = False,
    language: Annotated[str, typer.Option(help="of the verdict and the report: en, ru or ro")] = "en",
    as_json: Annotated[bool, typer.Option("--json", help="print the result as JSON")] = False,
) -> None:
    """Analyse one image here and now, without any server."""
    from serve_app.local.analyzing import analyze_image
    from serve_app.local.wishing import read_wish

    wish = read_wish(
        index=index,
        expression=expression,
        constants=constant or [],
        bands=bands,
        sensor=sensor,
        scale=scale,
        offset=offset,
        raw=raw,
        soil_mask=soil_mask,
        crop=crop,
        thresholds=thresholds,
        cmap=cmap,
        stretch=stretch,
        blend=blend,
        raster=raster,
    )
    analyze_image(images, wish, out=out, report=report, language=language, as_json=as_json, notes=notes)


if __name__ == "__main__":
    main()
