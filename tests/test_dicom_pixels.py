"""The bits, signs, colours and streams of DICOM files are those that their pixels have."""

import io
import warnings

import numpy as np
import pytest
from dicom_files import PIXELS, radiograph, read, save
from PIL import Image
from pydicom import Dataset, dcmread
from pydicom.data import get_testdata_file
from pydicom.encaps import encapsulate
from pydicom.pixels import get_encoder
from pydicom.uid import (
    JPEG2000,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGLSLossless,
    RLELossless,
)

from lungestimators import ImageReadError, files, images, thumbnails

FULL = PIXELS / 4095
BYTES = (PIXELS // 16).astype(np.uint8)


def encode(pixels, syntax, depth, colour="MONOCHROME2"):
    """The stream of one frame, whose samples have ``depth`` bits."""
    if syntax == JPEGBaseline8Bit:
        buffer = io.BytesIO()
        Image.fromarray(pixels).save(buffer, "JPEG", quality=100, subsampling=0)
        return buffer.getvalue()
    return get_encoder(syntax).encode(
        pixels.tobytes(),
        validate=False,
        rows=pixels.shape[0],
        columns=pixels.shape[1],
        samples_per_pixel=1 if pixels.ndim == 2 else 3,
        number_of_frames=1,
        bits_allocated=8 * pixels.itemsize,
        bits_stored=depth,
        pixel_representation=int(pixels.dtype.kind == "i"),
        photometric_interpretation=colour,
        planar_configuration=0,
    )


def write(path, dataset, syntax, stream):
    """Write a file of one encoded frame and return its path."""
    dataset.PixelData = encapsulate([stream])
    dataset["PixelData"].VR = "OB"
    dataset["PixelData"].is_undefined_length = True
    dataset.file_meta.TransferSyntaxUID = syntax
    dataset.save_as(path, enforce_file_format=True)
    return str(path)


def coloured(pixels, colour="RGB", bits_stored=None, planar=0, **elements):
    """A data set of one frame of three samples."""
    dataset = radiograph(pixels[..., 0], bits_stored or 8 * pixels.itemsize, colour, **elements)
    dataset.SamplesPerPixel, dataset.PlanarConfiguration = 3, planar
    dataset.PixelData = (np.moveaxis(pixels, -1, 0) if planar else pixels).tobytes()
    return dataset


STREAMS = pytest.mark.parametrize(
    "syntax", [JPEG2000Lossless, JPEGLSLossless], ids=lambda s: s.name
)


@STREAMS
@pytest.mark.parametrize("photometric", ["MONOCHROME2", "MONOCHROME1"])
def test_a_stream_deeper_than_bits_stored_has_its_own_bits(tmp_path, syntax, photometric):
    pixels = PIXELS * np.uint16(16)
    path = write(
        tmp_path / "a.dcm",
        radiograph(photometric=photometric),
        syntax,
        encode(pixels, syntax, 16),
    )
    expected = pixels / 65535
    expected = 1 - expected if photometric == "MONOCHROME1" else expected
    np.testing.assert_allclose(read(path), expected, atol=1e-6)


@STREAMS
def test_a_deeper_stream_whose_values_fit_has_bits_stored(tmp_path, syntax):
    path = write(tmp_path / "a.dcm", radiograph(), syntax, encode(PIXELS, syntax, 16))
    np.testing.assert_allclose(read(path), FULL, atol=1e-6)


@STREAMS
def test_a_deeper_stream_of_signed_values_that_fit_has_bits_stored(tmp_path, syntax):
    signed = PIXELS.astype(np.int16) - 2048
    pixels = signed if syntax == JPEG2000Lossless else signed.view(np.uint16)
    path = write(tmp_path / "a.dcm", radiograph(signed), syntax, encode(pixels, syntax, 16))
    np.testing.assert_allclose(read(path), FULL, atol=1e-6)


def test_a_deeper_stream_of_signed_values_has_its_own_bits(tmp_path):
    signed = (PIXELS * 16.0 - 2**15).astype(np.int16)
    stream = encode(signed, JPEG2000Lossless, 16)
    path = write(tmp_path / "a.dcm", radiograph(signed, bits_stored=12), JPEG2000Lossless, stream)
    np.testing.assert_allclose(read(path), PIXELS * 16 / 65535, atol=1e-6)


@pytest.mark.parametrize("syntax", [JPEG2000Lossless, JPEGLSLossless, JPEGBaseline8Bit])
@pytest.mark.parametrize("photometric", ["MONOCHROME2", "MONOCHROME1"])
def test_a_stream_shallower_than_bits_stored_has_its_own_bits(tmp_path, syntax, photometric):
    dataset = radiograph(photometric=photometric)
    path = write(tmp_path / "a.dcm", dataset, syntax, encode(BYTES, syntax, 8))
    expected = BYTES / 255
    expected = 1 - expected if photometric == "MONOCHROME1" else expected
    tolerance = 0.01 if syntax == JPEGBaseline8Bit else 1e-6
    np.testing.assert_allclose(read(path), expected, atol=tolerance)


@pytest.mark.parametrize(
    "name", ["SC_rgb_jpeg_gdcm.dcm", "JPGExtended.dcm", "SC_rgb_jpeg_dcmtk.dcm"]
)
def test_other_jpeg_is_read_alike_when_bits_stored_is_too_large(tmp_path, name):
    path = get_testdata_file(name, download=False)
    dataset = dcmread(path)
    for window in ("WindowCenter", "WindowWidth"):
        if window in dataset:
            del dataset[window]
    depth = dataset.BitsStored
    dataset.save_as(tmp_path / "a.dcm")
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 32, 20, 19
    dataset.save_as(tmp_path / "b.dcm")
    assert depth < 20
    deeper, plain = (images.read_image(str(tmp_path / f"{name}.dcm"), 3) for name in "ba")
    np.testing.assert_array_equal(deeper, plain)


@STREAMS
def test_a_window_for_one_of_two_depths_is_refused_or_applied(tmp_path, syntax):
    window = dict(WindowCenter=2048, WindowWidth=4096)
    deeper = write(
        tmp_path / "a.dcm",
        radiograph(**window),
        syntax,
        encode(PIXELS * np.uint16(16), syntax, 16),
    )
    with pytest.raises(ImageReadError, match="which of them its window is for cannot be told"):
        read(deeper)
    window = dict(WindowCenter=100, WindowWidth=101)
    shallower = write(tmp_path / "b.dcm", radiograph(**window), syntax, encode(BYTES, syntax, 8))
    expected = np.clip((BYTES - 99.5) / 100 + 0.5, 0, 1)
    np.testing.assert_allclose(read(shallower), expected, atol=1e-6)


@pytest.mark.parametrize("colour", ["MONOCHROME2", "PALETTE COLOR"])
def test_a_table_for_one_of_two_depths_is_refused(tmp_path, colour):
    item = Dataset()
    item.LUTDescriptor = [4096, 0, 12]
    item.add_new("LUTData", "US", list(range(4096)))
    dataset = radiograph(photometric=colour, VOILUTSequence=[item])
    stream = encode(PIXELS * np.uint16(16), JPEGLSLossless, 16)
    with pytest.raises(ImageReadError, match="its stream has 16 bits a sample, and BitsStored"):
        read(write(tmp_path / "a.dcm", dataset, JPEGLSLossless, stream))


def test_lossy_jpeg_of_signed_values_is_refused(tmp_path):
    stream = encode(BYTES, JPEGBaseline8Bit, 8)
    dataset = radiograph(BYTES.view(np.int8), bits_stored=8)
    with pytest.raises(ImageReadError, match="cosine"):
        read(write(tmp_path / "a.dcm", dataset, JPEGBaseline8Bit, stream))


@STREAMS
def test_signed_values_of_an_unsigned_stream_are_those_of_twos_complement(tmp_path, syntax):
    signed = PIXELS.astype(np.int16) - 2048
    stream = encode(signed.view(np.uint16) & np.uint16(4095), syntax, 12)
    path = write(tmp_path / "a.dcm", radiograph(signed), syntax, stream)
    np.testing.assert_allclose(read(path), FULL, atol=1e-6)


def test_a_deeper_stream_whose_sign_cannot_be_told_is_refused(tmp_path):
    signed = PIXELS.astype(np.int16) - 2048
    stream = encode(signed.view(np.uint16) & np.uint16(4095), JPEGLSLossless, 16)
    with pytest.raises(ImageReadError, match="which of them is the sign"):
        read(write(tmp_path / "a.dcm", radiograph(signed), JPEGLSLossless, stream))


@STREAMS
def test_graphics_in_the_bits_of_a_stream_are_no_part_of_its_pixels(tmp_path, syntax):
    dataset = radiograph()
    dataset.add_new((0x6000, 0x0100), "US", 16)
    dataset.add_new((0x6000, 0x0102), "US", 15)
    stream = encode(PIXELS | np.uint16(0x8000), syntax, 16)
    path = write(tmp_path / "a.dcm", dataset, syntax, stream)
    np.testing.assert_allclose(read(path), FULL, atol=1e-6)


def test_lossy_values_a_little_beyond_bits_stored_are_white(tmp_path):
    pixels = np.minimum(PIXELS + np.uint16(100), np.uint16(4150))
    stream = encode(pixels, JPEG2000Lossless, 16)
    path = write(tmp_path / "a.dcm", radiograph(), JPEG2000, stream)
    np.testing.assert_allclose(read(path), np.minimum(pixels, 4095) / 4095, atol=1e-6)


def test_a_stream_of_other_sides_is_refused(tmp_path):
    stream = encode(np.ascontiguousarray(BYTES.T), JPEGLSLossless, 8)
    dataset = radiograph(BYTES, bits_stored=8)
    with pytest.raises(ImageReadError, match="have 56 rows, 40 columns"):
        read(write(tmp_path / "a.dcm", dataset, JPEGLSLossless, stream))


@pytest.mark.parametrize("high_bit, shift", [(15, 4), (13, 2), (11, 0)])
@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ExplicitVRBigEndian, RLELossless])
def test_pixels_lie_where_the_high_bit_says(tmp_path, high_bit, shift, syntax):
    dataset = radiograph(PIXELS << np.uint16(shift), HighBit=high_bit)
    if syntax == RLELossless:
        stream = encode(PIXELS << np.uint16(shift), RLELossless, 16)
        path = write(tmp_path / "a.dcm", dataset, syntax, stream)
    else:
        path = save(tmp_path / "a.dcm", dataset, syntax)
    np.testing.assert_allclose(read(path), FULL, atol=1e-6)


