import warnings

import cv2
import numpy as np
import pytest
import rasterio
import tifffile
from PIL import Image
from rasterio.errors import NotGeoreferencedWarning

from OLD.image_processing import classify_index, compute_indices, generate_heatmap, load_image

LABELS = ["Здоровые", "Легкий стресс", "Сильный стресс", "Критическое"]


def photo(height=20, width=30):
    rows, columns = np.mgrid[:height, :width]
    return np.stack([rows * 8, columns * 8, rows + columns], axis=-1).astype(np.uint8)


def write_dng(path, level=200, green=800):
    """A raw picture of a Bayer sensor (RGGB, 10 bits), the least that LibRaw accepts as DNG."""
    bayer = np.full((64, 96), level, dtype=np.uint16)
    bayer[::2, 1::2] = bayer[1::2, ::2] = green
    identity = (1, 1, 0, 1, 0, 1, 0, 1, 1, 1, 0, 1, 0, 1, 0, 1, 1, 1)
    tags = [
        (33421, "H", 2, (2, 2), True),
        (33422, "B", 4, bytes([0, 1, 1, 2]), True),
        (50706, "B", 4, bytes([1, 4, 0, 0]), True),
        (50708, "s", 0, "Test Camera", True),
        (50721, "2i", 9, identity, True),
        (50728, "2I", 3, (1, 1, 1, 1, 1, 1), True),
        (50714, "I", 1, 0, True),
        (50717, "I", 1, 1023, True),
        (271, "s", 0, "Test", True),
        (272, "s", 0, "Camera", True),
    ]
    tifffile.imwrite(path, bayer, photometric=32803, metadata=None, software=False, extratags=tags)


@pytest.mark.parametrize("suffix", ["png", "bmp", "tif", "PNG"])
def test_lossless_formats_keep_every_value_in_rgb_order(tmp_path, suffix):
    image = photo()
    Image.fromarray(image).save(tmp_path / f"photo.{suffix}")
    loaded = load_image(str(tmp_path / f"photo.{suffix}"))
    assert loaded.dtype == np.uint8
    np.testing.assert_array_equal(loaded, image)


def test_jpeg_is_read_as_opencv_reads_it(tmp_path):
    path = tmp_path / "photo.jpg"
    Image.fromarray(photo()).save(path, quality=95)
    expected = cv2.cvtColor(cv2.imread(str(path), cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)
    np.testing.assert_array_equal(load_image(path), expected)


def test_exif_orientation_is_honoured(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(photo()).save(tmp_path / "turned.jpg", exif=exif)
    assert load_image(str(tmp_path / "turned.jpg")).shape == (30, 20, 3)


def test_sixteen_bits_are_scaled_to_eight(tmp_path):
    image = photo().astype(np.uint16) * 257
    tifffile.imwrite(tmp_path / "deep.tif", image, photometric="rgb")
    np.testing.assert_array_equal(load_image(str(tmp_path / "deep.tif")), photo())


def test_grey_and_transparent_pictures_become_rgb(tmp_path):
    grey = photo()[..., 0]
    Image.fromarray(grey).save(tmp_path / "grey.png")
    np.testing.assert_array_equal(load_image(str(tmp_path / "grey.png")), np.dstack([grey] * 3))
    Image.fromarray(photo()).convert("RGBA").save(tmp_path / "alpha.png")
    np.testing.assert_array_equal(load_image(str(tmp_path / "alpha.png")), photo())


def test_a_georeferenced_orthomosaic_is_read(tmp_path):
    path = tmp_path / "ortho.tif"
    image = photo(64, 80)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        options = {"height": 64, "width": 80, "count": 3, "dtype": "uint8", "compress": "deflate"}
        with rasterio.open(
            path, "w", driver="GTiff", tiled=True, blockxsize=32, blockysize=32, **options
        ) as out:
            out.write(image.transpose(2, 0, 1))
    np.testing.assert_array_equal(load_image(path), image)


def test_paths_may_hold_any_letters(tmp_path):
    folder = tmp_path / "поле №1 – șțâ"
    folder.mkdir()
    Image.fromarray(photo()).save(folder / "снимок.png")
    np.testing.assert_array_equal(load_image(str(folder / "снимок.png")), photo())


@pytest.mark.parametrize(
    "name", ["снимок.dng", "photo.DNG", "photo.raw", "photo.Nef", "photo.CR2", "photo.arw"]
)
def test_raw_pictures_are_developed_to_eight_bits(tmp_path, name):
    write_dng(tmp_path / name)
    image = load_image(str(tmp_path / name))
    assert (image.dtype, image.shape) == (np.uint8, (64, 96, 3))
    red, green, blue = image[20:40, 20:60].reshape(-1, 3).mean(axis=0)
    assert green > max(red, blue)


@pytest.mark.parametrize("suffix", ["jpg", "png", "bmp", "tif"])
@pytest.mark.parametrize("kept", [0.0, 0.5, 0.9])
def test_a_picture_cut_short_is_refused(tmp_path, suffix, kept):
    path = tmp_path / f"photo.{suffix}"
    noise = np.random.default_rng(5).integers(0, 256, (120, 160, 3), dtype=np.uint8)
    Image.fromarray(noise).save(path)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * kept)])
    with pytest.raises(RuntimeError, match=f"«photo.{suffix}»") as caught:
        load_image(str(path))
    assert str(tmp_path) not in str(caught.value)


