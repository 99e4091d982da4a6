"""Probabilities that are calibrated, and thresholds: scikit-learn's tools on our classifiers."""

import matplotlib
import numpy as np
import pytest
from PIL import Image
from sklearn import config_context
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV, CalibrationDisplay, calibration_curve
from sklearn.frozen import FrozenEstimator
from sklearn.metrics import balanced_accuracy_score, log_loss, make_scorer
from sklearn.model_selection import (
    FixedThresholdClassifier,
    TunedThresholdClassifierCV,
)

from lungestimators import (
    BackboneClassifier,
    CNNClassifier,
    DenseNetClassifier,
    MobileNetClassifier,
    compare_models,
)

matplotlib.use("agg")

SMALL = dict(image_size=32, weights=None, epochs=2, dense_units=8, random_state=0)
CLASSIFIERS = [
    CNNClassifier(**{**SMALL, "image_size": 16}, filters=(4, 8)),
    MobileNetClassifier(**SMALL, alpha=0.25, trainable="head"),
    DenseNetClassifier(**SMALL, blocks=(1, 1, 1, 1), trainable="head"),
    BackboneClassifier("MobileNetV3Small", **SMALL, trainable="head"),
]
EACH = pytest.mark.parametrize("clf", CLASSIFIERS, ids=lambda clf: type(clf).__name__)


def as_paths(X, folder):
    paths = [str(folder / f"{number}.png") for number in range(len(X))]
    for path, image in zip(paths, X, strict=True):
        Image.fromarray(image).save(path)
    return paths


@pytest.fixture
def few(squares):
    """Three images in four are clear: half of the probability is no good threshold."""
    X, y = squares
    rows = np.r_[np.flatnonzero(y == "clear"), np.flatnonzero(y == "opaque")[:8]]
    return X[rows], y[rows]


@pytest.mark.slow
@EACH
@pytest.mark.parametrize("kind", ["arrays", "paths"])
def test_a_threshold_can_be_tuned_for_every_binary_classifier(clf, kind, few, tmp_path):
    X, y = few
    X = as_paths(X, tmp_path) if kind == "paths" else X
    tuned = TunedThresholdClassifierCV(clone(clf), scoring="balanced_accuracy", cv=2)
    tuned.fit(X, y)
    proba = tuned.predict_proba(X)[:, 1]
    expected = np.where(proba >= tuned.best_threshold_, "opaque", "clear")
    np.testing.assert_array_equal(tuned.predict(X), expected)


@EACH
def test_a_fixed_threshold_decides(clf, few):
    X, y = few
    fixed = FixedThresholdClassifier(clone(clf), threshold=0.1, pos_label="opaque").fit(X, y)
    expected = np.where(fixed.predict_proba(X)[:, 1] >= 0.1, "opaque", "clear")
    np.testing.assert_array_equal(fixed.predict(X), expected)


class Noting(CNNClassifier):
    """A CNN that notes which images it was trained on and asked about."""

    seen = []  # noqa: RUF012 (shared by clones on purpose)

    def fit(self, X, y, sample_weight=None, groups=None):
        self.seen.append(("fit", set(X[:, 0, 0].tolist())))
        return super().fit(X, y, sample_weight, groups)

    def predict_proba(self, X):
        self.seen.append(("predict", set(X[:, 0, 0].tolist())))
        return super().predict_proba(X)


def test_the_threshold_is_chosen_on_training_folds_only(squares):
    X, y = squares
    X = X.copy()
    X[:, 0, 0] = np.arange(len(X))  # an image's number is in its corner
    noting = Noting(image_size=16, filters=(4,), dense_units=4, epochs=1, random_state=0)
    tuned = TunedThresholdClassifierCV(noting, cv=2)
    training, test = set(range(24)), set(range(24, 48))
    Noting.seen.clear()
    split = np.arange(24), np.arange(24, 48)
    compare_models({"tuned": tuned}, X, y, cv=split, random_state=0)
    for what, images in Noting.seen:
        assert images <= training or (what == "predict" and images == test)
    # The threshold comes from predictions for the two inner folds, which are all training images.
    inner = [images for what, images in Noting.seen if what == "predict"][:2]
    assert inner[0] | inner[1] == training
    assert not inner[0] & inner[1]


def test_sample_weights_reach_the_classifier_under_a_threshold(cnn, few):
    X, y = few
    weight = np.where(y == "opaque", 3.0, 1.0)
    alone = clone(cnn).fit(X, y, sample_weight=weight).predict_proba(X)
    with config_context(enable_metadata_routing=True):
        cnn.set_fit_request(sample_weight=True)
        fixed = FixedThresholdClassifier(cnn, threshold=0.5, pos_label="opaque")
        scorer = make_scorer(balanced_accuracy_score).set_score_request(sample_weight=False)
        for clf in (fixed, TunedThresholdClassifierCV(cnn, cv=2, scoring=scorer)):
            clf.fit(X, y, sample_weight=weight)
            np.testing.assert_array_equal(clf.predict_proba(X), alone)


@pytest.mark.slow
@EACH
def test_probabilities_can_be_calibrated(clf, squares, tmp_path):
    X, y = squares
    paths = as_paths(X, tmp_path)
    for images in (X, paths):
        calibrated = CalibratedClassifierCV(clone(clf), cv=2).fit(images, y)
        proba = calibrated.predict_proba(images)
        np.testing.assert_allclose(proba.sum(axis=1), 1)
    assert set(calibrated.predict(paths)) <= {"clear", "opaque"}


def test_calibration_after_the_fit_lowers_the_log_loss_of_an_overconfident_network(squares):
    rng = np.random.default_rng(0)
    X, y = np.tile(squares[0], (3, 1, 1)), np.tile(squares[1], 3)
    y = np.where(rng.random(len(y)) < 0.25, np.where(y == "clear", "opaque", "clear"), y)
    fit, calibrate, test = np.split(rng.permutation(len(y)), [40, 100])
    cnn = CNNClassifier(
        image_size=16, filters=(8, 16), epochs=30, learning_rate=0.01, dropout=0.0, random_state=0
    ).fit(X[fit], y[fit])
    calibrated = CalibratedClassifierCV(FrozenEstimator(cnn)).fit(X[calibrate], y[calibrate])
    before, after = (log_loss(y[test], m.predict_proba(X[test])) for m in (cnn, calibrated))
    assert after < before


def test_calibration_curves_are_drawn_from_our_classifiers(cnn, squares):
    X, y = squares
    cnn.set_params(epochs=1).fit(X, y)
    display = CalibrationDisplay.from_estimator(cnn, X, y, n_bins=4)
    expected = calibration_curve(y, cnn.predict_proba(X)[:, 1], n_bins=4, pos_label="opaque")
    np.testing.assert_array_equal((display.prob_true, display.prob_pred), expected)
