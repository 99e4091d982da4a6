"""Checks that several packages share: class labels, patients, whole numbers; and their types."""

import numbers
import os
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils import column_or_1d
from sklearn.utils.multiclass import check_classification_targets, type_of_target
from sklearn.utils.validation import check_consistent_length

PathLike = str | os.PathLike[str]
ImagesLike = ArrayLike | Sequence[PathLike]


def check_y(X, y):
    """Return y as one class label an image, or raise."""
    if y is None:
        raise ValueError("This classifier requires y to be passed, but the target y is None")
    shape = y.shape if hasattr(y, "shape") else np.asarray(y).shape
    if len(shape) == 2 and shape[1] > 1:
        raise ValueError(
            f"y has the shape {shape}, but one class label an image is needed (a 1d array). "
            "For several labels an image, sklearn.multiclass.OneVsRestClassifier(clf) fits one "
            "classifier a column, and a frozen backbone sees each image once for all of them; "
            "one-hot rows become labels by y.argmax(axis=1)"
        )
    y = column_or_1d(y, warn=True)
    if y.dtype.kind == "f" and not np.isfinite(y).all():
        raise ValueError("y contains NaN or infinity: every image needs a class label")
    check_consistent_length(X, y)
    check_classification_targets(y)
    if type_of_target(y) not in ("binary", "multiclass"):
        raise ValueError(f"y must hold one class label an image, not {type_of_target(y)} targets")
    return y


def check_groups(y, groups):
    """Return ``groups`` as one patient an image, None where there are none, or raise."""
    if groups is None:
        return None
    groups = column_or_1d(groups)
    check_consistent_length(y, groups)
    n_missing = sum(map(_is_missing, groups.tolist()))
    if n_missing:
        raise ValueError(
            f"groups has no value for {n_missing} of {len(groups)} images: None or NaN would be "
            "taken for one group more"
        )
    try:
        np.unique(groups)
    except TypeError as error:
        kinds = sorted({type(group).__name__ for group in groups.tolist()})
        raise TypeError(f"groups mixes {' and '.join(kinds)}: name all groups alike") from error
    return groups


def _is_missing(group):
    try:
        return group is None or bool(group != group)
    except TypeError:  # pandas.NA is neither true nor false
        return True


def check_whole_number(estimator, name, smallest):
    value = getattr(estimator, name)
    if isinstance(value, bool) or not isinstance(value, numbers.Integral):
        raise TypeError(f"{name}={value!r} must be a whole number")
    if value < smallest:
        raise ValueError(f"{name}={value!r} must be at least {smallest}")
