"""Grey DICOM files become what a workstation shows: modality, tables, windows, padding."""

import numpy as np
import pytest
from pydicom import Dataset, dcmread
from pydicom.dataelem import RawDataElement
from pydicom.tag import Tag
from pydicom.uid import (
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLSLossless,
)

from lungestimators import ImageReadError

from .dicom_files import PIXELS, encode, radiograph, read, save, write

FULL = PIXELS / 4095


def table(entries, first=0, bits=16, vr="US", name="VOILUTSequence"):
    """The elements of a data set that hold a look-up table."""
    item = Dataset()
    item.add_new("LUTDescriptor", vr, [len(entries) % 2**16, first, bits])
    item.add_new("LUTData", "OW", np.asarray(entries).astype("<u2").tobytes())
    return {name: [item]}


def raw(dataset, name, text):
    """Add an element of text as it is, which pydicom might refuse."""
    value = text.encode() + b" " * (len(text) % 2)
    dataset[Tag(name)] = RawDataElement(Tag(name), "DS", len(value), value, 0, False, True)
    return dataset


def linear(pixels, center, width):
    """PS3.3 C.11.2.1.2.1."""
    return np.clip((pixels - (center - 0.5)) / (width - 1) + 0.5, 0, 1)


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


@pytest.mark.parametrize("function", ["LINEAR", "LINEAR_EXACT", "SIGMOID"])
def test_windows_are_those_of_pydicom(tmp_path, function):
    from pydicom.pixels import apply_windowing

    dataset = radiograph(WindowCenter=[2000, 9], WindowWidth=[900, 9], VOILUTFunction=function)
    path = save(tmp_path / "a.dcm", dataset)
    expected = apply_windowing(PIXELS, dcmread(path)) / 4095
    np.testing.assert_allclose(read(path), expected, atol=1e-6)


