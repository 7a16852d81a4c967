"""Where the images of a batch come from: the catalogue, a prefix in storage, or a folder; a mask goes with its image."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence, Set
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import overload

import structlog
from pydantic import BaseModel

from orthoray.batches import SCHEME, BatchRequest, ItemRef
from orthoray.contracts import Imagery
from orthoray.errors import BadInput, NotFound
from orthoray.pages import MAX_LIMIT
from orthoray.ports import ImageryPort, ImageryQuery
from orthoray.spectral.maskfiles import SUFFIX as MASK_SUFFIX
from orthoray.spectral.maskfiles import is_mask, with_masks
from orthoray.storage.base import ObjectInfo, Storage
from pipelines.demands import are_tiffs

log = structlog.get_logger(__name__)

SUFFIXES = frozenset(
    {".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".jp2", ".j2k"}
    | {".dng", ".nef", ".cr2", ".arw", ".rw2", ".raw"}
)
# Asking an S3 server for the facts of one object takes milliseconds, most of them on the way.
_ASKING = 16
# Of a JPEG of usual quality.
PIXELS_PER_BYTE = 4
# The content of a file that is there no more: its image fails, and is another one when it is back.
_GONE = "gone"


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


class Items(Sequence[Item]):
    """The images of a batch, kept as JSON: of a hundred thousand, records would fill the memory of a small head node."""

    def __init__(self, items: Iterable[Item] = ()) -> None:
        self._sources: list[str] = []
        self.texts: list[str] = []
        """The JSON of each."""
        self.most_pixels = 0
        """Of the largest image, as far as can be told without opening it."""
        self.are_tiffs = True
        """Whether all files of all images are, by their names."""
        for item in items:
            self.append(item)

    def append(self, item: Item) -> None:
        tiffs = are_tiffs(file.name for file in item.files if not is_mask(file.name))
        self._add(item.source, item.model_dump_json(exclude_defaults=True), _pixels(item), tiffs)

    def _add(self, source: str, text: str, pixels: int, tiffs: bool) -> None:
        self._sources.append(source)
        self.texts.append(text)
        self.most_pixels = max(self.most_pixels, pixels)
        self.are_tiffs = self.are_tiffs and tiffs

    def only(self, sources: Set[str]) -> Items:
        """Those of these sources."""
        found = Items()
        for source, text in zip(self._sources, self.texts, strict=True):
            if source in sources:
                found._add(source, text, self.most_pixels, self.are_tiffs)
        return found

    def __len__(self) -> int:
        return len(self.texts)

    @overload
    def __getitem__(self, place: int) -> Item: ...

    @overload
    def __getitem__(self, place: slice) -> list[Item]: ...

    def __getitem__(self, place: int | slice) -> Item | list[Item]:
        if isinstance(place, slice):
            return [Item.model_validate_json(text) for text in self.texts[place]]
        return Item.model_validate_json(self.texts[place])


def _pixels(item: Item) -> int:
    if item.imagery is not None:
        return item.imagery.width * item.imagery.height
    return PIXELS_PER_BYTE * sum(file.size_bytes for file in item.files)


async def catalogue_items(port: ImageryPort, tenant: str, request: BatchRequest) -> Items:
    """The images of the catalogue that the request's filters leave."""
    found, token = Items(), None
    while True:
        query = ImageryQuery(
            limit=MAX_LIMIT,
            next=token,
            bbox=request.bbox,
            captured_after=request.captured_after,
            captured_before=request.captured_before,
        )
        page = await port.search(tenant, query)
        for imagery in page.items:
            found.append(_of_record(imagery))
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


def prefix_items(storage: Storage, uri: str) -> Items:
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
        for part in (info, *([mask] if mask else [])):
            file = ItemFile(
                name=PurePosixPath(part.key).name, path=part.key, size_bytes=part.size, bucket=bucket
            )
            try:
                facts = storage.stat(bucket, part.key)
                versions.append(facts.etag or f"{facts.modified.isoformat()}-{facts.size}")
                file.size_bytes, file.modified_at = facts.size, facts.modified
            except NotFound:  # removed in this moment: a matter of one image
                versions.append(_GONE)
            files.append(file)
        return Item(source=info.key, version=" ".join(versions), name=files[0].name, files=files)

    with ThreadPoolExecutor(_ASKING) as pool:
        return Items(pool.map(item, images))


def split_uri(uri: str) -> tuple[str, str]:
    """Bucket and prefix of `s3://bucket/prefix`; the prefix may be empty."""
    bucket, _, prefix = uri.removeprefix(SCHEME).partition("/")
    if not uri.startswith(SCHEME) or not bucket:
        raise BadInput(f"{uri[:200]} is not a prefix in storage: write it like s3://imagery/2026/.")
    return bucket, prefix


def folder_items(folder: Path, leave_out: Path | None = None) -> Items:
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
    return Items(_of_files(paths, str(paths[0].relative_to(folder))) for paths in groups)


def _of_files(paths: Sequence[Path], source: str) -> Item:
    files, versions = [], []
    for path in paths:
        file = ItemFile(name=path.name, path=str(path), size_bytes=0)
        try:
            facts = path.stat()
            versions.append(f"{facts.st_mtime_ns:x}-{facts.st_size:x}")
            file.size_bytes, file.modified_at = (
                facts.st_size,
                datetime.fromtimestamp(facts.st_mtime, UTC),
            )
        except FileNotFoundError:  # as above
            versions.append(_GONE)
        files.append(file)
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
    """The item's files on this machine, in their order.

    Raises:
        NotFound: one is there no more, or this machine does not see the folder.
    """
    with ExitStack() as opened:
        paths = []
        for file in item.files:
            if file.bucket is None:
                if not Path(file.path).is_file():
                    raise NotFound(
                        f"{file.name} is not there: it was removed or renamed after the batch had listed it, or its folder is "
                        "not to be seen from all nodes. Submit the batch again."
                    )
                paths.append(Path(file.path))
            else:
                assert storage is not None, "items in storage come from one"
                paths.append(opened.enter_context(storage.local_path(file.bucket, file.path)))
        yield paths