@pytest.mark.parametrize("name", ["missing.jpg", "missing.nef"])
def test_a_missing_file_is_refused_in_russian(tmp_path, name):
    with pytest.raises(RuntimeError, match=f"Не удалось открыть файл «{name}»"):
        load_image(str(tmp_path / name))


@pytest.mark.parametrize("name", ["text.jpg", "text.nef", "text"])
def test_what_is_no_picture_is_refused_in_russian(tmp_path, name):
    (tmp_path / name).write_bytes(b"hello, field " * 50)
    with pytest.raises(RuntimeError, match="Не удалось прочитать изображение"):
        load_image(str(tmp_path / name))


def test_a_raw_picture_cut_short_is_refused(tmp_path, capfd):
    write_dng(tmp_path / "photo.dng")
    whole = (tmp_path / "photo.dng").read_bytes()
    (tmp_path / "photo.dng").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(RuntimeError, match="Не удалось прочитать изображение"):
        load_image(str(tmp_path / "photo.dng"))
    capfd.readouterr()  # LibRaw itself writes a line


def test_a_folder_is_refused(tmp_path):
    with pytest.raises(RuntimeError, match="Не удалось открыть"):
        load_image(str(tmp_path))


def test_indices_of_a_loaded_photo(tmp_path):
    image = photo()
    indices = compute_indices(image)
    assert list(indices) == ["NDVI_emp", "VARI", "GLI", "ExG", "CIVE", "MGRVI"]
    red, green = image[..., 0].astype(np.float32), image[..., 1].astype(np.float32)
    np.testing.assert_array_equal(indices["NDVI_emp"], (green - red) / (green + red + np.float32(1e-6)))
    assert indices.get("NDVI") is None


def test_the_heatmap_is_a_png_whatever_the_suffix(tmp_path):
    generate_heatmap(np.linspace(-1, 1, 12).reshape(3, 4), str(tmp_path / "карта.out"))
    written = Image.open(tmp_path / "карта.out")
    assert (written.format, written.size) == ("PNG", (4, 3))
    written.close()
    with pytest.raises(FileNotFoundError):
        generate_heatmap(np.eye(2), str(tmp_path / "no folder" / "h.png"))
    with pytest.raises(ValueError, match="at least one pixel"):
        generate_heatmap(np.zeros((0, 0)), str(tmp_path / "h.png"))


@pytest.mark.parametrize("shape", [(8,), (2, 4), (2, 2, 2), (8, 1)])
def test_classification_takes_any_shape(shape):
    values = np.float32([0.2, 0.05, 0.05, 0.05, -0.05, -0.05, -0.5, -0.5]).reshape(shape)
    stats, conclusion = classify_index(values)
    assert stats == dict(zip(LABELS, [12.5, 37.5, 25.0, 25.0], strict=True))
    assert list(stats) == LABELS
    assert "легкий стресс" in conclusion


def test_every_class_has_its_own_sentence():
    sentences = [classify_index(np.full(3, value))[1] for value in (0.5, 0.05, -0.05, -0.5)]
    empty_stats, empty_sentence = classify_index(np.zeros((0, 0), dtype=np.float32))
    assert empty_stats == {}
    assert len({*sentences, empty_sentence}) == 5
    assert all(sentence.endswith(".") for sentence in sentences)


def test_the_first_of_equal_classes_decides():
    assert classify_index([0.5, -0.5])[1] == classify_index([0.5])[1]
