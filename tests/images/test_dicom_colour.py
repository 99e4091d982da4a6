"""Colours of DICOM files become RGB, or are refused by name."""

import io

import numpy as np
import pytest
from PIL import Image
from pydicom.uid import (
    ExplicitVRBigEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
)

from lungestimators import ImageReadError
from lungestimators.images import file_checks, reading

from .dicom_files import BYTES, PIXELS, coloured, encode, radiograph, read, save, write

FULL = PIXELS / 4095


RGB = np.stack([BYTES, 255 - BYTES, BYTES.T.reshape(BYTES.shape)], axis=-1)


@pytest.mark.parametrize("planar", [0, 1])
@pytest.mark.parametrize("bits", [8, 12])
def test_colours_of_few_bits_in_many_are_spread_as_grey_is(tmp_path, planar, bits):
    pixels = RGB.astype(np.uint16) * ((2**bits - 1) // 255)
    path = save(tmp_path / "a.dcm", coloured(pixels, planar=planar))
    with pytest.warns(UserWarning, match="fill little of what their bits can hold"):
        seen = reading.read_image(path, 3)
    np.testing.assert_allclose(seen, RGB / 255, atol=1e-6)


def test_dark_colours_of_eight_bits_stay_dark(tmp_path):
    path = save(tmp_path / "a.dcm", coloured(RGB // 30))
    np.testing.assert_allclose(reading.read_image(path, 3), RGB // 30 / 255, atol=1e-7)


def test_colours_of_twelve_bits_have_twelve(tmp_path):
    path = save(tmp_path / "a.dcm", coloured(RGB.astype(np.uint16) * 16, bits_stored=12))
    np.testing.assert_allclose(reading.read_image(path, 3), RGB * 16.0 / 4095, atol=1e-6)


def test_partial_luminance_is_brought_to_the_full_range(tmp_path):
    y, b, r = (plane.astype(float) for plane in np.moveaxis(RGB[:, ::2], -1, 0))
    y, b, r = 16 + y * 219 / 255, 16 + b * 224 / 255, 16 + r * 224 / 255
    y, b, r = (plane.round().astype(np.uint8) for plane in (y, b, r))
    dataset = coloured(RGB, "YBR_PARTIAL_422")
    dataset.PixelData = np.stack([y, y, b, r], axis=-1).tobytes()
    seen = reading.read_image(save(tmp_path / "a.dcm", dataset), 3)
    # ITU-R BT.601, the equations that the standard gives for this space, inverted
    matrix = np.array(
        [[0.2568, 0.5041, 0.0979], [-0.1482, -0.2910, 0.4392], [0.4392, -0.3678, -0.0714]]
    )
    rgb = (np.stack([y - 16.0, b - 128.0, r - 128.0], -1) @ np.linalg.inv(matrix).T).clip(0, 255)
    np.testing.assert_allclose(seen[:, ::2], rgb / 255, atol=0.002)
    np.testing.assert_array_equal(seen[:, ::2], seen[:, 1::2])


def test_black_white_and_red_of_full_luminance(tmp_path):
    colours = np.array([[[0, 128, 128], [255, 128, 128], [76, 85, 255]]], np.uint8)
    seen = reading.read_image(save(tmp_path / "a.dcm", coloured(colours, "YBR_FULL")), 3)
    np.testing.assert_allclose(seen, [[[0, 0, 0], [1, 1, 1], [1, 0, 0]]], atol=0.006)


def test_luminance_of_more_than_eight_bits_keeps_them(tmp_path):
    colours = np.array([[[0, 2**15, 2**15], [65535, 2**15, 2**15], [513, 2**15, 2**15]]], np.uint16)
    seen = reading.read_image(save(tmp_path / "a.dcm", coloured(colours, "YBR_FULL")), 3)
    np.testing.assert_allclose(seen[0, :, 1], [0, 1, 513 / 65535], atol=1e-6)


@pytest.mark.parametrize(
    "elements, reason",
    [
        (dict(colour="HSV"), "colour space 'HSV'"),
        (dict(colour="CMYK"), "colour space 'CMYK'"),
        (dict(colour="ARGB"), "colour space 'ARGB'"),
        (dict(colour="YBR_PARTIAL_420"), "colour space 'YBR_PARTIAL_420'"),
        (dict(colour="YBR_RCT"), "YBR_RCT, which is one of JPEG 2000"),
        (dict(colour="YBR_ICT"), "YBR_ICT, which is one of JPEG 2000"),
        (dict(colour="MONOCHROME2"), "3 samples a pixel in the colour space 'MONOCHROME2'"),
        (dict(colour="YBR_FULL_422"), "6720 bytes of pixels, and its header describes 4480"),
        (dict(colour="YBR_PARTIAL_422"), "6720 bytes of pixels, and its header describes 4480"),
        (dict(colour="YBR_FULL_422", planar=1), "PlanarConfiguration 0"),
        (dict(PlanarConfiguration=None), "without PlanarConfiguration"),
    ],
)
def test_colours_that_cannot_be_told_are_named(tmp_path, elements, reason):
    planar = elements.pop("PlanarConfiguration", 0)
    dataset = coloured(RGB, **elements)
    if planar is None:
        del dataset.PlanarConfiguration
    with pytest.raises(ImageReadError, match=reason):
        file_checks.check_files([save(tmp_path / "a.dcm", dataset)])


def test_signed_colours_are_refused(tmp_path):
    dataset = coloured(RGB, PixelRepresentation=1)
    with pytest.raises(ImageReadError, match="its colours are signed"):
        read(save(tmp_path / "a.dcm", dataset))


def test_luminance_that_fills_little_of_its_bits_is_refused(tmp_path):
    dataset = coloured(RGB.astype(np.uint16), "YBR_FULL")
    with pytest.raises(ImageReadError, match="its colours cannot be told"):
        read(save(tmp_path / "a.dcm", dataset))


def markers(stream, adobe):
    """A JPEG of Pillow's with Adobe's marker in the place of that of JFIF."""
    start = stream.index(b"\xff\xe0")
    end = start + 2 + int.from_bytes(stream[start + 2 : start + 4], "big")
    marker = b"\xff\xee\x00\x0eAdobe\x00\x64\x00\x00\x00\x00" + bytes([adobe or 0])
    return stream[:start] + marker * (adobe is not None) + stream[end:]


@pytest.mark.parametrize("colour", ["RGB", "YBR_FULL", "YBR_FULL_422"])
@pytest.mark.parametrize("adobe", ["JFIF", None, 1])
def test_colours_of_jpeg_are_those_that_the_stream_says(tmp_path, colour, adobe):
    smooth = np.stack([BYTES, 255 - BYTES, BYTES // 2], axis=-1)
    stream = encode(smooth, JPEGBaseline8Bit, 8)
    stream = stream if adobe == "JFIF" else markers(stream, adobe)
    path = write(tmp_path / "a.dcm", coloured(smooth, colour), JPEGBaseline8Bit, stream)
    seen = reading.read_image(path, 3)
    if adobe is None and colour == "RGB":  # nothing but the header says what it is
        with Image.open(io.BytesIO(encode(smooth, JPEGBaseline8Bit, 8))) as image:
            image.draft("YCbCr", image.size)
            smooth = np.asarray(image)
    np.testing.assert_allclose(seen, smooth / 255, atol=0.02)


def test_a_jpeg_that_says_rgb_under_another_name_is_refused(tmp_path):
    stream = markers(encode(RGB, JPEGBaseline8Bit, 8), 0)
    path = write(tmp_path / "a.dcm", coloured(RGB, "YBR_FULL"), JPEGBaseline8Bit, stream)
    with pytest.raises(ImageReadError, match="its stream says that it is RGB"):
        read(path)


@pytest.mark.parametrize("said, made", [("RGB", "RGB"), ("YBR_RCT", "YBR_RCT"), ("RGB", "YBR_RCT")])
def test_colours_of_jpeg_2000_are_rgb(tmp_path, said, made):
    stream = encode(RGB, JPEG2000Lossless, 8, made)
    path = write(tmp_path / "a.dcm", coloured(RGB, said), JPEG2000Lossless, stream)
    np.testing.assert_allclose(reading.read_image(path, 3), RGB / 255, atol=1e-7)


@pytest.mark.parametrize("said, made", [("YBR_RCT", "RGB"), ("YBR_FULL", "YBR_RCT")])
def test_colours_of_jpeg_2000_that_contradict_the_header_are_refused(tmp_path, said, made):
    stream = encode(RGB, JPEG2000Lossless, 8, made)
    path = write(tmp_path / "a.dcm", coloured(RGB, said), JPEG2000Lossless, stream)
    with pytest.raises(ImageReadError, match=f"it is {said}, and its stream is"):
        read(path)


def painted(pixels, bits, data, first=0, n_entries=None, name="{}PaletteColorLookupTable", **more):
    """A data set with one palette for all three colours."""
    dataset = radiograph(pixels, 8 * pixels.itemsize, "PALETTE COLOR", **more)
    for colour in ("Red", "Green", "Blue"):
        said = [len(data) if n_entries is None else n_entries, first, bits]
        dataset.add_new(f"{colour}PaletteColorLookupTableDescriptor", "US", said)
        dataset.add_new(f"{name.format(colour)}Data", "OW", data.tobytes())
    return dataset


def test_palettes_of_a_big_endian_file(tmp_path):
    entries = (np.arange(256) ** 2).astype(">u2")
    dataset = painted(BYTES, 16, entries)
    dataset.file_meta.TransferSyntaxUID = ExplicitVRBigEndian
    dataset.save_as(tmp_path / "a.dcm", enforce_file_format=True)
    np.testing.assert_allclose(read(tmp_path / "a.dcm"), BYTES.astype(int) ** 2 / 65535, atol=1e-6)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_palettes_of_bytes_have_one_or_two_in_a_word(tmp_path, dtype):
    entries = np.arange(255, -1, -1).astype(dtype)
    path = save(tmp_path / "a.dcm", painted(BYTES, 8, entries))
    np.testing.assert_allclose(read(path), 1 - BYTES / 255, atol=1e-6)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_palettes_of_more_than_256_bytes(tmp_path, dtype):
    entries = (np.arange(4096) // 16).astype(dtype)
    path = save(tmp_path / "a.dcm", painted(PIXELS, 8, entries))
    np.testing.assert_allclose(read(path), PIXELS // 16 / 255, atol=1e-6)


def test_a_palette_of_no_entries_has_65536(tmp_path):
    entries = np.arange(2**16).astype(np.uint16)[::-1]
    path = save(tmp_path / "a.dcm", painted(PIXELS * np.uint16(16), 16, entries, n_entries=0))
    np.testing.assert_allclose(read(path), 1 - PIXELS * 16.0 / 65535, atol=1e-6)


def test_a_palette_begins_at_its_first_value_which_has_the_sign_of_the_pixels(tmp_path):
    entries = np.arange(4096).astype(np.uint16) * 16
    signed = PIXELS.astype(np.int16) - 2048
    path = save(tmp_path / "a.dcm", painted(signed, 16, entries, first=2**16 - 2048))
    np.testing.assert_allclose(read(path), PIXELS * 16 / 65535, atol=1e-6)


def test_opacity_in_a_palette_is_no_colour(tmp_path):
    dataset = painted(BYTES, 8, np.arange(256).astype(np.uint8))
    dataset.add_new("AlphaPaletteColorLookupTableData", "OW", bytes(256))
    path = save(tmp_path / "a.dcm", dataset)
    np.testing.assert_allclose(read(path), BYTES / 255, atol=1e-6)


def test_palettes_of_sixteen_bits_that_use_eight_are_not_black(tmp_path):
    path = save(tmp_path / "a.dcm", painted(BYTES, 16, np.arange(256).astype(np.uint16)))
    np.testing.assert_allclose(read(path), BYTES / 255, atol=1e-6)


@pytest.mark.parametrize("brightest", [5000, 25500, 40000])
def test_palettes_of_sixteen_bits_that_hold_no_white_are_as_dark_as_they_say(tmp_path, brightest):
    entries = np.linspace(0, brightest, 256).astype(np.uint16)
    path = save(tmp_path / "a.dcm", painted(BYTES, 16, entries))
    np.testing.assert_allclose(read(path), entries[BYTES] / 65535, atol=1e-6)


def test_palettes_in_segments_are_expanded(tmp_path):
    # 0, 100; a line of four to 900; 7, 8
    segments = np.array([0, 2, 0, 100, 1, 4, 900, 0, 2, 7, 65535], np.uint16)
    entries = np.array([0, 100, 300, 500, 700, 900, 7, 65535])
    pixels = (BYTES // 32).astype(np.uint8)
    dataset = painted(pixels, 16, segments, n_entries=8, name="Segmented{}PaletteColorLookupTable")
    np.testing.assert_allclose(
        read(save(tmp_path / "a.dcm", dataset)), entries[pixels] / 65535, atol=1e-6
    )


@pytest.mark.parametrize(
    "segments, reason",
    [
        ([1, 4, 900], "segment of type 1"),
        ([0, 1, 0, 2, 1, 0, 0], "segment of type 2"),
        ([0, 9, 1, 2], "are damaged"),
        ([0, 4, 1, 2, 3, 4], "claims 8 entries and has 4"),
    ],
)
def test_segments_that_make_no_palette_are_named(tmp_path, segments, reason):
    name = "Segmented{}PaletteColorLookupTable"
    dataset = painted(BYTES // 32, 16, np.array(segments, np.uint16), n_entries=8, name=name)
    with pytest.raises(ImageReadError, match=reason):
        read(save(tmp_path / "a.dcm", dataset))


def test_a_palette_that_is_lacking_is_named(tmp_path):
    dataset = painted(BYTES, 8, np.arange(256).astype(np.uint8))
    del dataset.BluePaletteColorLookupTableData
    with pytest.raises(ImageReadError, match="without BluePaletteColorLookupTable"):
        read(save(tmp_path / "a.dcm", dataset))
