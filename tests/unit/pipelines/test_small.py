from __future__ import annotations

import io
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from orthoray.spectral.heatmap import heatmap_png
from orthoray.spectral.legacy import legacy_heatmap_png
from pipelines import small
from pipelines.small import small_of_file, small_of_values


@pytest.mark.parametrize("limit", [80_000_000, 0])
def test_small_pictures_are_those_of_the_heatmap(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: int
) -> None:
    monkeypatch.setattr(small, "_PILLOW_PIXELS", limit)
    heatmap = tmp_path / "a.png"
    values = np.linspace(0, 1, 900, dtype=np.float32)[None].repeat(1800, axis=0)
    values[:900] = np.nan
    heatmap.write_bytes(heatmap_png(values, 0.0, 1.0))
    shown = np.asarray(Image.open(io.BytesIO(small_of_file(heatmap))))
    assert shown.shape == (320, 160, 4)
    assert set(np.unique(shown[..., 3])) == {0, 255}
    assert not shown[:160, :, 3].any()
    whole = np.asarray(Image.open(heatmap).convert("RGBA"), dtype=float)
    for column in (5, 80, 155):
        near = whole[1500, round((column + 0.5) * 900 / 160), :3]
        assert np.abs(shown[260, column, :3] - near).max() < 6
    heatmap.write_bytes(heatmap_png(values[-3:, -2:], 0.0, 1.0))
    assert Image.open(io.BytesIO(small_of_file(heatmap))).size == (2, 3)


@pytest.mark.parametrize("shape", [(1300, 700), (320, 1281), (900, 2), (3, 5), (1281, 1280), (2733, 4099)])
def test_what_is_drawn_of_values_is_what_the_file_shows(tmp_path: Path, shape: tuple[int, int]) -> None:
    values = np.random.default_rng(1).uniform(-1, 1, shape).astype(np.float32)
    values[:, : shape[1] // 5] = np.nan
    heatmap = tmp_path / "a.png"
    ends = np.nanmin(values), np.nanmax(values)
    for drawn in (partial(heatmap_png, vmin=-0.5, vmax=0.9), partial(legacy_heatmap_png, limits=ends)):
        heatmap.write_bytes(drawn(values))
        assert small_of_values(values, drawn) == small_of_file(heatmap)
