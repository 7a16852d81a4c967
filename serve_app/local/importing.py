"""`orthoray import`: files and folders into the catalogue, straight to storage, not through HTTP."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Iterable, Sequence
from pathlib import Path
from uuid import NAMESPACE_URL, UUID, uuid5

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from orthoray.contracts import DEFAULT_TENANT, digest_of_assets
from orthoray.database import open_pool
from orthoray.errors import BadInput, ConfigurationError, OrthoRayError
from orthoray.keys import imagery_key
from orthoray.ports import MAX_FILES, AnalysisPort, StoredFile, Upload
from orthoray.queue import Queue
from orthoray.remote import remote_by_name
from orthoray.settings import Settings
from orthoray.spectral.maskfiles import is_mask, with_masks
from orthoray.storage.base import CHUNK_BYTES, Storage
from orthoray.storage.keys import distinct_filenames
from pipelines.sources import SUFFIXES, image_files, images_with_masks
from serve_app.imagery.service import ImageryService
from serve_app.local.objectstore import EmbeddedS3
from serve_app.local.postgres import EmbeddedPostgres
from serve_app.local.stack import read_state


def import_files(
    settings: Settings,
    paths: Iterable[Path],
    *,
    bands: str | None,
    sensor: str | None,
    together: bool,
    notes: Console,
) -> bool:
    """Catalogue every image; one that is refused is told and does not stop the rest. Whether all went in.

    With `together` all files make one imagery, in the order of their names where they come from a folder. A mask that
    lies beside its image (`field.tif.msk`) goes with it.

    Raises:
        BadInput: a path does not exist, there is no image in any of them, or there are too many for one imagery.
        ConfigurationError: the catalogue's database cannot be reached.
    """
    files = list(image_files(paths))
    if not files:
        raise BadInput(f"There are no images here (looked for {', '.join(sorted(SUFFIXES))}).")
    groups = grouped(files, together=together)
    return asyncio.run(_import(settings, groups, bands, sensor, notes))


def grouped(files: Sequence[Path], *, together: bool) -> list[list[Path]]:
    """The files of each imagery, with the masks that lie beside them.

    Raises:
        BadInput: there are too many for one imagery.
    """
    if not together:
        return images_with_masks(files)
    images = sum(not is_mask(file.name) for file in files)
    if images > MAX_FILES:
        raise BadInput(f"These are {images} files, and one imagery has at most {MAX_FILES}.")
    return [with_masks(files)]


async def _import(
    settings: Settings, groups: list[list[Path]], bands: str | None, sensor: str | None, notes: Console
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
            for files in bar.track(groups, description="import"):
                try:
                    is_new = await _import_one(service, storage, bucket, files, bands, sensor)
                except OrthoRayError as error:
                    refused += 1
                    name = ", ".join(map(str, files))
                    notes.print(f"[red]✗[/red] {escape(name)}: {escape(error.detail)}", soft_wrap=True)
                else:
                    new, known = new + is_new, known + (not is_new)
    notes.print(f"{new} imported, {known} there already, {refused} refused.")
    if known and (bands or sensor):
        notes.print("What was there already keeps its band names; name others with `bands` in the analysis.")
    return refused == 0


async def _import_one(
    service: ImageryService,
    storage: Storage,
    bucket: str,
    paths: list[Path],
    bands: str | None,
    sensor: str | None,
) -> bool:
    """False when the same files under the same names are in the catalogue already."""
    digests = [await asyncio.to_thread(_digest, path) for path in paths]
    names = distinct_filenames([path.name for path in paths])
    # The id says what the files are, so that an import that was broken off can simply be repeated.
    imagery_id = _import_id([sha256 for sha256, _ in digests], names)
    if await service.find(DEFAULT_TENANT, imagery_id):
        return False
    files = []
    for path, name, (sha256, size_bytes) in zip(paths, names, digests, strict=True):
        key = imagery_key(DEFAULT_TENANT, imagery_id, name)
        await asyncio.to_thread(storage.put_file, bucket, key, path)
        files.append(StoredFile(filename=name, object_key=key, size_bytes=size_bytes, sha256=sha256))
    await service.register(DEFAULT_TENANT, Upload(id=imagery_id, files=files, bands=bands, sensor=sensor))
    return True


def _import_id(digests: Sequence[str], names: Sequence[str]) -> UUID:
    return uuid5(NAMESPACE_URL, f"orthoray:import:{digest_of_assets(digests)}:{'/'.join(names)}")


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
