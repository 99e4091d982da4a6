"""The border is cut off, and the rest stays."""

import numpy as np
import pytest

from lungestimators import BorderCrop, load, save

from ..saving.files import change_document
from .grey_ramps import radiographs


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32", "int64"])
@pytest.mark.parametrize("channels", [None, 1, 3])
def test_the_border_is_cut_and_the_rest_stays(dtype, channels):
    X = radiographs(dtype, channels)
    found = BorderCrop(0.1).fit_transform(X)
    assert found.dtype == X.dtype
    np.testing.assert_array_equal(found, X[:, 4:36, 4:44])  # 4.8 pixels of 48, rounded down


@pytest.mark.parametrize("side", [1, 2, 3, 7])
def test_something_is_left_of_the_smallest_image(side):
    X = np.ones((1, side, side))
    assert BorderCrop(0.49).transform(X).size >= 1
    np.testing.assert_array_equal(BorderCrop(0).transform(X), X)


@pytest.mark.parametrize(("channels", "expected"), [(None, 1), (1, 1), (3, 3)])
def test_fit_remembers_the_size_of_the_images_and_a_file_keeps_it(channels, expected, tmp_path):
    crop = BorderCrop().fit(radiographs("uint8", channels))
    assert crop.image_shape_ == (40, 48, expected)
    save(crop, tmp_path / "crop.lung")
    assert vars(load(tmp_path / "crop.lung")) == vars(crop)
    save(BorderCrop(0.2), tmp_path / "crop.lung")
    assert vars(load(tmp_path / "crop.lung")) == {"fraction": 0.2}


def test_a_file_of_before_the_size_was_remembered_is_loaded(tmp_path):
    save(BorderCrop(0.2), tmp_path / "crop.lung")
    change_document(tmp_path / "crop.lung", lambda x: x["estimator"].update(state={}))
    assert vars(load(tmp_path / "crop.lung")) == {"fraction": 0.2}


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("state", {"image_shape_": "abc"}),
        ("state", {"image_shape_": {"type": "tuple", "items": [10**9, 4, 1]}}),
        ("state", {"other": 1}),
        ("parameters", {"fraction": "a tenth"}),
        ("parameters", {"fraction": 2}),
    ],
)
def test_a_file_that_states_what_cannot_be_is_refused(key, value, tmp_path):
    save(BorderCrop(0.2).fit(radiographs("uint8", None)), tmp_path / "crop.lung")
    change_document(tmp_path / "crop.lung", lambda x: x["estimator"].update({key: value}))
    with pytest.raises(ValueError, match="cannot be loaded: "):
        load(tmp_path / "crop.lung")
