from __future__ import annotations

import json
import pickle
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orthoray.errors import Impossible, MissingBands
from orthoray.spectral.bands import BandMap, parse_bands, require, resolve_bands
from orthoray.spectral.labels import LONG_NAMES
from orthoray.spectral.sensors import Recognition


@dataclass(frozen=True)
class Fake:
    colours: tuple[str, ...]
    descriptions: tuple[str | None, ...] = ()
    count: int = 0


def fake(*colours: str, descriptions: tuple[str | None, ...] | None = None) -> Fake:
    return Fake(colours, descriptions or (None,) * len(colours), len(colours))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (None, None),
        ("  ", None),
        ("R,G,B,N", ("R", "G", "B", "N")),
        ("red, GREEN ,Blue,nir", ("R", "G", "B", "N")),
        ("b,g,r,Red Edge,near-infrared", ("B", "G", "R", "RE1", "N")),
        ("-,_,re1,RE2,swir1", ("-", "-", "RE1", "RE2", "S1")),
        ("R,G,B,alpha", ("R", "G", "B", "alpha")),
    ],
)
def test_parse_bands(text: str | None, expected: tuple[str, ...] | None) -> None:
    assert parse_bands(text) == expected


@pytest.mark.parametrize(
    ("text", "count", "words"),
    [
        ("R,G,X", None, "'X'"),
        ("R,,B", None, "Unknown band name"),
        ("R,red", None, "R is named twice"),
        ("alpha,alpha", None, "named twice"),
        ("R,G,B", 4, "names 3 bands, the image has 4"),
    ],
)
def test_parse_bands_says_what_is_wrong(text: str, count: int | None, words: str) -> None:
    with pytest.raises(Impossible, match=words):
        parse_bands(text, count)


@given(st.permutations(sorted(LONG_NAMES)).map(tuple))
def test_canonical_names_parse_to_themselves(names: tuple[str, ...]) -> None:
    assert parse_bands(",".join(names).lower(), len(names)) == names


def test_unlabelled_fourth_band_stays_unnamed() -> None:
    band_map = resolve_bands(fake("red", "green", "blue", "undefined"))
    assert band_map == BandMap(("R", "G", "B", None), "colour interpretation")
    assert band_map.numbers == {"R": 1, "G": 2, "B": 3}
    assert band_map.unnamed == (4,)


def test_grey_has_no_name() -> None:
    assert resolve_bands(fake("gray")) == BandMap((None,), "none")


def test_alpha_masks_unless_the_caller_names_it() -> None:
    rgba = fake("red", "green", "blue", "alpha")
    assert resolve_bands(rgba).alpha == 4
    assert resolve_bands(rgba).unnamed == ()
    assert resolve_bands(rgba, bands="R,G,B,N") == BandMap(("R", "G", "B", "N"), "caller", None)
    assert resolve_bands(rgba, bands="R,G,B,-").alpha == 4
    assert resolve_bands(rgba, sensor="rgb").alpha == 4
    assert resolve_bands(rgba, sensor="rgbn").alpha is None


def test_caller_may_declare_a_mask() -> None:
    plain = fake("gray", "undefined")
    assert resolve_bands(plain, bands=("N", "alpha")) == BandMap(("N", None), "caller", 2)


def test_caller_wins_over_everything() -> None:
    image = fake("red", "green", "blue", descriptions=("blue", "green", "red"))
    assert resolve_bands(image, bands="N,R,G", sensor="rgb").known == ("N", "R", "G")
    assert resolve_bands(image, sensor="RGB").source == "sensor preset rgb"
    assert resolve_bands(image).known == ("B", "G", "R")
    assert resolve_bands(image).source == "descriptions"


def test_descriptions_fill_up_with_colours() -> None:
    image = fake("red", "green", "blue", "undefined", descriptions=(None, None, None, "Near Infrared"))
    assert resolve_bands(image) == BandMap(("R", "G", "B", "N"), "descriptions")


