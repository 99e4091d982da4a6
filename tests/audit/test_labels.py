"""Doubtful labels, and labels that cannot be learnt, are named."""

import numpy as np
import pytest
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import StackingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from lungestimators.audit import labels

from .small_audits import audit, quick


def test_planted_wrong_labels_are_suspected():
    rng = np.random.default_rng(0)
    X = rng.integers(0, 60, (120, 32, 32)).astype(np.uint8)
    y = np.arange(120) % 2
    X[y == 1, 8:24, 8:24] += 120
    wrong = rng.choice(120, 8, replace=False)
    given = y.copy()
    given[wrong] = 1 - given[wrong]
    check = audit(X, given, cv=5, estimator=quick()).checks["labels"]
    assert check.verdict == "warning"
    assert {row["image"] for row in check.rows} == {f"X[{row}]" for row in wrong}


def test_label_suspects_are_the_counts_off_the_diagonal_of_the_confident_joint():
    # Thresholds are 0.7 and 0.6: the third image reaches none, the fourth that of the other class.
    probabilities = np.array([[0.9, 0.1], [0.9, 0.1], [0.55, 0.45], [0.3, 0.7], [0.25, 0.75]])
    probabilities = np.vstack([probabilities, [0.55, 0.45]])
    y = np.array([0, 0, 0, 0, 1, 1])
    rows, suggested = labels.find_doubtful_labels(y, probabilities)
    assert (rows.tolist(), suggested.tolist()) == ([3], [1])


def test_labels_of_the_test_set_that_cannot_be_learnt_are_named(chests):
    X, y = chests
    check = audit(X, y, None, X[:4], [0, 1, 2, 7]).checks["test labels"]
    assert check.verdict == "fault"
    assert check.rows == [{"label": "7", "test images": 1}]


def test_probabilities_that_are_there_only_after_fit_are_used(chests):
    X, y = chests
    flat = FunctionTransformer(lambda X: X.reshape(len(X), -1)[:, ::97])
    logistic = make_pipeline(flat, StandardScaler(), LogisticRegression())
    stacked = StackingClassifier([("logistic", logistic)], cv=2)
    assert not hasattr(stacked, "predict_proba")
    assert "predict_proba" not in audit(X, y, estimator=stacked).checks["labels"].sentence


def test_a_classifier_without_probabilities_is_taken(chests):
    X, y = chests

    class Largest(DummyClassifier):
        predict_proba = property()

    report = audit(X, y, estimator=Largest())
    assert report.checks["labels"].verdict == "skipped"
    assert report.checks["shortcuts"].rows[0]["score"] == pytest.approx(1 / 3)
