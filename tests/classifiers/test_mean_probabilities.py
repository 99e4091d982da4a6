"""Predictions over several views follow from each image alone."""

import keras
import numpy as np
import pytest
from PIL import Image
from sklearn.base import clone

from lungestimators import clear_feature_cache, feature_cache_info
from lungestimators.networks import augmentation


@pytest.fixture
def images(squares):
    """Images that a network of 16 px takes as they are."""
    X, y = squares
    return (X[..., None] / 255).astype(np.float32), y


@pytest.fixture(params=["all", "head", "last_stage"])
def clf(request, cnn, images, tmp_path):
    """Two networks, fitted: whole, or on top of blocks that were trained before."""
    X, y = images
    clear_feature_cache()
    cnn.set_params(n_networks=2, fine_tune_epochs=2)
    if request.param != "all":
        model = clone(cnn).set_params(n_networks=1).fit(X, y).model_
        blocks = keras.Model(model.inputs, model.get_layer("flatten").output)
        blocks.save_weights(tmp_path / "blocks.weights.h5")
        cnn.set_params(weights=tmp_path / "blocks.weights.h5", trainable=request.param)
    return cnn.fit(X, y)


def test_it_is_the_mean_over_the_image_and_augmented_views(clf, images):
    X, _ = images
    views = [X]
    for number in range(1, 4):
        views.append(augmentation.augment_images(X, "gentle", b"gentle prediction %d" % number))
    expected = [clf.predict_proba(view) for view in views]
    for number in range(1, 4):
        assert np.abs(expected[number] - expected[0]).max() > 1e-3
    found = clf.set_params(n_views=4).predict_proba(X)
    np.testing.assert_allclose(found, np.mean(expected, axis=0), rtol=0, atol=1e-12)
    np.testing.assert_array_equal(clf.predict(X), clf.classes_[found.argmax(axis=1)])


def test_it_depends_on_no_other_image_no_order_and_no_store(clf, images):
    X, _ = images
    clf.set_params(n_views=3)
    expected = clf.predict_proba(X)
    keras.utils.set_random_seed(5)
    np.testing.assert_array_equal(clf.predict_proba(X[::-1])[::-1], expected)
    np.testing.assert_array_equal(clf.predict_proba(X[7:8])[0], expected[7])
    clf.set_params(feature_cache=None)
    np.testing.assert_array_equal(clf.predict_proba(X), expected)


def test_views_of_frozen_layers_are_kept(clf, images):
    X, _ = images
    before = feature_cache_info().misses
    clf.set_params(n_views=3).predict_proba(X)
    new = feature_cache_info().misses - before
    assert new == (0 if clf.weights is None else 2 * 48)
    clf.predict_proba(X)
    assert feature_cache_info().misses - before == new


def test_views_of_files_are_those_of_their_pixels(cnn, squares, tmp_path):
    X, y = squares
    paths = [str(tmp_path / f"{number}.png") for number in range(48)]
    for path, image in zip(paths, X, strict=True):
        Image.fromarray(image).save(path)
    clf = cnn.set_params(n_views=3).fit(np.repeat(X[..., None], 3, axis=3), y)
    np.testing.assert_array_equal(clf.predict_proba(paths), clf.predict_proba(X))


def test_a_fit_does_not_depend_on_the_number_of_views(cnn, squares):
    X, y = squares
    expected = clone(cnn).fit(X, y)
    clf = cnn.set_params(n_views=5).fit(X, y)
    assert clf.history_ == expected.history_
    assert not np.array_equal(clf.predict_proba(X), expected.predict_proba(X))
    np.testing.assert_array_equal(
        clf.set_params(n_views=1).predict_proba(X), expected.predict_proba(X)
    )


def test_a_number_of_views_that_is_none_is_an_error_of_the_prediction(cnn, squares):
    X, y = squares
    cnn.fit(X, y).set_params(n_views=0)
    with pytest.raises(ValueError, match="n_views=0 must be at least 1"):
        cnn.predict_proba(X)
