"""What class labels, patients and numbers may be."""

import numpy as np
import pytest

from lungestimators import validation

LABELS = ["healthy", "ill", "ill"]


def test_labels_become_an_array_of_one_label_an_image():
    assert validation.check_y(range(3), LABELS).tolist() == LABELS
    with pytest.warns(UserWarning, match="column-vector"):
        assert validation.check_y(range(3), np.array(LABELS)[:, None]).shape == (3,)


@pytest.mark.parametrize(
    ("y", "message"),
    [
        (None, "requires y"),
        (np.eye(3), r"y has the shape \(3, 3\).*OneVsRestClassifier"),
        ([0, 1, np.nan], "NaN or infinity"),
        ([0, 1], "inconsistent numbers of samples"),
        ([0.1, 0.2, 0.3], "Unknown label type"),
    ],
)
def test_what_is_no_label_an_image_is_an_error(y, message):
    with pytest.raises(ValueError, match=message):
        validation.check_y(range(3), y)


def test_classes_are_the_sorted_labels():
    y, classes = validation.check_y_and_classes(LABELS)
    assert y.tolist() == LABELS
    assert classes.tolist() == ["healthy", "ill"]


@pytest.mark.parametrize("y", [["ill"] * 3, [0.1, 0.2, 0.3]])
def test_fewer_than_two_classes_are_an_error(y):
    with pytest.raises(ValueError, match="y must hold labels of two classes or more, got"):
        validation.check_y_and_classes(y)


def test_groups_are_one_patient_an_image_or_none():
    assert validation.check_groups(LABELS, None) is None
    assert validation.check_groups(LABELS, [7, 7, 8]).tolist() == [7, 7, 8]


@pytest.mark.parametrize(
    ("groups", "error", "message"),
    [
        ([1, 2], ValueError, "inconsistent numbers of samples"),
        (["a", None, "b"], ValueError, "no value for 1 of 3 images"),
        ([1, np.nan, np.nan], ValueError, "no value for 2 of 3 images"),
        (np.array([1, "a", "b"], object), TypeError, "groups mixes int and str"),
    ],
)
def test_an_image_without_a_patient_is_an_error(groups, error, message):
    with pytest.raises(error, match=message):
        validation.check_groups(LABELS, groups)


@pytest.mark.parametrize("value", [1, np.int8(3), np.uint64(2)])
def test_a_whole_number_is_one_of_python_or_numpy(value):
    assert validation.is_whole_number(value)
    validation.check_whole_number("epochs", value, 1)


@pytest.mark.parametrize("value", [True, np.True_, 1.0, "1", None, np.array([1])])
def test_what_is_no_whole_number_is_named(value):
    assert not validation.is_whole_number(value)
    with pytest.raises(TypeError, match=r"epochs=.* must be a whole number"):
        validation.check_whole_number("epochs", value, 1)


def test_a_whole_number_that_is_too_small_is_named():
    with pytest.raises(ValueError, match="epochs=1 must be at least 2"):
        validation.check_whole_number("epochs", 1, 2)


@pytest.mark.parametrize("value", [1, 0.5, np.float16(0.5), np.int64(1)])
def test_a_real_number_is_one_of_python_or_numpy(value):
    validation.check_real_number("rate", value, lambda x: x > 0, "be above 0")


@pytest.mark.parametrize("value", [False, np.False_, "0.1", None, 1j, np.ones(2)])
def test_what_is_no_real_number_is_named(value):
    with pytest.raises(TypeError, match=r"rate=.* must be a number"):
        validation.check_real_number("rate", value, lambda x: x > 0, "be above 0")


@pytest.mark.parametrize("value", [0, -1.5, np.nan])
def test_a_real_number_out_of_its_range_is_named(value):
    with pytest.raises(ValueError, match=f"rate={value} must be above 0"):
        validation.check_real_number("rate", value, lambda x: x > 0, "be above 0")
