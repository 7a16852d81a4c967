from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orthoray.errors import BadInput, ConfigurationError, Impossible
from orthoray.storage.keys import (
    MAX_COMPONENT_BYTES,
    check_bucket,
    check_folder,
    check_key,
    check_prefix,
    distinct_filenames,
    safe_filename,
)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("DJI_0001.JPG", "DJI_0001.JPG"),
        ("поле у реки (1).jpg", "поле у реки (1).jpg"),
        ("C:\\fakepath\\поле.tif", "поле.tif"),
        ("../../etc/passwd", "passwd"),
        ("a/b\\c.png", "c.png"),
        ("folder/", "file"),
        (".htaccess", "htaccess"),
        ("..", "file"),
        ("", "file"),
        ("\u202egpj.exe", "gpj.exe"),
        ('a<b>:"|?*c\0\n.jpg', "abc.jpg"),
        ("  a \t b .jpg ", "a b.jpg"),
        ("е\u0308ж.jpg", "ёж.jpg"),
        ("archive.tar.gz", "archive.tar.gz"),
    ],
)
def test_makes_filenames_harmless(name: str, expected: str) -> None:
    assert safe_filename(name) == expected


def test_cuts_long_filenames_before_their_extension() -> None:
    cut = safe_filename("поле" * 100 + ".GeoTIFF")
    assert cut.startswith("полеполе")
    assert cut.endswith(".GeoTIFF")
    assert 198 <= len(cut.encode()) <= 200


@settings(max_examples=200)
@given(st.text(st.characters(), max_size=300))
def test_every_safe_filename_is_a_key_of_one_part(name: str) -> None:
    safe = safe_filename(name)
    assert check_key(safe) == safe
    assert "/" not in safe
    assert not safe.startswith(".")
    assert len(safe.encode()) <= 200
    assert unicodedata.is_normalized("NFC", safe)
    assert safe_filename(safe) == safe


def test_measures_keys_in_bytes() -> None:
    assert check_key("é" * 127)
    with pytest.raises(BadInput):
        check_key("é" * 128)
    assert check_key("/".join(["a" * 204] * 5))
    with pytest.raises(BadInput):
        check_key("/".join(["a" * 205] * 5))


@pytest.mark.parametrize("key", ["\ud800", "a\x7f", "a\x85b", "a\uffffb"])
def test_refuses_what_cannot_be_stored_everywhere(key: str) -> None:
    with pytest.raises(BadInput):
        check_key(key)


def test_a_folder_ends_with_one_slash() -> None:
    assert check_folder("a/b") == check_folder("a/b/") == "a/b/"
    with pytest.raises(BadInput):
        check_folder("a//")


def test_the_empty_prefix_stands_for_all() -> None:
    assert check_prefix("") == ""
    assert check_prefix("a/") == "a/"
    with pytest.raises(BadInput):
        check_prefix("/")


@pytest.mark.parametrize("name", ["", "ab", ".tmp", "Imagery", "a_b", "a..b", "../x", "a/b", "-ab", "x" * 64])
def test_refuses_bucket_names_that_s3_refuses(name: str) -> None:
    with pytest.raises(ConfigurationError):
        check_bucket(name)


@pytest.mark.parametrize(
    "names",
    [
        ["a.tif", "b.tif", "A.TIF"],
        ["red/a.tif", "nir/a.tif"],
        ["", "file"],
        ["a.tif.msk", "x/a.tif.MSK"],
        ["\u0435\u0308.tif", "\u0401.tif"],
    ],
)
def test_two_files_of_one_name_are_refused(names: list[str]) -> None:
    with pytest.raises(Impossible, match=r"Two files are called .*names that tell them apart"):
        distinct_filenames(names)


def test_a_mask_keeps_the_name_of_its_image() -> None:
    assert distinct_filenames(["../a.tif", "b/a.tif.msk"]) == ["a.tif", "a.tif.msk"]
    image, mask = distinct_filenames(["x" * 300 + ".tif", "x" * 300 + ".tif.msk"])
    assert mask == f"{image}.msk"
    assert len(mask) <= MAX_COMPONENT_BYTES
    assert distinct_filenames([".msk"]) == ["msk"]
