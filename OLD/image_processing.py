"""Photo in; six RGB indices, a heatmap and a verdict out."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import rawpy
from numpy.typing import ArrayLike, NDArray

from orthoray.errors import OrthoRayError, TruncatedImage
from orthoray.spectral.integrity import check_complete
from orthoray.spectral.legacy import LegacyIndices, classify_legacy, write_legacy_heatmap
from orthoray.spectral.metadata import read_metadata
from orthoray.spectral.orientation import UPRIGHT
from orthoray.spectral.photo import decode_photo, decode_whole
from orthoray.spectral.threads import run_together

_RAW_SUFFIXES = frozenset({".raw", ".dng", ".nef", ".cr2", ".arw"})


REFUSES_INCOMPLETE = True
"""That `load_image` raises for files that were cut short, so that nobody has to look before."""

PLAIN_HEATMAPS = True
"""That `generate_heatmap` draws as `orthoray.spectral.legacy` does, so that small copies need no decoding."""


def load_image(file_path: str | os.PathLike[str]) -> NDArray[np.uint8]:
    """The photo as uint8 (H, W, 3), RGB, turned as its EXIF orientation says; 16 bits are scaled to 8.

    JPG, PNG, BMP and TIFF are read by OpenCV; `.raw .dng .nef .cr2 .arw` (any case) by LibRaw.

    Raises:
        RuntimeError: the file is missing, empty, cut short, damaged or of another format (in Russian).
    """
    path = Path(file_path)
    try:
        image = _load_raw(path) if path.suffix.lower() in _RAW_SUFFIXES else _load_picture(path)
    except TruncatedImage as error:
        raise RuntimeError(
            f"Файл «{path.name}» обрезан или поврежден: скопируйте его с камеры заново."
        ) from error
    except OSError as error:
        raise RuntimeError(
            f"Не удалось открыть файл «{path.name}»: проверьте, что он существует и доступен для чтения."
        ) from error
    except (OrthoRayError, cv2.error, rawpy.LibRawError) as error:
        raise RuntimeError(_unreadable(path)) from error
    if image is None or image.size == 0:
        raise RuntimeError(_unreadable(path))
    return image


def _unreadable(path: Path) -> str:
    return (
        f"Не удалось прочитать изображение «{path.name}»: файл поврежден или его формат не поддерживается. "
        "Подходят JPG, PNG, BMP, TIFF и RAW (DNG, NEF, CR2, ARW)."
    )


def _load_picture(path: Path) -> NDArray[np.uint8] | None:
    # decoded from memory: on Windows OpenCV itself opens no path with Cyrillic letters
    encoded = path.read_bytes()
    image = decode_whole(encoded, read_metadata(path).orientation or UPRIGHT)
    if image is None:
        # decoders paint what is missing grey
        _, image = run_together(partial(check_complete, path), partial(decode_photo, encoded))
    return image


def _load_raw(path: Path) -> NDArray[np.uint8]:
    with path.open("rb") as file, rawpy.imread(file) as raw:
        image: NDArray[np.uint8] = raw.postprocess(output_bps=8)
    return image


def compute_indices(image: NDArray[Any]) -> LegacyIndices:
    """`NDVI_emp VARI GLI ExG CIVE MGRVI` in this order, each float32 (H, W), computed when asked for.

    `image` is (H, W, 3) in RGB order and must not change meanwhile. Raises ValueError for another shape.
    """
    return LegacyIndices(image)


def generate_heatmap(index_map: ArrayLike, output_path: str | os.PathLike[str]) -> None:
    """Write the heatmap of a map (H, W) as a PNG of its size: LOW is red, HIGH is blue.

    Raises:
        ValueError: the map is empty or has no finite value.
        OSError: the file cannot be written.
    """
    write_legacy_heatmap(index_map, output_path)


def classify_index(index_map: ArrayLike) -> tuple[dict[str, float], str]:
    """`(stats, conclusion)`: class label -> percent of all values, best first, and one Russian sentence.

    Takes a map of any shape; an empty one gives `({}, sentence)`.
    """
    return classify_legacy(index_map)
