"""`orthoray import`: files and folders into the catalogue, straight to storage, not through HTTP."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from uuid import NAMESPACE_URL, UUID, uuid5

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from orthoray.contracts import DEFAULT_TENANT
from orthoray.database import open_pool
from orthoray.errors import BadInput, ConfigurationError, OrthoRayError
from orthoray.keys import imagery_key
from orthoray.ports import AnalysisPort, Upload
from orthoray.queue import Queue
from orthoray.remote import remote_by_name
from orthoray.settings import Settings
from orthoray.storage.base import CHUNK_BYTES, Storage
from orthoray.storage.keys import safe_filename
from serve_app.imagery.service import ImageryService
from serve_app.local.objectstore import EmbeddedS3
from serve_app.local.postgres import EmbeddedPostgres
from serve_app.local.stack import read_state

SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff"})


def import_files(
    settings: Settings, paths: Iterable[Path], *, bands: str | None, sensor: str | None, notes: Console
) -> bool:
    """Catalogue every image; one that is refused is told and does not stop the rest. Whether all went in.

    Raises:
        BadInput: a path does not exist, or there is no image in any of them.
        ConfigurationError: the catalogue's database cannot be reached.
    """
    files = list(image_files(paths))
    if not files:
        raise BadInput(f"There are no images here (looked for {', '.join(sorted(SUFFIXES))}).")
    return asyncio.run(_import(settings, files, bands, sensor, notes))


def image_files(paths: Iterable[Path]) -> Iterator[Path]:
    """The named files, and the images below the named folders, in order of their names."""
    for path in paths:
        if path.is_dir():
            yield from sorted(p for p in path.rglob("*") if p.suffix.lower() in SUFFIXES and p.is_file())
        elif path.is_file():
            yield path
        else:
            raise BadInput(f"There is no file or folder {path}.")


async def _import(
    settings: Settings, files: list[Path], bands: str | None, sensor: str | None, notes: Console
) -> bool:
    settings, dsn = _of_running_stack(settings)
    storage, bucket = settings.storage().open(), settings.storage().imagery
    storage.ensure_buckets([bucket])
    new = known = refused = 0
    columns = (TextColumn("Importing"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    async with open_pool(dsn, max_size=2) as pool:
        service = ImageryService(
            pool,
            Queue(dsn),
            storage,
            bucket,
            analysis=remote_by_name("analysis-service", AnalysisPort),
            max_pixels=settings.max_pixels,
        )
        with Progress(*columns, console=notes, disable=not notes.is_terminal) as bar:
            for file in bar.track(files, description="import"):
                try:
                    is_new = await _import_one(service, storage, bucket, file, bands, sensor)
                except OrthoRayError as error:
                    refused += 1
                    notes.print(f"[red]✗[/red] {escape(str(file))}: {escape(error.detail)}", soft_wrap=True)
                else:
                    new, known = new + is_new, known + (not is_new)
    notes.print(f"{new} imported, {known} there already, {refused} refused.")
    if known and (bands or sensor):
        notes.print("What was there already keeps its band names; name others with `bands` in the analysis.")
    return refused == 0


async def _import_one(
    service: ImageryService, storage: Storage, bucket: str, file: Path, bands: str | None, sensor: str | None
) -> bool:
    """False when the same file under the same name is in the catalogue already."""
    sha256, size_bytes = await asyncio.to_thread(_digest, file)
    filename = safe_filename(file.name)
    # The id says what the file is, so that an import that was broken off can simply be repeated.
    imagery_id = _import_id(sha256, filename)
    key = imagery_key(DEFAULT_TENANT, imagery_id, filename)
    if await service.find(DEFAULT_TENANT, imagery_id):
        return False
    await asyncio.to_thread(storage.put_file, bucket, key, file)
    upload = Upload(
        id=imagery_id,
        filename=filename,
        object_key=key,
        size_bytes=size_bytes,
        sha256=sha256,
        bands=bands,
        sensor=sensor,
    )
    await service.register(DEFAULT_TENANT, upload)
    return True


def _import_id(sha256: str, filename: str) -> UUID:
    return uuid5(NAMESPACE_URL, f"orthoray:import:{sha256}:{filename}")


def _digest(path: Path) -> tuple[str, int]:
    """SHA-256 and length in bytes."""
    digest, size = hashlib.sha256(), 0
    with path.open("rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            digest.update(chunk)
            size += len(chunk)
    return digest.hexdigest(), size


def _of_running_stack(settings: Settings) -> tuple[Settings, str]:
    """The settings that the running stack works with, and the catalogue's connection string."""
    running = read_state(settings)
    if running and running.embedded_s3:
        settings = settings.model_copy(update=EmbeddedS3(settings.orthoray_home).facts().as_settings())
    if settings.external_databases:
        return settings, settings.dsn("imagery")
    if running is None:
        raise ConfigurationError(
            "The catalogue is not running: start it with `orthoray up` (or `orthoray up --detach`)."
        )
    return settings, EmbeddedPostgres(settings.orthoray_home).dsn("imagery")
