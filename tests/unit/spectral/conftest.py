"""Rasters to test with, each built by its own test."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import rasterio
from rasterio.enums import ColorInterp
from rasterio.errors import NotGeoreferencedWarning

from orthoray.spectral.loops import load_compiled

WriteTiff = Callable[..., Path]
EditTiff = Callable[[Path], AbstractContextManager[Any]]


@pytest.fixture(autouse=True, scope="session")
def _compiled_loops() -> None:
    """As in a worker; `test_loops` shows that the plain ones do the same."""
    load_compiled()


@pytest.fixture
def write_tiff(tmp_path: Path) -> WriteTiff:
    """Write bands, (count, rows, columns) or (rows, columns), to a GeoTIFF in tmp_path."""

    def write(
        bands: npt.NDArray[Any],
        name: str = "image.tif",
        *,
        colours: tuple[str, ...] = (),
        descriptions: tuple[str, ...] = (),
        mask: npt.NDArray[np.bool_] | None = None,
        **profile: Any,
    ) -> Path:
        stack = bands if bands.ndim == 3 else bands[None]
        path = tmp_path / name
        options = {
            "driver": "GTiff",
            "count": stack.shape[0],
            "height": stack.shape[1],
            "width": stack.shape[2],
            "dtype": stack.dtype.name,
            # GDAL takes four bytes for RGB and alpha unless told that they are plain bands
            "photometric": "MINISBLACK",
        }
        with (
            rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True, GDAL_PAM_ENABLED="NO"),
            warnings.catch_warnings(),
        ):
            warnings.simplefilter("ignore", NotGeoreferencedWarning)
            with rasterio.open(path, "w", **(options | profile)) as dataset:
                if colours:
                    dataset.colorinterp = [ColorInterp[colour] for colour in colours]
                dataset.write(stack)
                for number, text in enumerate(descriptions, start=1):
                    dataset.set_band_description(number, text)
                if mask is not None:
                    dataset.write_mask(~mask)
        return path

    return write


@pytest.fixture
def edit_tiff() -> EditTiff:
    """Open a GeoTIFF to change it in place."""

    @contextmanager
    def edit(path: Path) -> Iterator[Any]:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", NotGeoreferencedWarning)
            with rasterio.open(path, "r+") as dataset:
                yield dataset

    return edit


@pytest.fixture
def sample() -> Callable[[str], Path]:
    """A real image from the folder of samples beside the repository; skips where there is none."""

    def find(name: str) -> Path:
        path = Path(__file__).parents[4] / "shared" / "data" / name
        if not path.exists():
            pytest.skip(f"needs the sample {name}")
        return path

    return find
