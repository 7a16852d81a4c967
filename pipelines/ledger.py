"""The ledger of a batch: which images belong to it, which are done, and what was found. A job that was killed reads in it
what is still to do."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol
from uuid import UUID, uuid4

from orthoray.batches import BatchRequest, ItemRef, ItemResult, ItemRow
from orthoray.contracts import DEFAULT_TENANT
from orthoray.errors import BadInput
from pipelines.output import RESULT_FOLDERS
from pipelines.services import ask, batches

# Rows of one call.
PAGE = 200


class Ledger(Protocol):
    """The rows of one batch. Drivers and tasks on all nodes hold one and the same; it travels pickled.

    An item that is completed stays so until its content or the parameters change; what arrives twice changes nothing.
    """

    @property
    def batch_id(self) -> UUID: ...

    def open(self, request: BatchRequest, parameters: str, items: Sequence[ItemRef]) -> None:
        """The batch is under way, with these images and no others; those that failed wait again."""

    def waiting(self) -> set[str]:
        """The sources of the images that are not completed."""

    def start(self, item: ItemRef) -> int | None:
        """How many times work on this image began, this one included; None when there is nothing to do any more."""

    def find(self, key: str) -> ItemResult | None:
        """A result of the same content by the same parameters."""

    def complete(self, item: ItemRef, result: ItemResult) -> bool:
        """Whether this was the first result of the image."""

    def fail(self, item: ItemRef, reason: str) -> bool: ...

    def rows(self) -> Iterator[ItemRow]:
        """All images in the order of their sources."""

    def close(self, error: str | None = None) -> None:
        """The job is over."""


@dataclass(frozen=True)
class ServiceLedger:
    """The rows of the analysis-service, reached by Serve handles from any process of the cluster."""

    batch_id: UUID
    tenant: str = DEFAULT_TENANT

    def open(self, request: BatchRequest, parameters: str, items: Sequence[ItemRef]) -> None:
        listing = uuid4()
        ask(lambda: batches().open_batch(self.tenant, request))
        for first in range(0, len(items), PAGE):
            self._enlist(listing, parameters, [_ref(item) for item in items[first : first + PAGE]])
        ask(lambda: batches().end_listing(self.batch_id, listing))

    def _enlist(self, listing: UUID, parameters: str, items: list[ItemRef]) -> None:
        ask(lambda: batches().enlist(self.batch_id, listing, parameters, items))

    def waiting(self) -> set[str]:
        return set(ask(lambda: batches().waiting_items(self.batch_id)))

    def start(self, item: ItemRef) -> int | None:
        return ask(lambda: batches().start_item(self.batch_id, _ref(item)))

    def find(self, key: str) -> ItemResult | None:
        return ask(lambda: batches().find_result(self.tenant, key))

    def complete(self, item: ItemRef, result: ItemResult) -> bool:
        return ask(lambda: batches().complete_item(self.batch_id, _ref(item), result))

    def fail(self, item: ItemRef, reason: str) -> bool:
        return ask(lambda: batches().fail_item(self.batch_id, _ref(item), reason))

    def rows(self) -> Iterator[ItemRow]:
        page = self._page("")
        while page:
            yield from page
            page = self._page(page[-1].source)

    def _page(self, after: str) -> list[ItemRow]:
        return ask(lambda: batches().batch_items(self.batch_id, after, PAGE))

    def close(self, error: str | None = None) -> None:
        ask(lambda: batches().close_batch(self.batch_id, error))


def _ref(item: ItemRef) -> ItemRef:
    """An item is more than its reference, and only that travels to the service."""
    return ItemRef(source=item.source, version=item.version, name=item.name)


@dataclass(frozen=True)
class FileLedger:
    """Small JSON files in a folder that all processes of the batch see: for one machine, or a shared disk.

    Each image has a file for what it is and one for how it ended; a hard link is made or refused at once, so of two
    results one is the first.
    """

    folder: Path
    batch_id: UUID

    def open(self, request: BatchRequest, parameters: str, items: Sequence[ItemRef]) -> None:
        """
        Raises:
            BadInput: the folder is another batch's.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        owner = self.folder / "batch"
        if _read(owner) not in {None, str(self.batch_id)}:
            raise BadInput(
                f"{self.folder.parent} holds the results of another batch (of other images, or another index): "
                "choose another folder."
            )
        if _read(owner) is None and (taken := self._foreign()):
            raise BadInput(
                f"{taken} holds files that are no batch's, and a batch removes what is not its own: choose another folder."
            )
        _write(owner, str(self.batch_id))
        names = set()
        for item in items:
            name = _file_name(item.source)
            names.add(name)
            entry = f"{parameters}\n{_ref(item).model_dump_json()}"
            path, end = self.folder / f"{name}.item", self.folder / f"{name}.end"
            ended = _read(end)
            if _read(path) != entry or (ended and ItemRow.model_validate_json(ended).status == "failed"):
                end.unlink(missing_ok=True)
            (self.folder / f"{name}.begun").unlink(missing_ok=True)
            _write(path, entry)
        for path in self.folder.glob("*.*"):
            if path.suffix in {".item", ".end", ".begun"} and path.stem not in names:
                path.unlink(missing_ok=True)

    def _foreign(self) -> Path | None:
        """A folder for results that is in use, where there was no batch yet."""
        folders = (self.folder.parent / name for name in RESULT_FOLDERS)
        return next((folder for folder in folders if folder.is_dir() and any(folder.iterdir())), None)

    def waiting(self) -> set[str]:
        return {row.source for row in self.rows() if row.status != "completed"}

    def start(self, item: ItemRef) -> int | None:
        name = _file_name(item.source)
        if self._item(name) != _ref(item) or (self.folder / f"{name}.end").exists():
            return None
        begun = self.folder / f"{name}.begun"
        with begun.open("a") as file:
            file.write(".")
        return begun.stat().st_size

    def find(self, key: str) -> ItemResult | None:
        text = _read(self.folder / f"{key}.result")
        return ItemResult.model_validate_json(text) if text else None

    def complete(self, item: ItemRef, result: ItemResult) -> bool:
        _write(self.folder / f"{result.key}.result", result.model_dump_json())
        return self._end(item, ItemRow(**_ref(item).model_dump(), status="completed", result=result))

    def fail(self, item: ItemRef, reason: str) -> bool:
        return self._end(item, ItemRow(**_ref(item).model_dump(), status="failed", error=reason))

    def _end(self, item: ItemRef, row: ItemRow) -> bool:
        name = _file_name(item.source)
        return self._item(name) == _ref(item) and _write(
            self.folder / f"{name}.end", row.model_dump_json(), replace=False
        )

    def _item(self, name: str) -> ItemRef | None:
        text = _read(self.folder / f"{name}.item")
        return ItemRef.model_validate_json(text.partition("\n")[2]) if text else None

    def rows(self) -> Iterator[ItemRow]:
        items = {path.stem: self._item(path.stem) for path in self.folder.glob("*.item")}
        for name, item in sorted(items.items(), key=lambda entry: entry[1].source if entry[1] else ""):
            if item is not None:
                text = _read(self.folder / f"{name}.end")
                begun = (self.folder / f"{name}.begun").exists()
                yield (
                    ItemRow.model_validate_json(text)
                    if text
                    else ItemRow(**item.model_dump(), status="processing" if begun else "waiting")
                )

    def close(self, error: str | None = None) -> None:
        """Nothing: the rows say it all."""


def _file_name(source: str) -> str:
    return hashlib.sha256(source.encode(errors="surrogateescape")).hexdigest()[:32]


def _read(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None


def _write(path: Path, text: str, *, replace: bool = True) -> bool:
    """Whole or not at all; without `replace` False where there is one already."""
    handle, scratch = tempfile.mkstemp(dir=path.parent, prefix=".")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(handle)
        if replace:
            Path(scratch).replace(path)
        else:
            os.link(scratch, path)
    except FileExistsError:
        return False
    finally:
        Path(scratch).unlink(missing_ok=True)
    return True
