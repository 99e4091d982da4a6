"""Saved classifiers: load one, and let it predict."""

import numpy as np
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import FixedThresholdClassifier, TunedThresholdClassifierCV
from sklearn.pipeline import Pipeline

from ..saving import load


def load_classifier(path):
    """Load a classifier that has probabilities.

    Raises
    ------
    ValueError
        The file is none that was saved, or it holds no such classifier.
    """
    classifier = load(path)
    if not hasattr(classifier, "predict_proba") or not hasattr(classifier, "classes_"):
        raise ValueError(
            f"{path!r} holds a {type(classifier).__name__}, which gives no probabilities of "
            "classes: save a classifier that does"
        )
    return classifier


def class_names(classifier):
    """Return the classes as a list of str."""
    return [str(name) for name in classifier.classes_]


def predict_files(classifier, paths):
    """Predict files.

    Parameters
    ----------
    classifier : classifier
    paths : list of str

    Returns
    -------
    predicted : ndarray of shape (n_files,), int
        Numbers of classes.
    probabilities : ndarray of shape (n_files, n_classes)
    """
    probabilities = classifier.predict_proba(paths)
    if not _has_threshold(classifier):
        return probabilities.argmax(axis=1), probabilities
    return np.searchsorted(classifier.classes_, classifier.predict(paths)), probabilities


def _has_threshold(classifier):
    """Whether another class than the most probable one may be predicted."""
    if isinstance(classifier, Pipeline):
        return _has_threshold(classifier.steps[-1][1])
    if isinstance(classifier, FrozenEstimator):
        return _has_threshold(classifier.estimator)
    return isinstance(classifier, FixedThresholdClassifier | TunedThresholdClassifierCV)
