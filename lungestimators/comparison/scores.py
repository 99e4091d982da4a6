"""Score predictions: of one fold, over all folds, and when groups are drawn again."""

import numpy as np
from sklearn.metrics import (
    accuracy_score,
    brier_score_loss,
    log_loss,
    recall_score,
    roc_auc_score,
)

_BINS = 10


def score_predictions_of_fold(truth, predicted, probabilities, n_classes):
    """Score the predictions of one fold by accuracy, AUC, log loss and Brier score.

    Parameters
    ----------
    truth, predicted : ndarray of shape (n_images,), int
        Numbers of classes.
    probabilities : ndarray of shape (n_images, n_classes), or None
    n_classes : int

    Returns
    -------
    dict of {str: float or None}
        None where there are no probabilities, and for the AUC of images that lack a class.
    """
    present = np.unique(truth)
    scores = dict(
        accuracy=accuracy_score(truth, predicted),
        balanced_accuracy=recall_score(
            truth, predicted, labels=present, average="macro", zero_division=0
        ),
        roc_auc=None,
        log_loss=None,
        brier_score=None,
    )
    if probabilities is not None:
        classes = np.arange(n_classes)
        two = n_classes == 2
        if len(present) == n_classes:
            scores["roc_auc"] = roc_auc_score(
                truth, probabilities[:, 1] if two else probabilities, multi_class="ovr"
            )
        scores["log_loss"] = log_loss(truth, probabilities, labels=classes)
        scores["brier_score"] = brier_score_loss(
            truth, probabilities[:, 1] if two else probabilities, labels=classes
        )
    return {name: None if score is None else float(score) for name, score in scores.items()}


def score_calibration_error(truth, probabilities):
    """Return the mean distance between the probability of the predicted class and its accuracy.

    The mean is over ten bins of equal width, weighted by their images (Guo et al., 2017).
    """
    confidence = probabilities.max(axis=1)
    right = probabilities.argmax(axis=1) == truth
    bins = np.minimum((confidence * _BINS).astype(int), _BINS - 1)
    gaps = np.bincount(bins, weights=right - confidence, minlength=_BINS)
    return float(np.abs(gaps).sum() / len(truth))


def score_model_with_weights(metric, y, folds, n_classes):
    """Return a function that scores a model for many weightings of the images at once.

    Parameters
    ----------
    metric : {"accuracy", "balanced_accuracy", "roc_auc"}
        With equal weights the score is the mean over the folds. The AUC is the mean over the folds
        that have all classes, as probabilities of different folds do not compare.
    y : ndarray of shape (n_images,), int
        Numbers of classes.
    folds : list of FoldPredictions
    n_classes : int

    Returns
    -------
    callable
        From weights of shape (n_weightings, n_images) to scores of shape (n_weightings,).
    """
    if metric == "roc_auc":
        folds = [fold for fold in folds if len(np.unique(y[fold.rows])) == n_classes]
        return lambda weights: _mean_of_defined_scores(
            [
                _score_auc(y[fold.rows], fold.probabilities, weights[:, fold.rows], n_classes)
                for fold in folds
            ]
        )
    # Sums over all folds, in which a prediction counts as in the mean over folds. Scores of single
    # folds would not do: a fold of one image is drawn right, wrong or not at all.
    said, right = np.zeros(len(y)), np.zeros(len(y))
    for fold in folds:
        parts = _parts_of_score(metric, y[fold.rows])
        _, part, sizes = np.unique(parts, return_inverse=True, return_counts=True)
        share = 1 / (len(folds) * len(sizes) * sizes[part])
        said[fold.rows] += share
        right[fold.rows] += share * (fold.predicted == y[fold.rows])
    parts = _parts_of_score(metric, y)
    masks = [parts == part for part in np.unique(parts)]

    def mean_share(weights):
        with np.errstate(invalid="ignore"):
            shares = [
                said[mask].sum() * (weights @ (right * mask)) / (weights @ (said * mask))
                for mask in masks
            ]
        return np.sum(shares, axis=0)

    return mean_share


def _parts_of_score(metric, y):
    """Return the part that each image is averaged in: its class, or one part for all."""
    return y if metric == "balanced_accuracy" else np.zeros_like(y)


def _score_auc(truth, probabilities, weights, n_classes):
    """Return the AUC of one fold: of the second of two classes, or the mean over all classes."""
    classes = [1] if n_classes == 2 else range(n_classes)
    return np.mean(
        [score_weighted_auc(truth == c, probabilities[:, c], weights) for c in classes],
        axis=0,
    )


def _mean_of_defined_scores(values):
    """Return the mean over the first axis of the values that are not NaN; NaN where all are."""
    values = np.array(values)
    defined = ~np.isnan(values)
    with np.errstate(invalid="ignore"):
        return np.where(defined, values, 0).sum(axis=0) / defined.sum(axis=0)


def score_weighted_auc(positive, score, weights):
    """Return the area under the ROC curve for many weightings of the same images at once.

    Parameters
    ----------
    positive : ndarray of shape (n_images,), bool
    score : ndarray of shape (n_images,)
    weights : ndarray of shape (n_weightings, n_images)

    Returns
    -------
    ndarray of shape (n_weightings,)
        NaN where all weight is on one class.
    """
    negative = np.flatnonzero(~positive)
    negative = negative[np.argsort(score[negative])]
    passed = np.zeros((len(weights), len(negative) + 1))  # weight of the lowest negatives
    np.cumsum(weights[:, negative], axis=1, out=passed[:, 1:])
    below = np.searchsorted(score[negative], score[positive], "left")
    not_above = np.searchsorted(score[negative], score[positive], "right")
    won = (passed[:, below] + passed[:, not_above]) / 2  # equal scores win half
    weights = weights[:, positive]
    with np.errstate(invalid="ignore"):
        return (weights * won).sum(axis=1) / (weights.sum(axis=1) * passed[:, -1])
