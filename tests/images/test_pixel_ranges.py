"""Arrays of any type and order of bytes mean what their numbers mean."""

import numpy as np
import pytest
from sklearn.dummy import DummyClassifier

from lungestimators import CLAHE, BorderCrop, CNNClassifier, audit_images
from lungestimators.images import pixel_ranges
from lungestimators.images.prepared import PreparedImages

DTYPES = ["u2", "i2", "u4", "i4", "u8", "i8", "f2", "f4", "f8"]


def squares(dtype):
    """Images in two classes, of 0..40000 or, where that is too much for the type, of 0..200."""
    rng = np.random.default_rng(0)
    white = 40000 if dtype in ("u2", "u4", "i4", "u8", "i8", "f4", "f8") else 200
    X = rng.random((24, 16, 16)) * 0.3
    y = np.tile([0, 1], 12)
    X[y == 1, 4:12, 4:12] += 0.6
    return (X / X.max() * white).astype(dtype), y


@pytest.mark.filterwarnings("ignore:.*pixels")
@pytest.mark.parametrize("dtype", DTYPES)
def test_the_order_of_bytes_changes_nothing(dtype, cnn):
    X, y = squares(dtype)
    swapped = X.astype(X.dtype.newbyteorder())
    assert swapped.dtype != X.dtype
    assert pixel_ranges.pixel_range(swapped) == pixel_ranges.pixel_range(X)
    cnn.set_params(epochs=1)
    expected = cnn.fit(X, y).predict_proba(X)
    np.testing.assert_array_equal(cnn.predict_proba(swapped), expected)
    np.testing.assert_array_equal(cnn.fit(swapped, y).predict_proba(X), expected)


def test_big_endian_uint16_is_uint16_without_a_warning(recwarn):
    X, y = squares("u2")
    assert pixel_ranges.pixel_range(X.astype(">u2")) == (0.0, 65535.0)
    assert pixel_ranges.range_like_fit(X.astype(">u2"), (0.0, 65535.0), X.dtype) == (0.0, 65535.0)
    assert pixel_ranges.range_like_fit(X, (0.0, 65535.0), np.dtype(">u2")) == (0.0, 65535.0)
    flat = CNNClassifier(image_size=16, filters=(4,), epochs=1, image_shape=(16, 16))
    flat.fit(X.reshape(24, -1).astype(">u2"), y)
    audit_images(X.astype(">u2"), y, estimator=DummyClassifier(), cv=2, random_state=0)
    assert not [w for w in recwarn if "white" in str(w.message)]


@pytest.mark.parametrize("transformer", [CLAHE(), BorderCrop()])
def test_transformers_take_any_order_of_bytes(transformer):
    X, _ = squares("u2")
    expected = transformer.fit_transform(X)
    found = transformer.fit_transform(X.astype(">u2"))
    np.testing.assert_array_equal(found, expected)
    assert found.dtype == expected.dtype


@pytest.mark.filterwarnings("ignore:.*pixels lie in")
@pytest.mark.parametrize("dtype", ["i4", "u4", "i8", "f8"])
def test_steps_that_float32_does_not_know_are_kept(dtype):
    pixels = (2**30 + np.arange(64).reshape(1, 8, 8, 1)).astype(dtype)
    limits = pixel_ranges.pixel_range(pixels)
    prepared = PreparedImages(pixels, 8, 1, limits).prepare()
    np.testing.assert_allclose(prepared.ravel(), np.arange(64) / 63, atol=1e-6)


@pytest.mark.filterwarnings("ignore:.*pixels lie in")
def test_ranges_that_float32_does_not_know_are_scaled():
    pixels = np.array([-1.5e308, 0, 1.5e308, 1.5e308]).reshape(1, 2, 2, 1)
    prepared = PreparedImages(pixels, 2, 1, pixel_ranges.pixel_range(pixels)).prepare()
    np.testing.assert_allclose(prepared.ravel(), [0, 0.5, 1, 1], atol=1e-6)


def test_whole_numbers_far_from_those_of_fit_are_told():
    fitted = pixel_ranges.pixel_range(np.arange(200))
    with pytest.warns(UserWarning, match="fit saw pixels in 0..255, these lie in 0..4000"):
        pixel_ranges.range_like_fit(np.array([0, 4000]), fitted, np.dtype(int))
