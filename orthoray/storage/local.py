"""Storage in a local folder: `root/<bucket>/<key>`.

It speaks to the operating system itself: fsspec's local file system neither syncs nor replaces files
atomically, and follows any link.
"""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO
from uuid import uuid4

from orthoray.errors import ConfigurationError, NotAllowed, NotFound, TooLarge, Unavailable, WrongState
from orthoray.storage.base import CHUNK_BYTES, ObjectInfo, ObjectStat, byte_range
from orthoray.storage.keys import check_bucket, check_folder, check_key, check_prefix

_SCRATCH = ".tmp"  # never a bucket: bucket names start with a letter or a digit
_LEFTOVER_AGE_S = 24 * 3600
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
_FOLDER_RACES = 100  # how often a writer finds its folder removed under it before it gives up


class LocalStorage:
    """A `Storage` for one machine.

    A write goes to a temporary file in the same file system, is synced, and takes its place by a rename;
    folders are made with mode 0700 and files with 0600. Readers keep the content they opened. Several
    processes may share a root.
    """

    def __init__(self, root: Path) -> None:
        """Make `root` when it is missing, and remove temporary files of writers that died more than a day
        ago.

        Raises:
            ConfigurationError: the folder cannot be made or used.
        """
        try:
            root.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._root = root.resolve(strict=True)
            self._scratch = self._root / _SCRATCH
            self._scratch.mkdir(mode=0o700, exist_ok=True)
            _sweep(self._scratch)
        except OSError as error:
            raise ConfigurationError(
                f"The storage folder cannot be used ({os.strerror(error.errno or errno.EIO)}): "
                "set STORAGE_ROOT or ORTHORAY_HOME to a folder that you may write to."
            ) from error

    @property
    def root(self) -> Path:
        return self._root

    def put_file(self, bucket: str, key: str, local: Path, content_type: str | None = None) -> None:
        with local.open("rb") as source:
            self.write(bucket, key, lambda target: shutil.copyfileobj(source, target, CHUNK_BYTES))

    def move_file(self, bucket: str, key: str, local: Path, content_type: str | None = None) -> None:
        path = self._path(bucket, key)
        ours = self._scratch / f"moved-{uuid4().hex}"
        try:
            local.rename(ours)
        except OSError:  # of another disk, or not there at all, which copying tells
            self.put_file(bucket, key, local, content_type)
            return
        with disk_errors():
            try:
                ours.chmod(0o600)
                with ours.open("rb") as moved:
                    os.fsync(moved.fileno())
                self._place(ours, path)
            finally:
                ours.unlink(missing_ok=True)

    def put_bytes(self, bucket: str, key: str, data: bytes, content_type: str | None = None) -> None:
        self.write(bucket, key, lambda target: target.write(data))

    def get_bytes(self, bucket: str, key: str, max_bytes: int | None = None) -> bytes:
        with self.open(bucket, key) as stored, disk_errors():
            if max_bytes is not None and os.fstat(stored.fileno()).st_size > max_bytes:
                raise TooLarge(f"The object is larger than {max_bytes} bytes.")
            return stored.read()

    def open(self, bucket: str, key: str) -> BinaryIO:
        path = self._path(bucket, key)
        with disk_errors():
            return path.open("rb")

    def stat(self, bucket: str, key: str) -> ObjectStat:
        with self.open(bucket, key) as stored, disk_errors():
            found = os.fstat(stored.fileno())
        # the inode tells apart two contents of one length written within the clock's grain
        etag = f"{found.st_mtime_ns:x}-{found.st_size:x}-{found.st_ino:x}"
        return ObjectStat(found.st_size, datetime.fromtimestamp(found.st_mtime, UTC), etag)

    def size(self, bucket: str, key: str) -> int:
        return self.stat(bucket, key).size

    def exists(self, bucket: str, key: str) -> bool:
        with disk_errors():
            return self._path(bucket, key).is_file()

    def delete(self, bucket: str, key: str) -> None:
        path = self._path(bucket, key)
        with disk_errors(), suppress(FileNotFoundError, NotADirectoryError, IsADirectoryError):
            path.unlink()
        self._prune(path.parent)

    def delete_prefix(self, bucket: str, prefix: str) -> None:
        for stored in list(self.list(bucket, check_folder(prefix))):
            self.delete(bucket, stored.key)

    def list(self, bucket: str, prefix: str = "") -> Iterator[ObjectInfo]:
        folder, _, _ = check_prefix(prefix).rpartition("/")
        top = self._path(bucket, folder) if folder else self._bucket(bucket)
        return _walk(top, f"{folder}/" if folder else "", prefix)

    def scan(self, bucket: str, prefix: str = "") -> Iterator[ObjectInfo]:
        return self.list(bucket, prefix)

    def iter_range(
        self, bucket: str, key: str, start: int = 0, end: int | None = None, chunk: int = CHUNK_BYTES
    ) -> Iterator[bytes]:
        pieces = self._pieces(bucket, key, start, end, chunk)
        next(pieces)  # opens the file here, so that a missing one is reported here
        return pieces

    @contextmanager
    def local_path(self, bucket: str, key: str) -> Iterator[Path]:
        self.open(bucket, key).close()
        yield self._path(bucket, key)

    def ensure_buckets(self, names: Iterable[str]) -> None:
        for name in names:
            with disk_errors():
                self._bucket(name).mkdir(mode=0o700, exist_ok=True)

    def check(self, *buckets: str) -> None:
        for name in buckets:
            if not self._bucket(name).is_dir():
                raise Unavailable(f"The storage has no bucket {name!r}.")
        with disk_errors(), tempfile.TemporaryFile(dir=self._scratch) as probe:
            probe.write(b"\0")
            probe.flush()

    def _pieces(self, bucket: str, key: str, start: int, end: int | None, chunk: int) -> Iterator[bytes]:
        with self.open(bucket, key) as stored, disk_errors():
            at, stop = byte_range(start, end, os.fstat(stored.fileno()).st_size)
            yield b""
            stored.seek(at)
            while at < stop and (piece := stored.read(min(chunk, stop - at))):
                at += len(piece)
                yield piece

    def write(self, bucket: str, key: str, fill: Callable[[BinaryIO], object]) -> None:
        """Store what `fill` writes into the file that it is given; nothing when it raises."""
        path = self._path(bucket, key)
        with disk_errors():
            handle, name = tempfile.mkstemp(dir=self._scratch)
            try:
                with os.fdopen(handle, "wb") as target:
                    fill(target)
                    target.flush()
                    os.fsync(handle)
                self._place(Path(name), path)
            finally:
                Path(name).unlink(missing_ok=True)

    def _place(self, source: Path, path: Path) -> None:
        """Rename into place, making the folder again as often as a concurrent `delete` prunes it."""
        for _ in range(_FOLDER_RACES):
            try:
                self._make_folder(path.parent)
                source.replace(path)
            except FileNotFoundError:
                in_the_way = False
            except (FileExistsError, NotADirectoryError, IsADirectoryError):
                in_the_way = True  # or a folder that vanished while we looked
            else:
                _sync_folder(path.parent)
                return
        if in_the_way:
            raise WrongState("Another object's name is a folder of this one, or the reverse.")
        raise Unavailable("The object's folder is being deleted at the same time: try again.")

    def _make_folder(self, folder: Path) -> None:
        if folder == self._root or folder.is_dir():
            return
        self._make_folder(folder.parent)
        folder.mkdir(mode=0o700, exist_ok=True)
        _sync_folder(folder.parent)

    def _prune(self, folder: Path) -> None:
        """Remove the folders that a deletion left empty, up to but not including the bucket."""
        while folder.parent.parent.is_relative_to(self._root):
            try:
                folder.rmdir()
            except FileNotFoundError:
                pass
            except OSError:
                return  # not empty, or filled by a writer in the meantime
            folder = folder.parent

    def _bucket(self, name: str) -> Path:
        return self._inside(self._root / check_bucket(name))

    def _path(self, bucket: str, key: str) -> Path:
        return self._inside(self._root / check_bucket(bucket) / check_key(key))

    def _inside(self, path: Path) -> Path:
        """Refuse a path that links lead out of the root."""
        try:
            resolved = path.resolve()
        except (OSError, RuntimeError):  # a loop of links
            resolved = None
        if resolved is None or not resolved.is_relative_to(self._root):
            raise NotAllowed("A link in the storage folder leads out of it: ask the operator to remove it.")
        return path


