"""The image formats that OrthoRay reads, told apart by their first bytes and never by their names."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from orthoray.errors import NotAnImage


@dataclass(frozen=True)
class Format:
    """A file format: its GDAL driver, its media type and the greatest size that is accepted."""

    driver: str
    media_type: str
    magic: tuple[bytes, ...]
    max_pixels: int


# TIFF is read block by block, so its limit guards time and disk; the others are decoded from the top
# for every jump backwards and some of their variants (progressive, interlaced) live whole in memory.
TIFF = Format("GTiff", "image/tiff", (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"), 4_000_000_000)
JPEG = Format("JPEG", "image/jpeg", (b"\xff\xd8\xff",), 300_000_000)
PNG = Format("PNG", "image/png", (b"\x89PNG\r\n\x1a\n",), 300_000_000)
BMP = Format("BMP", "image/bmp", (b"BM",), 300_000_000)
FORMATS = (TIFF, JPEG, PNG, BMP)


def detect_format(path: Path) -> Format:
    """The format of the file at `path`.

    Raises `NotAnImage` where the file is empty or begins like none of the formats; `OSError` where it
    cannot be read at all.
    """
    with Path(path).open("rb") as file:
        head = file.read(16)
    if not head:
        raise NotAnImage("The file is empty: upload it again.")
    for candidate in FORMATS:
        if head.startswith(candidate.magic):
            return candidate
    raise NotAnImage
