"""An OLD package as a user may have one: the same four functions, other answers."""

from __future__ import annotations

from pathlib import Path

SOURCE = """
import cv2
import numpy as np


def load_image(file_path):
    image = cv2.imread(file_path)
    if image is None:
        raise RuntimeError("Не удалось загрузить изображение")
    return cv2.cvtColor(image, cv2.COLOR_BGR2RGB)


def compute_indices(image):
    flat = np.full(image.shape[:2], 0.25, dtype=np.float32)
    return {"NDVI_emp": flat, "HOUSE_INDEX": flat * 2}


def generate_heatmap(index_map, output_path):
    cv2.imwrite(output_path, np.full((*index_map.shape, 3), (255, 0, 255), dtype=np.uint8))


def classify_index(index_map):
    return {"Хорошо": 75.0, "Плохо": 25.0}, f"Среднее {float(np.mean(index_map)):.2f}."
"""


def write_other_old(folder: Path, more: str = "") -> Path:
    """Write the package below `folder`, which belongs on PYTHONPATH; `more` is code behind its functions."""
    package = folder / "OLD"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "image_processing.py").write_text(SOURCE + more, encoding="utf-8")
    return folder
