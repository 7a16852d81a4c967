"""Mark the weak places of a photo in colour: `python -m OLD.problematic_ndvi IN OUT [THRESHOLD]`."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from OLD.image_processing import compute_indices, load_image
from orthoray.spectral.blend import overlay_below
from orthoray.spectral.png import rgb_png


def generate_problematic_ndvi_image(
    input_image_path: str | os.PathLike[str],
    output_path: str | os.PathLike[str],
    threshold: float = 0.1,
    overlay_color: tuple[int, int, int] = (0, 0, 255),
    alpha: float = 0.5,
) -> None:
    """Write the photo with `NDVI_emp < threshold` blended with `overlay_color` at weight `alpha`.

    Args:
        input_image_path: a photo that `load_image` reads.
        output_path: its suffix chooses the format (`.png`, `.jpg`, `.tif`, `.bmp`).
        threshold: in units of NDVI_emp.
        overlay_color: blue, green, red, 0..255 each.
        alpha: 0 leaves the photo as it is, 1 covers it.

    Raises:
        RuntimeError: the photo cannot be read, or the suffix names no picture format (in Russian).
        ValueError: `alpha` is not within 0..1.
        OSError: the result cannot be written.
    """
    if not 0.0 <= alpha <= 1.0:
        raise ValueError("Прозрачность alpha должна быть от 0 до 1.")
    photo = load_image(input_image_path)
    blue, green, red = overlay_color
    weak = overlay_below(photo, compute_indices(photo)["NDVI_emp"], threshold, (red, green, blue), alpha)
    Path(output_path).write_bytes(_encoded(weak, Path(output_path).suffix))


def _encoded(photo: NDArray[np.uint8], suffix: str) -> bytes:
    if suffix.lower() == ".png":
        return rgb_png(photo)
    try:
        written, encoded = cv2.imencode(suffix, cv2.cvtColor(photo, cv2.COLOR_RGB2BGR))
    except cv2.error:
        written = False
    if not written:
        raise RuntimeError("Результат можно записать только в формате PNG, JPG, TIFF или BMP.")
    return encoded.tobytes()


def main(argv: Sequence[str] | None = None) -> None:
    """Run from the command line; an error ends it with a message and status 1."""
    parser = argparse.ArgumentParser(
        prog="python -m OLD.problematic_ndvi",
        description="Выделить на снимке участки, где NDVI_emp ниже порога.",
    )
    parser.add_argument("input", metavar="IN", help="исходный снимок")
    parser.add_argument("output", metavar="OUT", help="файл результата")
    parser.add_argument(
        "threshold", metavar="THRESHOLD", nargs="?", type=float, default=0.1, help="порог, 0.1"
    )
    arguments = parser.parse_args(argv)
    try:
        generate_problematic_ndvi_image(arguments.input, arguments.output, arguments.threshold)
    except RuntimeError as error:
        parser.exit(1, f"{error}\n")
    except OSError:
        parser.exit(1, "Не удалось записать результат: проверьте папку и права доступа.\n")


if __name__ == "__main__":
    main()
