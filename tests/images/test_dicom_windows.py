"""Grey DICOM files are shown through the first of their windows that can be used."""

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from lungestimators import ImageReadError

from .dicom_files import FULL, PIXELS, groups, linear, radiograph, raw, read, save


@pytest.mark.parametrize("function", ["LINEAR", "LINEAR_EXACT", "SIGMOID"])
def test_windows_are_those_of_pydicom(tmp_path, function):
    from pydicom.pixels import apply_windowing

    dataset = radiograph(WindowCenter=[2000, 9], WindowWidth=[900, 9], VOILUTFunction=function)
    path = save(tmp_path / "a.dcm", dataset)
    expected = apply_windowing(PIXELS, dcmread(path)) / 4095
    np.testing.assert_allclose(read(path), expected, atol=1e-6)


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


def test_slope_of_one_place_and_window_of_another_go_together(tmp_path):
    shared = groups(RescaleSlope=2, RescaleIntercept=-1000)
    dataset = radiograph(SharedFunctionalGroupsSequence=shared, WindowCenter=1000, WindowWidth=2000)
    expected = linear(2.0 * PIXELS - 1000, 1000, 2000)
    np.testing.assert_allclose(read(save(tmp_path / "a.dcm", dataset)), expected, atol=1e-6)


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
