from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orthoray.spectral.labels import (
    LANDSAT_8_9,
    LONG_NAMES,
    SENTINEL_2,
    describe,
    from_codes,
    from_filenames,
    from_wavelengths,
    name_of,
    product,
    tagged,
)


@pytest.mark.parametrize(
    ("texts", "names"),
    [
        (("Red", "green", "NIR"), ("R", "G", "N")),
        (("Near Infrared", "near-infrared"), (None, None)),
        (("Band 4 (Red)", "Band 5: NIR", "3 - green"), ("R", "N", "G")),
        (("B4 Red", "B8 (NIR)"), ("R", "N")),
        (("668 nm", "842nm", "717 nm"), ("R", "N", "RE1")),
        (("NIR_840", "Red (650)", "red edge 730 nm"), ("N", "R", "RE1")),
        (("Surface reflectance red", "NIR reflectance"), ("R", "N")),
        (("swir16", "nir08", "rededge075"), ("S1", "N2", "RE2")),
        (("B4, central wavelength 665 nm", "B8, central wavelength 842 nm"), ("R", "N")),
        (("B4, central wavelength 665 nm", "B8A, central wavelength 865 nm"), ("R", "N2")),
        # what may mean another thing names nothing
        (("Red 2020", "nir index"), (None, None)),
        (("Red", "red"), (None, None)),
        (("band 1", "4", "R", None, "  "), (None,) * 5),
        (("B4", "B8"), (None, None)),
        (("SR_B4", "SR_B5"), (None, None)),
        (("B01", "B02", "B03", "B04", "B05"), (None,) * 5),
        (("B04", "B05"), ("R", None)),
        (("NIR 660 nm", "Blue-444"), (None, "A")),
        # what the neighbours settle
        (("B02", "B03", "B04", "B08"), ("B", "G", "R", "N")),
        (("B04", "B05", "B8A"), ("R", "RE1", "N2")),
        (("B4", "B8A", "B10"), ("R", "N2", "-")),
        (("SR_B4", "SR_B5", "SR_B6", "ST_B10"), ("R", "N", "S1", "T1")),
        (("SR_B3", "SR_B4", "ST_B6"), ("R", "N", "T")),
        (("Red-650", "Red-668", "Red edge-705", "Red edge-717"), (None, "R", "RE1", None)),
        (("Green", "Green-531"), (None, None)),
        (("Blue", "Blue-444"), ("B", "A")),
    ],
)
def test_descriptions(texts: tuple[str | None, ...], names: tuple[str | None, ...]) -> None:
    assert describe(texts).names == names


def test_the_satellite_is_told_where_it_is_certain() -> None:
    assert describe(("B04", "B08")).sensor == "sentinel-2"
    assert describe(("SR_B5", "SR_B6")).sensor == "landsat-8-9"
    assert describe(("B04", "B05")).sensor is None


@settings(max_examples=50)
@given(
    st.lists(st.one_of(st.none(), st.text(max_size=20), st.sampled_from(["Red", "B04", "NIR_840", "SR_B6"])))
)
def test_no_name_is_given_twice(texts: list[str | None]) -> None:
    names = [name for name in describe(texts).names if name not in {None, "-"}]
    assert len(names) == len(set(names))
    assert set(names) <= set(LONG_NAMES)


@pytest.mark.parametrize(
    ("filename", "name"),
    [
        ("T31TCJ_20200101T105441_B04_10m.jp2", "R"),
        ("T31TCJ_20200101_B8A_20m.jp2", "N2"),
        ("LC08_L2SP_190027_20200101_20200823_02_T1_SR_B5.TIF", "N"),
        ("LC09_L1TP_190027_20230101_20230101_02_T1_B4.TIF", "R"),
        ("LT05_L2SP_190027_20000101_20200823_02_T1_SR_B4.TIF", "N"),
        ("HLS.S30.T31TCJ.2020001T105441.v2.0.B8A.tif", "N2"),
        ("HLS.L30.T31TCJ.2020001T105441.v2.0.B05.tif", "N"),
        ("DJI_20240329124328_0001_MS_NIR.TIF", "N"),
        ("DJI_20240329124328_0001_MS_RE.TIF", "RE1"),
        ("field_transparent_reflectance_red edge.tif", "RE1"),
        ("field_transparent_reflectance_nir.tif", "N"),
        ("north.blue.tiff", "B"),
        ("Red.tif", "R"),
        ("nir_840.tif", "N"),
        ("green_10m.tif", "G"),
        ("nir_red_green.tif", None),
        ("IMG_0000_1.tif", None),
        ("DJI_0012.TIF", None),
        ("field_B4.tif", None),
        ("reddish.tif", None),
        ("LC08_L2SP_190027_20200101_20200823_02_T1_QA_PIXEL.TIF", None),
        ("", None),
    ],
)
def test_file_names(filename: str, name: str | None) -> None:
    assert from_filenames([filename]).names == (name,)


def test_files_of_one_band_name_neither() -> None:
    assert from_filenames(["a_red.tif", "b_red.tif", None]).names == (None, None, None)


def test_products_tell_their_satellite() -> None:
    assert product("T31TCJ_20200101_B08_10m.jp2") == ("sentinel-2", "N")
    assert product("field_nir.tif") is None
    assert product(None) is None
    assert from_filenames(["T31TCJ_20200101_B04.jp2", "field_nir.tif"]).sensor is None


def test_tags_by_name_and_wavelength() -> None:
    assert tagged(["Blue", "Red edge", "LWIR", "Panchro"], [475, 717, 11000, 634]) == ("B", "RE1", "T", "-")
    assert tagged([None, "Filter"], [860.0, None]) == ("N", None)
    # a second camera whose wavelength tags repeat the first one's
    assert tagged(["Blue", "Blue-444"], [475, 475]) == ("B", "A")


def test_codes_of_a_known_satellite() -> None:
    assert from_codes(["B4", "B08", "b8a"], SENTINEL_2) == ("R", "N", "N2")
    assert from_codes(["SR_B4", "ST_B10"], LANDSAT_8_9) == ("R", "T1")
    assert from_codes(["B4", "red"], SENTINEL_2) is None
    assert from_codes([], SENTINEL_2) is None
    assert from_codes(["B1", "B2", "B3"], LANDSAT_8_9) is None
    assert from_codes(["SR_B1", "SR_B2"], LANDSAT_8_9) == ("A", "B")


@pytest.mark.parametrize(
    ("wavelengths", "names"),
    [
        # MicaSense dual, Sentinel-2, Sequoia, Landsat 8, Mavic 3M
        (
            (444, 475, 531, 560, 650, 668, 705, 717, 740, 842),
            ("A", "B", "G1", "G", None, "R", "RE1", None, "RE2", "N"),
        ),
        ((665, 705, 740, 783, 842, 865, 945), ("R", "RE1", "RE2", "RE3", "N", "N2", "WV")),
        ((550, 660, 735, 790), ("G", "R", "RE1", "N")),
        ((440, 480, 560, 655, 865, 1610, 2200), ("A", "B", "G", "R", "N", "S1", "S2")),
        ((560, 650, 730, 860), ("G", "R", "RE1", "N")),
        ((None, 692, 1375), (None, None, None)),
    ],
)
def test_wavelengths(wavelengths: tuple[float | None, ...], names: tuple[str | None, ...]) -> None:
    assert from_wavelengths(wavelengths) == names


def test_callers_words() -> None:
    assert [name_of(word) for word in ("nir", "Red Edge", "re", "S1", "_", "alpha")] == [
        "N", "RE1", "RE1", "S1", "-", "alpha",
    ]  # fmt: skip
    assert name_of("B04") is None
