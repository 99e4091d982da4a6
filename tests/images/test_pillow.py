"""Files that Pillow opens: turned as their EXIF says, and read at any depth."""

import struct
import sys

import numpy as np
import pytest
from openjpeg.utils import encode_array
from PIL import Image

from lungestimators import ImageReadError
from lungestimators.images import pillow

from .image_files import GRADIENT, read_quietly


def exif(orientation, damaged):
    """EXIF with an orientation and, where it shall be damaged, a resolution that is text."""
    entries = [struct.pack("<HHIHH", 0x0112, 3, 1, orientation, 0)]
    if damaged:
        entries.append(struct.pack("<HHI4s", 0x011A, 2, 4, b"300\0"))
        entries.append(struct.pack("<HHI4s", 0x0131, 5, 1, b"\xff\xff\xff\x7f"))
    return (
        b"Exif\0\0II*\0\x08\0\0\0" + struct.pack("<H", len(entries)) + b"".join(entries) + bytes(4)
    )


AS_SHOWN = {
    1: lambda image: image,
    2: np.fliplr,
    3: lambda image: np.rot90(image, 2),
    4: np.flipud,
    5: np.transpose,
    6: lambda image: np.rot90(image, -1),
    7: lambda image: np.rot90(image, 2).T,
    8: np.rot90,
}


@pytest.mark.parametrize("orientation", AS_SHOWN)
@pytest.mark.parametrize("damaged", [False, True])
@pytest.mark.parametrize("name", ["a.jpg", "a.png", "a.webp"])
def test_an_image_is_turned_though_other_tags_are_damaged(tmp_path, orientation, damaged, name):
    image = Image.fromarray(GRADIENT).convert("RGB")
    image.save(tmp_path / name, exif=exif(orientation, damaged), quality=95)
    np.testing.assert_allclose(
        read_quietly(tmp_path / name)[..., 0], AS_SHOWN[orientation](GRADIENT) / 255, atol=0.05
    )


@pytest.mark.parametrize("value", [0, 9, 65535])
def test_an_orientation_that_does_not_exist_turns_nothing(tmp_path, value):
    Image.fromarray(GRADIENT).save(tmp_path / "a.jpg", exif=exif(value, False))
    np.testing.assert_allclose(read_quietly(tmp_path / "a.jpg")[..., 0], GRADIENT / 255, atol=0.05)


# JPEG 2000


@pytest.mark.parametrize("container", [0, 1])
@pytest.mark.parametrize("bits", [4, 7, 8, 9, 10, 12, 15, 16])
@pytest.mark.parametrize("n_channels", [1, 3])
@pytest.mark.parametrize("signed", [False, True])
def test_jpeg_2000_is_read_at_any_depth(tmp_path, container, bits, n_channels, signed):
    shape = (64, 80, 3)[: 3 if n_channels == 3 else 2]
    pixels = np.random.default_rng(0).integers(0, 2**bits, shape)
    stored = pixels - 2 ** (bits - 1) if signed else pixels
    content = encode_array(
        stored.astype(f"{'i' if signed else 'u'}{1 if bits <= 8 else 2}"),
        bits_stored=bits,
        photometric_interpretation=1 if n_channels == 3 else 2,
        use_mct=False,
        codec_format=container,
    )
    (tmp_path / "a.jp2").write_bytes(content)
    found = read_quietly(tmp_path / "a.jp2", n_channels)
    np.testing.assert_allclose(found.reshape(shape), pixels / (2**bits - 1), atol=2e-6)


def test_deep_colours_of_jpeg_2000_say_which_package_reads_them(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "openjpeg", None)
    pixels = np.full((64, 64, 3), 4095, np.uint16)
    path = tmp_path / "a.jp2"
    path.write_bytes(encode_array(pixels, bits_stored=12, photometric_interpretation=1))
    with pytest.raises(ImageReadError, match=r"a\.jp2.*12 bits.*pip install"):
        read_quietly(path, 3)


# Modes of Pillow that few files have


@pytest.mark.parametrize(
    "mode", ["RGBX", "YCbCr", "HSV", "CMYK", "La", "RGBa", "PA", "I", "F", "I;16", "I;16L", "I;16B"]
)
@pytest.mark.parametrize("channels", [1, 3])
def test_every_mode_of_pillow_becomes_grey_or_rgb(mode, channels):
    grey = GRADIENT // 16 * 17
    image = Image.fromarray(grey)
    if mode.startswith("I;16"):
        stored = (grey * np.uint16(257)).astype(">u2" if mode == "I;16B" else "<u2")
        image = Image.frombytes(mode, image.size, stored.tobytes())
    elif mode in ("La", "RGBa"):
        image = image.convert(mode[:-1] + "A").convert(mode)
    elif mode == "PA":
        image = image.convert("P").convert("PA")
    else:
        image = image if mode in "IF" else image.convert("RGB")
        image = image.convert(mode)
    pixels, _ = pillow.decode_with_pillow(image, channels)
    white = 65535 if pixels.dtype == np.uint16 else 255
    shown = pixels.reshape(*grey.shape, -1) / white
    np.testing.assert_allclose(
        shown, np.broadcast_to(grey[..., None] / 255, shown.shape), atol=0.01
    )
