"""Masks that lie in files of their own beside their images, as GDAL writes them: `field.tif.msk` masks `field.tif`.

Such a file is a TIFF of the image's size, with one band for all of the image's bands or one for each. Where it is 0
there is no data (https://gdal.org/development/rfc/rfc15_nodatabitmask.html).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from orthoray.errors import Impossible, TooLarge
from orthoray.spectral.raster import PathLike, RasterInfo, inspect

SUFFIX = ".msk"
# Masks are read where they lie, in windows and by several threads, so none of their blocks may be large.
MAX_BLOCK_BYTES = 64 * 1024 * 1024


def is_mask(filename: str) -> bool:
    """Whether a file of this name is the mask of another."""
    return filename.casefold().endswith(SUFFIX)


def pair_masks(filenames: Sequence[str]) -> dict[int, int | None]:
    """The places of the images among `filenames`, in their order, each with the place of its mask or None.

    Raises `Impossible` for a mask without its image, a second mask of one image, and a mask whose image's name
    two images have; case does not count.
    """
    images: dict[int, int | None] = {place: None for place, name in enumerate(filenames) if not is_mask(name)}
    for place, name in enumerate(filenames):
        if not is_mask(name):
            continue
        image = name[: -len(SUFFIX)]
        owners = [owner for owner in images if filenames[owner].casefold() == image.casefold()]
        if not owners:
            raise Impossible(
                f"{name} is a mask, and its image is missing: send {image or 'the image'} and its mask "
                "together, the mask named as the image with .msk behind it.",
                files=[name],
            )
        if len(owners) > 1:
            raise Impossible(
                f"{name} may mask each of the {len(owners)} files called {image}: give them names that differ.",
                files=[name],
            )
        if images[owners[0]] is not None:
            raise Impossible(f"{image} has two masks: send {name} once.", files=[name])
        images[owners[0]] = place
    return images


def split_masks(
    paths: Sequence[Path], filenames: Sequence[str]
) -> tuple[list[Path], list[str], list[Path | None]]:
    """The images among the files, their names, and the mask or None of each. Raises as `pair_masks`."""
    pairs = pair_masks(filenames)
    return (
        [paths[image] for image in pairs],
        [filenames[image] for image in pairs],
        [None if mask is None else paths[mask] for mask in pairs.values()],
    )


def with_masks(paths: Sequence[Path]) -> list[Path]:
    """The files, and behind them the masks that lie beside them on disk; one given with the files comes first."""
    given = {path.name.casefold() for path in paths}
    beside = [path.with_name(path.name + SUFFIX) for path in paths if not is_mask(path.name)]
    return [*paths, *(path for path in beside if path.name.casefold() not in given and path.is_file())]


def inspect_mask(
    path: PathLike, image: RasterInfo, name: str, *, max_pixels: int | None = None
) -> RasterInfo:
    """Describe the mask file of the image that is called `name`, without reading its pixels.

    Raises what `inspect` raises, `Impossible` where it is no TIFF, has a colour table (as GDAL gives files of 1 bit)
    or fits the image neither in size nor in its
    number of bands, and `TooLarge` where it is stored in blocks of more than 64 MiB.
    """
    mask = inspect(path, max_pixels=max_pixels)
    own = name + SUFFIX
    if mask.driver != "GTiff" or mask.palette:
        raise Impossible(
            f"{own} is not a mask as GDAL writes it, a TIFF of 8 bits without colours that is 0 where there is no data."
        )
    if (mask.width, mask.height) != (image.width, image.height):
        sizes = f"{mask.width} x {mask.height}", f"{image.width} x {image.height}"
        raise Impossible(
            f"{own} and {name} differ in size: {sizes[0]} and {sizes[1]} pixels. "
            "A mask lies on its image pixel on pixel: write it again for this image.",
            files=[own, name],
            values=list(sizes),
        )
    if mask.count not in {1, image.count}:
        raise Impossible(
            f"{own} has {mask.count} bands and {name} has {image.count}: a mask has one band for all bands, or "
            "one for each.",
            files=[own, name],
        )
    bands = mask.count if mask.interleave == "pixel" else 1
    if mask.block_width * mask.block_height * bands * np.dtype(mask.dtype).itemsize > MAX_BLOCK_BYTES:
        raise TooLarge(f"{own} is stored in blocks that are too large: write it in tiles of 512 x 512.")
    return mask


def mask_numbers(mask: RasterInfo, numbers: Sequence[int]) -> tuple[int, ...]:
    """Which 1-based bands of a mask file mask the bands `numbers` of its image."""
    return (1,) if mask.count == 1 else tuple(dict.fromkeys(numbers))
