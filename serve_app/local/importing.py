"""`orthoray import`: files and folders into the catalogue, straight to storage, not through HTTP."""

from __future__ import annotations

import asyncio
import hashlib
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from uuid import NAMESPACE_URL, UUID, uuid4, uuid5

from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    Progress,
    TaskProgressColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from orthoray.contracts import DEFAULT_TENANT, digest_of_assets
from orthoray.database import open_pool
from orthoray.errors import BadInput, ConfigurationError, OrthoRayError, WrongState
from orthoray.keys import imagery_key
from orthoray.ports import MAX_FILES, AnalysisPort, StoredFile, Upload
from orthoray.queue import Queue
from orthoray.remote import remote_by_name
from orthoray.settings import Settings
from orthoray.spectral.maskfiles import is_mask, with_masks
from orthoray.storage.base import CHUNK_BYTES, Storage
from orthoray.storage.keys import distinct_filenames
from orthoray.storage.parts import PART_BYTES, PartStore
from orthoray.uploads import PartedUpload, UploadCompletion, UploadPart, UploadWish
from pipelines.sources import SUFFIXES, image_files, images_with_masks
from serve_app.imagery.service import ImageryService
from serve_app.local.objectstore import EmbeddedS3
from serve_app.local.postgres import EmbeddedPostgres
from serve_app.local.stack import read_state

LARGE_BYTES = 8 * PART_BYTES
"""From here on a file goes in by parts, and an import that was broken off goes on where it was."""
# Parts on their way at once: one is read while another is stored.
_SENDERS = 2

Tell = Callable[[int], None]


@dataclass(frozen=True)
class _Catalogue:
    """Where images go, and what is said of all of them."""

    service: ImageryService
    storage: Storage
    parts: PartStore
    bucket: str
    bands: str | None
    sensor: str | None


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
    config = settings.storage()
    storage = config.open()
    storage.ensure_buckets([config.imagery])
    parts = config.open_parts(storage)
    new = known = refused = 0
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TaskProgressColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    async with open_pool(dsn, max_size=4) as pool:
        service = ImageryService(
            pool,
            Queue(dsn),
            storage,
            config.imagery,
            analysis=remote_by_name("analysis-service", AnalysisPort),
            max_pixels=settings.max_pixels,
            parts=parts,
            # The limits are for clients.
            max_object_bytes=sys.maxsize,
            max_open_uploads=sys.maxsize,
        )
        catalogue = _Catalogue(service, storage, parts, config.imagery, bands, sensor)
        with Progress(*columns, console=notes, disable=not notes.is_terminal) as bar:
            sizes = [sum(path.stat().st_size for path in files) for files in groups]
            # Each byte is read twice: for its digest, and to be stored.
            task, done = bar.add_task("", total=2 * sum(sizes)), 0
            for number, (files, size) in enumerate(zip(groups, sizes, strict=True), 1):
                bar.update(task, description=f"{number} of {len(groups)}: {files[0].name[:40]}")
                try:
                    is_new = await _import_one(catalogue, files, lambda more: bar.advance(task, more))
                except OrthoRayError as error:
                    refused += 1
                    name = ", ".join(map(str, files))
                    notes.print(f"[red]✗[/red] {escape(name)}: {escape(error.detail)}", soft_wrap=True)
                else:
                    new, known = new + is_new, known + (not is_new)
                done += 2 * size
                bar.update(task, completed=done)
    notes.print(f"{new} imported, {known} there already, {refused} refused.")
    if known and (bands or sensor):
        notes.print("What was there already keeps its band names; name others with `bands` in the analysis.")
    return refused == 0


async def _import_one(catalogue: _Catalogue, paths: list[Path], tell: Tell) -> bool:
    """False when the same files under the same names are in the catalogue already."""
    service = catalogue.service
    digests = [await asyncio.to_thread(_digest, path, tell) for path in paths]
    names = distinct_filenames([path.name for path in paths])
    # The id says what the files are, so that an import that was broken off can simply be repeated.
    imagery_id = _import_id([sha256 for sha256, _ in digests], names)
    if await service.find(DEFAULT_TENANT, imagery_id):
        return False
    (sha256, size), *others = digests
    if not others and size >= LARGE_BYTES:
        wish = UploadWish(
            filename=names[0],
            size=size,
            sha256=sha256,
            bands=catalogue.bands,
            sensor=catalogue.sensor,
            imagery_id=imagery_id,
        )
        await _import_by_parts(catalogue, paths[0], wish, tell)
        return True
    files, prefix = [], uuid4()
    for path, name, (sha256, size_bytes) in zip(paths, names, digests, strict=True):
        key = imagery_key(DEFAULT_TENANT, prefix, name)
        await asyncio.to_thread(catalogue.storage.put_file, catalogue.bucket, key, path)
        files.append(StoredFile(filename=name, object_key=key, size_bytes=size_bytes, sha256=sha256))
        tell(size_bytes)
    upload = Upload(id=imagery_id, files=files, bands=catalogue.bands, sensor=catalogue.sensor)
    try:
        await service.register(DEFAULT_TENANT, upload)
    except BaseException:
        await service.discard(DEFAULT_TENANT, upload)
        raise
    return True


async def _import_by_parts(catalogue: _Catalogue, path: Path, wish: UploadWish, tell: Tell) -> None:
    uploads = catalogue.service.uploads
    upload = await uploads.resume(DEFAULT_TENANT, wish) or await uploads.begin(DEFAULT_TENANT, wish)
    slots = asyncio.Semaphore(_SENDERS)
    try:
        async with asyncio.TaskGroup() as group:
            for part in upload.parts:
                await slots.acquire()
                sending = group.create_task(_send(catalogue, path, upload, part, tell))
                sending.add_done_callback(lambda _: slots.release())
    except ExceptionGroup as failures:
        # Several parts fail for one reason, and what people want to read is that.
        raise failures.exceptions[0] from failures
    try:
        await uploads.complete(DEFAULT_TENANT, upload.id, UploadCompletion(sha256=wish.sha256))
    except WrongState as error:
        if "sha256" in error.fields:  # the file has changed meanwhile, and nobody knows in which part
            await uploads.abort(DEFAULT_TENANT, upload.id)
        raise


async def _send(
    catalogue: _Catalogue, path: Path, upload: PartedUpload, part: UploadPart, tell: Tell
) -> None:
    if not part.received:
        place = await catalogue.service.place_of_part(DEFAULT_TENANT, upload.id, part.number)

        def copy() -> None:
            with (
                catalogue.parts.writer(place.bucket, place.object_key, place.token, part.number) as target,
                path.open("rb") as source,
            ):
                source.seek((part.number - 1) * upload.part_bytes)
                left = part.size_bytes
                while left and (piece := source.read(min(CHUNK_BYTES, left))):
                    target.write(piece)
                    left -= len(piece)
                target.commit()

        await asyncio.to_thread(copy)
    tell(part.size_bytes)


def _import_id(digests: Sequence[str], names: Sequence[str]) -> UUID:
    return uuid5(NAMESPACE_URL, f"orthoray:import:{digest_of_assets(digests)}:{'/'.join(names)}")


def _digest(path: Path, tell: Tell) -> tuple[str, int]:
    """SHA-256 and length in bytes."""
    digest, size = hashlib.sha256(), 0
    with path.open("rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            digest.update(chunk)
            size += len(chunk)
            tell(len(chunk))
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
