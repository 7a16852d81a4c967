import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from OLD.problematic_ndvi import generate_problematic_ndvi_image, main

GREEN, GREY, RED = (20, 200, 20), (100, 100, 100), (200, 20, 20)
AT_THRESHOLD = (18, 22, 0)


def write_field(path):
    pixels = np.array([[GREEN, GREY], [RED, AT_THRESHOLD]], dtype=np.uint8)
    Image.fromarray(np.repeat(np.repeat(pixels, 8, axis=0), 8, axis=1)).save(path)


def corners(path):
    with Image.open(path) as picture:
        pixels = np.asarray(picture.convert("RGB"))
    assert pixels.shape == (16, 16, 3)
    return [tuple(pixels[y, x].tolist()) for y, x in ((0, 0), (0, 15), (15, 0), (15, 15))]


def test_values_below_the_threshold_are_blended_with_red(tmp_path):
    write_field(tmp_path / "in.png")
    generate_problematic_ndvi_image(str(tmp_path / "in.png"), str(tmp_path / "out.png"))
    # 4 / 40 is exactly the float32 of 0.1, and so not below it
    assert corners(tmp_path / "out.png") == [GREEN, (178, 50, 50), (228, 10, 10), AT_THRESHOLD]


def test_colour_is_blue_green_red_and_alpha_its_weight(tmp_path):
    write_field(tmp_path / "in.png")
    generate_problematic_ndvi_image(
        str(tmp_path / "in.png"), str(tmp_path / "out.bmp"), -0.5, overlay_color=(255, 100, 0), alpha=1.0
    )
    assert corners(tmp_path / "out.bmp") == [GREEN, GREY, (0, 100, 255), AT_THRESHOLD]
    generate_problematic_ndvi_image(str(tmp_path / "in.png"), str(tmp_path / "out.png"), 1.5, alpha=0.0)
    assert corners(tmp_path / "out.png") == [GREEN, GREY, RED, AT_THRESHOLD]


def test_the_suffix_chooses_the_format(tmp_path):
    write_field(tmp_path / "поле.png")
    generate_problematic_ndvi_image(str(tmp_path / "поле.png"), str(tmp_path / "проблемы.jpg"))
    with Image.open(tmp_path / "проблемы.jpg") as picture:
        assert picture.format == "JPEG"
    for name in ("out", "out.xyz"):
        with pytest.raises(RuntimeError, match="PNG, JPG, TIFF или BMP"):
            generate_problematic_ndvi_image(str(tmp_path / "поле.png"), str(tmp_path / name))


@pytest.mark.parametrize("alpha", [-0.1, 1.1, float("nan")])
def test_alpha_is_a_fraction(tmp_path, alpha):
    with pytest.raises(ValueError, match="от 0 до 1"):
        generate_problematic_ndvi_image("in.png", str(tmp_path / "out.png"), alpha=alpha)


def test_the_command_takes_a_threshold_below_zero(tmp_path):
    write_field(tmp_path / "in.png")
    main([str(tmp_path / "in.png"), str(tmp_path / "out.png"), "-0.5"])
    assert corners(tmp_path / "out.png") == [GREEN, GREY, (228, 10, 10), AT_THRESHOLD]


def test_the_command_reports_errors_without_a_traceback(tmp_path, capsys):
    with pytest.raises(SystemExit) as ended:
        main([str(tmp_path / "missing.png"), str(tmp_path / "out.png")])
    assert ended.value.code == 1
    assert capsys.readouterr().err == (
        "Не удалось открыть файл «missing.png»: проверьте, что он существует и доступен для чтения.\n"
    )
    write_field(tmp_path / "in.png")
    with pytest.raises(SystemExit) as ended:
        main([str(tmp_path / "in.png"), str(tmp_path / "no folder" / "out.png")])
    assert ended.value.code == 1
    assert capsys.readouterr().err.startswith("Не удалось записать")


@pytest.mark.slow
def test_it_runs_as_a_module(tmp_path):
    write_field(tmp_path / "in.png")
    command = [
        sys.executable,
        "-m",
        "OLD.problematic_ndvi",
        str(tmp_path / "in.png"),
        str(tmp_path / "out.png"),
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert corners(tmp_path / "out.png")[1] == (178, 50, 50)
