"""How fast OrthoRay is, beside what others do with the same files: `python -m benchmarks --help`."""
