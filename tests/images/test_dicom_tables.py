"""Grey DICOM files are shown through their look-up tables."""

import numpy as np
import pytest
from pydicom import Dataset
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian

from lungestimators import ImageReadError

from .dicom_files import FULL, PIXELS, groups, radiograph, read, save, table


def test_a_table_of_values_of_interest_goes_before_the_window(tmp_path):
    squares = np.arange(4096) ** 2 // 256
    dataset = radiograph(**table(squares), WindowCenter=1, WindowWidth=2)
    shown = (PIXELS.astype(int) ** 2 // 256) / 65535
    np.testing.assert_allclose(read(save(tmp_path / "a.dcm", dataset)), shown, atol=1e-6)


def test_a_modality_table_of_eight_bits_is_applied(tmp_path):
    elements = table(np.arange(4096) // 16, bits=8, name="ModalityLUTSequence")
    path = save(tmp_path / "a.dcm", radiograph(**elements))
    np.testing.assert_allclose(read(path), (PIXELS // 16) / 255, atol=1e-6)


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


def test_a_table_in_functional_groups_is_applied(tmp_path):
    shared = groups(**table(np.arange(4096)[::-1], bits=12))
    dataset = radiograph(SharedFunctionalGroupsSequence=shared)
    np.testing.assert_allclose(read(save(tmp_path / "a.dcm", dataset)), 1 - FULL, atol=1e-6)
