"""Scores of folds, over all folds and of resamples, against independent code."""

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import RepeatedStratifiedKFold, StratifiedKFold, cross_validate
from sklearn.naive_bayes import GaussianNB

from lungestimators import compare_models, compare_predictions
from lungestimators.comparison import scores, statistics
from lungestimators.comparison.predictions import FoldPredictions

from .small_models import MODELS, folds_of, said_with


def test_scores_are_those_of_scikit_learn_on_the_same_folds(table):
    folds = RepeatedStratifiedKFold(n_splits=3, n_repeats=2, random_state=0)
    found = compare_models(MODELS, *table, cv=folds, random_state=0)
    names = {
        "accuracy": "accuracy",
        "balanced_accuracy": "balanced_accuracy",
        "roc_auc": "roc_auc_ovr",
        "log_loss": "neg_log_loss",
        "brier_score": "neg_brier_score",
    }
    for row, estimator in zip(found.models, MODELS.values(), strict=True):
        scored = cross_validate(estimator, *table, cv=folds, scoring=names)
        for name in names:
            expected = np.abs(scored[f"test_{name}"])
            assert row[name] == pytest.approx(expected.mean()), name
        assert row["fold_scores"] == pytest.approx(scored["test_accuracy"].tolist())


def test_two_classes_are_scored_as_scikit_learn_does(squares):
    X, y = squares
    X = X.reshape(48, -1)[:, :40]  # without the square: hard to tell
    folds = StratifiedKFold(3)
    names = dict(roc_auc="roc_auc", log_loss="neg_log_loss", brier_score="neg_brier_score")
    number = (y == "opaque").astype(int)  # scikit-learn's Brier score wants numbers
    scored = cross_validate(GaussianNB(var_smoothing=1), X, number, cv=folds, scoring=names)
    (row,) = compare_models([GaussianNB(var_smoothing=1)], X, y, cv=folds).models
    for name in names:
        assert row[name] == pytest.approx(abs(scored[f"test_{name}"].mean())), name


def test_the_calibration_error_is_that_of_a_loop_over_bins():
    rng = np.random.default_rng(0)
    probabilities = rng.dirichlet([1, 1, 1], 200)
    probabilities[0] = [1, 0, 0]
    truth = rng.integers(0, 3, 200)
    expected = 0
    for low in np.arange(10) / 10:
        inside = [p for p in range(200) if low <= min(probabilities[p].max(), 0.999) < low + 0.1]
        if inside:
            right = np.mean([probabilities[p].argmax() == truth[p] for p in inside])
            said = np.mean([probabilities[p].max() for p in inside])
            expected += len(inside) / 200 * abs(right - said)
    assert scores.score_calibration_error(truth, probabilities) == pytest.approx(expected)
    assert scores.score_calibration_error(truth, np.eye(3)[truth]) == 0


@pytest.mark.parametrize("metric", ["accuracy", "balanced_accuracy", "roc_auc"])
def test_weighted_scores_are_those_of_images_repeated(metric):
    rng = np.random.default_rng(0)
    y, probabilities = np.arange(45) % 3, rng.dirichlet([1, 1, 1], 45)
    fold = FoldPredictions(np.arange(45), probabilities.argmax(axis=1), probabilities, None)
    weights = rng.integers(1, 4, (3, 45))
    found = scores.score_model_with_weights(metric, y, [fold], 3)(weights.astype(float))
    for row, score in zip(weights, found, strict=True):
        again = np.repeat(np.arange(45), row)
        expected = scores.score_predictions_of_fold(
            y[again], fold.predicted[again], probabilities[again], 3
        )
        assert score == pytest.approx(expected[metric])


@pytest.mark.parametrize("scoring", ["accuracy", "balanced_accuracy"])
def test_the_bootstrap_resamples_the_mean_over_folds_of_different_sizes(scoring):
    y = np.tile([0, 1], 60)
    splits = [(np.arange(100, 120), np.arange(100)), (np.arange(100), np.arange(100, 120))]
    said = {"a": said_with(y, splits, [1, 0])}
    (row,) = compare_predictions(y, said, splits, scoring=scoring, random_state=0).models
    assert row[scoring] == 0.5
    assert row["bootstrap_low"] < 0.5 < row["bootstrap_high"]
    # Folds of one image: as if there were none.
    one_each = folds_of(y, 120)
    said = {"a": [(y[test] if test[0] % 3 else 1 - y[test],) for _, test in one_each]}
    (row,) = compare_predictions(y, said, one_each, random_state=0).models
    low, high = statistics.wilson_interval(80 / 120, 120)
    assert (row["bootstrap_low"], row["bootstrap_high"]) == pytest.approx((low, high), abs=0.02)


@pytest.mark.parametrize("ties", [False, True])
def test_the_weighted_auc_is_scikit_learns(ties):
    rng = np.random.default_rng(0)
    positive = rng.random(60) < 0.4
    score = rng.random(60) + 0.3 * positive
    score = np.round(score, 1) if ties else score
    weights = rng.integers(0, 4, (5, 60)).astype(float)
    expected = [roc_auc_score(positive, score, sample_weight=row) for row in weights]
    np.testing.assert_allclose(scores.score_weighted_auc(positive, score, weights), expected)
    assert np.isnan(scores.score_weighted_auc(positive, score, weights * positive)).all()
