"""Keras' global settings move no result: a fit is refused under some, and depends on none."""

import os
import pickle
import subprocess
import sys

import keras
import numpy as np
import pytest
from sklearn.base import clone

from lungestimators import BackboneFeatures, CNNClassifier, DenseNetClassifier, MobileNetClassifier

SMALL = dict(weights=None, dense_units=8, epochs=1, random_state=0)
ESTIMATORS = {
    "CNN": CNNClassifier(image_size=16, filters=(4, 8), augment=True, **SMALL),
    "head": MobileNetClassifier(image_size=32, alpha=0.25, trainable="head", **SMALL),
    "last_stage": DenseNetClassifier(
        image_size=32, blocks=(1, 1, 1, 1), trainable="last_stage", **SMALL
    ),
    "features": BackboneFeatures("MobileNetV3Small", image_size=32, weights=None, random_state=0),
}

# Under which a fit is refused, and under which it is the same fit.
REFUSED = {
    "image_data_format": ["channels_first"],
    "floatx": ["float16", "float64", "bfloat16"],
    "epsilon": [1e-3],
}
POLICIES = ["mixed_float16", "mixed_bfloat16", "float16", "float64", "bfloat16"]
ALL = [
    *[(name, value) for name, values in REFUSED.items() for value in values],
    *[("dtype_policy", policy) for policy in POLICIES],
]


@pytest.fixture(scope="module")
def images():
    rng = np.random.default_rng(0)
    X = rng.integers(0, 60, size=(24, 16, 16), dtype=np.uint8)
    y = np.tile(["clear", "opaque"], 12)
    X[y == "opaque", 4:12, 4:12] += 120
    return X, y


@pytest.fixture
def settings():
    """Keras' settings by name, put back when the test ends."""
    names = ["image_data_format", "floatx", "epsilon", "dtype_policy"]
    before = {name: getattr(keras.config, name)() for name in names}

    def get():
        return {name: str(getattr(keras.config, name)()) for name in names}

    yield get
    for name, value in before.items():
        getattr(keras.config, f"set_{name}")(value)


def answer(estimator, X):
    return getattr(estimator, "predict_proba", getattr(estimator, "transform", None))(X)


@pytest.mark.parametrize(("name", "value"), ALL)
def test_a_fit_is_refused_in_a_sentence_or_does_not_depend_on_a_setting(
    images, settings, name, value
):
    X, y = images
    expected = answer(clone(ESTIMATORS["CNN"]).fit(X, y), X)
    getattr(keras.config, f"set_{name}")(value)
    before = settings()
    clf = clone(ESTIMATORS["CNN"])
    if name in REFUSED:
        with pytest.raises(ValueError, match=rf"keras.config.{name}\(\) is .*set_{name}\("):
            clf.fit(X, y)
        assert not hasattr(clf, "classes_")
        with pytest.raises(ValueError, match=rf"keras.config.{name}\(\) is .*set_{name}\("):
            clf.partial_fit(X, y, classes=["clear", "opaque"])
    else:
        np.testing.assert_array_equal(answer(clf.fit(X, y), X), expected)
    assert settings() == before


PREDICT = """
import pickle, sys, keras, numpy as np
from sklearn.base import clone
name, value, folder = sys.argv[1:]
getattr(keras.config, f"set_{name}")(float(value) if name == "epsilon" else value)
before = keras.config.image_data_format(), keras.config.floatx()
X = np.load(folder + "/X.npy")
with open(folder + "/fitted.pickle", "rb") as file:
    fitted, expected, models = pickle.load(file)
for key, estimator in fitted.items():
    if key == "features":
        estimator.set_params(feature_cache=None)
        np.testing.assert_array_equal(estimator.transform(X), expected[key])
        again = clone(estimator).fit(X)
        np.testing.assert_array_equal(again.transform(X), expected[key])
    else:
        np.testing.assert_array_equal(estimator.predict_proba(X), expected[key])
        model = estimator.model_
        assert model.dtype_policy.name == "float32"
        assert {layer.dtype_policy.name for layer in model._flatten_layers()} == {"float32"}
        found = model.predict(X[..., None].astype("float32"), verbose=0)
        np.testing.assert_allclose(found, models[key], rtol=0, atol=1e-6)
assert (keras.config.image_data_format(), keras.config.floatx()) == before
print("same")
"""


@pytest.fixture(scope="module")
def fitted(images, tmp_path_factory):
    X, y = images
    folder = tmp_path_factory.mktemp("fitted")
    estimators = {key: clone(estimator).fit(X, y) for key, estimator in ESTIMATORS.items()}
    expected = {key: answer(estimator, X) for key, estimator in estimators.items()}
    pixels = X[..., None].astype("float32")
    models = {
        key: clf.model_.predict(pixels, verbose=0)
        for key, clf in estimators.items()
        if key != "features"
    }
    np.save(folder / "X.npy", X)
    (folder / "fitted.pickle").write_bytes(pickle.dumps((estimators, expected, models)))
    return folder


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("image_data_format", "channels_first"),
        ("floatx", "float16"),
        ("dtype_policy", "mixed_float16"),
    ],
)
def test_what_is_fitted_answers_the_same_in_a_process_of_other_settings(fitted, name, value):
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", PREDICT, name, str(value), str(fitted)],
        env=os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.stdout.endswith("same\n"), done.stderr[-2000:]


def test_networks_that_were_built_under_other_settings_are_not_mixed_up(images, settings):
    """The networks and features of one process are kept by what they are made of."""
    X, _ = images
    features = clone(ESTIMATORS["features"]).set_params(random_state=5)
    keras.config.set_image_data_format("channels_first")
    keras.config.set_floatx("float16")
    keras.config.set_dtype_policy("float16")
    under_others = clone(features).fit_transform(X)
    keras.config.set_image_data_format("channels_last")
    keras.config.set_floatx("float32")
    keras.config.set_dtype_policy("float32")
    np.testing.assert_array_equal(clone(features).fit_transform(X), under_others)
    assert under_others.dtype == np.float32


@pytest.mark.slow
def test_a_policy_that_was_never_asked_for_is_still_that_of_floatx(images):
    """Keras makes the policy from floatx when it is first asked for."""
    program = """
import keras, numpy as np
from lungestimators import BackboneFeatures
keras.config.set_floatx("float16")
X = np.zeros((2, 32, 32), np.uint8)
BackboneFeatures("MobileNetV3Small", image_size=32, weights=None).fit_transform(X)
print(keras.config.dtype_policy().name)
"""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", program],
        env=os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.stdout == "float16\n", done.stderr[-2000:]
