"""Two checks of labels: whether y_test has labels that y lacks, and whether a model doubts y."""

import numpy as np

from ..text_tables import counted
from .cross_validation import ENLARGE, TOO_SMALL
from .report import Check

# A good model's own errors alone make it doubt nearly so many labels.
_DOUBTFUL = 0.05

_LABELS_RULE = (
    "A label is doubted where a model that was trained without the image gives another class at "
    "least the probability that images of that class have on average. A warning where more than "
    f"{100 * _DOUBTFUL:g} % of the labels are doubted: a good model's own errors make it doubt "
    "nearly so many. Skipped where the estimator is not clearly above chance."
)


def check_test_labels(evidence):
    """Check that every label of y_test is one of y: no model can learn another."""
    y, y_test = evidence.y, evidence.y_test
    unknown, counts = np.unique(y_test[~np.isin(y_test, y)], return_counts=True)
    rows = [
        {"label": str(label), "test images": int(n)}
        for label, n in zip(unknown, counts, strict=True)
    ]
    name, rule = "test labels", "A fault where y_test has a label that y does not have."
    if not rows:
        return Check(name, "ok", "Every label of y_test is one of y.", rows, rule)
    bears = "bears a label" if counts.sum() == 1 else "bear labels"
    sentence = (
        f"{counted(int(counts.sum()), 'test image')} {bears} that y does not have "
        f"({', '.join(row['label'] for row in rows)}): no model can get "
        f"{'it' if counts.sum() == 1 else 'them'} right."
    )
    advice = "Look for other spellings of a label, or leave these images out of the test."
    why = "test images have labels that cannot be learnt"
    return Check(name, "fault", sentence, rows, rule, advice, why)


def check_labels(evidence):
    """Check whether the cross-validated estimator doubts the labels of images to learn from."""
    name, folds = "labels", evidence.folds
    if folds.n_folds < 2:
        return Check(name, "skipped", TOO_SMALL, [], _LABELS_RULE, ENLARGE)
    predictions = evidence.cross_validated
    probabilities, score = predictions.probabilities, predictions.score
    if probabilities is None:
        why = "The estimator has no predict_proba, which this check needs."
        advice = "Give an estimator with probabilities."
        return Check(name, "skipped", why, [], _LABELS_RULE, advice)
    if not score.is_clearly_above(folds.chance):
        why = (
            f"The estimator's balanced accuracy of {score.mean:.3f} is not clearly "
            f"above chance ({folds.chance:.3f}): its doubts would mean nothing."
        )
        advice = "Give an estimator that learns these images, or more images."
        return Check(name, "skipped", why, [], _LABELS_RULE, advice)
    rows = []
    doubted = find_doubtful_labels(folds.y, probabilities)
    for place, suggested in zip(*doubted, strict=True):
        rows.append(
            {
                **evidence.describe(int(folds.rows[place])),
                "label": str(folds.classes[folds.y[place]]),
                "probability": float(probabilities[place, folds.y[place]]),
                "suggested": str(folds.classes[suggested]),
                "its probability": float(probabilities[place, suggested]),
            }
        )
    n = len(folds.rows)
    if not rows:
        return Check(name, "ok", f"The model doubts none of {n:,} labels.", rows, _LABELS_RULE)
    sentence = (
        f"The model, with a balanced accuracy of {score.mean:.3f}, doubts "
        f"{len(rows):,} of {n:,} labels"
    )
    if len(rows) <= _DOUBTFUL * n:
        sentence += ": no more than a good model's own errors explain."
        return Check(name, "ok", sentence, rows, _LABELS_RULE)
    advice = "Look at these images: the label is wrong, or the model is."
    why = "some labels are doubtful"
    return Check(name, "warning", f"{sentence}.", rows, _LABELS_RULE, advice, why)


def find_doubtful_labels(y, probabilities):
    """Find the labels that a cross-validated model doubts: confident learning.

    The threshold of a class is the mean probability of that class among the images with its label.
    A label is doubted where another class is the most probable one of all classes that reach their
    thresholds (Northcutt et al., JAIR 70, 2021: the counts off the diagonal of the confident
    joint).

    Parameters
    ----------
    y : ndarray of shape (n,), int in 0..n_classes - 1
    probabilities : ndarray of shape (n, n_classes)
        Of images that the model was not fitted on.

    Returns
    -------
    rows : ndarray of int
        The least probable label first.
    suggested : ndarray of int
        The class that the model gives instead.
    """
    thresholds = [
        probabilities[y == c, c].mean() if (y == c).any() else np.inf
        for c in range(probabilities.shape[1])
    ]
    confident = probabilities >= np.array(thresholds)
    guess = np.where(confident, probabilities, -1).argmax(axis=1)
    doubted = np.flatnonzero(confident.any(axis=1) & (guess != y))
    own = probabilities[doubted, y[doubted]]
    doubted = doubted[np.argsort(own, kind="stable")]
    return doubted, guess[doubted]
