"""Silence for libraries that warn of what is expected here."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

# The warning filters belong to the process: two threads that save and restore them at the same time
# would undo each other's.
_LOCK = threading.RLock()


@contextmanager
def without(category: type[Warning]) -> Iterator[None]:
    """Ignore warnings of `category` inside the block; keep it short, other threads wait for it."""
    with _LOCK, warnings.catch_warnings():
        warnings.simplefilter("ignore", category)
        yield
