"""Which files `orthoray import` makes one imagery of."""

from __future__ import annotations

from pathlib import Path

import pytest

from orthoray.errors import BadInput
from serve_app.local.importing import grouped, image_files


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("a.tif", "a.tif.msk", "b.tif", "notes.txt"):
        (tmp_path / name).touch()
    return tmp_path


def names(groups: list[list[Path]]) -> list[list[str]]:
    return [[file.name for file in group] for group in groups]


def test_masks_go_with_the_images_that_they_lie_beside(folder: Path) -> None:
    found = list(image_files([folder]))
    assert names(grouped(found, together=False)) == [["a.tif", "a.tif.msk"], ["b.tif"]]
    assert names(grouped(found, together=True)) == [["a.tif", "b.tif", "a.tif.msk"]]


def test_masks_that_are_named(folder: Path, tmp_path: Path) -> None:
    a, mask, b = (folder / name for name in ("a.tif", "a.tif.msk", "b.tif"))
    assert names(grouped([mask, a, b], together=False)) == [["a.tif", "a.tif.msk"], ["b.tif"]]
    assert names(grouped([mask, b], together=False)) == [["a.tif.msk"], ["b.tif"]], "refused when it is read"
    elsewhere = tmp_path / "masks" / "b.tif.msk"
    assert names(grouped([b, elsewhere, a], together=True)) == [["b.tif", "b.tif.msk", "a.tif", "a.tif.msk"]]


def test_masks_are_not_counted(tmp_path: Path) -> None:
    files = [tmp_path / f"{number}.tif{suffix}" for number in range(16) for suffix in ("", ".msk")]
    assert len(grouped(files, together=True)[0]) == 32
    with pytest.raises(BadInput, match="17 files"):
        grouped([*files, tmp_path / "16.tif"], together=True)