def test_signed_pixels_lie_where_the_high_bit_says(tmp_path):
    signed = PIXELS.astype(np.int16) - 2048
    dataset = radiograph(signed << 4, HighBit=15)
    dataset.BitsStored = 12
    np.testing.assert_allclose(read(save(tmp_path / "a.dcm", dataset)), FULL, atol=1e-6)


def test_a_high_bit_that_pixels_contradict_is_named(tmp_path):
    path = save(tmp_path / "a.dcm", radiograph(HighBit=15))
    with pytest.raises(ImageReadError, match="4 lowest bits of its pixels hold nothing, and they"):
        read(path)


@pytest.mark.parametrize(
    "elements, reason",
    [
        (dict(HighBit=16), "so many bits do not lie there"),
        (dict(HighBit=5), "so many bits do not lie there"),
        (dict(BitsStored=17), "so many bits do not lie there"),
        (dict(BitsAllocated=12), "BitsAllocated is 12"),
        (dict(BitsAllocated=24), "BitsAllocated is 24"),
        (dict(BitsStored=None), "without BitsStored"),
        (dict(PixelRepresentation=None), "without PixelRepresentation"),
        (dict(PixelRepresentation=2), "PixelRepresentation is 2"),
        (dict(Rows=[40, 40]), "several values of Rows"),
    ],
)
def test_bits_that_cannot_be_are_named_before_pixels_are_read(tmp_path, elements, reason):
    path = save(tmp_path / "a.dcm", radiograph(**elements))
    with pytest.raises(ImageReadError, match=reason):
        files.check([path])


