"""Files become pixels at their full depth, and those that cannot are named."""

import io
import warnings
import zlib

import numpy as np
import pytest
from PIL import Image

from lungestimators import ImageReadError
from lungestimators.images import checking, decoding, file_checks, pillow, reading

from .image_files import GRADIENT, read, read_quietly, save

# What there is to read


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "LAB", "YCbCr"])
@pytest.mark.parametrize("channels", [1, 3])
def test_every_8_bit_mode_becomes_grey_or_rgb(tmp_path, mode, channels):
    image = Image.fromarray(GRADIENT)
    if mode == "LAB":
        image = Image.merge("LAB", [image] + 2 * [Image.new("L", image.size, 128)])
    else:
        image = image.convert("RGB").convert(mode)
    suffix = {"CMYK": "jpg", "LAB": "tif", "YCbCr": "jpg"}.get(mode, "png")
    path = tmp_path / f"a.{suffix}"
    image.save(path)
    pixels = read(path, channels)
    assert pixels.shape == (48, 64, channels)
    if mode == "1":  # dithered
        assert set(np.unique(pixels)) == {0, 1}
    else:
        assert np.corrcoef(pixels[..., 0].ravel(), GRADIENT.ravel())[0, 1] > 0.96


def test_a_16_bit_png_keeps_its_depth(tmp_path):
    pixels = np.linspace(0, 65535, 4096).astype(np.uint16).reshape(64, 64)
    np.testing.assert_allclose(
        read(save(tmp_path / "deep.png", pixels))[..., 0] * 65535, pixels, atol=0.01
    )


def test_twelve_bits_in_sixteen_are_not_crushed_and_a_warning_says_so(tmp_path):
    pixels = np.linspace(0, 4095, 4096).astype(np.uint16).reshape(64, 64)
    with pytest.warns(UserWarning, match="4095 or less"):
        deep = read(save(tmp_path / "deep.png", pixels))
    np.testing.assert_allclose(deep[..., 0] * 4095, pixels, atol=0.01)
    assert len(np.unique(deep)) == 4096


def test_floats_are_taken_as_they_are(tmp_path):
    pixels = np.linspace(0, 1, 64, dtype=np.float32).reshape(8, 8)
    np.testing.assert_array_equal(read(save(tmp_path / "float.tif", pixels))[..., 0], pixels)


def test_floats_of_no_usual_range_are_stretched_with_a_warning(tmp_path):
    hounsfield = np.linspace(-1000, 400, 64, dtype=np.float32).reshape(8, 8)
    with pytest.warns(UserWarning, match="extremes are its limits"):
        pixels = read(save(tmp_path / "ct.tif", hounsfield))
    np.testing.assert_allclose(pixels[..., 0], (hounsfield + 1000) / 1400, atol=1e-6)


def test_whole_numbers_of_32_bits_are_read(tmp_path):
    pixels = np.linspace(0, 2e9, 64).astype(np.int32).reshape(8, 8)
    with pytest.warns(UserWarning, match="extremes are its limits"):
        read_back = read(save(tmp_path / "wide.tif", pixels))
    np.testing.assert_allclose(read_back[..., 0], pixels / 2e9, atol=1e-6)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_a_tiff_whose_white_is_zero_is_inverted(tmp_path, dtype):
    pixels = np.linspace(0, np.iinfo(dtype).max, 64).astype(dtype).reshape(8, 8)
    path = tmp_path / "a.tif"
    save(path, pixels)
    black_is_zero = bytes.fromhex("0601 0300 01000000 0100")  # photometric interpretation 1
    assert black_is_zero in path.read_bytes()
    path.write_bytes(path.read_bytes().replace(black_is_zero, black_is_zero[:-2] + b"\0\0"))
    np.testing.assert_allclose(read(path)[..., 0], 1 - pixels / np.iinfo(dtype).max, atol=1e-6)


