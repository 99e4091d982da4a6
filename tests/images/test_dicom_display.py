"""Grey DICOM files become what a workstation shows: sign, slope, padding, empty elements."""

import numpy as np
import pytest
from pydicom import Dataset
from pydicom.uid import (
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLSLossless,
)

from lungestimators import ImageReadError

from .dicom_files import FULL, PIXELS, encode, groups, linear, radiograph, read, save, write


def test_monochrome1_is_inverted(tmp_path):
    pixels = read(save(tmp_path / "a.dcm", radiograph(photometric="MONOCHROME1")))
    np.testing.assert_allclose(pixels, 1 - PIXELS / 4095, atol=1e-7)


def test_slope_and_intercept_are_applied_before_the_window(tmp_path):
    path = save(
        tmp_path / "a.dcm",
        radiograph(RescaleSlope=2, RescaleIntercept=-1000, WindowCenter=1000, WindowWidth=2000),
    )
    shown = np.clip((2.0 * PIXELS - 1000 - 999.5) / 1999 + 0.5, 0, 1)  # PS3.3 C.11.2.1.2.1
    np.testing.assert_allclose(read(path), shown, atol=1e-6)


def test_a_negative_slope_inverts(tmp_path):
    path = save(tmp_path / "a.dcm", radiograph(RescaleSlope=-1, RescaleIntercept=0))
    np.testing.assert_allclose(read(path), 1 - PIXELS / 4095, atol=1e-6)


def test_signed_pixels_keep_their_order(tmp_path):
    signed = PIXELS.astype(np.int16) - 2048
    path = save(tmp_path / "a.dcm", radiograph(signed))
    np.testing.assert_allclose(read(path), PIXELS / 4095, atol=1e-6)


def test_bits_above_those_stored_are_no_part_of_a_pixel(tmp_path):
    overlay = PIXELS | np.uint16(0x8000)
    np.testing.assert_allclose(
        read(save(tmp_path / "a.dcm", radiograph(overlay))), PIXELS / 4095, atol=1e-7
    )


def test_a_slope_of_zero_makes_a_black_image_and_no_nan(tmp_path):
    path = save(tmp_path / "a.dcm", radiograph(RescaleSlope=0, RescaleIntercept=7))
    assert set(np.unique(read(path))) == {0}


