"""The image formats that OrthoRay reads, told apart by their content and never by their names."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from orthoray.errors import NotAnImage, TruncatedImage
from orthoray.spectral import tiff


@dataclass(frozen=True)
class Format:
    """A file format: its GDAL driver, its media type and the greatest size that is accepted."""

    driver: str
    media_type: str
    magic: tuple[bytes, ...]
    max_pixels: int

    @property
    def is_raw(self) -> bool:
        """Whether it is a camera's raw file, which LibRaw develops before GDAL can read it."""
        return self.driver == "RAW"


# TIFF is read block by block, so its limit guards time and disk; JPEG, PNG and BMP are decoded from the top
# for every jump backwards and some of their variants (progressive, interlaced) live whole in memory.
TIFF = Format("GTiff", "image/tiff", (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"), 4_000_000_000)
JPEG = Format("JPEG", "image/jpeg", (b"\xff\xd8\xff",), 300_000_000)
PNG = Format("PNG", "image/png", (b"\x89PNG\r\n\x1a\n",), 300_000_000)
BMP = Format("BMP", "image/bmp", (b"BM",), 300_000_000)
# Read by tiles like TIFF, but decoded ten times slower. J2K is the same codestream without the boxes around it.
JP2 = Format("JP2OpenJPEG", "image/jp2", (b"\0\0\0\x0cjP  \r\n\x87\n",), 1_000_000_000)
J2K = Format("JP2OpenJPEG", "image/j2c", (b"\xff\x4f\xff\x51",), 1_000_000_000)
# LibRaw holds a whole picture, some 14 bytes a pixel; the largest cameras that fly have 151 megapixels. The
# media types are those of freedesktop.org's shared-mime-info, for IANA knows only that of DNG.
_RAW_PIXELS = 160_000_000
DNG = Format("RAW", "image/x-adobe-dng", (), _RAW_PIXELS)
NEF = Format("RAW", "image/x-nikon-nef", (), _RAW_PIXELS)
ARW = Format("RAW", "image/x-sony-arw", (), _RAW_PIXELS)
CR2 = Format("RAW", "image/x-canon-cr2", (b"II*\0\x10\0\0\0CR\2\0",), _RAW_PIXELS)
RW2 = Format("RAW", "image/x-panasonic-rw2", (b"IIU\0",), _RAW_PIXELS)
OTHER_RAW = Format("RAW", "image/x-dcraw", (), _RAW_PIXELS)
# CR2 before TIFF, whose magic it shares
FORMATS = (CR2, RW2, TIFF, JPEG, PNG, BMP, JP2, J2K)

_RAW_OF_MAKE = {"NIKON": NEF, "SONY": ARW}


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
                return (_camera_raw(file) or TIFF) if candidate is TIFF else candidate
    raise NotAnImage


def _camera_raw(file: BinaryIO) -> Format | None:
    """The raw format that wears the shell of a TIFF; None where the file is a TIFF indeed, or too broken to tell."""
    size = file.seek(0, 2)
    try:
        main = next(tiff.directories(file, size, tiff.KIND_TAGS))
    except TruncatedImage:
        return None
    if tiff.DNG_VERSION in main.fields:
        return DNG
    if main.is_preview or tiff.COLOR_FILTER_ARRAY in main.fields.get(tiff.PHOTOMETRIC, ()):
        make = main.text(tiff.MAKE).upper()
        return next((kind for name, kind in _RAW_OF_MAKE.items() if make.startswith(name)), OTHER_RAW)
    return None
