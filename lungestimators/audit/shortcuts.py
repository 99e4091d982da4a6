"""What can be told of the class without looking at the lung, in honest cross-validation."""

from typing import NamedTuple

import numpy as np
from scipy import stats
from sklearn.base import clone
from sklearn.ensemble import ExtraTreesClassifier
from sklearn.model_selection import StratifiedGroupKFold
from sklearn.preprocessing import OneHotEncoder

_BORDER = 1 / 8  # of the side, on each of the four sides
_BLOCK = 4  # pixels of a thumbnail: as large as a small mark on it
_TREES = 100


class Score(NamedTuple):
    """Balanced accuracy, pooled over the folds of a cross-validation."""

    recalls: np.ndarray  # (n_classes,): share of a class's images that are recognised
    n_groups: np.ndarray  # (n_classes,): the images of one patient count as one observation

    @property
    def mean(self):
        """Balanced accuracy: the mean recall."""
        return float(self.recalls.mean())

    def interval(self, error=0.05):
        """Return the limits outside which the true value is with the probability ``error``.

        Wilson's interval of each recall, joined as Zou and Donner do (Statistics in Medicine 27,
        2008): it has a width also where every image is recognised.
        """
        z = stats.norm.isf(error / 2)
        n, p = self.n_groups, self.recalls
        centre = (p + z**2 / (2 * n)) / (1 + z**2 / n)
        half = z * np.sqrt(p * (1 - p) / n + z**2 / (4 * n**2)) / (1 + z**2 / n)
        below = np.sqrt(np.sum((p - centre + half) ** 2)) / len(p)
        above = np.sqrt(np.sum((centre + half - p) ** 2)) / len(p)
        return float(max(self.mean - below, 0)), float(min(self.mean + above, 1))


class Predictions(NamedTuple):
    """What a model says of images that it was not fitted on."""

    labels: np.ndarray  # (n,), int
    probabilities: np.ndarray | None  # (n, n_classes); None of a model that has none
    score: Score


def folds(y, groups, n_folds, seed):
    """Split by group, with classes as even as can be: a list of (training, test) rows."""
    splitter = StratifiedGroupKFold(n_folds, shuffle=True, random_state=seed)
    return list(splitter.split(y, y, groups))


def predict(model, X, y, names, groups, splits, progress=lambda fold: None):
    """Cross-validate clones of ``model``.

    Parameters
    ----------
    model : classifier
    X : list or ndarray of n images or rows of features
    y : ndarray of shape (n,), int in 0..n_classes - 1
    names : ndarray of shape (n_classes,)
        The labels that the model is fitted on, sorted.
    groups : ndarray of shape (n,), int
    splits : list of (training, test) rows
        Every row is in one test part.
    progress : callable
        Called with the number of folds done.

    Returns
    -------
    Predictions
    """
    classes = np.arange(len(names))
    labels = np.empty(len(y), int)
    probabilities, complete = np.zeros((len(y), len(classes))), True
    for fold, (train, test) in enumerate(splits, 1):
        fitted = clone(model).fit(_rows(X, train), names[y[train]])
        if not hasattr(fitted, "predict_proba"):  # some have it only after fit
            complete = False
            labels[test] = np.searchsorted(names, fitted.predict(_rows(X, test)))
        else:
            found = fitted.predict_proba(_rows(X, test))
            known = np.searchsorted(names, fitted.classes_)
            probabilities[test[:, None], known] = found
            labels[test] = known[found.argmax(axis=1)]
        progress(fold)
    recalls = np.array([np.mean(labels[y == c] == c) for c in classes])
    n_groups = np.array([len(np.unique(groups[y == c])) for c in classes])
    return Predictions(labels, probabilities if complete else None, Score(recalls, n_groups))


def _rows(X, rows):
    return [X[row] for row in rows] if isinstance(X, list) else X[rows]


def model(seed):
    """Return the classifier that looks for shortcuts: it finds a small bright mark among many."""
    return ExtraTreesClassifier(
        _TREES, min_samples_leaf=2, class_weight="balanced", random_state=seed
    )


def border(thumbnails):
    """Return mean, brightest pixel and spread of the small blocks that make up the border."""
    side = thumbnails.shape[1]
    blocks = _blocks(thumbnails, _BLOCK)
    n_blocks, width = side // _BLOCK, round(_BORDER * side / _BLOCK)
    outside = np.ones((n_blocks, n_blocks), bool)
    outside[width:-width, width:-width] = False
    blocks = blocks[:, outside]
    return np.hstack([blocks.mean(axis=2), blocks.max(axis=2), blocks.std(axis=2)])


def coarse(thumbnails):
    """Return the pixels of thumbnails of 16x16."""
    return _blocks(thumbnails, thumbnails.shape[1] // 16).mean(axis=3).reshape(len(thumbnails), -1)


def _blocks(thumbnails, size):
    """Return the pixels of square blocks: (n, side / size, side / size, size**2), float32."""
    n, side, _ = thumbnails.shape
    blocks = thumbnails.astype(np.float32).reshape(n, side // size, size, side // size, size)
    return blocks.transpose(0, 1, 3, 2, 4).reshape(n, side // size, side // size, -1)


def file_properties(properties):
    """Return what files say about themselves as columns; None where all say the same.

    Parameters
    ----------
    properties : list of dict
        The same keys in each; empty for arrays.
    """
    columns = []
    for name in properties[0]:
        values = [row[name] for row in properties]
        if len(set(values)) == 1:
            continue
        numbers = all(not isinstance(value, str) for value in values)
        columns.append(np.array(values, float)[:, None] if numbers else one_hot(values))
    return np.hstack(columns) if columns else None


def one_hot(values):
    """Return one column for each value that there is."""
    values = np.array(values, dtype=str)[:, None]
    return OneHotEncoder(sparse_output=False).fit_transform(values)


def label_suspects(y, probabilities):
    """Find labels that a model, confident by its own standard, doubts.

    Confident learning: a class's threshold is the mean probability of that class among the images
    that bear its label; an image is suspect when its most probable class among those that reach
    their thresholds is not its label (Northcutt et al., JAIR 70, 2021: the counts off the diagonal
    of the confident joint).

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
        The class that each is counted under.
    """
    thresholds = [
        probabilities[y == c, c].mean() if (y == c).any() else np.inf
        for c in range(probabilities.shape[1])
    ]
    confident = probabilities >= np.array(thresholds)
    guess = np.where(confident, probabilities, -1).argmax(axis=1)
    suspects = np.flatnonzero(confident.any(axis=1) & (guess != y))
    own = probabilities[suspects, y[suspects]]
    suspects = suspects[np.argsort(own, kind="stable")]
    return suspects, guess[suspects]
