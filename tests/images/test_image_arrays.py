"""Images one by one and tensors are arrays of images, and grey and RGB meet."""

import numpy as np
import pandas
import polars
import pytest
from PIL import Image
from sklearn.base import clone

from .columns_of_paths import objects, save

# Images one by one

IMAGES = {
    "list": list,
    "objects": lambda X: objects(list(X)),
    "(n, 1) objects": lambda X: objects(list(X)).reshape(-1, 1),
    "pandas Series": lambda X: pandas.Series(list(X)),
    "pandas DataFrame": lambda X: pandas.DataFrame({"pixels": list(X)}),
    "polars Series": lambda X: polars.Series(X.tolist()),
    "Pillow": lambda X: [Image.fromarray(x) for x in X],
}


@pytest.mark.parametrize("kind", IMAGES)
def test_images_one_by_one_are_an_array_of_images(cnn, squares, kind):
    X, y = squares
    same = IMAGES[kind](X)
    cnn.set_params(epochs=1)
    expected = clone(cnn).fit(X, y).predict_proba(X)
    np.testing.assert_allclose(cnn.fit(same, y).predict_proba(same), expected, atol=1e-6)


def test_rows_one_by_one_are_flat_rows(cnn, squares):
    X, y = squares
    cnn.set_params(epochs=1, image_shape=(16, 16))
    rows = pandas.Series(list(X.reshape(48, -1)))
    expected = clone(cnn).fit(X.reshape(48, -1), y).predict_proba(X.reshape(48, -1))
    np.testing.assert_array_equal(cnn.fit(rows, y).predict_proba(rows), expected)


@pytest.mark.parametrize("dtype", ["uint8", "float32", "bool"])
def test_tensors_are_arrays(cnn, squares, dtype):
    import tensorflow as tf

    X = (squares[0] > 100) if dtype == "bool" else squares[0].astype(dtype)
    cnn.set_params(epochs=1)
    expected = clone(cnn).fit(X, squares[1]).predict_proba(X)
    tensor = tf.constant(X)
    np.testing.assert_array_equal(cnn.fit(tensor, squares[1]).predict_proba(tensor), expected)


# Grey and RGB


@pytest.fixture(params=["classifier", "features"])
def fitted(request, cnn, features, squares):
    """A function that fits on images and returns what is computed of others."""

    def fit(X):
        if request.param == "features":
            return features.fit(X).transform
        return cnn.set_params(epochs=1).fit(X, squares[1]).predict_proba

    return fit


def rgb(X):
    return np.repeat(X[..., None], 3, axis=3)


def test_a_fit_on_grey_takes_rgb_whose_channels_are_equal(fitted, squares):
    X, _ = squares
    compute = fitted(X)
    for same in (rgb(X), rgb(X / 255), list(rgb(X))):
        np.testing.assert_allclose(compute(same), compute(X), atol=1e-5)
    np.testing.assert_array_equal(compute(rgb(X)), compute(X))
    coloured = rgb(X)
    coloured[5, 3, 3, 1] += 1
    with pytest.raises(ValueError, match=r"channels of X\[5\] differ, but the fit was on grey"):
        compute(coloured)


def test_a_fit_on_rgb_takes_grey_repeated(fitted, squares):
    X, _ = squares
    compute = fitted(rgb(X))
    np.testing.assert_array_equal(compute(X), compute(rgb(X)))
    np.testing.assert_array_equal(compute(X[..., None]), compute(rgb(X)))


def test_a_fit_on_files_takes_grey_and_rgb_arrays(fitted, squares, paths):
    X, _ = squares
    compute = fitted(paths)
    for same in (X, X[..., None], rgb(X)):
        np.testing.assert_allclose(compute(same), compute(paths), atol=1e-5)
    half = X[:, ::2, ::2]  # files have no size of their own
    np.testing.assert_array_equal(compute(half), compute(rgb(half)))


@pytest.mark.parametrize("kind", ["grey", "RGB"])
def test_a_fit_on_arrays_takes_files_of_grey_and_rgb(fitted, squares, paths, tmp_path, kind):
    X, _ = squares
    (tmp_path / "rgb").mkdir()
    compute = fitted(X if kind == "grey" else rgb(X))
    expected = compute(X)
    np.testing.assert_allclose(compute(paths), expected, atol=1e-5)
    np.testing.assert_allclose(compute(save(tmp_path / "rgb", rgb(X))), expected, atol=1e-5)


def test_training_goes_on_with_grey_after_rgb(cnn, squares, paths):
    X, y = squares
    classes = np.unique(y)
    expected = clone(cnn).partial_fit(rgb(X), y, classes=classes).partial_fit(rgb(X), y)
    cnn.partial_fit(rgb(X), y, classes=classes).partial_fit(X, y)
    np.testing.assert_array_equal(cnn.predict_proba(X), expected.predict_proba(X))
    assert cnn.image_shape_ == (16, 16, 3)


def test_images_of_another_size_are_still_an_error(fitted, squares):
    X, _ = squares
    compute = fitted(X)
    for other in (X[:, :8], rgb(X)[:, :8]):
        with pytest.raises(ValueError, match=r"\(8, 16, .\), but .* fitted on images of shape"):
            compute(other)