def test_descriptions_contradicting_colours_win() -> None:
    image = fake("red", "green", "blue", descriptions=("NIR", "Red", None))
    assert resolve_bands(image).names == ("N", "R", "B")


@pytest.mark.parametrize("text", ["B4", "band 1", "665", "R", "Red or NIR", "SR_B4", ""])
def test_other_descriptions_name_nothing(text: str) -> None:
    assert resolve_bands(fake("gray", descriptions=(text,))).names == (None,)


def test_a_name_claimed_twice_belongs_to_neither() -> None:
    assert resolve_bands(fake("gray", "undefined", descriptions=("red", "red"))).names == (None, None)


def test_gdal_infrared_colours() -> None:
    assert resolve_bands(fake("nir", "rededge", "red")).names == ("N", "RE1", "R")


def test_micasense_orders_differ() -> None:
    stack = fake(*["undefined"] * 5)
    assert resolve_bands(stack, sensor="MicaSense RedEdge").numbers["N"] == 4
    assert resolve_bands(stack, sensor="micasense_rededge_by_wavelength").numbers["N"] == 5


def test_sensor_errors() -> None:
    with pytest.raises(Impossible, match="Unknown sensor") as caught:
        resolve_bands(fake("gray"), sensor="X-Cam")
    assert "rgbn" in caught.value.fields["known_sensors"]
    with pytest.raises(Impossible, match="has 4 bands, the image has 3"):
        resolve_bands(fake("red", "green", "blue"), sensor="rgbn")


def test_missing_bands_names_the_remedy() -> None:
    band_map = resolve_bands(fake("red", "green", "blue", "undefined"))
    require(band_map, ("G", "R"))
    with pytest.raises(MissingBands) as caught:
        require(band_map, ("N", "R"))
    assert caught.value.fields == {
        "missing_bands": ["N"],
        "known_bands": ["R", "G", "B"],
        "unnamed_bands": [4],
        "alpha_band": None,
    }
    for words in ("N (near infrared)", "R, G, B", "band 4", "bands=R,G,B,N"):
        assert words in caught.value.detail


def test_missing_bands_without_spare_bands_offers_no_renaming() -> None:
    with pytest.raises(MissingBands) as caught:
        require(resolve_bands(fake("red", "green", "blue")), ("N",))
    assert "bands=" not in caught.value.detail


def test_band_map_travels() -> None:
    band_map = BandMap(("R", None, "N"), "caller", 2)
    assert pickle.loads(pickle.dumps(band_map)) == band_map  # noqa: S301 - our own bytes
    assert json.loads(json.dumps(band_map.to_dict())) == {
        "bands": {"R": 1, "N": 3},
        "source": "caller",
        "reason": "",
        "sensor": None,
        "alpha": 2,
    }


def test_data_marked_as_alpha_gets_a_hint() -> None:
    rgba = resolve_bands(fake("red", "green", "blue", "alpha"))
    with pytest.raises(MissingBands, match="Band 4 is marked as transparency") as caught:
        require(rgba, ("N", "R"))
    assert caught.value.fields["alpha_band"] == 4
    assert caught.value.detail.endswith("bands=R,G,B,N.")
    with pytest.raises(MissingBands, match=r"bands=-,RE1\."):
        require(resolve_bands(fake("gray", "alpha")), ("RE1",))


PLAIN = ("gray", "gray", "gray")
SEQUOIA = Recognition("parrot-sequoia", "Parrot Sequoia", "The tags say so.", bands=("G", "R", "N"))


def test_tags_win_over_descriptions_and_colours() -> None:
    image = fake("red", "green", "blue", descriptions=("blue", "green", "red"))
    band_map = resolve_bands(image, recognition=SEQUOIA)
    assert band_map == BandMap(("G", "R", "N"), "tags", None, sensor="parrot-sequoia")
    assert band_map.reason == "The tags say so."
    assert resolve_bands(image, bands="N,R,G", recognition=SEQUOIA).known == ("N", "R", "G")
    assert resolve_bands(image, sensor="rgb", recognition=SEQUOIA).known == ("R", "G", "B")


