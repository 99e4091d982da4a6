"""Predictions: what all models predict on the same splits, and how their scores are compared."""

from typing import NamedTuple

import numpy as np
from sklearn.utils.validation import column_or_1d

from .report import OutOfFold
from .splits import earlier_tests_of_splits


class FoldPredictions(NamedTuple):
    """Checked predictions of one model for the test images of one split.

    Parameters
    ----------
    rows : ndarray of shape (n_test,), int
    predicted : ndarray of shape (n_test,), int
        Numbers of classes.
    probabilities : ndarray of shape (n_test, n_classes), or None
    fit_seconds : float or None
    """

    rows: np.ndarray
    predicted: np.ndarray
    probabilities: np.ndarray | None
    fit_seconds: float | None


class Predictions(NamedTuple):
    """Predictions of all models on the same splits, and how their scores are compared.

    Parameters
    ----------
    y : ndarray of shape (n_images,), int
        Numbers of classes.
    classes : ndarray of shape (n_classes,)
    splits : list of (training rows, test rows)
    folds : dict of {str: list of FoldPredictions}
        For each model, in the order of the splits.
    groups : ndarray of shape (n_images,), int, or None
        Number of each image's group.
    scoring, test : str
        As in :func:`lungestimators.compare_models`.
    """

    y: np.ndarray
    classes: np.ndarray
    splits: list
    folds: dict
    groups: np.ndarray | None
    scoring: str
    test: str

    def units(self):
        """Return what is drawn and exchanged: the group of each image, or the image itself."""
        return np.arange(len(self.y)) if self.groups is None else self.groups

    def pooled_truth(self, name):
        """Return the true class of each prediction of a model, fold after fold."""
        return np.concatenate([self.y[fold.rows] for fold in self.folds[name]])

    def pooled_probabilities(self, name):
        """Return the probabilities of a model, fold after fold; None where it has none."""
        if self.folds[name][0].probabilities is None:
            return None
        return np.concatenate([fold.probabilities for fold in self.folds[name]])


def check_predictions(name, number, given, rows, classes):
    """Return the predictions of one model for one split, or raise where they are wrong.

    Parameters
    ----------
    name : str
        Of the model, for messages.
    number : int
        Of the split.
    given : tuple of (labels, probabilities, fit_seconds)
        The last two may be left out, or None.
    rows : ndarray of shape (n_test,), int
        Test rows of the split.
    classes : ndarray of shape (n_classes,)

    Returns
    -------
    FoldPredictions
    """
    which = f"{name!r} in split {number}"
    labels, probabilities, fit_seconds = (*given, None, None)[:3]
    labels = column_or_1d(labels)
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
    return FoldPredictions(rows, np.searchsorted(classes, labels), probabilities, fit_seconds)


def check_all_predictions(name, found, splits, classes, scoring):
    """Return the predictions of one model for all splits, or raise where they are wrong.

    Parameters
    ----------
    name : str
    found : list of tuple
        For each split, as ``check_predictions`` takes it.
    splits : list of (training rows, test rows)
    classes : ndarray of shape (n_classes,)
    scoring : str

    Returns
    -------
    list of FoldPredictions
        Where one split lacks probabilities, so do all: means over some folds of one model and over
        other folds of another do not compare.
    """
    if len(found) != len(splits):
        raise ValueError(f"predictions of {name!r}: {len(found)} for {len(splits)} splits")
    folds = [
        check_predictions(name, number, given, rows, classes)
        for number, ((_, rows), given) in enumerate(zip(splits, found, strict=True))
    ]
    lacking = [number for number, fold in enumerate(folds) if fold.probabilities is None]
    if scoring == "roc_auc" and lacking:
        raise ValueError(
            f"scoring='roc_auc' needs the probabilities of {name!r}, which has none in split "
            f"{lacking[0]}"
        )
    return [fold._replace(probabilities=None) for fold in folds] if lacking else folds


def predictions_lack_probabilities(found):
    """Tell whether a model has no probabilities in some split."""
    return any(probabilities is None for _, probabilities, _ in found)


def out_of_fold_predictions(predictions, name):
    """Return what a model predicts for each tested image, with row, repeat and fold."""
    folds = predictions.folds[name]
    return OutOfFold(
        predictions.classes[predictions.pooled_truth(name)],
        predictions.pooled_probabilities(name),
        predictions.classes[np.concatenate([fold.predicted for fold in folds])],
        np.concatenate([fold.rows for fold in folds]),
        np.concatenate(earlier_tests_of_splits(predictions.splits)),
        np.repeat(np.arange(len(folds)), [len(fold.rows) for fold in folds]),
    )


def count_right_predictions(y, folds):
    """Count how often each image was classified rightly."""
    right = np.zeros(len(y))
    for fold in folds:
        right[fold.rows] += fold.predicted == y[fold.rows]
    return right
