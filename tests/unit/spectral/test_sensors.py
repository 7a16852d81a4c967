from __future__ import annotations

import pickle
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import tifffile

from orthoray.spectral.metadata import Camera, ImageMetadata, read_metadata
from orthoray.spectral.raster import inspect
from orthoray.spectral.sensors import Recognition, recognise_stack


@dataclass(frozen=True)
class Fake:
    colours: tuple[str, ...] = ("gray",)
    dtype: str = "uint16"
    georeferenced: bool = False

    @property
    def count(self) -> int:
        return len(self.colours)


def recognise(metadata: ImageMetadata, info: Fake, filename: str | None = None) -> Recognition | None:
    """What one file alone tells."""
    return recognise_stack([metadata], [info], filenames=[filename])


RGB = Fake(("red", "green", "blue"), "uint8")
MULTISPECTRAL = Fake(("gray", "undefined", "undefined", "undefined"))


def taken(make: str | None, model: str, **tags: str | list[str]) -> ImageMetadata:
    sensor = {name.replace("_", ":", 1): value for name, value in tags.items()}
    return ImageMetadata(camera=Camera(make, model), sensor=sensor)


@pytest.mark.parametrize(
    ("make", "model", "key"),
    [
        ("MicaSense", "RedEdge", "micasense-rededge"),
        ("MicaSense", "RedEdge-M", "micasense-rededge"),
        ("MicaSense", "RedEdge-MX", "micasense-rededge"),
        ("MicaSense", "RedEdge-P", "micasense-rededge-p"),
        ("MicaSense", "Altum", "micasense-altum"),
        ("MicaSense", "Altum-PT", "micasense-altum-pt"),
        ("Parrot", "Sequoia", "parrot-sequoia"),
        ("DJI", "FC6360", "dji-p4-multispectral"),
        ("DJI", "M3M", "dji-mavic-3m"),
        ("Sentera", "21244-00_3.2MP-GS-0001", "sentera-6x"),
        (None, "Sentera 6X", "sentera-6x"),
    ],
)
def test_a_lens_of_a_multispectral_camera_is_a_raw_capture(make: str | None, model: str, key: str) -> None:
    found = recognise(taken(make, model, Camera_BandName="NIR"), Fake())
    assert found is not None
    assert (found.sensor, found.raw_capture, found.bands) == (key, True, ("N",))
    assert model in found.camera
    assert found.reason == f"The tags name the camera {found.camera} and the band near infrared."
    nameless = recognise(taken(make, model), Fake())
    assert nameless is not None
    assert (nameless.raw_capture, nameless.bands) == (True, None)


@pytest.mark.parametrize(
    ("model", "bands"),
    [
        ("Survey3W_RGN", ("R", "G", "N")),
        ("Survey3N_NGB", ("N", "G", "B")),
        ("Survey3W_OCN", ("Y", "B", "N")),
        ("Survey3W_RGNIR", ("R", "G", "N")),
    ],
)
def test_an_exchanged_filter_renames_the_colours(model: str, bands: tuple[str, ...]) -> None:
    found = recognise(taken("MAPIR", model), RGB)
    assert found is not None
    assert (found.bands, found.raw_capture) == (bands, False)
    with_alpha = recognise(taken("MAPIR", model), Fake((*RGB.colours, "alpha"), "uint8"))
    assert with_alpha is not None
    assert with_alpha.bands == (*bands, "-")


@pytest.mark.parametrize("model", ["FC3682", "Survey3W_RGB", "M3E", "ILCE-7RM4"])
def test_other_cameras_are_not_recognised(model: str) -> None:
    assert recognise(taken("Maker", model), RGB) is None
    assert recognise(ImageMetadata(), RGB) is None


def test_the_colour_lens_of_a_multispectral_camera_takes_photos() -> None:
    found = recognise(taken("DJI", "FC6360"), RGB)
    assert found is not None
    assert (found.bands, found.raw_capture) == (None, False)


def test_an_orthomosaic_or_a_reflectance_map_is_not_raw() -> None:
    tags = taken("MicaSense", "RedEdge-M", Camera_BandName="Red")
    for info in (Fake(georeferenced=True), Fake(dtype="float32")):
        found = recognise(tags, info)
        assert found is not None
        assert (found.bands, found.raw_capture) == (("R",), False)


def test_composites_of_a_camera_with_one_order() -> None:
    found = recognise(taken("DJI", "M3M"), MULTISPECTRAL)
    assert found is not None
    assert (found.bands, found.raw_capture) == (("G", "R", "RE1", "N"), False)
    coloured = recognise(taken("DJI", "M3M"), Fake(("red", "green", "blue", "alpha"), "uint8"))
    assert coloured is not None
    assert coloured.bands is None


def test_composites_of_a_camera_with_two_orders_stay_unnamed() -> None:
    found = recognise(taken("MicaSense", "RedEdge-M"), Fake(("gray", *["undefined"] * 4)))
    assert found is not None
    assert (found.bands, found.raw_capture) == (None, False)


