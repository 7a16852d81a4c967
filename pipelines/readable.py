"""Files of an imagery for one process that reads them once: whole, or of a TIFF that lies far away only what is needed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import BinaryIO

from rasterio.windows import Window

from orthoray.errors import OrthoRayError, Unavailable
from orthoray.ports import RunOrder
from orthoray.spectral.calibration import calibrate
from orthoray.spectral.formats import TIFF, detect_format
from orthoray.spectral.maskfiles import is_mask, split_masks
from orthoray.spectral.ranges import preview_spans, window_spans
from orthoray.spectral.stack import inspect_stack
from orthoray.spectral.tiff import Span
from orthoray.spectral.work import BandWork
from orthoray.storage.base import Storage
from orthoray.storage.local import LocalStorage
from pipelines.planning import Plan
from pipelines.single import obstacle
from pipelines.windows import RemoteFile, describe_object, fetch, same_version, sparse_files

# Below this a file is fetched whole: to describe it first would cost as much as the bytes that are saved.
SMALL_BYTES = 4 << 20
# Ranges are worth their requests where they are less than this of the file.
WORTH = 0.75

Spans = Callable[[BinaryIO, int], Sequence[Span]]


@contextmanager
def for_preview(storage: Storage, bucket: str, key: str, max_side: int) -> Iterator[Path]:
    """A file that can be described, checked and seen at a size of at most `max_side` pixels on either side.

    Raises what the storage raises; what is wrong with the image is told by those who read the file.
    """
    with ExitStack() as opened:
        path = None
        if not isinstance(storage, LocalStorage) and (file := _far_tiff(storage, bucket, key)):
            (sparse,) = opened.enter_context(sparse_files([file]))
            if detect_format(sparse) is TIFF:  # not a camera's raw file
                path = _filled(storage, file, sparse, lambda head, size: preview_spans(head, size, max_side))
        yield path or opened.enter_context(storage.local_path(bucket, key))


@contextmanager
def for_bands(storage: Storage, order: RunOrder, plan: Plan) -> Iterator[list[Path]]:
    """The files of a run's imagery, in the order of its assets, from which what `plan` needs can be read."""
    bucket, assets = order.run.imagery_bucket, order.imagery.assets
    with ExitStack() as opened:
        paths = None
        if not isinstance(storage, LocalStorage) and all(
            asset.content_type == TIFF.media_type for asset in assets
        ):
            paths = _by_ranges(storage, order, plan, opened)
        yield paths or [
            opened.enter_context(storage.local_path(bucket, asset.object_key)) for asset in assets
        ]


def _by_ranges(storage: Storage, order: RunOrder, plan: Plan, opened: ExitStack) -> list[Path] | None:
    """None where the whole files are wanted, or not much more than ranges of them."""
    bucket, assets = order.run.imagery_bucket, order.imagery.assets
    if sum(asset.size_bytes for asset in assets) < SMALL_BYTES:
        return None
    names = [asset.filename for asset in assets]
    try:
        files = [describe_object(storage, bucket, asset.object_key) for asset in assets]
        paths = opened.enter_context(sparse_files(files))
        if obstacle(paths, names, plan) is not None:
            return None
        wanted = _numbers(paths, names, plan)
    except Unavailable:
        raise
    except OrthoRayError:
        return None  # whoever reads the whole files says what is wrong with them
    spans = []
    for file, path, numbers in zip(files, paths, wanted, strict=True):
        with path.open("rb") as head:
            everything = Window(0, 0, order.imagery.width, order.imagery.height)
            is_read = numbers is None or numbers
            spans.append(window_spans(head, file.size, everything, numbers) if is_read else [])
    needed = sum(stop - start for one in spans for start, stop in one)
    if needed > WORTH * sum(file.size for file in files):
        return None
    for file, path, one in zip(files, paths, spans, strict=True):
        _fill(storage, file, path, one)
    return paths


def _numbers(paths: Sequence[Path], names: Sequence[str], plan: Plan) -> list[Sequence[int] | None]:
    """For each file the bands that are read of it; None means all, as of a mask."""
    files, filenames, masks = split_masks(paths, names)
    stack = inspect_stack(files, filenames, masks=masks)
    assert plan.index is not None
    work = BandWork(stack, plan.index, plan.band_map, calibrate(stack.info), plan.soil_mask)
    of_file = dict(zip(files, work.numbers, strict=True))
    return [of_file.get(path) if not is_mask(name) else None for path, name in zip(paths, names, strict=True)]


def _far_tiff(storage: Storage, bucket: str, key: str) -> RemoteFile | None:
    """The object with the bytes that describe it; None where it is small or no whole TIFF."""
    size = storage.size(bucket, key)
    if size < SMALL_BYTES:
        return None
    head = b"".join(storage.iter_range(bucket, key, 0, 4))
    if head not in {b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"}:
        return None
    try:
        return describe_object(storage, bucket, key)
    except Unavailable:
        raise
    except OrthoRayError:
        return None


def _filled(storage: Storage, file: RemoteFile, path: Path, wanted: Spans) -> Path | None:
    """The file with the wanted spans of the object; None where they are most of it."""
    with path.open("rb") as head:
        spans = wanted(head, file.size)
    if sum(stop - start for start, stop in spans) > WORTH * file.size:
        return None
    _fill(storage, file, path, spans)
    return path


def _fill(storage: Storage, file: RemoteFile, path: Path, spans: Sequence[Span]) -> None:
    with path.open("r+b") as target, same_version(storage, file.bucket, file.key, file.etag):
        fetch(storage, file.bucket, file.key, spans, target)
