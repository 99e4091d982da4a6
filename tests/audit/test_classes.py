"""Small and unequal classes are named."""

import numpy as np

from .small_audits import audit


def test_small_classes_are_cross_validated_in_fewer_folds(chests):
    X, y = chests
    rows = np.r_[np.flatnonzero(y == 0)[:3], np.flatnonzero(y > 0)]
    report = audit(X[rows], y[rows], cv=5)
    assert "3 folds were used instead of 5" in report.checks["classes"].sentence
    assert "in 3 folds" in report.checks["shortcuts"].sentence


def test_a_class_in_one_group_is_too_small_to_cross_validate(chests):
    X, y = chests
    report = audit(X, y, np.where(y == 0, 0, np.arange(60) + 1))
    assert report.checks["shortcuts"].verdict == report.checks["labels"].verdict == "skipped"
    assert "too few to cross-validate" in report.checks["classes"].sentence
    assert "not tested" in report.conclusion


def test_an_unequal_set_is_told_what_the_largest_class_is_worth(chests):
    X, y = chests
    rows = np.r_[np.flatnonzero(y == 0)[:4], np.flatnonzero(y == 1)]
    check = audit(X[rows], y[rows]).checks["classes"]
    assert check.verdict == "warning"
    assert "'1' has an accuracy of 0.833" in check.sentence
