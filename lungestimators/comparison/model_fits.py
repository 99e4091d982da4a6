"""Fit a model on one split and predict its test images; check that a model can take part."""

import time
from collections.abc import Iterable

import numpy as np
from sklearn.base import clone
from sklearn.utils.metadata_routing import get_routing_for_object

from .. import _compat
from .predictions import check_predictions


def name_models_to_fit(estimators):
    """Return estimators as a dict, or raise where one of them cannot be compared."""
    # A pipeline is a sequence, of its steps.
    if hasattr(estimators, "fit") or not isinstance(estimators, Iterable):
        raise TypeError(
            f"estimators={estimators!r} must be a dict of name to classifier, or a list of "
            "classifiers"
        )
    if not isinstance(estimators, dict):
        estimators = dict(_compat.sklearn_name_estimators(list(estimators)))
    if not estimators:
        raise ValueError("estimators is empty: there is nothing to compare")
    for name, estimator in estimators.items():
        if isinstance(estimator, type):
            raise ValueError(
                f"estimators: {name!r} is the class {estimator.__name__}: give an instance, "
                f"{estimator.__name__}()"
            )
        if not (hasattr(estimator, "fit") and model_may_have(estimator, "predict")):
            raise ValueError(f"estimators: {name!r} is {estimator!r}, which cannot fit and predict")
        if not hasattr(estimator, "get_params"):
            raise ValueError(
                f"estimators: {name!r} has no get_params, so that it cannot be cloned for each "
                "fold: inherit from scikit-learn's BaseEstimator"
            )
    return estimators


def model_may_have(estimator, method):
    """Tell whether an estimator has a method, or may have it after ``fit``.

    ``available_if`` hides a method of the class from the instance until the fitted parts show
    whether they have the method.
    """
    return (
        hasattr(estimator, method)
        or hasattr(type(estimator), method)
        or hasattr(type(estimator), "__getattr__")
    )


def model_shows_all_methods(estimator):
    """Tell whether an estimator has all methods before ``fit`` that it may have after."""
    return all(
        hasattr(estimator, method) or not model_may_have(estimator, method)
        for method in ("predict", "predict_proba")
    )


def fit_clone(estimator, X, y, train, groups=None):
    """Fit a clone of an estimator on the training rows of a split.

    Parameters
    ----------
    estimator : classifier
    X : array-like or list of n images
    y : ndarray of shape (n,)
    train : ndarray of int
    groups : ndarray of shape (n,), or None
        Passed to an estimator whose ``fit`` requests groups by metadata routing.
    """
    estimator = clone(estimator)
    given = {}
    if groups is not None and get_routing_for_object(estimator).consumes("fit", ["groups"]):
        given["groups"] = groups[train]
    estimator.fit(_compat.sklearn_take_rows(X, train), y[train], **given)
    return estimator


def probabilities_of_fitted_model(fitted, X, classes, name=None):
    """Return the probabilities of a fitted model for all classes, also those it was not fitted on.

    Parameters
    ----------
    fitted : classifier
    X : array-like or list of n images
    classes : ndarray of shape (n_classes,)
        Sorted.
    name : str, optional
        Of the model, for messages; its class by default.

    Returns
    -------
    ndarray of shape (n, n_classes), or None where the model has no predict_proba
        A class that the training images lack has the probability 0.
    """
    if not hasattr(fitted, "predict_proba"):
        return None
    name = type(fitted).__name__ if name is None else name
    columns = _columns_of_fitted_classes(name, fitted, classes)
    n = X.shape[0] if hasattr(X, "shape") else len(X)
    found = np.asarray(fitted.predict_proba(X))
    if found.shape != (n, len(columns)):
        raise ValueError(
            f"predict_proba of {name!r} returns the shape {found.shape} where "
            f"{(n, len(columns))} is right: a row an image, a column for each of its classes_"
        )
    probabilities = np.zeros((n, len(classes)))
    probabilities[:, columns] = found
    return probabilities


def _columns_of_fitted_classes(name, fitted, classes):
    """Return which of all classes each column of ``predict_proba`` is of."""
    if not hasattr(fitted, "classes_"):
        raise ValueError(f"{name!r} has predict_proba but no classes_ that name its columns")
    own = np.asarray(fitted.classes_)
    if own.ndim != 1 or not np.isin(own, classes).all():
        raise ValueError(f"classes_ of {name!r} are {own}, but the classes are {classes}")
    return np.searchsorted(classes, own)


def fit_and_predict(name, number, estimator, X, y, classes, split, groups, scoring):
    """Train a clone of a named model on one split, and predict the test images of the split.

    Returns
    -------
    tuple of (labels, probabilities, fit_seconds)
        Checked here already, so that a model that diverged is named before others are trained.
    """
    train, test = split
    start = time.perf_counter()
    try:
        fitted = fit_clone(estimator, X, y, train, groups)
    except Exception as error:
        error.add_note(f"compare_models was training {name!r}")
        raise
    seconds = time.perf_counter() - start
    if not hasattr(fitted, "predict"):
        raise ValueError(
            f"{name!r} has no predict after fit: a search needs refit=True, and a meta-estimator a "
            "final estimator that can predict"
        )
    images = _compat.sklearn_take_rows(X, test)
    labels = fitted.predict(images)
    probabilities = probabilities_of_fitted_model(fitted, images, classes, name)
    if probabilities is None and scoring == "roc_auc" and number == 0:
        raise ValueError(
            f"scoring='roc_auc' needs predict_proba: {name!r} has none after fit. "
            "CalibratedClassifierCV gives probabilities to a model that has decision_function; "
            "scoring='accuracy' needs none"
        )
    found = labels, probabilities, seconds
    check_predictions(name, number, found, test, classes)
    return found
