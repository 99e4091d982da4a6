"""BackboneFeatures is a transformer that scikit-learn accepts, and is what the network says."""

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.utils.estimator_checks import estimator_checks_generator, parametrize_with_checks

from lungestimators import BackboneClassifier, BackboneFeatures, clear_feature_cache
from lungestimators.networks import blueprints

FEATURES = BackboneFeatures(
    "MobileNetV3Small", image_size=32, image_shape=(1, -1, 1), weights=None, random_state=0
)


@parametrize_with_checks([FEATURES])
def test_scikit_learn_accepts_the_transformer(estimator, check):
    check(estimator)


def test_at_least_forty_checks_run():
    assert sum(1 for _ in estimator_checks_generator(FEATURES)) >= 40


@pytest.fixture
def features():
    return BackboneFeatures("MobileNetV2", weights=None, image_size=32, random_state=0)


def test_the_features_are_what_keras_computes(squares, features, real_weights):
    """Averages of the last three resolutions, by a Keras model that was put together by hand."""
    import keras

    path = real_weights / "mobilenet_v2_1.0_224_no_top_dequant.weights.h5"
    X = np.repeat(squares[0][:8, :, :, None], 3, axis=3).repeat(4, axis=1).repeat(4, axis=2)
    network = keras.applications.MobileNetV2(
        include_top=False, weights=None, input_shape=(64, 64, 3)
    )
    network.load_weights(path)
    outputs = [network.get_layer(name).output for name in ("block_6_expand_relu", "out_relu")]
    maps = keras.Model(network.input, outputs).predict(X / 127.5 - 1.0, verbose=0)
    finest, coarsest = (array.mean(axis=(1, 2)) for array in maps)
    found = features.set_params(weights=path, image_size=64).fit_transform(X)
    np.testing.assert_allclose(found[:, -1280:], coarsest, rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(found[:, : finest.shape[1]], finest, rtol=1e-3, atol=1e-4)


@pytest.mark.core
def test_a_search_computes_every_feature_once(squares, features, monkeypatch):
    X, y = squares
    clear_feature_cache()
    passed = []
    run = blueprints.Blueprint.run
    monkeypatch.setattr(
        blueprints.Blueprint, "run", lambda self, x: passed.append(len(x)) or run(self, x)
    )
    pipeline = make_pipeline(features, LogisticRegression(max_iter=200))
    search = GridSearchCV(pipeline, {"logisticregression__C": [0.1, 1, 10]}, cv=4).fit(X, y)
    search.predict(X)
    assert sum(passed) == 48


@pytest.mark.core
def test_the_classifier_of_the_same_seed_sees_the_same_features(squares, features):
    X, y = squares
    clf = BackboneClassifier(
        "MobileNetV2", weights=None, trainable="head", image_size=32, epochs=1, random_state=0
    ).fit(X, y)
    features.fit(X)
    for ours, theirs in zip(
        features._network.weights, clf._networks[0].parts.backbone.weights, strict=True
    ):
        np.testing.assert_array_equal(ours, theirs)


def test_names_and_data_frames(squares, features):
    frame = features.set_output(transform="pandas").fit_transform(squares[0])
    assert list(frame.columns) == list(features.get_feature_names_out())
    assert frame.columns[0] == "backbonefeatures0"
    assert len(frame.columns) == features._n_features_out
    assert all(frame.dtypes == np.float32)


def test_a_new_fit_forgets_the_columns_of_the_last_one(squares, features):
    X, _ = squares
    flat = pd.DataFrame(X.reshape(len(X), -1)).add_prefix("pixel_")
    features.set_params(image_shape=X.shape[1:]).fit(flat)
    assert list(features.feature_names_in_) == list(flat.columns)
    features.set_params(image_shape=None).fit(X)
    assert not hasattr(features, "feature_names_in_")
    assert not hasattr(features, "n_features_in_")


def test_the_users_pixels_are_left_alone_and_any_dtype_will_do(squares, features):
    X = squares[0]
    expected = features.fit_transform(X)
    for same in (X / 255, X.astype(np.uint16) * 257):
        same.flags.writeable = False
        np.testing.assert_allclose(clone(features).fit_transform(same), expected, atol=1e-4)


def test_images_of_another_shape_are_refused(squares, features):
    X = squares[0]
    with pytest.raises(NotFittedError):
        features.transform(X)
    features.fit(X)
    with pytest.raises(ValueError, match=r"fitted on images of shape \(16, 16, 1\)"):
        features.transform(X[:, :8])


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        (dict(backbone="NoNet"), ValueError, "is not in keras.applications"),
        (dict(image_size=16), ValueError, "needs at least 32"),
        (dict(image_size=32.0), TypeError, "must be a whole number"),
        (
            dict(weights=3),
            TypeError,
            "must be 'chest', 'imagenet', 'torchxrayvision', 'pretrained', None or a path",
        ),
        (dict(weights="no.h5"), FileNotFoundError, "there is no such file"),
        (dict(feature_cache=True), TypeError, "must be 'memory', None or a directory"),
    ],
)
def test_a_wrong_parameter_is_named(squares, features, settings, error, message):
    with pytest.raises(error, match=message):
        features.set_params(**settings).fit(squares[0])


def test_a_failed_fit_leaves_the_transformer_as_it_was(squares, features):
    X = squares[0]
    expected = features.fit_transform(X)
    with pytest.raises(ValueError, match="is not in keras"):
        features.set_params(backbone="NoNet").fit(X[:, :8] / 255)
    np.testing.assert_array_equal(features.transform(X), expected)


@pytest.mark.slow
def test_a_replaced_file_of_weights_is_noticed(squares, features, tmp_path, monkeypatch):
    import keras

    monkeypatch.setenv("HOME", str(tmp_path))
    found = []
    for seed in (0, 1):
        keras.utils.set_random_seed(seed)
        network = keras.applications.MobileNetV2(
            include_top=False, weights=None, input_shape=(32, 32, 3)
        )
        network.save_weights(tmp_path / "w.weights.h5")
        found.append(features.set_params(weights="~/w.weights.h5").fit_transform(squares[0]))
    assert not np.array_equal(*found)
