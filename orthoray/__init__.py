"""OrthoRay: vegetation indices, field statistics and reports from aerial imagery."""
