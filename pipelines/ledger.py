"""The ledger of a batch: which images belong to it, which are done, and what was found. A job that was killed reads in it
what is still to do."""

from __future__ import annotations

import fcntl
import hashlib
import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol
from uuid import UUID, uuid4

from orthoray.batches import SUPERSEDED, BatchRequest, ItemRef, ItemResult, ItemRow, Listing
from orthoray.contracts import DEFAULT_TENANT
from orthoray.errors import BadInput, WrongState
from pipelines.output import RESULT_FOLDERS
from pipelines.services import ask, batches

# Rows of one call.
PAGE = 200


class Ledger(Protocol):
    """The rows of one batch. Drivers and tasks on all nodes hold one and the same; it travels pickled.

    An item that is completed stays so until its content or the parameters change; what arrives twice changes nothing. A
    batch has one driver: the last that opened it. One before it begins no image any more and removes nothing; what it has
    computed counts.
    """

    @property
    def batch_id(self) -> UUID: ...

    def opened(self, request: BatchRequest, parameters: str, items: Sequence[ItemRef]) -> Ledger:
        """This ledger in the hands of a new driver: the batch is under way, with these images and no others; those that
        failed wait again. The methods that change rows are the new ledger's alone.

        Raises:
            WrongState: yet another driver opened it meanwhile.
        """

    def beat(self) -> bool:
        """A sign of life of the driver; whether the batch is still its own."""

    def waiting(self) -> set[str]:
        """The sources of the images that are not completed."""

    def start(self, item: ItemRef) -> int | None:
        """How many times work on this image began, this one included; None when there is nothing to do any more."""

    def find(self, key: str) -> ItemResult | None:
        """A result of the same content by the same parameters."""

    def complete(self, item: ItemRef, result: ItemResult) -> bool:
        """Whether this was the first result of the image."""

    def fail(self, item: ItemRef, reason: str, code: str) -> bool:
        """`code` is a word of `orthoray.errors.REASONS`."""

    def rows(self) -> Iterator[ItemRow]:
        """All images in the order of their sources."""

    def close(self, error: str | None = None) -> None:
        """The job is over.

        Raises:
            WrongState: the batch is another driver's.
        """


@dataclass(frozen=True)
class ServiceLedger:
    """The rows of the analysis-service, reached by Serve handles from any process of the cluster."""

    batch_id: UUID
    tenant: str = DEFAULT_TENANT
    listing: Listing | None = None

    def opened(self, request: BatchRequest, parameters: str, items: Sequence[ItemRef]) -> ServiceLedger:
        listing = Listing(batch_id=self.batch_id, id=uuid4(), parameters=parameters)
        ask(lambda: batches().open_batch(self.tenant, request, listing))
        for first in range(0, len(items), PAGE):
            self._enlist(listing, [_ref(item) for item in items[first : first + PAGE]])
        ask(lambda: batches().end_listing(listing))
        return replace(self, listing=listing)

    def _enlist(self, listing: Listing, items: list[ItemRef]) -> None:
        ask(lambda: batches().enlist(listing, items))

    def _own(self) -> Listing:
        assert self.listing is not None, "rows are changed by a ledger that was opened"
        return self.listing

    def beat(self) -> bool:
        return ask(lambda: batches().beat(self._own()))

    def waiting(self) -> set[str]:
        return set(ask(lambda: batches().waiting_items(self.batch_id)))

    def start(self, item: ItemRef) -> int | None:
        return ask(lambda: batches().start_item(self._own(), _ref(item)))

    def find(self, key: str) -> ItemResult | None:
        return ask(lambda: batches().find_result(self.tenant, key))

    def complete(self, item: ItemRef, result: ItemResult) -> bool:
        return ask(lambda: batches().complete_item(self._own(), _ref(item), result))

    def fail(self, item: ItemRef, reason: str, code: str) -> bool:
        return ask(lambda: batches().fail_item(self._own(), _ref(item), reason, code))

    def rows(self) -> Iterator[ItemRow]:
        page = self._page("")
        while page:
            yield from page
            page = self._page(page[-1].source)

    def _page(self, after: str) -> list[ItemRow]:
        return ask(lambda: batches().batch_items(self.batch_id, after, PAGE))

    def close(self, error: str | None = None) -> None:
        ask(lambda: batches().close_batch(self._own(), error))