def test_tags_that_name_every_band_win_over_the_order() -> None:
    tags = taken(
        "MicaSense", "Altum", Camera_BandName=["NIR", "Red", "LWIR"], Camera_CentralWavelength="842,668,11000"
    )
    found = recognise(tags, Fake(("gray", "undefined", "undefined")))
    assert found is not None
    assert found.bands == ("N", "R", "T")
    assert found.reason.endswith("and the bands near infrared, red, thermal infrared.")


def test_the_image_source_of_a_mavic() -> None:
    tags = ImageMetadata(sensor={"drone-dji:DroneModel": "M3M", "drone-dji:ImageSource": "MS_RE_CAMERA"})
    found = recognise(tags, Fake())
    assert found is not None
    assert (found.sensor, found.bands, found.camera) == (
        "dji-mavic-3m",
        ("RE1",),
        "DJI Mavic 3 Multispectral",
    )


def test_wavelengths_tell_a_dual_camera() -> None:
    names = [
        "Blue",
        "Green",
        "Red",
        "NIR",
        "Red edge",
        "Blue-444",
        "Green-531",
        "Red-650",
        "Red edge-705",
        "Red edge-740",
    ]
    centres = [475, 560, 668, 842, 717, 444, 531, 650, 705, 740]
    captures = [
        taken("MicaSense", "RedEdge-M", Camera_BandName=name, Camera_CentralWavelength=str(centre))
        for name, centre in zip(names, centres, strict=True)
    ]
    found = recognise_stack(captures, [Fake()] * 10)
    assert found is not None
    assert (found.sensor, found.raw_capture) == ("micasense-dual", True)
    assert found.bands == ("B", "G", "R", "N", None, "A", "G1", None, "RE1", "RE2")


def test_a_stack_known_by_its_first_file_is_raw_all_the_same() -> None:
    found = recognise(taken("Parrot", "Sequoia", Camera_BandName="Green"), MULTISPECTRAL)
    assert found is not None
    assert found.raw_capture


def test_files_of_two_cameras_are_not_recognised() -> None:
    maps = [Fake(georeferenced=True)] * 2
    assert recognise_stack([taken("DJI", "M3M"), taken("Parrot", "Sequoia")], maps) is None
    assert recognise_stack([ImageMetadata(), taken("Parrot", "Sequoia")], maps) is None


def test_one_raw_capture_among_other_files_is_enough() -> None:
    captures = [ImageMetadata(), taken("Parrot", "Sequoia", Camera_BandName="Red"), taken("DJI", "M3M")]
    found = recognise_stack(captures, [Fake()] * 3)
    assert found is not None
    assert (found.sensor, found.raw_capture, found.bands) == ("parrot-sequoia", True, (None, "R", None))


def test_a_hostile_model_is_shown_in_part() -> None:
    found = recognise(taken("Parrot", "Sequoia\x1b[31m" + "x" * 5000), Fake())
    assert found is not None
    assert found.camera.startswith("Parrot Sequoia[31mxxx")
    assert len(found.camera) == 60


LANDSAT = "LC08_L2SP_190027_20200101_20200823_02_T1_"


def test_landsat_products_come_with_their_scale() -> None:
    names = [f"{LANDSAT}SR_B4.TIF", f"{LANDSAT}ST_B10.TIF"]
    found = recognise_stack([ImageMetadata()] * 2, [Fake()] * 2, filenames=names)
    assert found is not None
    assert (found.sensor, found.bands) == ("landsat-8-9", None)
    assert (found.scales, found.offsets) == ((0.0000275, 0.00341802), (-0.2, 149.0))
    converted = recognise_stack([ImageMetadata()] * 2, [Fake(), Fake(dtype="float32")], filenames=names)
    assert converted is not None
    assert converted.scales is None
    mixed = [names[0], "T31TCJ_20200101_B08.jp2"]
    assert recognise_stack([ImageMetadata()] * 2, [Fake()] * 2, filenames=mixed) is None
    assert recognise(ImageMetadata(), RGB, filename=names[0]) is None


def test_sentinel_products_have_no_certain_scale() -> None:
    found = recognise(ImageMetadata(), Fake(), filename="T31TCJ_20200101_B08_10m.jp2")
    assert found is not None
    assert (found.sensor, found.scales) == ("sentinel-2", None)
    assert pickle.loads(pickle.dumps(found)) == found  # noqa: S301 - our own bytes


def test_a_real_file_with_tags(tmp_path: Path) -> None:
    packet = (
        b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
        b'<rdf:Description xmlns:Camera="http://pix4d.com/camera/1.0"><Camera:BandName>Red edge</Camera:BandName>'
        b"<Camera:CentralWavelength>717</Camera:CentralWavelength></rdf:Description></rdf:RDF></x:xmpmeta>"
    )
    path = tmp_path / "IMG_0000_5.tif"
    tags = [
        (271, 2, 0, "MicaSense", True),
        (272, 2, 0, "RedEdge-M", True),
        (700, 1, len(packet), packet, True),
    ]
    tifffile.imwrite(path, np.zeros((4, 4), np.uint16), extratags=tags)
    found = recognise_stack([read_metadata(path)], [inspect(path)])
    assert found is not None
    assert (found.sensor, found.bands, found.raw_capture) == ("micasense-rededge", ("RE1",), True)
    assert found.camera == "MicaSense RedEdge-M"
