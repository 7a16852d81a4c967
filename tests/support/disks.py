"""A disk that tests can fill without writing to it."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Disk:
    """A file system in memory."""

    path: Path

    @contextmanager
    def full(self, left_kb: int) -> Iterator[None]:
        """As long as the block lasts hardly anything more goes in."""
        before = self._size_kb()
        room = os.statvfs(self.path)
        used_kb = before - room.f_bavail * room.f_frsize // 1024
        self._resize(used_kb + left_kb)
        try:
            yield
        finally:
            self._resize(before)

    def _size_kb(self) -> int:
        room = os.statvfs(self.path)
        return room.f_blocks * room.f_frsize // 1024

    def _resize(self, kb: int) -> None:
        mount = ["mount", "-o", f"remount,size={kb}k", str(self.path)]
        subprocess.run(mount, check=True)
