"""What is left of a shortcut when only the lungs are seen."""

import warnings

import numpy as np
from sklearn.base import clone
from sklearn.dummy import DummyClassifier
from sklearn.metrics import balanced_accuracy_score
from sklearn.model_selection import StratifiedGroupKFold, cross_val_predict

from lungestimators import (
    CNNClassifier,
    DenseNetClassifier,
    ImageReader,
    LungFields,
    MobileNetClassifier,
    audit_images,
)
from lungestimators.images.reading import resize_image
from lungestimators.preprocessing.lung_geometry import cut_out_box

SIDE = 224


def _lungs(mode, contrast=None):
    return LungFields(mode, image_size=SIDE, contrast=contrast, on_missing="warn")


# How images are seen; None: as they are.
WAYS = {
    "whole image": None,
    "crop": _lungs("crop"),
    "crop, equalised": _lungs("crop", "equalise"),
    "crop, CLAHE": _lungs("crop", "clahe"),
    "mask": _lungs("mask"),
    "mask, stretched": _lungs("mask", "stretch"),
    "mask, equalised": _lungs("mask", "equalise"),
    "mask, CLAHE": _lungs("mask", "clahe"),
}
MODELS = {
    "CNN": CNNClassifier(weights="chest", random_state=0),
    "MobileNet": MobileNetClassifier(random_state=0),
    "DenseNet121": DenseNetClassifier(random_state=0),
}


def look(way, X):
    """Return images, or files, as one way shows them: an array of squares."""
    lungs = WAYS[way]
    if lungs is None:
        return ImageReader(image_size=SIDE).transform(X) if isinstance(X[0], str) else X
    return _transform(lungs, X)


def beside_lungs(way, X):
    """Return what one way of looking at images shows beside the lungs, as an array of squares.

    The lungs are black; of a mask, what is left is the outline of the lungs.
    """
    whole = look("whole image", X)
    whole = whole[..., 0] if whole.ndim == 4 else whole
    masks = _transform(LungFields("masks", on_missing="warn"), whole)
    if WAYS[way] is not None and WAYS[way].mode == "mask":
        return np.where(masks, np.uint8(255), np.uint8(0))
    black = np.where(masks, 0, whole).astype(np.float32) / whole.max()
    if WAYS[way] is None:
        return black
    boxes = _transform(LungFields("boxes", on_missing="warn"), whole)
    crops = [cut_out_box(image[..., None], box) for image, box in zip(black, boxes, strict=True)]
    return np.stack([resize_image(crop, SIDE)[..., 0] for crop in crops])


def _transform(lungs, X):
    """Return images as LungFields shows them, without its warning."""
    with warnings.catch_warnings():
        # How many images are refused is in the tables.
        warnings.simplefilter("ignore", UserWarning)
        return lungs.transform(X)


def score_ways(X, y, models, seed, groups=None):
    """Return the scores of one set in each way of looking at it.

    Parameters
    ----------
    X : ndarray of images, or list of paths
    y : ndarray of shape (n_samples,), int
    models : list of str
        Keys of ``MODELS``.
    seed : int
        Of the folds.
    groups : ndarray of shape (n_samples,), optional
        Images of one group are never learnt from and tested on at once.

    Returns
    -------
    list of dict
        One a way: ``way``; ``border``, the balanced accuracy of the border alone by the audit, and
        its ``verdict``; ``beside``, the balanced accuracy of MobileNet on what is left beside the
        lungs; and the balanced accuracy of each model. All are of five folds.
    """
    rows = []
    for way in WAYS:
        seen = look(way, X)
        check = audit_images(
            seen,
            y,
            groups,
            checks=["shortcuts"],
            estimator=DummyClassifier(),
            cv=5,
            random_state=seed,
        ).checks["shortcuts"]
        (border,) = [row for row in check.rows if row["seen"] == "border alone"]
        row = dict(way=way, border=border["score"], verdict=border["verdict"])
        row["beside"] = score(MODELS["MobileNet"], beside_lungs(way, X), y, seed, groups)
        for name in models:
            row[name] = score(MODELS[name], seen, y, seed, groups)
        rows.append(row)
    return rows


def score(model, X, y, seed, groups=None):
    """Return the balanced accuracy in five folds."""
    folds = StratifiedGroupKFold(5, shuffle=True, random_state=seed)
    groups = np.arange(len(y)) if groups is None else groups
    predicted = cross_val_predict(clone(model), X, y, cv=folds, groups=groups)
    return float(balanced_accuracy_score(y, predicted))
