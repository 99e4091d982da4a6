"""A file loaded with runtime="onnxruntime" answers as its estimator did, without Keras."""

import functools
import importlib.util
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from lungestimators import (
    BackboneClassifier,
    BackboneFeatures,
    BorderCrop,
    CNNClassifier,
    DenseNetClassifier,
    LungFields,
    MobileNetClassifier,
    load,
    make_chest_xrays,
    save,
)
from tests.conftest import make_cnn

pytestmark = pytest.mark.filterwarnings(
    "ignore:.*were learnt from images of",
    "ignore:.*to fit this",
    "ignore:Two lungs were not found",
)

CNN = make_cnn().set_params(epochs=1)
DENSENET = DenseNetClassifier(
    weights=None, blocks=(1, 1, 1, 1), image_size=32, epochs=1, random_state=0
)
ESTIMATORS = {
    "cnn": CNN,
    "several networks": clone(CNN).set_params(n_networks=2),
    "mobilenet": MobileNetClassifier(alpha=0.25, image_size=32, epochs=1, random_state=0),
    "last stage": MobileNetClassifier(
        alpha=0.25, image_size=32, epochs=1, trainable="last_stage", n_networks=2, random_state=0
    ),
    "densenet": DENSENET,
    "backbone": BackboneClassifier(
        "MobileNetV2",
        alpha=0.35,
        weights=None,
        trainable="head",
        image_size=32,
        epochs=1,
        random_state=0,
    ),
    "features": make_pipeline(
        BackboneFeatures("MobileNet", alpha=0.25, image_size=32), LogisticRegression()
    ),
    "lungs": make_pipeline(LungFields("mask", image_size=32, on_missing="warn"), CNN),
    "calibrated": CalibratedClassifierCV(make_pipeline(BorderCrop(), CNN), cv=2),
}
SLOW = "several networks", "mobilenet", "densenet", "backbone"
# A process in which no framework can be imported, nor what only a fit or a plot needs.
WITHOUT_FRAMEWORKS = """
import sys
missing = {"tensorflow", "keras", "scikeras", "h5py", "jax", "torch", "optuna", "matplotlib"}
class Missing:
    def find_spec(name, path=None, target=None):
        if name.split(".")[0] in missing:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Missing)
import numpy as np
from lungestimators import load
folder = sys.argv[1]
for number in range(int(sys.argv[2])):
    estimator = load(f"{folder}/{number}.lung", runtime="onnxruntime")
    X = np.load(f"{folder}/X.npy")
    np.save(f"{folder}/{number}.npy", estimator.predict_proba(X))
estimator = load(f"{folder}/0.lung", runtime="onnxruntime")
np.save(f"{folder}/file.npy", estimator.predict_proba([f"{folder}/1.png"]))
print(estimator.predict(X[:2]).tolist(), estimator.classes_.tolist())
estimator.save(f"{folder}/again.lung")
try:
    load(f"{folder}/again.lung").predict(X)
except ImportError as error:
    print(error)
"""


@functools.cache
def fit(name):
    """One of ESTIMATORS, fitted once to small synthetic radiographs."""
    X, y = make_chest_xrays(24, image_size=48, random_state=0)
    return clone(ESTIMATORS[name]).fit(X, y)


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=pytest.mark.slow if name in SLOW else ()) for name in ESTIMATORS],
)
def test_probabilities_are_those_of_keras(name, tmp_path):
    X, _ = make_chest_xrays(20, image_size=48, random_state=1)
    clf = fit(name)
    save(clf, tmp_path / "one.lung")
    again = load(tmp_path / "one.lung", runtime="onnxruntime")
    found = again.predict_proba(X)
    np.testing.assert_allclose(found, clf.predict_proba(X), rtol=0, atol=1e-5)
    np.testing.assert_array_equal(again.classes_, clf.classes_)
    np.testing.assert_array_equal(again.predict(X), again.classes_[found.argmax(axis=1)])
    # scikit-learn's LogisticRegression rounds differently in another company.
    for rows in ([3], [5, 2], range(7, 20)) if name != "features" else ():
        np.testing.assert_array_equal(again.predict_proba(X[rows]), found[rows])


