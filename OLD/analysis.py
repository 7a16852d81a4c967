"""The names of `OLD.image_processing` under the module's other name."""

from OLD.image_processing import classify_index, compute_indices, generate_heatmap, load_image

__all__ = ["classify_index", "compute_indices", "generate_heatmap", "load_image"]
