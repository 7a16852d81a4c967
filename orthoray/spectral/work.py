"""What has to be known to compute an index from bands, and how their files are opened for it."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from orthoray.errors import TooLarge
from orthoray.spectral.bands import BandMap
from orthoray.spectral.calibration import Calibration
from orthoray.spectral.indices import Index
from orthoray.spectral.kernel import PIECE_SIDE, Background, Recipe, recipe_for
from orthoray.spectral.orientation import UPRIGHT, upright_copy
from orthoray.spectral.raster import RasterInfo
from orthoray.spectral.reader import open_bands
from orthoray.spectral.sources import BandSource
from orthoray.spectral.stack import Stack, inspect_stack
from orthoray.spectral.tiles import read_layout

# A strip or tile that is higher would be decoded again for each of the windows that meet in it.
_TALLEST_BLOCK = 1024
# Below this, decoding again is cheaper than a copy.
_SMALL_PIXELS = 1_000_000
# Rows of strips that are read at once, of the bands in use, have at most so many bytes.
_MOST_READ = 64 * 1024 * 1024
# A copy larger than this would fill the disks of small machines.
_MOST_COPIED = 64 * 1024 * 1024 * 1024


@dataclass(frozen=True)
class BandWork:
    """An index and the bands that it is computed from. It pickles; a process elsewhere needs the files under the paths
    of the stack."""

    stack: Stack
    index: Index
    band_map: BandMap
    calibration: Calibration
    background: Background | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """The bands that are read."""
        background = self.background.index.bands if self.background else ()
        return tuple(dict.fromkeys((*self.index.bands, *background)))

    @property
    def numbers(self) -> tuple[tuple[int, ...], ...]:
        """For each file of the stack the 1-based numbers of the bands that are read of it."""
        wanted = [self.band_map.numbers[name] for name in self.names]
        if self.band_map.alpha is not None:
            wanted.append(self.band_map.alpha)
        located = [self.stack.locate(number) for number in wanted]
        return tuple(
            tuple(number for file, number in located if file == place)
            for place in range(len(self.stack.files))
        )

    @property
    def reads_by_windows(self) -> bool:
        """Whether windows can be read in any order without decoding blocks of the files again and again."""
        parts = zip(self.stack.files, self.stack.infos, self.numbers, strict=True)
        return all(_is_random(path, info, len(numbers)) for path, info, numbers in parts if numbers)

    @contextmanager
    def readable(self) -> Iterator[BandWork]:
        """The same; with copies of the bands of those files that cannot be read by windows.

        Raises `TooLarge` where the copy would be.
        """
        stack = self.stack
        with ExitStack() as temporary:
            files = list(stack.files)
            parts = zip(stack.files, stack.infos, self.numbers, strict=True)
            for place, (path, info, numbers) in enumerate(parts):
                if not numbers or _is_random(path, info, len(numbers)):
                    continue
                size = info.width * info.height * np.dtype(info.dtype).itemsize * len(numbers)
                if size > _MOST_COPIED:
                    raise TooLarge(
                        "The image is stored so that it has to be unpacked: save it as a tiled TIFF."
                    )
                folder = temporary.enter_context(tempfile.TemporaryDirectory(prefix="orthoray-unpacked-"))
                files[place] = Path(folder) / "unpacked.tif"
                upright_copy(path, UPRIGHT, files[place], numbers=numbers)
            if files == list(stack.files):
                yield self
            else:
                yield replace(self, stack=inspect_stack(files, stack.filenames, masks=stack.masks))

    def recipe(self) -> Recipe:
        """How the index is computed of the stored pixels."""
        numbers, stack, calibration = self.band_map.numbers, self.stack, self.calibration
        return recipe_for(
            self.index,
            {name: stack.infos[stack.locate(number)[0]].dtype for name, number in numbers.items()},
            {
                name: (calibration.scales[number - 1], calibration.offsets[number - 1])
                for name, number in numbers.items()
            },
            is_reflectance=calibration.state != "dn",
            background=self.background,
        )

    @contextmanager
    def open(self) -> Iterator[BandSource]:
        """The values of the index from the open files of the stack."""
        recipe, stack = self.recipe(), self.stack
        located = [stack.locate(self.band_map.numbers[name]) for name in recipe.names]
        with open_bands(stack.files, stack.infos, located, self.band_map.alpha, stack.masks) as reader:
            yield BandSource(reader, recipe)


def _is_random(path: Path, info: RasterInfo, bands: int) -> bool:
    """Whether windows of a file can be read in any order without decoding its blocks again and again."""
    if info.width * info.height <= _SMALL_PIXELS:
        return True
    row = info.width * np.dtype(info.dtype).itemsize * bands
    if not info.tiled and row * PIECE_SIDE > _MOST_READ:
        return False
    is_low = info.driver == "GTiff" and info.block_height <= _TALLEST_BLOCK
    return is_low or read_layout(path, info) is not None