def _walk(folder: Path, above: str, prefix: str) -> Iterator[ObjectInfo]:
    """The files below `folder`, whose keys start with `above`, in the order of the whole keys.

    Links are passed over, so that whoever deletes what is listed never follows one.
    """
    with disk_errors():
        try:
            with os.scandir(folder) as found:
                # a folder sorts with its slash: "a-b" comes before "a/b"
                entries = sorted(
                    (f"{entry.name}/" if entry.is_dir(follow_symlinks=False) else entry.name, entry)
                    for entry in found
                    if not entry.is_symlink()
                )
        except (FileNotFoundError, NotADirectoryError):
            return
    for name, entry in entries:
        key = above + name
        if name.endswith("/"):
            if key.startswith(prefix) or prefix.startswith(key):
                yield from _walk(Path(entry.path), key, prefix)
        elif key.startswith(prefix):
            with suppress(FileNotFoundError):
                yield ObjectInfo(key, entry.stat().st_size)


def _sweep(scratch: Path) -> None:
    oldest = time.time() - _LEFTOVER_AGE_S
    for leftover in scratch.iterdir():
        with suppress(OSError):
            if leftover.stat().st_mtime < oldest:
                leftover.unlink()


def _sync_folder(folder: Path) -> None:
    """Make a new name durable, unless it has been deleted since."""
    with suppress(FileNotFoundError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


@contextmanager
def disk_errors() -> Iterator[None]:
    """Turn what the operating system says into what a user understands."""
    try:
        yield
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
        raise NotFound("There is no such object in the storage.") from None
    except OSError as error:
        if error.errno in _FULL:
            raise Unavailable(
                "The disk of the storage is full: free some space or ask the operator to, then try again."
            ) from error
        if error.errno == errno.EFBIG:
            raise TooLarge("The object is larger than the storage's file system allows.") from error
        raise Unavailable("The storage folder cannot be read or written at the moment.") from error
