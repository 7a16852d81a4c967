from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from orthoray.errors import Impossible, NotAnImage, TooLarge
from orthoray.spectral import maskfiles
from orthoray.spectral.maskfiles import (
    inspect_mask,
    is_mask,
    mask_numbers,
    pair_masks,
    split_masks,
    with_masks,
)
from orthoray.spectral.raster import inspect

WriteTiff = Callable[..., Path]


def test_masks_are_told_by_their_names() -> None:
    assert is_mask("a.tif.msk")
    assert is_mask("A.JPG.MSK")
    assert not is_mask("msk.tif")


def test_every_mask_finds_its_image() -> None:
    names = ["b.tif.MSK", "a.tif", "B.tif", "c.jpg", "c.jpg.msk"]
    assert pair_masks(names) == {1: None, 2: 0, 3: 4}
    paths = [Path(str(place)) for place in range(5)]
    assert split_masks(paths, names) == (
        [paths[1], paths[2], paths[3]],
        ["a.tif", "B.tif", "c.jpg"],
        [None, paths[0], paths[4]],
    )


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (["a.tif.msk"], "a.tif.msk is a mask, and its image is missing: send a.tif and its mask together"),
        ([".msk"], "send the image and its mask"),
        (["a.tif", "b.tif.msk"], "b.tif.msk is a mask"),
        (["a.tif.msk", "a.tif.msk.msk"], "a.tif.msk is a mask"),
        (["a.tif", "a.tif.msk", "A.tif.msk"], "A.tif has two masks"),
        (["a.tif", "a.tif", "a.tif.msk"], "each of the 2 files called a.tif"),
    ],
)
def test_masks_without_an_image_of_their_own(names: list[str], words: str) -> None:
    with pytest.raises(Impossible, match=words):
        pair_masks(names)


def test_masks_that_lie_beside_their_images(tmp_path: Path) -> None:
    for name in ("a.tif", "a.tif.msk", "b.tif", "c.tif", "c.tif.msk"):
        (tmp_path / name).touch()
    (tmp_path / "b.tif.msk").mkdir()
    a, b, c = (tmp_path / name for name in ("a.tif", "b.tif", "c.tif"))
    assert with_masks([a, b]) == [a, b, tmp_path / "a.tif.msk"]
    given = tmp_path / "other" / "a.tif.msk"
    assert with_masks([a, given, c]) == [a, given, c, tmp_path / "c.tif.msk"]


def test_what_a_mask_file_is(write_tiff: WriteTiff, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    image = inspect(write_tiff(np.zeros((3, 8, 6), "uint16")))
    for bands, numbers in ((1, (1,)), (3, (3, 1))):
        mask = inspect_mask(write_tiff(np.zeros((bands, 8, 6), "uint8"), "m.msk"), image, "a.tif")
        assert mask_numbers(mask, (3, 1, 3)) == numbers
    with pytest.raises(Impossible, match=r"^a\.tif\.msk and a\.tif differ in size: 8 x 6 and 6 x 8 pixels"):
        inspect_mask(write_tiff(np.zeros((6, 8), "uint8"), "m.msk"), image, "a.tif")
    with pytest.raises(Impossible, match=r"2 bands and a\.tif has 3: a mask has one band"):
        inspect_mask(write_tiff(np.zeros((2, 8, 6), "uint8"), "m.msk"), image, "a.tif")
    with pytest.raises(Impossible, match="a TIFF of 8 bits"):
        inspect_mask(write_tiff(np.zeros((8, 6), "uint8"), "m.msk", nbits=1), image, "a.tif")
    picture = tmp_path / "p.msk"
    Image.new("L", (6, 8)).save(picture, "PNG")
    with pytest.raises(Impossible, match="is not a mask"):
        inspect_mask(picture, image, "a.tif")
    picture.write_text("text")
    with pytest.raises(NotAnImage):
        inspect_mask(picture, image, "a.tif")
    mask_path = write_tiff(np.zeros((8, 6), "uint8"), "m.msk")
    with pytest.raises(TooLarge):
        inspect_mask(mask_path, image, "a.tif", max_pixels=47)
    monkeypatch.setattr(maskfiles, "MAX_BLOCK_BYTES", 47)
    with pytest.raises(TooLarge, match="tiles of 512 x 512"):
        inspect_mask(mask_path, image, "a.tif")
