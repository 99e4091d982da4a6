"""The bits and signs of DICOM files are those that their pixels have."""

import numpy as np
import pytest
from pydicom import Dataset, dcmread
from pydicom.data import get_testdata_file
from pydicom.uid import (
    JPEG2000,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGLSLossless,
    RLELossless,
)

from lungestimators import ImageReadError
from lungestimators.images import file_checks, reading

from .dicom_files import BYTES, PIXELS, encode, radiograph, read, save, write

FULL = PIXELS / 4095


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
    deeper, plain = (reading.read_image(str(tmp_path / f"{name}.dcm"), 3) for name in "ba")
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
        (dict(Rows=[40, 40]), r"its Rows is \[40, 40\], which is not one whole number"),
        (dict(HighBit=[11, 11]), r"its HighBit is \[11, 11\], which is not one whole number"),
    ],
)
def test_bits_that_cannot_be_are_named_before_pixels_are_read(tmp_path, elements, reason):
    path = save(tmp_path / "a.dcm", radiograph(**elements))
    with pytest.raises(ImageReadError, match=reason):
        file_checks.check_files([path])


def test_pixels_of_one_bit_are_unpacked(tmp_path):
    bits = (PIXELS > 2000).astype(np.uint8)
    dataset = radiograph(bits, bits_stored=1)
    dataset.BitsAllocated = 1
    dataset.PixelData = np.packbits(bits.ravel(), bitorder="little").tobytes()
    np.testing.assert_array_equal(read(save(tmp_path / "a.dcm", dataset)), bits)


def test_single_bits_in_words_of_big_endian_order_are_refused(tmp_path):
    bits = (PIXELS > 2000).astype(np.uint8)
    dataset = radiograph(bits, bits_stored=1, BitsAllocated=1)
    words = np.packbits(bits.ravel(), bitorder="little").view("<u2")
    dataset.add_new("PixelData", "OW", words.astype(">u2").tobytes())
    dataset.file_meta.TransferSyntaxUID = ExplicitVRBigEndian
    dataset.save_as(tmp_path / "a.dcm", enforce_file_format=True)
    with pytest.raises(ImageReadError, match="single bits in words of big-endian order"):
        file_checks.check_files([str(tmp_path / "a.dcm")])


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_floats_that_are_no_numbers_are_named(tmp_path, bad):
    pixels = FULL.astype(np.float32)
    pixels[3, 3] = bad
    dataset = radiograph(pixels, bits_stored=32)
    del dataset.PixelData
    dataset.FloatPixelData = pixels.tobytes()
    with pytest.raises(ImageReadError, match="it holds NaN or infinity"):
        read(save(tmp_path / "a.dcm", dataset))


def test_a_table_of_offsets_says_nothing_of_pixels_that_are_not_encoded(tmp_path):
    for frames in (PIXELS, np.stack([PIXELS, PIXELS[::-1]])):
        path = save(tmp_path / "a.dcm", radiograph(frames, ExtendedOffsetTable=b""))
        np.testing.assert_allclose(read(path), FULL, atol=1e-6)


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