def test_twelve_bits_declared_as_sixteen_make_no_black_image(tmp_path):
    path = save(tmp_path / "a.dcm", radiograph(PIXELS // 2, bits_stored=16))
    with pytest.warns(UserWarning, match="fill little of what their bits can hold"):
        assert np.ptp(read(path)) == 1


def test_a_negative_slope_in_functional_groups_inverts(tmp_path):
    shared = groups(RescaleSlope=-1, RescaleIntercept=4095)
    dataset = radiograph(SharedFunctionalGroupsSequence=shared)
    np.testing.assert_allclose(read(save(tmp_path / "a.dcm", dataset)), 1 - FULL, atol=1e-6)


@pytest.mark.parametrize("photometric", ["MONOCHROME2", "MONOCHROME1"])
@pytest.mark.parametrize("limit", [None, -32000])
def test_padding_is_black_and_squeezes_nothing(tmp_path, photometric, limit):
    pixels = PIXELS.astype(np.int16)
    pixels[:10] = -32768 if limit is None else np.linspace(-32768, -32000, 56)
    dataset = radiograph(pixels, bits_stored=16, photometric=photometric)
    dataset.add_new("PixelPaddingValue", "SS", -32768)
    if limit is not None:
        dataset.add_new("PixelPaddingRangeLimit", "SS", limit)
    path = save(tmp_path / "a.dcm", dataset)
    with pytest.warns(UserWarning, match="fill little of what their bits can hold"):
        seen = read(path)
    low, high = pixels[10:].min(), pixels[10:].max()
    expected = (pixels[10:] - low) / (high - low)
    assert not seen[:10].any()
    np.testing.assert_allclose(
        seen[10:], 1 - expected if photometric == "MONOCHROME1" else expected, atol=1e-6
    )


def test_padding_has_the_sign_of_the_pixels_whatever_its_vr(tmp_path):
    pixels = PIXELS.astype(np.int16) - 2048
    pixels[:10] = -2000
    dataset = radiograph(pixels)
    dataset.add_new("PixelPaddingValue", "US", 2**16 - 2000)
    seen = read(save(tmp_path / "a.dcm", dataset))
    assert not seen[:10].any()
    np.testing.assert_allclose(seen[10:], FULL[10:], atol=1e-6)


def test_padding_in_bits_that_are_not_stored_is_padding(tmp_path):
    pixels = PIXELS.copy()
    pixels[:10] = 65535
    dataset = radiograph(pixels)
    dataset.add_new("PixelPaddingValue", "US", 65535)
    seen = read(save(tmp_path / "a.dcm", dataset))
    assert not seen[:10].any()
    np.testing.assert_allclose(seen[10:], FULL[10:], atol=1e-6)


@pytest.mark.parametrize("syntax", [JPEG2000Lossless, JPEGLSLossless])
@pytest.mark.parametrize("window", [{}, dict(WindowCenter=2047.5, WindowWidth=4096)])
def test_padding_in_a_stream_that_has_the_bits_that_are_not_stored(tmp_path, syntax, window):
    pixels = PIXELS.copy()
    pixels[:4] = 63536
    dataset = radiograph(pixels, **window)
    dataset.add_new("PixelPaddingValue", "US", 63536)
    path = write(tmp_path / "a.dcm", dataset, syntax, encode(pixels, syntax, 16))
    expected = PIXELS / 4095
    expected[:4] = 0
    np.testing.assert_allclose(read(path), expected, atol=2e-4)


def test_padding_of_floats_is_black(tmp_path):
    pixels = PIXELS.astype(np.float32)
    pixels[:10] = -1e9
    dataset = radiograph()
    del dataset.PixelData, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation
    dataset.BitsAllocated = 32
    dataset.FloatPixelData = pixels.tobytes()
    dataset.FloatPixelPaddingValue = -1e9
    seen = read(save(tmp_path / "a.dcm", dataset))
    assert not seen[:10].any()
    low, high = pixels[10:].min(), pixels[10:].max()
    np.testing.assert_allclose(seen[10:], (pixels[10:] - low) / (high - low), atol=1e-6)


EMPTY = {
    "slope": dict(RescaleSlope="", RescaleIntercept=""),
    "window": dict(WindowCenter="", WindowWidth=""),
    "a center alone": dict(WindowCenter=2000),
    "table": dict(VOILUTSequence=[Dataset()]),
    "tables": dict(VOILUTSequence=[], ModalityLUTSequence=[]),
    "function": dict(VOILUTFunction=""),
    "frames": dict(NumberOfFrames=""),
    "high bit": dict(HighBit=None),
    "padding": dict(PixelPaddingValue=None),
    "groups": dict(SharedFunctionalGroupsSequence=[], PerFrameFunctionalGroupsSequence=[Dataset()]),
    "a group": dict(SharedFunctionalGroupsSequence=groups(WindowCenter="", RescaleSlope="")),
}


@pytest.mark.parametrize("name", EMPTY)
@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian])
def test_elements_that_are_there_and_empty_count_as_absent(tmp_path, name, syntax):
    path = save(tmp_path / "a.dcm", radiograph(**EMPTY[name]), syntax)
    np.testing.assert_allclose(read(path), FULL, atol=1e-6)


@pytest.mark.parametrize(
    "elements, expected",
    [
        (dict(RescaleSlope=-1), 1 - FULL),
        (dict(RescaleSlope=-1, RescaleIntercept=""), 1 - FULL),
        (dict(RescaleIntercept=-1000, WindowCenter=0, WindowWidth=500), None),
    ],
)
def test_slope_or_intercept_alone_are_applied(tmp_path, elements, expected):
    if expected is None:
        expected = linear(PIXELS - 1000.0, 0, 500)
    path = save(tmp_path / "a.dcm", radiograph(**elements))
    np.testing.assert_allclose(read(path), expected, atol=1e-6)


def test_a_slope_beyond_all_numbers_is_named(tmp_path):
    dataset = radiograph(RescaleSlope="1e308", RescaleIntercept=0)
    with pytest.raises(ImageReadError, match="its RescaleSlope is"):
        read(save(tmp_path / "a.dcm", dataset))


def test_a_range_of_padding_that_leaves_nothing_is_named(tmp_path):
    dataset = radiograph(PixelPaddingValue=0, PixelPaddingRangeLimit=4095)
    with pytest.raises(ImageReadError, match="leaves no pixel to be seen"):
        read(save(tmp_path / "a.dcm", dataset))
