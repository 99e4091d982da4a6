"""Images are equalised as scikit-image does it."""

import sys

import numpy as np
import pytest
from skimage.exposure import equalize_adapthist

from lungestimators import CLAHE

from .grey_ramps import radiographs


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32", "float64"])
@pytest.mark.parametrize("channels", [None, 1, 3])
def test_clahe_is_what_scikit_image_computes(dtype, channels):
    X = radiographs(dtype, channels)
    found = CLAHE(kernel_size=(10, 12), clip_limit=0.02).fit_transform(X)
    assert found.shape == X.shape
    assert found.dtype == np.float32
    assert found.min() >= 0
    assert found.max() <= 1
    for image, result in zip(X, found, strict=True):
        flat = image[..., 0] if channels == 1 else image
        expected = equalize_adapthist(flat, kernel_size=(10, 12), clip_limit=0.02)
        np.testing.assert_array_equal(
            result[..., 0] if channels == 1 else result, expected.astype(np.float32)
        )


def test_clahe_sees_what_eight_bits_would_lose():
    X = 30000 + radiographs("uint8").astype(np.uint16)  # one grey value of 8 bits
    np.testing.assert_allclose(CLAHE().transform(X).std(), 0.25, rtol=0, atol=0.1)


@pytest.mark.parametrize(
    "X",
    [
        radiographs("float64") * 4000 - 1000,
        radiographs("float32") * 255,
        np.rint(radiographs("float64") * 60000).astype(np.int64),
    ],
    ids=["Hounsfield", "0 to 255", "int64"],
)
def test_clahe_does_not_depend_on_what_is_black_and_white(X, recwarn):
    # A grey value at the edge of a bin of the histogram may be rounded into the next one.
    difference = np.abs(CLAHE().transform(X) - CLAHE().transform(radiographs("float64")))
    assert difference.mean() < 0.001
    assert difference.max() < 0.05
    assert not recwarn.list


def test_clahe_without_scikit_image_says_how_to_get_it(squares, monkeypatch):
    monkeypatch.setitem(sys.modules, "skimage.exposure", None)
    with pytest.raises(ImportError, match=r"pip install 'lungestimators\[preprocessing\]'"):
        CLAHE().fit(squares[0])