@pytest.mark.parametrize("name", ["turned.jpg", "turned.tif", "deflated.tif"])
def test_an_image_is_turned_once_as_its_exif_says(tmp_path, name):
    exif = Image.Exif()
    exif[0x0112] = 6
    compression = {"compression": "tiff_adobe_deflate"} if name == "deflated.tif" else {}
    path = save(tmp_path / name, exif=exif, **compression)
    expected = np.rot90(GRADIENT, -1) / 255
    assert read(path).shape == (64, 48, 1)
    np.testing.assert_allclose(read(path)[..., 0], expected, atol=0.05)


@pytest.mark.parametrize("name", ["a", "a.txt", "a.dcm", "a.jpg"])
def test_the_content_decides_and_not_the_name(tmp_path, name):
    path = tmp_path / name
    save(path, format="PNG")
    np.testing.assert_array_equal(read(path)[..., 0] * 255, GRADIENT)
    assert decoding.is_decodable(path)


def test_the_odd_but_valid_files_have_the_pixels_of_the_radiograph(real_data):
    folder = real_data / "odd-images" / "valid"
    radiograph = read(folder / "xray_noextension")
    expected = {
        "xray.webp": 0.06,  # lossy
        "xray_16bit.png": 1e-4,
        "xray_16bit.tif": 1e-4,
        "xray_2pages.tif": 0,
        "xray_RGBA.png": 0,
        "xray_cmyk.jpg": 0.02,
        "xray_float01.tif": 1e-6,
        "xray_palette.png": 0.01,
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name, tolerance in expected.items():
            np.testing.assert_allclose(
                read(folder / name), radiograph, atol=tolerance, err_msg=name
            )
        turned = read(folder / "xray_exif_rot6.jpg")
        np.testing.assert_allclose(turned, np.rot90(radiograph, -1), atol=0.1)
        assert set(np.unique(read(folder / "xray_1bit.png"))) == {0, 1}
        assert read(folder / "xray_1x1.png").shape == (1, 1, 1)
        for path in folder.iterdir():
            assert 0 <= read(path, 3).min() <= read(path, 3).max() <= 1


def test_real_radiographs_are_read(real_data):
    paths = sorted((real_data / "lung-disease" / "train" / "Type 1 disease").iterdir())[:12]
    for path in checking.check_paths_in_x(paths):
        pixels = reading.read_image(path, 3)
        assert pixels.shape == (640, 640, 3)
        assert 0 <= pixels.min() < 0.2 < 0.6 < pixels.max() <= 1


# What cannot be read


def truncated(suffix, **options):
    """The first two thirds of an image."""
    buffer = io.BytesIO()
    Image.fromarray(GRADIENT).save(buffer, suffix, **options)
    return buffer.getvalue()[: buffer.tell() * 2 // 3]


def bomb():
    """A PNG that claims more pixels than memory can hold."""
    png = io.BytesIO()
    Image.new("L", (8, 8)).save(png, "PNG")
    header = b"IHDR" + (2**17).to_bytes(4) * 2 + png.getvalue()[24:29]
    checksum = zlib.crc32(header).to_bytes(4)
    return png.getvalue()[:12] + header + checksum + png.getvalue()[33:]


BROKEN = {
    "empty": (b"", "the file is empty"),
    "text": (b"<!DOCTYPE html><html></html>", "not an image"),
    "jpeg": (truncated("JPEG"), "truncated"),
    "png": (truncated("PNG"), "truncated|broken"),
    "tiff": (truncated("TIFF"), ""),
    "bomb": (bomb(), "pixels"),
    "postscript": (
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\n",
        "EPS, which Pillow does not decode",
    ),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_file_is_named_with_what_is_wrong(tmp_path, name):
    content, reason = BROKEN[name]
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(ImageReadError, match=f"{name}' cannot be read: .*({reason})") as error:
        read(path)
    assert list(error.value.reasons) == [str(path)]


def test_the_order_of_bytes_in_a_tiff_changes_nothing(tmp_path):
    pixels = np.linspace(0, 4000, 64).astype(np.uint16).reshape(8, 8)
    little = save(tmp_path / "little.tif", pixels)
    big = save(tmp_path / "big.tif", pixels.astype(">u2"))
    with open(big, "rb") as file:
        assert file.read(2) == b"MM"
    for path in (little, big):
        with pytest.warns(UserWarning, match="4095 or less"):
            np.testing.assert_allclose(read(path)[..., 0], pixels / 4095, atol=1e-6)


def test_a_portable_map_of_16_bits_says_what_white_is(tmp_path):
    pixels = np.linspace(0, 300, 64).astype(np.uint16).reshape(8, 8)
    (tmp_path / "a.pgm").write_bytes(b"P5 8 8 1000\n" + pixels.astype(">u2").tobytes())
    np.testing.assert_allclose(read(tmp_path / "a.pgm")[..., 0], pixels / 1000, atol=1e-4)


BEYOND = {
    "above white": (
        np.full((4, 4), 1.1),
        (0.0, 1.0),
        "lie in 1.1..1.1, where 0 is black and 1 white",
    ),
    "below black": (np.full((4, 4), -1, np.int16), (0.0, 9.0), "lie in -1..-1"),
    "more than 12 bits": (np.full((4, 4), 4096, np.uint16), (0.0, 4095.0), "lie in 4096"),
    "an alpha channel": (np.zeros((4, 4, 4), np.uint8), (0.0, 255.0), r"shape \(4, 4, 4\)"),
    "no pixel": (np.zeros((0, 4), np.uint8), (0.0, 255.0), r"shape \(0, 4, -?\d+\)|reshape"),
    "NaN": (np.full((4, 4), np.nan, np.float32), (0.0, 1.0), "NaN"),
    "infinity": (np.full((4, 4), np.inf), None, "infinity"),
    "limits of NaN": (np.zeros((4, 4), np.uint8), (0.0, np.nan), "between"),
    "limits the wrong way round": (np.zeros((4, 4), np.uint8), (255.0, 0.0), "255 as black"),
    "complex numbers": (np.zeros((4, 4), complex), (0.0, 1.0), "complex"),
}


@pytest.fixture
def decoder_returns(monkeypatch):
    """Let the decoder of PNG files return what it should not."""

    def set_to(*result):
        monkeypatch.setattr(pillow, "decode_with_pillow", lambda image, channels: result)

    return set_to


@pytest.mark.parametrize("kind", BEYOND)
@pytest.mark.parametrize("channels", [1, 3])
def test_whatever_the_decoder_no_pixel_lies_beyond_black_and_white(
    tmp_path, decoder_returns, kind, channels
):
    pixels, limits, reason = BEYOND[kind]
    path = save(tmp_path / "a.png")
    decoder_returns(pixels, limits)
    if channels == 1 and kind == "an alpha channel":
        reason = ""  # what is wrong comes up before
    with pytest.raises(ImageReadError, match=f"a.png' cannot be read: .*({reason})"):
        reading.read_image(path, channels)
    assert list(file_checks.unreadable_files([path])) == [path]


def test_rounding_beyond_black_and_white_is_no_error(tmp_path, decoder_returns):
    decoder_returns(np.array([[-5e-7, 1 + 5e-7]]), (0.0, 1.0))
    pixels = reading.read_image(save(tmp_path / "a.png"), 1)
    np.testing.assert_allclose(pixels, [[[0], [1]]], atol=1e-6)


def test_the_made_files_show_what_is_expected_of_them(real_data):
    folder = real_data / "odd-images" / "made"
    expected = np.load(folder / "expected.npz")
    paths = [path for path in sorted(folder.iterdir()) if path.suffix in (".tif", ".jpg")]
    assert len(paths) == 3
    for path in paths:
        tolerance = 0.01 if path.suffix == ".jpg" else 2e-5
        np.testing.assert_allclose(
            read_quietly(path)[..., 0], expected[path.name], atol=tolerance, err_msg=path.name
        )
