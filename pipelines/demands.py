"""The memory that one process needs to analyse an image: one rule for single runs and for the images of batches."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import PurePath

from pipelines.planning import old_indices

# What an image of any size takes that is read by windows, Python and its libraries included; what a photo, which is decoded as
# a whole, takes more for each pixel; and what a deployment's own `OLD` takes that computes one.
TASK_BYTES, PHOTO_BYTES_PER_PIXEL, OLD_BYTES_PER_PIXEL = 350_000_000, 12, 30
_BY_WINDOWS = frozenset({".tif", ".tiff"})


def analysis_memory(index_type: str, pixels: int, *, by_windows: bool) -> int:
    """Bytes for an image of so many pixels; `by_windows` where all of its files are TIFFs."""
    by_old = index_type.strip().lower() in {name.lower() for name in old_indices()}
    each = OLD_BYTES_PER_PIXEL if by_old else 0 if by_windows else PHOTO_BYTES_PER_PIXEL
    return TASK_BYTES + each * pixels


def are_tiffs(names: Iterable[str]) -> bool:
    """Whether all files are TIFFs by their names."""
    return all(PurePath(name).suffix.lower() in _BY_WINDOWS for name in names)
