"""What is left of a shortcut when only the lungs are seen."""

import warnings

import numpy as np
from sklearn.model_selection import StratifiedKFold, cross_val_predict

from lungestimators import (
    CNNClassifier,
    DenseNetClassifier,
    ImageReader,
    LungFields,
    MobileNetClassifier,
    audit_images,
)
from lungestimators.comparison.statistics import wilson_interval

SIDE = 224
# How images are seen; None: as they are.
WAYS = {
    "whole image": None,
    "crop": LungFields("crop", image_size=SIDE, on_missing="warn"),
    "mask": LungFields("mask", image_size=SIDE, on_missing="warn"),
    "mask, equalised": LungFields("mask", image_size=SIDE, equalise=True, on_missing="warn"),
}
MODELS = {
    "CNN": CNNClassifier(random_state=0),
    "MobileNet": MobileNetClassifier(random_state=0),
    "DenseNet121": DenseNetClassifier(random_state=0),
}


def look(way, X):
    """Return images, or files, as one way shows them: an array."""
    lungs = WAYS[way]
    if lungs is None:
        return ImageReader(image_size=SIDE).transform(X) if isinstance(X[0], str) else X
    with warnings.catch_warnings():
        # How many images have no lungs to be found is in the table of refusals.
        warnings.simplefilter("ignore", UserWarning)
        return lungs.transform(X)


def score_ways(X, y, models, seed):
    """Return the scores of one set in each way of looking at it.

    Parameters
    ----------
    X : ndarray of images, or list of paths
    y : ndarray of shape (n_samples,)
    models : list of str
        Keys of ``MODELS``.
    seed : int
        Of the folds.

    Returns
    -------
    list of dict
        One a way: ``way``, ``border`` (balanced accuracy of the border alone, by the audit),
        ``verdict`` of the audit on it, and the accuracy of each model in five folds.
    """
    rows = []
    for way in WAYS:
        seen = look(way, X)
        check = audit_images(
            seen, y, checks=["shortcuts"], estimator=MODELS["CNN"], random_state=seed
        ).checks["shortcuts"]
        (border,) = [row for row in check.rows if row["seen"] == "border alone"]
        row = dict(way=way, border=border["score"], verdict=border["verdict"])
        for name in models:
            row[name] = accuracy(MODELS[name], seen, y, seed)
        rows.append(row)
    return rows


def accuracy(model, X, y, seed):
    """Return the accuracy in five folds."""
    folds = StratifiedKFold(5, shuffle=True, random_state=seed)
    return float(np.mean(cross_val_predict(model, X, y, cv=folds) == y))


def seeds_at_chance(draw, way, seeds, model="MobileNet"):
    """Return in how many sets a model is not better than the largest class.

    Parameters
    ----------
    draw : callable
        A seed -> X, y.
    way : str
        Key of ``WAYS``.
    seeds : sequence of int
    model : str
        Key of ``MODELS``.

    Returns
    -------
    int
        The number of seeds for which the 95 % interval of the accuracy (Wilson) reaches down to the
        share of the largest class.
    """
    n_at_chance = 0
    for seed in seeds:
        X, y = draw(seed)
        low, _ = wilson_interval(accuracy(MODELS[model], look(way, X), y, seed), len(y))
        n_at_chance += low <= np.bincount(y).max() / len(y)
    return n_at_chance