def test_no_framework_is_needed(tmp_path):
    fitted = [fit(name) for name in ("cnn", "last stage", "features", "lungs", "calibrated")]
    X, _ = make_chest_xrays(3, image_size=48, random_state=1)
    np.save(tmp_path / "X.npy", X)
    Image.fromarray(X[1]).save(tmp_path / "1.png")
    for number, estimator in enumerate(fitted):
        save(estimator, tmp_path / f"{number}.lung")
    found = subprocess.run(
        [sys.executable, "-c", WITHOUT_FRAMEWORKS, str(tmp_path), str(len(fitted))],
        capture_output=True,
        text=True,
    )
    assert found.returncode == 0, found.stderr
    expected = fitted[0].predict(X[:2]).tolist(), fitted[0].classes_.tolist()
    answer, error = found.stdout.strip().split("\n")
    assert answer == "{} {}".format(*expected)
    assert error.startswith("keras is not installed") and "runtime='onnxruntime'" in error
    for number, estimator in enumerate(fitted):
        expected = estimator.predict_proba(X)
        np.testing.assert_allclose(np.load(tmp_path / f"{number}.npy"), expected, rtol=0, atol=1e-5)
    expected = fitted[0].predict_proba([tmp_path / "1.png"])
    np.testing.assert_allclose(np.load(tmp_path / "file.npy"), expected, rtol=0, atol=1e-5)


def test_features_of_another_runtime_are_not_taken_from_the_store(tmp_path):
    X, _ = make_chest_xrays(4, image_size=48, random_state=2)
    features = fit("features")[0]
    save(features, tmp_path / "one.lung")
    again = load(tmp_path / "one.lung", runtime="onnxruntime")
    found = again.transform(X)
    expected = features.transform(X)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
    assert (found != expected).any()  # they round differently
    np.testing.assert_array_equal(again.transform(X), found)


def test_keras_goes_on_training_what_was_loaded(tmp_path):
    X, y = make_chest_xrays(24, image_size=48, random_state=0)
    clf = clone(CNN).partial_fit(X, y, classes=np.unique(y))
    clf.save(tmp_path / "one.lung")
    again = load(tmp_path / "one.lung", runtime="onnxruntime").partial_fit(X, y)
    clf.partial_fit(X, y)
    np.testing.assert_allclose(again.predict_proba(X), clf.predict_proba(X), rtol=0, atol=1e-5)
    again.save(tmp_path / "two.lung")
    clf.save(tmp_path / "three.lung")
    assert (tmp_path / "two.lung").read_bytes() == (tmp_path / "three.lung").read_bytes()


def test_further_views_need_keras(tmp_path):
    X, _ = make_chest_xrays(2, image_size=48, random_state=1)
    fit("cnn").save(tmp_path / "one.lung")
    again = load(tmp_path / "one.lung", runtime="onnxruntime").set_params(n_views=3)
    with pytest.raises(ValueError, match=r"n_views=3: only Keras .* set_params\(n_views=1\)"):
        again.predict(X)


def test_a_runtime_that_is_unknown_or_not_installed_is_named(tmp_path, monkeypatch):
    fit("cnn").save(tmp_path / "one.lung")
    with pytest.raises(ValueError, match="runtime='onnx' must be 'keras' or 'onnxruntime'"):
        load(tmp_path / "one.lung", runtime="onnx")
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: name == "onnx" or None)
    with pytest.raises(ImportError, match=r"needs onnxruntime: pip install .*\[serve\]"):
        load(tmp_path / "one.lung", runtime="onnxruntime")


@pytest.mark.slow
@pytest.mark.parametrize(
    "clf",
    [
        CNNClassifier(epochs=2, random_state=0),
        MobileNetClassifier(epochs=2, random_state=0),
        DenseNetClassifier(epochs=2, random_state=0),
    ],
    ids=lambda clf: type(clf).__name__,
)
def test_networks_of_full_size_answer_as_under_keras(clf, tmp_path):
    X, y = make_chest_xrays(60, image_size=224, random_state=0)
    clf.fit(X, y).save(tmp_path / "one.lung")
    new, _ = make_chest_xrays(100, image_size=224, random_state=1)
    found = load(tmp_path / "one.lung", runtime="onnxruntime").predict_proba(new)
    np.testing.assert_allclose(found, clf.predict_proba(new), rtol=0, atol=1e-5)
