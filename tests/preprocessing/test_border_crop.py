"""The border is cut off, and the rest stays."""

import numpy as np
import pytest

from lungestimators import BorderCrop

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
