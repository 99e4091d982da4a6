"""TIFF files that Pillow does not read without loss are read, or refused."""

import struct
import warnings

import numpy as np
import pytest
from PIL import Image

from lungestimators import ImageReadError
from lungestimators.images import reading

from .image_files import read_quietly, tiff_with_the_directory_first
from .tiff_writer import tiff


@pytest.mark.parametrize("white", [255, 4095, 65535])
@pytest.mark.parametrize("n_samples", [1, 2, 3, 4])
def test_colours_of_few_bits_in_16_are_stretched_as_grey_is(tmp_path, white, n_samples):
    n_colours = 1 if n_samples < 3 else 3
    samples = np.random.default_rng(0).integers(0, white, (6, 9, n_samples), endpoint=True)
    samples[0, 0] = white
    samples[..., n_colours:] = 65535  # alpha has nothing to do with it
    content = tiff(
        samples.astype(np.uint64),
        bits=16,
        photometric=1 if n_colours == 1 else 2,
        extra=(2,) * (n_samples - n_colours),
    )
    (tmp_path / "a.tif").write_bytes(content)
    context = (
        warnings.catch_warnings() if white == 65535 else pytest.warns(UserWarning, match="or less")
    )
    with context:
        found = reading.read_image(str(tmp_path / "a.tif"), 3)
    shown = np.broadcast_to(samples[..., :n_colours] / white, (6, 9, 3))
    np.testing.assert_allclose(found, shown, atol=2e-6)


def test_inks_of_few_bits_in_16_are_refused(tmp_path):
    path = tmp_path / "a"
    path.write_bytes(tiff(np.full((4, 4, 4), 9, np.uint64), bits=16, photometric=5))
    with pytest.raises(ImageReadError, match="CMYK in 16 bits of which it uses few"):
        read_quietly(path, 3)


GREY = np.arange(300, dtype=np.uint64).reshape(15, 20, 1)


def test_a_tiff_whose_strips_are_cut_off_says_so(tmp_path):
    content = tiff(GREY, bits=16, photometric=1, rows=1)
    lengths = struct.pack("<15I", *[40] * 15)
    assert lengths in content
    (tmp_path / "a").write_bytes(content.replace(lengths, struct.pack("<15I", *[40] * 14, 20)))
    with pytest.raises(ImageReadError, match="ends too early"):
        reading.read_image(str(tmp_path / "a"), 1)


def test_samples_of_many_bytes_count_as_many_pixels(tmp_path, monkeypatch):
    path = tmp_path / "a.tif"
    path.write_bytes(tiff(np.ones((8, 8, 5), np.uint64), bits=16, photometric=2, extra=(2, 2)))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 80)
    read_quietly(path)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 79)
    with pytest.raises(ImageReadError, match="640 bytes of samples, above 8 times"):
        read_quietly(path)


def test_a_compression_that_pillow_may_lack_is_named(tmp_path):
    content = tiff_with_the_directory_first() + bytes(200)
    plain = struct.pack("<HHII", 259, 4, 1, 1)
    assert plain in content
    content = content.replace(plain, struct.pack("<HHII", 259, 4, 1, 50001))
    (tmp_path / "a.tif").write_bytes(content)
    with pytest.raises(
        ImageReadError, match="compressed by WebP: they are damaged, or this Pillow"
    ):
        read_quietly(tmp_path / "a.tif")
