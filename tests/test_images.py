"""Files become pixels at their full depth."""

import numpy as np
import pytest
from PIL import Image

from lungestimators import images


def test_a_16_bit_png_keeps_its_depth(tmp_path):
    pixels = np.linspace(0, 65535, 64).astype(np.uint16).reshape(8, 8)
    Image.fromarray(pixels).save(tmp_path / "deep.png")
    read = images.read_image(str(tmp_path / "deep.png"), 1)[..., 0]
    np.testing.assert_allclose(read * 65535, pixels, atol=0.01)


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "P", "CMYK", "1"])
def test_every_8_bit_mode_becomes_rgb(tmp_path, mode):
    white = Image.new("RGB", (4, 6), "white").convert(mode)
    path = tmp_path / ("a.jpg" if mode == "CMYK" else "a.png")
    white.save(path)
    read = images.read_image(str(path), 3)
    assert read.shape == (6, 4, 3)
    assert read.min() > 0.98


def test_a_photograph_is_turned_as_its_exif_says(tmp_path):
    image = Image.new("L", (8, 4))
    exif = image.getexif()
    exif[0x0112] = 6
    image.save(tmp_path / "turned.jpg", exif=exif)
    assert images.read_image(str(tmp_path / "turned.jpg"), 1).shape == (8, 4, 1)


def test_real_radiographs_are_read(real_data):
    files = sorted((real_data / "lung-disease" / "train" / "Type 1 disease").iterdir())[:12]
    for path in images.check_paths(files):
        read = images.read_image(path, 3)
        assert read.shape == (640, 640, 3)
        assert 0 <= read.min() < 0.2 < 0.6 < read.max() <= 1
