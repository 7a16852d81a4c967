"""Where the images of a batch come from: the catalogue, a prefix in storage, or a folder; a mask goes with its image."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath

import structlog
from pydantic import BaseModel

from orthoray.batches import BatchRequest, ItemRef
from orthoray.contracts import Imagery
from orthoray.errors import BadInput
from orthoray.pages import MAX_LIMIT
from orthoray.ports import ImageryPort, ImageryQuery
from orthoray.spectral.maskfiles import SUFFIX as MASK_SUFFIX
from orthoray.spectral.maskfiles import is_mask, with_masks
from orthoray.storage.base import ObjectInfo, Storage

log = structlog.get_logger(__name__)

SUFFIXES = frozenset(
    {".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".jp2", ".j2k"}
    | {".dng", ".nef", ".cr2", ".arw", ".rw2", ".raw"}
)
SCHEME = "s3://"
# Asking an S3 server for the facts of one object takes milliseconds, most of them on the way.
_ASKING = 16


class ItemFile(BaseModel):
    """A file of an image: in `bucket` under the key `path`, or without a bucket a file on disk."""

    name: str
    path: str
    size_bytes: int
    bucket: str | None = None
    modified_at: datetime | None = None


class Item(ItemRef):
    """One image of a batch with all that a task needs; a catalogued one brings its record."""

    files: list[ItemFile]
    imagery: Imagery | None = None

    @property
    def ref(self) -> ItemRef:
        return ItemRef(source=self.source, version=self.version, name=self.name)


async def catalogue_items(port: ImageryPort, tenant: str, request: BatchRequest) -> list[Item]:
    """The images of the catalogue that the request's filters leave."""
    found, token = [], None
    while True:
        query = ImageryQuery(
            limit=MAX_LIMIT,
            next=token,
            bbox=request.bbox,
            captured_after=request.captured_after,
            captured_before=request.captured_before,
        )
        page = await port.search(tenant, query)
        found += [_of_record(imagery) for imagery in page.items]
        if (token := page.next) is None:
            return found


def _of_record(imagery: Imagery) -> Item:
    files = [
        ItemFile(
            name=asset.filename, path=asset.object_key, size_bytes=asset.size_bytes, bucket=imagery.bucket
        )
        for asset in imagery.assets
    ]
    return Item(
        source=str(imagery.id),
        version=imagery.sha256,
        name=imagery.original_filename,
        files=files,
        imagery=imagery,
    )


def prefix_items(storage: Storage, uri: str) -> list[Item]:
    """The images whose keys begin as `s3://bucket/prefix` says.

    Raises:
        BadInput: the URI is not written like that.
        NotFound: there is no such bucket.
    """
    bucket, prefix = split_uri(uri)
    listed = {info.key: info for info in storage.list(bucket, prefix)}
    images = [info for key, info in listed.items() if _is_image(key)]

    def item(info: ObjectInfo) -> Item:
        mask = listed.get(info.key + MASK_SUFFIX)
        files, versions = [], []
        for key in (info.key, *([mask.key] if mask else [])):
            facts = storage.stat(bucket, key)
            versions.append(facts.etag or f"{facts.modified.isoformat()}-{facts.size}")
            files.append(
                ItemFile(
                    name=PurePosixPath(key).name,
                    path=key,
                    size_bytes=facts.size,
                    bucket=bucket,
                    modified_at=facts.modified,
                )
            )
        return Item(source=info.key, version=" ".join(versions), name=files[0].name, files=files)

    with ThreadPoolExecutor(_ASKING) as pool:
        return list(pool.map(item, images))


def split_uri(uri: str) -> tuple[str, str]:
    """Bucket and prefix of `s3://bucket/prefix`; the prefix may be empty."""
    bucket, _, prefix = uri.removeprefix(SCHEME).partition("/")
    if not uri.startswith(SCHEME) or not bucket:
        raise BadInput(f"{uri[:200]} is not a prefix in storage: write it like s3://imagery/2026/.")
    return bucket, prefix


def folder_items(folder: Path, leave_out: Path | None = None) -> list[Item]:
    """The images below a folder, by their paths in it; those below `leave_out` are results, not images.

    Raises:
        BadInput: there is no such folder.
    """
    if not folder.is_dir():
        raise BadInput(f"There is no folder {folder} on the machine that runs the batch.")
    files = [
        path for path in image_files([folder]) if leave_out is None or not path.is_relative_to(leave_out)
    ]
    groups = images_with_masks(files)
    return [_of_files(paths, str(paths[0].relative_to(folder))) for paths in groups]


def _of_files(paths: Sequence[Path], source: str) -> Item:
    files, versions = [], []
    for path in paths:
        facts = path.stat()
        versions.append(f"{facts.st_mtime_ns:x}-{facts.st_size:x}")
        modified_at = datetime.fromtimestamp(facts.st_mtime, UTC)
        files.append(
            ItemFile(name=path.name, path=str(path), size_bytes=facts.st_size, modified_at=modified_at)
        )
    return Item(source=source, version=" ".join(versions), name=files[0].name, files=files)


def image_files(paths: Iterable[Path]) -> Iterator[Path]:
    """The named files, and the images below the named folders, in order of their names."""
    for path in paths:
        if path.is_dir():
            for found in sorted(p for p in path.rglob("*") if _is_image(p.name) and p.is_file()):
                if str(found).isprintable():
                    yield found
                else:
                    log.warning("left out: its name is not readable, rename it", file=ascii(str(found)))
        elif path.is_file():
            yield path
        else:
            raise BadInput(f"There is no file or folder {path}.")


def images_with_masks(files: Sequence[Path]) -> list[list[Path]]:
    """Each image with the mask that lies beside it."""
    groups = [with_masks([file]) for file in files]
    taken = {mask for _, *masks in groups for mask in masks}
    return [group for group in groups if group[0] not in taken]


def _is_image(name: str) -> bool:
    return PurePosixPath(name).suffix.lower() in SUFFIXES and not is_mask(name)


@contextmanager
def local_files(item: Item, storage: Storage | None) -> Iterator[list[Path]]:
    """The item's files on this machine, in their order."""
    with ExitStack() as opened:
        paths = []
        for file in item.files:
            if file.bucket is None:
                paths.append(Path(file.path))
            else:
                assert storage is not None, "items in storage come from one"
                paths.append(opened.enter_context(storage.local_path(file.bucket, file.path)))
        yield paths
