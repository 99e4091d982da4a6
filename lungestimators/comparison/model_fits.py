"""One model on one split: whether it can take part, its fit, and what it predicts there."""

import time
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from sklearn.base import clone
from sklearn.utils.metadata_routing import get_routing_for_object
from sklearn.utils.validation import column_or_1d

from .. import _compat
from .scores import Fold


class Predictions(NamedTuple):
    """What a model says of the test images of one split.

    Parameters
    ----------
    labels : ndarray of shape (n_test,)
        Predicted labels.
    probabilities : ndarray of shape (n_test, n_classes), default=None
        Columns in the order of the sorted labels of all images; None where the model has none.
    fit_seconds : float, default=None
        How long the model was trained.
    """

    labels: np.ndarray
    probabilities: np.ndarray | None = None
    fit_seconds: float | None = None


def named(estimators):
    # A pipeline is a sequence, of its steps.
    if hasattr(estimators, "fit") or not isinstance(estimators, Iterable):
        raise TypeError(
            f"estimators={estimators!r} must be a dict of name to classifier, or a list of "
            "classifiers"
        )
    if not isinstance(estimators, dict):
        estimators = dict(_compat.name_estimators(list(estimators)))
    if not estimators:
        raise ValueError("estimators is empty: there is nothing to compare")
    for name, estimator in estimators.items():
        if isinstance(estimator, type):
            raise ValueError(
                f"estimators: {name!r} is the class {estimator.__name__}: give an instance, "
                f"{estimator.__name__}()"
            )
        if not (hasattr(estimator, "fit") and may_have(estimator, "predict")):
            raise ValueError(f"estimators: {name!r} is {estimator!r}, which cannot fit and predict")
        if not hasattr(estimator, "get_params"):
            raise ValueError(
                f"estimators: {name!r} has no get_params, so that it cannot be cloned for each "
                "fold: inherit from scikit-learn's BaseEstimator"
            )
    return estimators


def may_have(estimator, method):
    """Whether an estimator has a method, or may have it after ``fit``.

    ``available_if`` hides a method of the class from the instance until it can be told whether the
    fitted parts have it.
    """
    return (
        hasattr(estimator, method)
        or hasattr(type(estimator), method)
        or hasattr(type(estimator), "__getattr__")
    )


def shows_all(estimator):
    """Whether an estimator has all methods before ``fit`` that it may have after."""
    return all(
        hasattr(estimator, method) or not may_have(estimator, method)
        for method in ("predict", "predict_proba")
    )


def fit_and_predict(name, number, estimator, X, y, classes, split, groups, scoring):
    """Train a clone on one split, and return its predictions."""
    train, test = split
    estimator = clone(estimator)
    given = {}
    if groups is not None and get_routing_for_object(estimator).consumes("fit", ["groups"]):
        given["groups"] = groups[train]
    start = time.perf_counter()
    try:
        estimator.fit(_compat.take_rows(X, train), y[train], **given)
    except Exception as error:
        error.add_note(f"compare_models was training {name!r}")
        raise
    seconds = time.perf_counter() - start
    if not hasattr(estimator, "predict"):
        raise ValueError(
            f"{name!r} has no predict after fit: a search needs refit=True, and a meta-estimator a "
            "final estimator that can predict"
        )
    tested = _compat.take_rows(X, test)
    labels, probabilities = estimator.predict(tested), None
    if hasattr(estimator, "predict_proba"):
        # A class that the training images lack has no column, and the probability 0.
        columns = _columns(name, estimator, classes)
        found = np.asarray(estimator.predict_proba(tested))
        if found.shape != (len(test), len(columns)):
            raise ValueError(
                f"predict_proba of {name!r} returns the shape {found.shape} where "
                f"{(len(test), len(columns))} is right: a row an image, a column for each of its "
                "classes_"
            )
        probabilities = np.zeros((len(test), len(classes)))
        probabilities[:, columns] = found
    elif scoring == "roc_auc" and number == 0:
        raise ValueError(
            f"scoring='roc_auc' needs predict_proba: {name!r} has none after fit. "
            "CalibratedClassifierCV gives probabilities to a model that has decision_function; "
            "scoring='accuracy' needs none"
        )
    predictions = Predictions(labels, probabilities, seconds)
    check_split(name, number, predictions, test, classes)  # before other models are trained
    return predictions


def _columns(name, estimator, classes):
    """Where the columns of ``predict_proba`` stand among all classes."""
    if not hasattr(estimator, "classes_"):
        raise ValueError(f"{name!r} has predict_proba but no classes_ that name its columns")
    own = np.asarray(estimator.classes_)
    if own.ndim != 1 or not np.isin(own, classes).all():
        raise ValueError(f"classes_ of {name!r} are {own}, but the classes are {classes}")
    return np.searchsorted(classes, own)


def check_split(name, number, given, rows, classes):
    """Return what one model said of one split, with numbers for labels."""
    which = f"{name!r} in split {number}"
    labels, probabilities = column_or_1d(given.labels), given.probabilities
    if len(labels) != len(rows):
        raise ValueError(f"{which} predicts {len(labels)} labels for {len(rows)} images")
    unknown = np.setdiff1d(labels, classes)
    if len(unknown):
        raise ValueError(f"{which} predicts {unknown[:5]}, but the classes are {classes}")
    if probabilities is not None:
        probabilities = np.asarray(probabilities, float)
        if probabilities.shape != (len(rows), len(classes)):
            raise ValueError(
                f"probabilities of {which} have the shape {probabilities.shape} where "
                f"{(len(rows), len(classes))} is right"
            )
        if np.isnan(probabilities).any():
            raise ValueError(f"probabilities of {which} are NaN: has its training diverged?")
        total = probabilities.sum(axis=1, keepdims=True)
        if not (np.abs(total - 1) < 1e-3).all() or (probabilities < 0).any():
            raise ValueError(f"probabilities of {which} do not sum to 1, or are not in 0 to 1")
        probabilities = probabilities / total
    return Fold(rows, np.searchsorted(classes, labels), probabilities, given.fit_seconds)
