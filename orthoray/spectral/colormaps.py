"""Colour maps as data, and the palettes made of them.

Palette index 0 is always the invalid pixel; indices 1..255 are the colours from low to high.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from orthoray.errors import Impossible

# fit for colour-blind readers, and as even in grey
DEFAULT = "viridis"
REVERSED = "_r"

_COLOURS = 255


def _anchors(text: str) -> tuple[str, ...]:
    return tuple(text.split())


COLOUR_MAPS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        # ColorBrewer 2.0 (Brewer, Harrower; Apache-2.0); low is red, high is green
        "rdylgn": _anchors("a50026 d73027 f46d43 fdae61 fee08b ffffbf d9ef8b a6d96a 66bd63 1a9850 006837"),
        # Matplotlib (Smith, van der Walt; CC0)
        "viridis": _anchors("440154 482475 414487 355f8d 2a788e 21918c 22a884 44bf70 7ad151 bddf26 fde725"),
        # Nunez, Anderton, Renslow 2018, https://doi.org/10.1371/journal.pone.0199239 (CC0)
        "cividis": _anchors(
            "00224e 002e6a 1a386f 32436d 434e6c 535a6d 61656f 6f7073 7d7c78 8b8778 9a9376 aaa073 bbad6d "
            "ccba64 ddc858 efd748 fee838"
        ),
        # Matplotlib
        "magma": _anchors(
            "000004 0a0822 1d1147 36106b 51127c 6a1c81 832681 9c2e7f b73779 cf4070 e55064 f4695c fb8761 "
            "fea571 fec287 fde0a1 fcfdbf"
        ),
        "plasma": _anchors(
            "0d0887 310597 4c02a1 6600a7 7e03a8 9511a1 aa2395 bc3587 cc4778 d9586a e56b5d f07f4f f89441 "
            "fdab33 fdc328 f9dd25 f0f921"
        ),
        "inferno": _anchors(
            "000004 0b0724 210c4a 3d0965 57106e 71196e 8a226a a32c61 bc3754 d04545 e35933 f1711f f98c0a "
            "fcaa0f f9c932 f2e865 fcffa4"
        ),
        # ColorBrewer
        "spectral": _anchors("9e0142 d53e4f f46d43 fdae61 fee08b ffffbf e6f598 abdda4 66c2a5 3288bd 5e4fa2"),
        "ylgn": _anchors("ffffe5 f7fcb9 d9f0a3 addd8e 78c679 41ab5d 238443 006837 004529"),
        "brbg": _anchors("543005 8c510a bf812d dfc27d f6e8c3 f5f5f5 c7eae5 80cdc1 35978f 01665e 003c30"),
        "rdbu": _anchors("67001f b2182b d6604d f4a582 fddbc7 f7f7f7 d1e5f0 92c5de 4393c3 2166ac 053061"),
        # equal red, green and blue
        "gray": _anchors("000000 808080 ffffff"),
        # OpenCV's COLORMAP_JET (Apache-2.0) with red and blue swapped, the look of the legacy heatmaps
        "jet_legacy": _anchors("800000 ff0000 ff8000 ffff00 80ff80 00ffff 0080ff 0000ff 000080"),
    }
)
"""By name, evenly spaced anchors (sRGB, `rrggbb`) from low to high, interpolated linearly; `NAME_r` is each of them
from high to low."""


def check_colour_map(name: str) -> str:
    """The colour map's name as this module spells it, from any case.

    Raises:
        Impossible: there is no such colour map, forward or reversed (`NAME_r`).
    """
    wanted = name.strip().lower()
    if wanted.removesuffix(REVERSED) in COLOUR_MAPS:
        return wanted
    known = ", ".join(COLOUR_MAPS)
    raise Impossible(
        f"There is no colour map of this name: choose one of {known}, or one of them reversed, such as viridis_r.",
        known=[*COLOUR_MAPS],
    )


def anchors_of(name: str) -> tuple[str, ...]:
    """The anchors (`rrggbb`) of a colour map or a reversed one, from low to high. Raises as `check_colour_map`."""
    wanted = check_colour_map(name)
    anchors = COLOUR_MAPS[wanted.removesuffix(REVERSED)]
    return anchors[::-1] if wanted.endswith(REVERSED) else anchors


def palette(name: str) -> NDArray[np.uint8]:
    """The 256 colours of a colour map: uint8 (256, 3) sRGB, row 0 (black) for invalid pixels; not writable.

    Raises:
        Impossible: there is no such colour map.
    """
    return _palette(anchors_of(name))


@cache
def _palette(anchors: tuple[str, ...]) -> NDArray[np.uint8]:
    colours = np.array([list(bytes.fromhex(anchor)) for anchor in anchors], dtype=np.float64)
    at = np.linspace(0.0, len(colours) - 1.0, _COLOURS)
    table = np.zeros((256, 3), dtype=np.uint8)
    for channel in range(3):
        table[1:, channel] = np.rint(np.interp(at, np.arange(len(colours)), colours[:, channel]))
    table.flags.writeable = False
    return table