def test_pixels_of_one_bit_are_unpacked(tmp_path):
    bits = (PIXELS > 2000).astype(np.uint8)
    dataset = radiograph(bits, bits_stored=1)
    dataset.BitsAllocated = 1
    dataset.PixelData = np.packbits(bits.ravel(), bitorder="little").tobytes()
    np.testing.assert_array_equal(read(save(tmp_path / "a.dcm", dataset)), bits)


@pytest.mark.parametrize("dtype", [np.uint32, np.int32, np.uint64])
def test_pixels_of_many_bits_keep_their_values(tmp_path, dtype):
    n_bits = 8 * np.dtype(dtype).itemsize
    low = float(np.iinfo(dtype).min)
    pixels = ((PIXELS.astype(object) * (2**n_bits - 1)) // 4095 + int(low)).astype(dtype)
    path = save(tmp_path / "a.dcm", radiograph(pixels, bits_stored=n_bits))
    np.testing.assert_allclose(read(path), FULL, atol=1e-6)


def test_small_differences_of_large_numbers_are_seen(tmp_path):
    path = save(tmp_path / "a.dcm", radiograph(PIXELS + np.uint64(2**45), bits_stored=64))
    with pytest.warns(UserWarning, match="fill little of what their bits can hold"):
        np.testing.assert_allclose(read(path), FULL, atol=1e-6)


def test_twice_the_pixels_that_a_header_describes_are_named(tmp_path):
    dataset = radiograph()
    dataset.BitsAllocated = dataset.BitsStored = 8
    dataset.HighBit = 7
    with pytest.raises(ImageReadError, match="4480 bytes of pixels, and its header describes 2240"):
        read(save(tmp_path / "a.dcm", dataset))


RGB = np.stack([BYTES, 255 - BYTES, BYTES.T.reshape(BYTES.shape)], axis=-1)


@pytest.mark.parametrize("planar", [0, 1])
@pytest.mark.parametrize("bits", [8, 12])
def test_colours_of_few_bits_in_many_are_spread_as_grey_is(tmp_path, planar, bits):
    pixels = RGB.astype(np.uint16) * ((2**bits - 1) // 255)
    path = save(tmp_path / "a.dcm", coloured(pixels, planar=planar))
    with pytest.warns(UserWarning, match="fill little of what their bits can hold"):
        seen = images.read_image(path, 3)
    np.testing.assert_allclose(seen, RGB / 255, atol=1e-6)


def test_dark_colours_of_eight_bits_stay_dark(tmp_path):
    path = save(tmp_path / "a.dcm", coloured(RGB // 30))
    np.testing.assert_allclose(images.read_image(path, 3), RGB // 30 / 255, atol=1e-7)


def test_colours_of_twelve_bits_have_twelve(tmp_path):
    path = save(tmp_path / "a.dcm", coloured(RGB.astype(np.uint16) * 16, bits_stored=12))
    np.testing.assert_allclose(images.read_image(path, 3), RGB * 16.0 / 4095, atol=1e-6)


def test_partial_luminance_is_brought_to_the_full_range(tmp_path):
    y, b, r = (plane.astype(float) for plane in np.moveaxis(RGB[:, ::2], -1, 0))
    y, b, r = 16 + y * 219 / 255, 16 + b * 224 / 255, 16 + r * 224 / 255
    y, b, r = (plane.round().astype(np.uint8) for plane in (y, b, r))
    dataset = coloured(RGB, "YBR_PARTIAL_422")
    dataset.PixelData = np.stack([y, y, b, r], axis=-1).tobytes()
    seen = images.read_image(save(tmp_path / "a.dcm", dataset), 3)
    # ITU-R BT.601, the equations that the standard gives for this space, inverted
    matrix = np.array(
        [[0.2568, 0.5041, 0.0979], [-0.1482, -0.2910, 0.4392], [0.4392, -0.3678, -0.0714]]
    )
    rgb = (np.stack([y - 16.0, b - 128.0, r - 128.0], -1) @ np.linalg.inv(matrix).T).clip(0, 255)
    np.testing.assert_allclose(seen[:, ::2], rgb / 255, atol=0.002)
    np.testing.assert_array_equal(seen[:, ::2], seen[:, 1::2])


def test_black_white_and_red_of_full_luminance(tmp_path):
    colours = np.array([[[0, 128, 128], [255, 128, 128], [76, 85, 255]]], np.uint8)
    seen = images.read_image(save(tmp_path / "a.dcm", coloured(colours, "YBR_FULL")), 3)
    np.testing.assert_allclose(seen, [[[0, 0, 0], [1, 1, 1], [1, 0, 0]]], atol=0.006)


def test_luminance_of_more_than_eight_bits_keeps_them(tmp_path):
    colours = np.array([[[0, 2**15, 2**15], [65535, 2**15, 2**15], [513, 2**15, 2**15]]], np.uint16)
    seen = images.read_image(save(tmp_path / "a.dcm", coloured(colours, "YBR_FULL")), 3)
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
        files.check([save(tmp_path / "a.dcm", dataset)])


@pytest.mark.parametrize(
    "elements, reason",
    [
        (dict(PhotometricInterpretation="PALETTE COLOR"), "colour space 'PALETTE COLOR'"),
        (dict(SamplesPerPixel=3, PlanarConfiguration=0), "3 samples a pixel"),
    ],
)
def test_floats_are_grey(tmp_path, elements, reason):
    dataset = radiograph()
    del dataset.PixelData
    dataset.BitsAllocated = 32
    dataset.FloatPixelData = np.zeros((*PIXELS.shape, 3), np.float32).tobytes()
    for name, value in elements.items():
        setattr(dataset, name, value)
    with pytest.raises(ImageReadError, match=reason):
        read(save(tmp_path / "a.dcm", dataset))


def test_floats_of_any_size_are_read(tmp_path):
    dataset = radiograph()
    del dataset.PixelData
    dataset.BitsAllocated = 32
    dataset.FloatPixelData = ((FULL - 0.5) * 6e38).astype(np.float32).tobytes()
    np.testing.assert_allclose(read(save(tmp_path / "a.dcm", dataset)), FULL, atol=1e-6)


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
    seen = images.read_image(path, 3)
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
    np.testing.assert_allclose(images.read_image(path, 3), RGB / 255, atol=1e-7)


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


def stored(tmp_path):
    """A JPEG-LS file, and where the last item of its pixels begins and ends."""
    stream = encode(PIXELS, JPEGLSLossless, 12)
    path = write(tmp_path / "a.dcm", radiograph(), JPEGLSLossless, stream)
    with open(path, "rb") as file:
        content = file.read()
    start = content.index(stream)
    return path, content, start, start + len(stream) + len(stream) % 2


def test_encoded_pixels_without_a_delimiter_are_read(tmp_path):
    path, content, _, end = stored(tmp_path)
    with open(path, "wb") as file:
        file.write(content[:end])
    np.testing.assert_allclose(read(path), FULL, atol=1e-6)


@pytest.mark.parametrize("share", [0.1, 0.5, 0.99])
def test_encoded_pixels_that_end_too_early_are_named(tmp_path, share):
    path, content, start, end = stored(tmp_path)
    with open(path, "wb") as file:
        file.write(content[: start + int(share * (end - start))])
    with pytest.raises(ImageReadError, match="its encoded pixels end too early"):
        read(path)


@pytest.mark.parametrize("syntax", [JPEG2000Lossless, JPEGLSLossless, JPEGBaseline8Bit])
def test_a_stream_that_ends_too_early_in_a_whole_file_is_named(tmp_path, syntax):
    depth = 8 if syntax == JPEGBaseline8Bit else 12
    stream = encode(BYTES if depth == 8 else PIXELS, syntax, depth)
    dataset = radiograph(BYTES if depth == 8 else PIXELS, bits_stored=depth)
    path = write(tmp_path / "a.dcm", dataset, syntax, stream[: len(stream) // 2])
    with pytest.raises(ImageReadError, match="its encoded pixels end too early"):
        read(path)


@pytest.mark.parametrize(
    "said, reason",
    [
        (ExplicitVRLittleEndian, "its transfer syntax is not an encoded one"),
        ("1.2.840.113619.5.2", "transfer syntax '1.2.840.113619.5.2', which is not known"),
        ("1.2.840.10008.1.2.4.99", "'1.2.840.10008.1.2.4.99', which is not known"),
    ],
)
def test_a_transfer_syntax_that_is_not_that_of_the_pixels_is_named(tmp_path, said, reason):
    path, content, *_ = stored(tmp_path)
    uid = JPEGLSLossless.encode()
    with open(path, "wb") as file:
        file.write(content.replace(uid, said.encode().ljust(len(uid), b"\x00"), 1))
    with pytest.raises(ImageReadError, match=reason):
        files.check([path])


def test_pixels_that_are_not_encoded_are_named_where_they_are_to_be(tmp_path):
    path = save(tmp_path / "a.dcm", radiograph())
    with open(path, "rb") as file:
        content = file.read()
    uid = b"1.2.840.10008.1.2.1\x00"
    with open(path, "wb") as file:
        file.write(content.replace(uid, b"1.2.840.10008.1.2.5\x00", 1))
    with pytest.raises(ImageReadError, match="its pixels are not encoded"):
        read(path)


def test_jpeg_of_twelve_bits_without_its_decoder_is_named(monkeypatch):
    from pydicom.pixels.decoders import JPEGExtended12BitDecoder

    path = get_testdata_file("JPEG-lossy.dcm", download=False)
    only = {name: f for name, f in JPEGExtended12BitDecoder._available.items() if name == "pillow"}
    monkeypatch.setattr(JPEGExtended12BitDecoder, "_available", only)
    with pytest.raises(ImageReadError, match=r"12-bit pixels in JPEG Extended .*\[dicom\]"):
        read(path)


PREAMBLES = {
    "TIFF": b"II*\x00\x08\x00\x00\x00" + b"\x01\x00" * 20,
    "PNG": b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR",
    "JPEG": b"\xff\xd8\xff\xe0",
    "a bomb": b"P5 60000 60000 255 ",
}


@pytest.mark.parametrize("name", PREAMBLES)
def test_dicom_that_begins_as_another_format_is_dicom(tmp_path, name):
    path = save(tmp_path / "a.dcm", radiograph())
    with open(path, "r+b") as file:
        file.write(PREAMBLES[name])
    np.testing.assert_allclose(read(path), FULL, atol=1e-6)
    (look,) = thumbnails.look_at([path], lambda n_read: None)
    assert look.properties["format"] == "DICOM"


def test_made_files_are_read_as_they_were_made_or_refused_by_name(real_data):
    folder = real_data / "odd-images" / "made"
    expected = np.load(folder / "expected.npz")
    paths = sorted(folder.glob("*.dcm"))
    assert len(paths) == 17
    for path in paths:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                seen = images.read_image(str(path), 1)[..., 0]
        except ImageReadError as error:
            assert path.name in ("syntax_unknown.dcm", "ybr_partial_422.dcm")
            assert path.name in str(error)
            continue
        assert 0 <= seen.min() < 0.05 and 0.95 < seen.max() <= 1, path.name
        if path.name in expected:
            # JPEG and palettes of 8 bits, and files with the bits of the high byte alone
            np.testing.assert_allclose(seen, expected[path.name], atol=0.008, err_msg=path.name)
