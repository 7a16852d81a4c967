"""Where the results of a batch go: a folder on disk, or below a prefix in storage; names are relative to it."""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence, Set
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Protocol
from uuid import UUID

from orthoray.batches import FILE_TYPES, SCHEME
from orthoray.contracts import DEFAULT_TENANT
from orthoray.errors import NotFound
from orthoray.keys import batch_prefix
from orthoray.storage.config import StorageConfig, opened

# Files that are removed between two looks whether the batch is still this job's.
_FEW = 100
_LEFTOVER_AGE_S = 3600.0


class Output(Protocol):
    """Files by name; writing replaces a whole file at once. It travels pickled to the tasks."""

    @property
    def place(self) -> str:
        """How a person finds it."""

    def move_file(self, name: str, local: Path, content_type: str) -> None:
        """Write the content of `local`, which may be gone afterwards."""

    def put_bytes(self, name: str, data: bytes, content_type: str) -> None: ...

    def get_bytes(self, name: str) -> bytes:
        """Raises `NotFound` where there is none."""

    def reuse(self, batch_id: UUID, files: dict[str, str]) -> bool:
        """Take over files of another batch's output; False where one of them is gone."""

    def remove(self, name: str) -> None:
        """Nothing happens where there is none."""

    def keep_only(self, folders: tuple[str, ...], stems: Set[str], check: Callable[[], None]) -> None:
        """Remove the files in these folders that are called otherwise, whatever their suffixes. `check` is called before every
        few of them; what it raises ends the removing."""


@dataclass(frozen=True)
class StoredOutput:
    """The folder of a batch in storage, beside the heatmaps of single runs."""

    config: StorageConfig
    batch_id: UUID
    tenant: str = DEFAULT_TENANT

    @property
    def place(self) -> str:
        return f"{SCHEME}{self.config.heatmaps}/{self._key('')}"

    def move_file(self, name: str, local: Path, content_type: str) -> None:
        opened(self.config).move_file(self.config.heatmaps, self._key(name), local, content_type)

    def put_bytes(self, name: str, data: bytes, content_type: str) -> None:
        opened(self.config).put_bytes(self.config.heatmaps, self._key(name), data, content_type)

    def get_bytes(self, name: str) -> bytes:
        return opened(self.config).get_bytes(self.config.heatmaps, self._key(name))

    def reuse(self, batch_id: UUID, files: dict[str, str]) -> bool:
        storage, theirs = opened(self.config), batch_prefix(self.tenant, batch_id)
        if batch_id == self.batch_id:
            return all(storage.exists(self.config.heatmaps, theirs + name) for name in files.values())
        try:
            for name in files.values():
                with storage.local_path(self.config.heatmaps, theirs + name) as local:
                    storage.put_file(self.config.heatmaps, self._key(name), local, content_type_of(name))
        except NotFound:
            return False
        return True

    def remove(self, name: str) -> None:
        opened(self.config).delete(self.config.heatmaps, self._key(name))

    def keep_only(self, folders: tuple[str, ...], stems: Set[str], check: Callable[[], None]) -> None:
        storage = opened(self.config)
        for folder in folders:
            listed = [info.key for info in storage.list(self.config.heatmaps, self._key(f"{folder}/"))]
            others = [key for key in listed if PurePosixPath(key).stem not in stems]
            _few_by_few(others, lambda key: storage.delete(self.config.heatmaps, key), check)

    def _key(self, name: str) -> str:
        return batch_prefix(self.tenant, self.batch_id) + name


def _few_by_few(others: Sequence[Any], remove: Callable[[Any], None], check: Callable[[], None]) -> None:
    for place, other in enumerate(others):
        if place % _FEW == 0:
            check()
        remove(other)


RESULT_FOLDERS = ("heatmaps", "indices", "previews", "items")
"""Where a batch's results of images lie; files there that are none of its results are removed."""


@dataclass(frozen=True)
class FolderOutput:
    """A folder that all processes of the batch see."""

    folder: Path

    @property
    def place(self) -> str:
        return str(self.folder)

    def move_file(self, name: str, local: Path, content_type: str) -> None:
        with self._appearing(name) as scratch:
            try:
                local.rename(scratch)
            except OSError:  # of another disk, or not there at all, which copying tells
                shutil.copyfile(local, scratch)

    def put_bytes(self, name: str, data: bytes, content_type: str) -> None:
        with self._appearing(name) as scratch:
            scratch.write_bytes(data)

    def get_bytes(self, name: str) -> bytes:
        try:
            return (self.folder / name).read_bytes()
        except FileNotFoundError:
            raise NotFound(f"There is no {name} in {self.folder}.") from None

    def reuse(self, batch_id: UUID, files: dict[str, str]) -> bool:
        return all((self.folder / name).is_file() for name in files.values())

    def remove(self, name: str) -> None:
        (self.folder / name).unlink(missing_ok=True)

    def keep_only(self, folders: tuple[str, ...], stems: Set[str], check: Callable[[], None]) -> None:
        for folder in folders:
            found = (path for path in (self.folder / folder).glob("*") if path.is_file())
            others = [path for path in found if path.stem not in stems and not _is_being_written(path)]
            _few_by_few(others, lambda path: path.unlink(missing_ok=True), check)

    @contextmanager
    def _appearing(self, name: str) -> Iterator[Path]:
        """A file to write or to replace, which takes its name when it is complete and on the disk."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, made = tempfile.mkstemp(dir=path.parent, prefix=".")
        os.close(handle)
        scratch = Path(made)
        try:
            yield scratch
            scratch.chmod(0o644)
            with scratch.open("rb") as complete:
                os.fsync(complete.fileno())
            scratch.replace(path)
        finally:
            scratch.unlink(missing_ok=True)


def _is_being_written(path: Path) -> bool:
    """Whether it is a scratch file that may be in use: a writer that was killed leaves one, too."""
    if not path.name.startswith("."):
        return False
    try:
        return time.time() - path.stat().st_mtime < _LEFTOVER_AGE_S
    except FileNotFoundError:
        return True


def content_type_of(name: str) -> str:
    return FILE_TYPES[Path(name).suffix]
