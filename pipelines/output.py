"""Where the results of a batch go: a folder on disk, or below a prefix in storage; names are relative to it."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import BinaryIO, Protocol
from uuid import UUID

from orthoray.batches import FILE_TYPES
from orthoray.contracts import DEFAULT_TENANT
from orthoray.errors import NotFound
from orthoray.keys import batch_prefix
from orthoray.storage.base import Storage
from orthoray.storage.config import StorageConfig


class Output(Protocol):
    """Files by name; writing replaces a whole file at once. It travels pickled to the tasks."""

    @property
    def place(self) -> str:
        """How a person finds it."""

    def put_file(self, name: str, local: Path, content_type: str) -> None: ...

    def put_bytes(self, name: str, data: bytes, content_type: str) -> None: ...

    def get_bytes(self, name: str) -> bytes:
        """Raises `NotFound` where there is none."""

    def reuse(self, batch_id: UUID, files: dict[str, str]) -> bool:
        """Take over files of another batch's output; False where one of them is gone."""

    def keep_only(self, folders: tuple[str, ...], names: set[str]) -> None:
        """Remove the files in these folders that have other names."""


@dataclass(frozen=True)
class StoredOutput:
    """The folder of a batch in storage, beside the heatmaps of single runs."""

    config: StorageConfig
    batch_id: UUID
    tenant: str = DEFAULT_TENANT

    @property
    def place(self) -> str:
        return self.config.where(self.config.heatmaps, self._key(""))

    def put_file(self, name: str, local: Path, content_type: str) -> None:
        opened(self.config).put_file(self.config.heatmaps, self._key(name), local, content_type)

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

    def keep_only(self, folders: tuple[str, ...], names: set[str]) -> None:
        storage, own = opened(self.config), self._key("")
        for folder in folders:
            listed = [info.key for info in storage.list(self.config.heatmaps, own + folder)]
            for key in listed:
                if key.removeprefix(own) not in names:
                    storage.delete(self.config.heatmaps, key)

    def _key(self, name: str) -> str:
        return batch_prefix(self.tenant, self.batch_id) + name


@cache
def opened(config: StorageConfig) -> Storage:
    """One for the process: S3 connections are kept."""
    return config.open()


RESULT_FOLDERS = ("heatmaps", "indices", "previews", "items")
"""Where a batch's results of images lie; files there that are none of its results are removed."""


@dataclass(frozen=True)
class FolderOutput:
    """A folder that all processes of the batch see."""

    folder: Path

    @property
    def place(self) -> str:
        return str(self.folder)

    def put_file(self, name: str, local: Path, content_type: str) -> None:
        def copy(target: BinaryIO) -> None:
            with local.open("rb") as source:
                shutil.copyfileobj(source, target)

        self._write(name, copy)

    def put_bytes(self, name: str, data: bytes, content_type: str) -> None:
        self._write(name, lambda target: target.write(data))

    def get_bytes(self, name: str) -> bytes:
        try:
            return (self.folder / name).read_bytes()
        except FileNotFoundError:
            raise NotFound(f"There is no {name} in {self.folder}.") from None

    def reuse(self, batch_id: UUID, files: dict[str, str]) -> bool:
        return all((self.folder / name).is_file() for name in files.values())

    def keep_only(self, folders: tuple[str, ...], names: set[str]) -> None:
        for folder in folders:
            for path in self._files(folder):
                if str(path.relative_to(self.folder)) not in names:
                    path.unlink(missing_ok=True)

    def _files(self, folder: str) -> Iterator[Path]:
        return (path for path in (self.folder / folder).glob("*") if path.is_file())

    def _write(self, name: str, write: Callable[[BinaryIO], object]) -> None:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, scratch = tempfile.mkstemp(dir=path.parent, prefix=".")
        try:
            with os.fdopen(handle, "wb") as target:
                write(target)
                target.flush()
                os.fsync(handle)
            Path(scratch).chmod(0o644)
            Path(scratch).replace(path)
        finally:
            Path(scratch).unlink(missing_ok=True)


def content_type_of(name: str) -> str:
    return FILE_TYPES[Path(name).suffix]
