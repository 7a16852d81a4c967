"""Image science: bands, indices, masks, statistics and rasters. Pure: no Ray, HTTP or SQL."""
