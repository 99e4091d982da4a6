"""Models that are fitted in a moment, and predictions that are made up."""

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.dummy import DummyClassifier
from sklearn.linear_model import LogisticRegression

MODELS = {"regression": LogisticRegression(), "largest": DummyClassifier()}


class Recorder(ClassifierMixin, BaseEstimator):
    """It notes what it was trained on; it says the largest class."""

    seen = []  # noqa: RUF012 (shared by clones on purpose)

    def fit(self, X, y, groups=None):
        self.seen.append((X[:, 0].astype(int).tolist(), groups))
        self.classes_, counts = np.unique(y, return_counts=True)
        self.most_ = self.classes_[counts.argmax()]
        return self

    def predict(self, X):
        return np.full(len(X), self.most_)


class Probable(Recorder):
    """It says the largest class with certainty."""

    def predict_proba(self, X):
        return np.tile((self.classes_ == self.most_).astype(float), (len(X), 1))


def folds_of(y, n_splits):
    """Splits that test the images in their order, and train on all others."""
    rows = np.arange(len(y))
    return [(np.setdiff1d(rows, test), test) for test in np.array_split(rows, n_splits)]


def said_with(y, splits, shares):
    """Predictions of a model that is right on a given share of the images of each split."""
    return [
        (np.where(np.arange(len(test)) < round(share * len(test)), y[test], 1 - y[test]),)
        for (_, test), share in zip(splits, shares, strict=True)
    ]
