"""Small facts that survive a restart (ports, passwords), as JSON files that only their owner reads."""

from __future__ import annotations

import errno
import json
import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from orthoray.errors import ConfigurationError

DISK_FULL = "The disk that holds ORTHORAY_HOME is full: free some space and start again."


def load(path: Path) -> dict[str, Any]:
    """The facts in the file; none when there is no file.

    Raises:
        ConfigurationError: the file is damaged.
    """
    try:
        facts = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except ValueError:
        facts = None
    if not isinstance(facts, dict):
        raise ConfigurationError(
            f"The file {path.name} in ORTHORAY_HOME is damaged: restore it from a backup, "
            "or set ORTHORAY_HOME to a new folder."
        )
    return facts


def save(path: Path, facts: Mapping[str, Any]) -> None:
    """Replace the file at once and durably, readable by its owner only (0600, in a folder of 0700)."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as target:
            json.dump(facts, target, indent=1)
            target.flush()
            os.fsync(handle)
        Path(name).replace(path)
        sync_folder(path.parent)
    finally:
        Path(name).unlink(missing_ok=True)


def sync_folder(folder: Path) -> None:
    """Make the renames in a folder durable."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def home_errors() -> Iterator[None]:
    """Say in one line what is wrong with the home when the operating system refuses something there."""
    try:
        yield
    except OSError as error:
        if error.errno in {errno.ENOSPC, errno.EDQUOT}:
            raise ConfigurationError(DISK_FULL) from error
        raise ConfigurationError(
            f"ORTHORAY_HOME cannot be used ({os.strerror(error.errno or errno.EIO)}): "
            "set it to a folder that belongs to you."
        ) from error
