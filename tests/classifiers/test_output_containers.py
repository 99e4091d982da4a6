"""Data frames as the output of scikit-learn's transformers, and numbers of NumPy as parameters."""

import warnings

import numpy as np
import pytest
import sklearn
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from lungestimators import (
    CLAHE,
    BackboneFeatures,
    BorderCrop,
    DenseNetClassifier,
    MobileNetClassifier,
)

FEATURES = BackboneFeatures("MobileNetV3Small", weights=None, image_size=32, random_state=0)


@pytest.mark.parametrize("container", ["pandas", "polars"])
def test_a_fit_says_nothing_of_data_frames(cnn, squares, container):
    X, y = squares
    expected = clone(cnn).fit(X, y).predict_proba(X)
    with sklearn.config_context(transform_output=container), warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        clf = clone(cnn).fit(X, y)
        assert isinstance(clf.predict_proba(X), np.ndarray)
        clone(cnn).partial_fit(X, y, classes=["clear", "opaque"])
        for images in (CLAHE(), BorderCrop()):
            assert isinstance(images.fit_transform(X), np.ndarray)
        assert sklearn.get_config()["transform_output"] == container
    np.testing.assert_array_equal(clf.predict_proba(X), expected)


@pytest.mark.parametrize("container", ["pandas", "polars"])
def test_features_become_a_data_frame_with_their_names(squares, container):
    library = pytest.importorskip(container)
    X, y = squares
    expected = clone(FEATURES).fit_transform(X)
    with sklearn.config_context(transform_output=container), warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        features = clone(FEATURES)
        frame = features.fit_transform(X)
        pipeline = make_pipeline(clone(FEATURES), LogisticRegression(max_iter=500)).fit(X, y)
        assert list(pipeline[-1].feature_names_in_) == list(frame.columns)
    assert isinstance(frame, library.DataFrame)
    assert list(frame.columns) == list(features.get_feature_names_out())
    np.testing.assert_array_equal(frame.to_numpy(), expected)


# For every parameter that is a number, a name or a switch: a value of Python, and NumPy's of it.
NUMBERS = dict(
    image_size=(16, np.int64),
    epochs=(2, np.int32),
    batch_size=(8, np.uint8),
    optimizer=("sgd", np.str_),
    learning_rate=(0.5, np.float32),
    fine_tune_epochs=(1, np.int64),
    fine_tune_learning_rate=(0.25, np.float16),
    early_stopping=(True, np.bool_),
    validation_fraction=(0.25, np.float32),
    n_iter_no_change=(1, np.int16),
    class_weight=("balanced", np.str_),
    augment=(True, np.bool_),
    dense_units=(5, np.int64),
    dropout=(0.25, np.float32),
    n_networks=(2, np.int64),
    n_views=(2, np.uint8),
    on_error=("skip", np.str_),
    random_state=(3, np.int64),
    verbose=(1, np.bool_),
    trainable=("all", np.str_),
    feature_cache=("memory", np.str_),
    filters=((3, 5), np.array),
    image_shape=((16, 16), np.array),
)
WITHOUT_NUMBERS = {"callbacks", "weights"}


def test_every_parameter_is_in_the_table(cnn):
    assert NUMBERS.keys() | WITHOUT_NUMBERS == cnn.get_params().keys()


@pytest.mark.parametrize("name", NUMBERS)
def test_a_number_of_numpy_is_that_of_python(cnn, squares, name, capsys):
    X, y = squares
    value, kind = NUMBERS[name]
    if name == "image_shape":
        X = X.reshape(48, -1)
    cnn.set_params(epochs=1)
    expected = clone(cnn).set_params(**{name: value}).fit(X, y)
    found = clone(cnn).set_params(**{name: kind(value)}).fit(X, y)
    np.testing.assert_array_equal(found.predict_proba(X), expected.predict_proba(X))
    for network, other in zip(found._networks, expected._networks, strict=True):
        assert network.parts.head.architecture == other.parts.head.architecture
    assert found.history_ == expected.history_
    again = found.partial_fit if name != "early_stopping" else found.fit
    assert again(X, y).n_iter_ >= 1


def test_widths_and_blocks_of_numpy_are_those_of_python(squares):
    X, y = squares
    small = dict(weights=None, image_size=32, epochs=1, dense_units=4, random_state=0)
    for estimator, value, same in (
        (MobileNetClassifier(trainable="head", alpha=0.25, **small), 0.25, np.float32(0.25)),
        (DenseNetClassifier(trainable="head", **small), (1, 1, 1, 1), np.ones(4, np.int64)),
    ):
        name = "alpha" if "alpha" in estimator.get_params() else "blocks"
        expected = clone(estimator).set_params(**{name: value}).fit(X, y).predict_proba(X)
        found = clone(estimator).set_params(**{name: same}).fit(X, y).predict_proba(X)
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("early_stopping", "no", "early_stopping='no' must be True or False"),
        ("early_stopping", None, "early_stopping=None must be True or False"),
        ("verbose", "x", "verbose='x' must be a whole number"),
        ("epochs", np.True_, "epochs=np.True_ must be a whole number"),
        ("augment", 1, "augment=1 must be False, True or a Keras layer"),
        ("augment", np.array([True, False]), "augment=.* must be False, True or a Keras layer"),
    ],
)
def test_what_is_no_switch_and_no_number_is_named(cnn, squares, name, value, message):
    with pytest.raises(TypeError, match=message):
        cnn.set_params(**{name: value}).fit(*squares)
