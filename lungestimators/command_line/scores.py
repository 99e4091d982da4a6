"""Scores of predictions, each with its 95 % interval, as plain data and as a table."""

import numpy as np

from ..audit.cross_validation import Score
from ..comparison import statistics
from ..text_tables import printable, text_table


def score_predictions(truth, predicted, classes, patients):
    """Score predictions by sensitivity.

    Parameters
    ----------
    truth, predicted : ndarray of shape (n_images,), int
        Numbers of classes; each class is there.
    classes : list of str
    patients : ndarray of shape (n_images,), or None
        In an interval, the images of a patient count as one.

    Returns
    -------
    dict
        ``balanced_accuracy`` and, by class, ``sensitivity``: each a dict of ``value``, ``low`` and
        ``high``; ``confusion``: counts, a list for each true class.
    """
    patients = np.arange(len(truth)) if patients is None else patients
    n_classes = len(classes)
    score = Score(
        np.array([np.mean(predicted[truth == c] == c) for c in range(n_classes)]),
        np.array([len(np.unique(patients[truth == c])) for c in range(n_classes)]),
    )
    limits = zip(*statistics.wilson_interval(score.recalls, score.n_groups), strict=True)
    sensitivities = zip(classes, score.recalls, limits, strict=True)
    confusion = np.zeros((n_classes, n_classes), int)
    np.add.at(confusion, (truth, predicted), 1)
    return {
        "balanced_accuracy": with_interval(score.mean, *score.interval()),
        "sensitivity": {name: with_interval(share, *ends) for name, share, ends in sensitivities},
        "confusion": confusion.tolist(),
    }


def with_interval(value, low, high):
    """Return a score as plain data; each number may be None."""
    numbers = {"value": value, "low": low, "high": high}
    return {key: None if each is None else float(each) for key, each in numbers.items()}


def auc_of_model(row):
    """Return the AUC of a model of a ModelComparison.

    Its interval is left out if it has no width, as that of an AUC of 1 has none: the bootstrap
    draws from these images, and does not know what others would be.
    """
    if row["roc_auc_low"] == row["roc_auc_high"]:
        return with_interval(row["roc_auc"], None, None)
    return with_interval(row["roc_auc"], row["roc_auc_low"], row["roc_auc_high"])


def table_of_scores(scores):
    """Return scores as lines of text.

    Parameters
    ----------
    scores : dict
        ``sensitivity`` as :func:`score_predictions` returns it, and some of ``accuracy``,
        ``balanced_accuracy`` and ``roc_auc``.
    """
    names = {
        "accuracy": "accuracy",
        "balanced_accuracy": "balanced accuracy (mean sensitivity)",
        "roc_auc": "AUC",
    }
    rows = [(text, scores[name]) for name, text in names.items() if name in scores]
    rows += [
        (f"sensitivity: {printable(name)} is recognised", found)
        for name, found in scores["sensitivity"].items()
    ]
    return text_table([["", "score", "95 % interval"], *(_cells(*row) for row in rows)])


def _cells(name, score):
    value, low, high = (score[key] for key in ("value", "low", "high"))
    interval = "-" if low is None else f"{low:z.3f} to {high:z.3f}"
    return [name, "-" if value is None else f"{value:.3f}", interval]
