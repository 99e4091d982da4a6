"""Cross-validate a model by group: folds, predictions, balanced accuracy and its interval."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from sklearn.base import clone
from sklearn.model_selection import StratifiedGroupKFold

from .. import _compat
from ..comparison import model_fits, statistics

# Probability that the best of all scores is called above chance where no model learns anything.
ERROR = 0.01
# What a model has to win of all that there is above chance before its score matters.
MATERIAL = 0.15

# What a check says where no model can be cross-validated.
TOO_SMALL = "A class is too small to cross-validate."
ENLARGE = "Add images of the smallest class, or leave the class out."


class Folds(NamedTuple):
    """The images that models are cross-validated on, and how many folds there are."""

    rows: np.ndarray  # of X, int
    y: np.ndarray  # number of the class of each row
    groups: np.ndarray  # group of each row
    classes: np.ndarray  # names of the classes
    n_folds: int  # below 2 where a class has too few groups to cross-validate
    seed: int

    @property
    def chance(self):
        """Balanced accuracy of a model that has learnt nothing."""
        return 1 / len(self.classes)

    def splits(self):
        """Split by group, with classes as even as can be: a list of (training, test) positions."""
        splitter = StratifiedGroupKFold(self.n_folds, shuffle=True, random_state=self.seed)
        return list(splitter.split(self.y, self.y, self.groups))

    def with_permuted_labels(self):
        """Return the same images with permuted labels: their splits hold all classes, too."""
        return self._replace(y=np.random.default_rng(self.seed).permutation(self.y))


def make_folds_to_cross_validate(y, keep, groups, cv, seed):
    """Return the Folds of the images to learn from.

    Parameters
    ----------
    y : ndarray of shape (n_images,)
        Class labels.
    keep : ndarray of shape (n_images,), bool
        Which images to learn from.
    groups : ndarray of shape (n_images,), int
    cv : int
        Folds; fewer where the smallest class has fewer groups.
    seed : int
    """
    classes, numbers = np.unique(y, return_inverse=True)
    rows = np.flatnonzero(keep)
    smallest = min(len(np.unique(groups[keep & (numbers == c)])) for c in range(len(classes)))
    return Folds(rows, numbers[rows], groups[rows], classes, min(cv, smallest), seed)


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
        low, high = statistics.wilson_interval(self.recalls, self.n_groups, error)
        below = np.sqrt(np.sum((self.recalls - low) ** 2)) / len(low)
        above = np.sqrt(np.sum((high - self.recalls) ** 2)) / len(low)
        return float(max(self.mean - below, 0)), float(min(self.mean + above, 1))

    def is_clearly_above(self, chance, n_tried=1):
        """Tell whether the score is above chance by more than luck, and by what matters.

        Parameters
        ----------
        chance : float
            Balanced accuracy of a model that has learnt nothing.
        n_tried : int
            Number of models that were tried: the best of several is lucky more often than one.
        """
        low, _ = self.interval(2 * ERROR / n_tried)
        return low > chance and self.mean - chance >= MATERIAL * (1 - chance)


class CrossValidated(NamedTuple):
    """Predictions of a model for images that it was not fitted on, and their score."""

    probabilities: np.ndarray | None  # (n, n_classes); None where the model has none
    score: Score


def cross_validate(
    model, X, folds, splits, labels, after_fold: Callable[[int], None] = lambda n_done: None
):
    """Fit a clone of a model in each fold, and score its predictions for the other images.

    Parameters
    ----------
    model : classifier
    X : list or ndarray
        An image, or a row of features, for each row of the folds.
    folds : Folds
    splits : list of (training, test) positions
        Every row of the folds is in one test part.
    labels : ndarray of shape (n_classes,)
        Labels of the classes that the model is fitted on, sorted.
    after_fold : callable
        Called with the number of folds done.

    Returns
    -------
    CrossValidated
    """
    y = folds.y
    predicted, probabilities = np.empty(len(y), int), np.empty((len(y), len(labels)))
    complete = True
    for n_done, (train, test) in enumerate(splits, 1):
        fitted = model_fits.fit_clone(model, X, labels[y], train)
        images = _compat.sklearn_take_rows(X, test)
        found = model_fits.probabilities_of_fitted_model(fitted, images, labels)
        if found is None:  # some models show only after fit whether they have probabilities
            complete = False
            predicted[test] = np.searchsorted(labels, fitted.predict(images))
        else:
            probabilities[test] = found
            predicted[test] = found.argmax(axis=1)
        after_fold(n_done)
    recalls = np.array([np.mean(predicted[y == c] == c) for c in range(len(labels))])
    n_groups = np.array([len(np.unique(folds.groups[y == c])) for c in range(len(labels))])
    return CrossValidated(probabilities if complete else None, Score(recalls, n_groups))


def clone_to_cross_validate(estimator, seed):
    """Return a clone in which every ``random_state`` that is None is the seed."""
    estimator = clone(estimator)
    unset = {
        name: seed
        for name, value in estimator.get_params().items()
        if name.split("__")[-1] == "random_state" and value is None
    }
    return estimator.set_params(**unset)
