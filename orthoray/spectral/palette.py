"""Rasters whose pixels are numbers of a colour table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from orthoray.spectral.masks import Mask, apply_rules, joined, mask_rules, read_mask_band


def is_palette(dataset: Any) -> bool:
    """Whether the pixels of an open raster are numbers of a colour table."""
    return bool(dataset.count == 1 and dataset.colorinterp[0].name == "palette")


def colour_table(dataset: Any) -> npt.NDArray[np.uint8]:
    """The colour table, uint8 (entries, 3), or (entries, 4) where an entry is not opaque."""
    entries = dataset.colormap(1)
    size = np.iinfo(np.dtype(dataset.dtypes[0])).max + 1
    table = np.zeros((size, 4), dtype=np.uint8)
    table[:, 3] = 255
    for value, colour in entries.items():
        table[value] = colour
    return table if (table[:, 3] < 255).any() else table[:, :3]


def read_palette(
    dataset: Any, window: Any, numbers: Sequence[int]
) -> tuple[list[npt.NDArray[Any]], Mask | None]:
    """Channels 1..4 (red, green, blue, alpha) of the colours, uint8, and their mask.

    Masked are nodata (a number of the table), entries that are wholly transparent, and the file's own mask.
    """
    rules = mask_rules(dataset, [1])
    values = dataset.read(1, window=window)
    table = colour_table(dataset)
    masked = joined(apply_rules(rules, [values]), read_mask_band(dataset, window, rules))
    if table.shape[1] == 4:
        masked = joined(masked, table[values, 3] == 0)
    return [table[values, number - 1] for number in numbers], masked