def test_a_table_of_values_of_interest_goes_before_the_window(tmp_path):
    squares = np.arange(4096) ** 2 // 256
    dataset = radiograph(**table(squares), WindowCenter=1, WindowWidth=2)
    shown = (PIXELS.astype(int) ** 2 // 256) / 65535
    np.testing.assert_allclose(read(save(tmp_path / "a.dcm", dataset)), shown, atol=1e-6)


def test_a_modality_table_of_eight_bits_is_applied(tmp_path):
    elements = table(np.arange(4096) // 16, bits=8, name="ModalityLUTSequence")
    path = save(tmp_path / "a.dcm", radiograph(**elements))
    np.testing.assert_allclose(read(path), (PIXELS // 16) / 255, atol=1e-6)


def test_signed_pixels_keep_their_order(tmp_path):
    signed = PIXELS.astype(np.int16) - 2048
    path = save(tmp_path / "a.dcm", radiograph(signed))
    np.testing.assert_allclose(read(path), PIXELS / 4095, atol=1e-6)


def test_bits_above_those_stored_are_no_part_of_a_pixel(tmp_path):
    overlay = PIXELS | np.uint16(0x8000)
    np.testing.assert_allclose(
        read(save(tmp_path / "a.dcm", radiograph(overlay))), PIXELS / 4095, atol=1e-7
    )


@pytest.mark.parametrize("width", [0, 0.5, ""])
def test_a_window_of_no_width_is_none(tmp_path, width):
    path = save(tmp_path / "a.dcm", radiograph(WindowCenter=2000, WindowWidth=width))
    np.testing.assert_allclose(read(path), PIXELS / 4095, atol=1e-7)


def test_a_window_beside_all_pixels_makes_no_black_image(tmp_path):
    path = save(tmp_path / "a.dcm", radiograph(WindowCenter=60000, WindowWidth=10))
    with pytest.warns(UserWarning, match="window shows next to nothing"):
        np.testing.assert_allclose(read(path), PIXELS / 4095, atol=1e-7)


def test_a_window_far_wider_than_all_pixels_makes_no_black_image(tmp_path):
    dataset = radiograph(PIXELS, WindowCenter=200_000, WindowWidth=400_000)
    with pytest.warns(UserWarning, match="window shows next to nothing"):
        np.testing.assert_allclose(
            read(save(tmp_path / "a.dcm", dataset)), PIXELS / 4095, atol=1e-7
        )


def test_a_slope_of_zero_makes_a_black_image_and_no_nan(tmp_path):
    path = save(tmp_path / "a.dcm", radiograph(RescaleSlope=0, RescaleIntercept=7))
    assert set(np.unique(read(path))) == {0}


def test_twelve_bits_declared_as_sixteen_make_no_black_image(tmp_path):
    path = save(tmp_path / "a.dcm", radiograph(PIXELS // 2, bits_stored=16))
    with pytest.warns(UserWarning, match="fill little of what their bits can hold"):
        assert np.ptp(read(path)) == 1


@pytest.mark.parametrize("bits", [8, 10, 12, 13, 16])
@pytest.mark.parametrize("name", ["VOILUTSequence", "ModalityLUTSequence"])
def test_a_table_has_the_bits_of_its_entries_and_not_those_of_its_descriptor(tmp_path, bits, name):
    entries = np.arange(4096) * (2**bits - 1) // 4095
    path = save(tmp_path / "a.dcm", radiograph(**table(entries, name=name)))
    np.testing.assert_allclose(read(path), entries[PIXELS] / (2**bits - 1), atol=1e-6)


def test_entries_of_more_bits_than_the_descriptor_says_stay_within_black_and_white(tmp_path):
    path = save(tmp_path / "a.dcm", radiograph(**table(np.arange(4096) * 16, bits=8)))
    np.testing.assert_allclose(read(path), PIXELS * 16 / 65535, atol=1e-6)


@pytest.mark.parametrize("vr", ["US", "SS"])
@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian])
def test_the_first_value_of_a_table_is_signed_where_the_pixels_are(tmp_path, vr, syntax):
    signed = PIXELS.astype(np.int16) - 2048
    first = -2048 if vr == "SS" else 2**16 - 2048
    squares = np.arange(4096) ** 2 // 256
    path = save(tmp_path / "a.dcm", radiograph(signed, **table(squares, first, vr=vr)), syntax)
    np.testing.assert_allclose(read(path), squares[PIXELS] / 65535, atol=1e-6)


def test_the_first_value_of_a_table_is_signed_where_the_intercept_makes_the_values_so(tmp_path):
    squares = np.arange(4096) ** 2 // 256
    elements = table(squares, 2**16 - 1024)
    path = save(tmp_path / "a.dcm", radiograph(RescaleSlope=1, RescaleIntercept=-1024, **elements))
    np.testing.assert_allclose(read(path), squares[PIXELS] / 65535, atol=1e-6)


def test_the_first_value_of_a_table_is_unsigned_where_the_intercept_makes_the_values_so(tmp_path):
    signed = PIXELS.astype(np.int16) - 2048
    squares = np.arange(4096) ** 2 // 256
    elements = table(squares, 40000)
    path = save(
        tmp_path / "a.dcm", radiograph(signed, RescaleSlope=1, RescaleIntercept=42048, **elements)
    )
    np.testing.assert_allclose(read(path), squares[PIXELS] / 65535, atol=1e-6)


def test_a_table_of_no_entries_has_65536(tmp_path):
    entries = np.arange(2**16)[::-1]
    path = save(tmp_path / "a.dcm", radiograph(PIXELS * 16, bits_stored=16, **table(entries)))
    np.testing.assert_allclose(read(path), 1 - PIXELS * 16 / 65535, atol=1e-6)


def test_entries_of_a_byte_lie_two_in_a_word(tmp_path):
    item = Dataset()
    item.LUTDescriptor = [4096, 0, 8]
    entries = (np.arange(4096) // 16).astype(np.uint8)
    item.add_new("LUTData", "OW", entries.tobytes())
    path = save(tmp_path / "a.dcm", radiograph(VOILUTSequence=[item]))
    np.testing.assert_allclose(read(path), (PIXELS // 16) / 255, atol=1e-6)


def test_entries_may_be_numbers_of_the_vr_us(tmp_path):
    item = Dataset()
    item.LUTDescriptor = [4096, 0, 12]
    item.add_new("LUTData", "US", list(range(4095, -1, -1)))
    path = save(tmp_path / "a.dcm", radiograph(VOILUTSequence=[item]))
    np.testing.assert_allclose(read(path), 1 - FULL, atol=1e-6)


@pytest.mark.parametrize(
    "entries, first, reason",
    [
        (range(100), 5000, "for values of 5000 to 5099"),
        ([0] * 4096, 0, None),
    ],
)
def test_a_table_that_shows_nothing_is_refused_or_passed_over(tmp_path, entries, first, reason):
    path = save(tmp_path / "a.dcm", radiograph(**table(entries, first)))
    if reason:
        with pytest.raises(ImageReadError, match=reason):
            read(path)
    else:
        with pytest.warns(UserWarning, match="table of values of interest shows next to nothing"):
            np.testing.assert_allclose(read(path), FULL, atol=1e-6)


@pytest.mark.parametrize("n_entries, bits", [(1000, 8), (2048, 16), (4095, 16)])
def test_a_table_with_fewer_entries_than_it_says_is_refused(tmp_path, n_entries, bits):
    elements = table(np.arange(n_entries))
    elements["VOILUTSequence"][0].LUTDescriptor = [4096, 0, bits]
    path = save(tmp_path / "a.dcm", radiograph(**elements))
    with pytest.raises(ImageReadError, match="claims 4096 entries and has"):
        read(path)


def groups(**elements):
    """Functional groups: a window under its sequence, slope and intercept under theirs."""
    item, window, values = Dataset(), Dataset(), Dataset()
    for name, value in elements.items():
        setattr(values if name.startswith("Rescale") else window, name, value)
    item.FrameVOILUTSequence, item.PixelValueTransformationSequence = [window], [values]
    return [item]


@pytest.mark.parametrize(
    "syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian, ExplicitVRBigEndian]
)
def test_a_window_of_a_frame_goes_before_that_of_all_frames_and_of_the_file(tmp_path, syntax):
    wide = dict(WindowCenter=2048, WindowWidth=4096)
    dataset = radiograph(**wide, SharedFunctionalGroupsSequence=groups(**wide))
    frames = groups(WindowCenter=1000, WindowWidth=500) + groups(**wide)
    dataset.PerFrameFunctionalGroupsSequence = frames
    path = save(tmp_path / "a.dcm", dataset, syntax)
    np.testing.assert_allclose(read(path), linear(PIXELS, 1000, 500), atol=1e-6)
    del dataset.PerFrameFunctionalGroupsSequence
    dataset.SharedFunctionalGroupsSequence = groups(WindowCenter=3000, WindowWidth=500)
    if syntax == ExplicitVRBigEndian:
        dataset.PixelData = PIXELS.tobytes()
    path = save(tmp_path / "b.dcm", dataset, syntax)
    np.testing.assert_allclose(read(path), linear(PIXELS, 3000, 500), atol=1e-6)


def test_a_negative_slope_in_functional_groups_inverts(tmp_path):
    shared = groups(RescaleSlope=-1, RescaleIntercept=4095)
    dataset = radiograph(SharedFunctionalGroupsSequence=shared)
    np.testing.assert_allclose(read(save(tmp_path / "a.dcm", dataset)), 1 - FULL, atol=1e-6)


def test_slope_of_one_place_and_window_of_another_go_together(tmp_path):
    shared = groups(RescaleSlope=2, RescaleIntercept=-1000)
    dataset = radiograph(SharedFunctionalGroupsSequence=shared, WindowCenter=1000, WindowWidth=2000)
    expected = linear(2.0 * PIXELS - 1000, 1000, 2000)
    np.testing.assert_allclose(read(save(tmp_path / "a.dcm", dataset)), expected, atol=1e-6)


def test_a_table_in_functional_groups_is_applied(tmp_path):
    shared = groups(**table(np.arange(4096)[::-1], bits=12))
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


def test_a_decimal_comma_is_a_decimal_point(tmp_path):
    dataset = raw(raw(radiograph(), "WindowCenter", "1000,5"), "WindowWidth", "500")
    path = save(tmp_path / "a.dcm", dataset)
    np.testing.assert_allclose(read(path), linear(PIXELS, 1000.5, 500), atol=1e-6)


@pytest.mark.parametrize("text", ["soft", "1.000,5", "1,000,5", "nan", "1e999", "1_0"])
def test_what_is_not_a_number_is_named(tmp_path, text):
    dataset = raw(raw(radiograph(), "WindowCenter", text), "WindowWidth", "500")
    with pytest.raises(ImageReadError, match="its WindowCenter is"):
        read(save(tmp_path / "a.dcm", dataset))


@pytest.mark.parametrize(
    "centers, widths, used",
    [
        (["5", "1000"], ["0", "500"], (1000, 500)),  # of no width
        (["", "1000"], ["500", "500"], (1000, 500)),  # without a center
        (["3000", "1000"], ["500", ""], (3000, 500)),
        (["1000", "3000"], ["500"], (1000, 500)),  # of other numbers
        (["1000"], ["500", "9"], (1000, 500)),
        (["-500", "1000"], ["-3", "500"], (1000, 500)),
    ],
)
def test_the_first_window_that_can_be_used_is_used(tmp_path, centers, widths, used):
    dataset = raw(radiograph(), "WindowCenter", "\\".join(centers))
    path = save(tmp_path / "a.dcm", raw(dataset, "WindowWidth", "\\".join(widths)))
    np.testing.assert_allclose(read(path), linear(PIXELS, *used), atol=1e-6)


def test_a_window_that_shows_nothing_gives_way_to_the_next(tmp_path):
    dataset = radiograph(WindowCenter=[60000, 1000], WindowWidth=[10, 500])
    path = save(tmp_path / "a.dcm", dataset)
    with pytest.warns(UserWarning, match="window shows next to nothing"):
        np.testing.assert_allclose(read(path), linear(PIXELS, 1000, 500), atol=1e-6)


def test_a_window_beyond_all_digits_is_passed_over(tmp_path):
    path = save(tmp_path / "a.dcm", radiograph(WindowCenter="1e20", WindowWidth="10"))
    with pytest.warns(UserWarning, match="window shows next to nothing"):
        np.testing.assert_allclose(read(path), FULL, atol=1e-6)


def test_an_unknown_function_of_a_window_is_named(tmp_path):
    dataset = radiograph(WindowCenter=1000, WindowWidth=500, VOILUTFunction="LOG")
    with pytest.raises(ImageReadError, match="its VOILUTFunction is 'LOG'"):
        read(save(tmp_path / "a.dcm", dataset))


def test_a_slope_beyond_all_numbers_is_named(tmp_path):
    dataset = radiograph(RescaleSlope="1e308", RescaleIntercept=0)
    with pytest.raises(ImageReadError, match="its RescaleSlope is"):
        read(save(tmp_path / "a.dcm", dataset))


def test_a_range_of_padding_that_leaves_nothing_is_named(tmp_path):
    dataset = radiograph(PixelPaddingValue=0, PixelPaddingRangeLimit=4095)
    with pytest.raises(ImageReadError, match="leaves no pixel to be seen"):
        read(save(tmp_path / "a.dcm", dataset))