def test_tags_of_another_band_count_name_nothing_but_tell_the_sensor() -> None:
    band_map = resolve_bands(fake("red", "green", "blue", "undefined"), recognition=SEQUOIA)
    assert (band_map.names, band_map.sensor) == (("R", "G", "B", None), "parrot-sequoia")


def test_a_band_known_to_have_no_name_is_not_named_by_its_colour() -> None:
    known = Recognition("micasense-altum-pt", "Altum-PT", "", bands=("R", "-", None))
    assert resolve_bands(fake("red", "green", "blue"), recognition=known).names == ("R", None, "B")


def test_file_names_count_where_each_file_is_one_band() -> None:
    names = ("field_red.tif", "field_nir.tif", "field_reflectance_red edge.tif")
    assert resolve_bands(fake(*PLAIN), filenames=names).names == ("R", "N", "RE1")
    assert resolve_bands(fake(*PLAIN), filenames=names).source == "file names"
    assert resolve_bands(fake("red", "green", "blue"), filenames=("field_nir.tif",)).names == ("R", "G", "B")
    assert resolve_bands(fake("gray"), filenames=("field_nir.tif",)).reason == "The name of the file says so."
    described = fake(*PLAIN, descriptions=("green", None, None))
    assert resolve_bands(described, filenames=names).names == ("G", "N", "RE1")
    assert resolve_bands(described, filenames=names).source == "descriptions"


def test_nothing_told_says_so() -> None:
    band_map = resolve_bands(fake("gray"), filenames=("IMG_0001.tif",))
    assert (band_map.source, band_map.sensor) == ("none", None)
    assert band_map.reason == "Nothing in the file says what its bands are."


def test_a_sensor_named_by_words_of_its_own_is_no_preset() -> None:
    assert resolve_bands(fake("gray"), bands="N", sensor="grandfather's Zenit").sensor is None
    assert resolve_bands(fake("gray"), bands="N", sensor="m3m").sensor == "dji-mavic-3m"


@pytest.mark.parametrize("codes", [("B8A", "B4", "B3"), ("B8A", "B04", "B03")])
def test_a_satellite_is_named_by_its_codes_in_any_order(codes: tuple[str, ...]) -> None:
    band_map = resolve_bands(fake(*PLAIN, descriptions=codes), sensor="Sentinel-2")
    assert band_map == BandMap(("N2", "R", "G"), "sensor preset sentinel-2", None, sensor="sentinel-2")
    with pytest.raises(Impossible, match="has 10 or 12 or 13 bands, the image has 3"):
        resolve_bands(fake(*PLAIN), sensor="Sentinel-2")


def test_codes_mean_what_the_named_satellite_means() -> None:
    stack = fake("gray", "gray", descriptions=("SR_B4", "SR_B5"))
    assert resolve_bands(stack).names == (None, None)
    assert resolve_bands(stack, sensor="landsat-9").names == ("R", "N")
    assert resolve_bands(stack, sensor="landsat-5").names == ("N", "S1")


def test_files_in_another_order_than_the_preset() -> None:
    four = fake(*["gray"] * 4)
    told = ("a_MS_NIR.TIF", "a_MS_G.TIF", "a_MS_RE.TIF", "a_MS_R.TIF")
    assert resolve_bands(four, sensor="dji-mavic-3m", filenames=told).names == ("N", "G", "RE1", "R")
    silent = ("1.tif", "2.tif", "3.tif", "4.tif")
    assert resolve_bands(four, sensor="dji-mavic-3m", filenames=silent).names == ("G", "R", "RE1", "N")
    with pytest.raises(Impossible, match="not in the band order of DJI Mavic 3 Multispectral"):
        resolve_bands(four, sensor="dji-mavic-3m", filenames=("nir.tif", *silent[1:]))
