"""Saved classifiers: load one, and let it predict."""

import textwrap
import warnings

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import FixedThresholdClassifier, TunedThresholdClassifierCV
from sklearn.pipeline import Pipeline

from ..classifiers.training_data import TrainingImagesWarning
from ..saving import load
from ..text_tables import counted

_WIDTH = 79


def load_classifier(path, runtime="keras"):
    """Load a classifier that has probabilities.

    Parameters
    ----------
    path : str
    runtime : {"keras", "onnxruntime"}
        What runs its networks.

    Raises
    ------
    ValueError
        The file is none that was saved, or it holds no such classifier.
    ImportError
        The runtime is not installed.
    """
    classifier = load(path, runtime=runtime)
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
    n_known : int or None
        How many of the files the classifier learnt from, at least; None where its file does not
        say which ones it learnt from. The warning of them is not shown.
    """
    n_known = 0 if _keeps_training_data(classifier) else None
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", TrainingImagesWarning)
        probabilities = classifier.predict_proba(paths)
        predicted = probabilities.argmax(axis=1)
        if _has_threshold(classifier):
            predicted = np.searchsorted(classifier.classes_, classifier.predict(paths))
    for each in caught:
        if isinstance(each.message, TrainingImagesWarning):
            n_known = max(n_known, each.message.n_known)  # several classifiers may be in one file
        else:
            warnings.warn_explicit(each.message, each.category, each.filename, each.lineno)
    return predicted, probabilities, n_known


def say_known(n_known, n_images):
    """Return lines of text about images that a classifier learnt from; none if it knows none."""
    if n_known == 0:
        return []
    if n_known is not None:
        text = (
            f"The classifier learnt from at least {n_known:,} of these "
            f"{counted(n_images, 'image')}. What it says of them does not tell how good it is on "
            "others."
        )
    else:
        text = (
            "The file of the classifier does not say which images it learnt from. If they are "
            "among these, what it says of them does not tell how good it is on others."
        )
    return ["", *textwrap.wrap(text, _WIDTH)]


def _keeps_training_data(value):
    """Whether an estimator, or one inside it, keeps digests of the images that it learnt from."""
    if hasattr(value, "training_data_"):
        return True
    if isinstance(value, BaseEstimator) or hasattr(value, "calibrators"):
        value = list(vars(value).values())
    if isinstance(value, dict):
        value = list(value.values())
    return isinstance(value, list | tuple) and any(map(_keeps_training_data, value))


def _has_threshold(classifier):
    """Whether another class than the most probable one may be predicted."""
    if isinstance(classifier, Pipeline):
        return _has_threshold(classifier.steps[-1][1])
    if isinstance(classifier, FrozenEstimator):
        return _has_threshold(classifier.estimator)
    return isinstance(classifier, FixedThresholdClassifier | TunedThresholdClassifierCV)