def _ref(item: ItemRef) -> ItemRef:
    """Without what a task knows beside it, which is nothing to the service."""
    return ItemRef(source=item.source, version=item.version, name=item.name)


@dataclass(frozen=True)
class FileLedger:
    """Small JSON files in a folder that all processes of the batch see: for one machine, or a shared disk.

    Each image has a file for what it is, and one for how it ended, whose name tells of which content and parameters; a hard
    link is made or refused at once, so of two results one is the first. A file names the driver.
    """

    folder: Path
    batch_id: UUID
    listing: Listing | None = None

    def opened(self, request: BatchRequest, parameters: str, items: Sequence[ItemRef]) -> FileLedger:
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
        own = replace(self, listing=Listing(batch_id=self.batch_id, id=uuid4(), parameters=parameters))
        with own._alone():
            own._list(items)
        return own

    def _list(self, items: Sequence[ItemRef]) -> None:
        _write(self.folder / "driver", str(self._own().id))
        kept = set()
        for item in items:
            name, entry = _file_name(item.source), self._entry(item)
            path, end = self.folder / f"{name}.item", self.folder / _end_name(name, entry)
            ended = _read(end)
            if ended and ItemRow.model_validate_json(ended).status == "failed":
                end.unlink(missing_ok=True)
            (self.folder / f"{name}.begun").unlink(missing_ok=True)
            _write(path, entry)
            kept |= {path.name, end.name}
        for path in self.folder.glob("*.*"):
            if path.suffix in {".item", ".end", ".begun"} and path.name not in kept:
                path.unlink(missing_ok=True)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Two drivers that list at once would remove each other's rows. The lock goes with its process."""
        with (self.folder / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def _own(self) -> Listing:
        assert self.listing is not None, "rows are changed by a ledger that was opened"
        return self.listing

    def _foreign(self) -> Path | None:
        """A folder for results that is in use, where there was no batch yet."""
        folders = (self.folder.parent / name for name in RESULT_FOLDERS)
        return next((folder for folder in folders if folder.is_dir() and any(folder.iterdir())), None)

    def beat(self) -> bool:
        return _read(self.folder / "driver") == str(self._own().id)

    def waiting(self) -> set[str]:
        return {row.source for row in self.rows() if row.status != "completed"}

    def start(self, item: ItemRef) -> int | None:
        name, entry = _file_name(item.source), self._entry(item)
        if _read(self.folder / f"{name}.item") != entry or not self.beat():
            return None
        if (self.folder / _end_name(name, entry)).exists():
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

    def fail(self, item: ItemRef, reason: str, code: str) -> bool:
        return self.beat() and self._end(
            item, ItemRow(**_ref(item).model_dump(), status="failed", error=reason)
        )

    def _end(self, item: ItemRef, row: ItemRow) -> bool:
        name, entry = _file_name(item.source), self._entry(item)
        return _read(self.folder / f"{name}.item") == entry and _write(
            self.folder / _end_name(name, entry), row.model_dump_json(), replace=False
        )

    def _entry(self, item: ItemRef) -> str:
        return f"{self._own().parameters}\n{_ref(item).model_dump_json()}"

    def rows(self) -> Iterator[ItemRow]:
        found = []
        for path in self.folder.glob("*.item"):
            if entry := _read(path):
                item = ItemRef.model_validate_json(entry.partition("\n")[2])
                found.append((item.source, path.stem, _end_name(path.stem, entry)))
        for _, name, end in sorted(found):
            text = _read(self.folder / end)
            entry = _read(self.folder / f"{name}.item")
            if text:
                yield ItemRow.model_validate_json(text)
            elif entry:
                item = ItemRef.model_validate_json(entry.partition("\n")[2])
                begun = (self.folder / f"{name}.begun").exists()
                yield ItemRow(**item.model_dump(), status="processing" if begun else "waiting")

    def close(self, error: str | None = None) -> None:
        """Nothing is written: the rows say it all."""
        if not self.beat():
            raise WrongState(SUPERSEDED)


def _file_name(source: str) -> str:
    return hashlib.sha256(source.encode(errors="surrogateescape")).hexdigest()[:32]


def _end_name(name: str, entry: str) -> str:
    return f"{name}-{hashlib.sha256(entry.encode()).hexdigest()[:16]}.end"


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
