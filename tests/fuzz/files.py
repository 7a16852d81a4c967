"""Coverage-guided fuzzing of the parsers of image files that are ours; not part of any test run.

    .venv/bin/python -m pip install atheris
    .venv/bin/python tests/fuzz/files.py -max_total_time=600 FOLDER_FOR_FINDINGS

What it finds is written to a file `crash-...`: give that file as the argument to see it again, and make a test of it.
"""

from __future__ import annotations

import io
import sys
import tempfile
from contextlib import suppress
from pathlib import Path

import atheris  # type: ignore[import-not-found]  # not a dependency: it is installed for this alone

with atheris.instrument_imports(include=["orthoray"]):
    from orthoray.errors import OrthoRayError
    from orthoray.spectral import jp2, tiff
    from orthoray.spectral.metadata import read_metadata

SCRATCH = Path(tempfile.mkdtemp(prefix="orthoray-fuzz-")) / "image"


def one_input(data: bytes) -> None:
    """Whatever the bytes are, they are read or refused."""
    file, size = io.BytesIO(data), len(data)
    with suppress(OrthoRayError):
        list(tiff.directories(file, size))
    with suppress(OrthoRayError):
        tiff.block_trailer(io.BytesIO(data))
    with suppress(OrthoRayError):
        jp2.read_header(io.BytesIO(data), size)
    with suppress(OrthoRayError):
        jp2.check_parts(io.BytesIO(data), size)
    SCRATCH.write_bytes(data)
    with suppress(OrthoRayError):
        read_metadata(SCRATCH)


if __name__ == "__main__":
    atheris.Setup(sys.argv, one_input)
    atheris.Fuzz()
