"""Checks of class labels, patients and numbers, and the types of paths and images."""

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
    """Return y as an array of one class label for each image of X, or raise.

    Parameters
    ----------
    X : array-like or list
        Images; only their number counts.
    y : array-like of shape (n_samples,)

    Returns
    -------
    ndarray of shape (n_samples,)

    Raises
    ------
    ValueError
        y is None, holds NaN, has several columns, is of another length than X, or holds targets of
        a regression.
    """
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


def check_y_and_classes(y):
    """Return y as an array of class labels, and its classes, or raise where it has fewer than two.

    Parameters
    ----------
    y : array-like of shape (n_samples,)

    Returns
    -------
    y : ndarray of shape (n_samples,)
    classes : ndarray of shape (n_classes,)
        The different labels, sorted.

    Raises
    ------
    ValueError
        y holds one class only, or no class labels.
    """
    y = column_or_1d(y)
    classes = np.unique(y)
    if type_of_target(y) not in ("binary", "multiclass") or len(classes) < 2:
        raise ValueError(f"y must hold labels of two classes or more, got {classes[:5]}")
    return y, classes


def check_groups(y, groups):
    """Return ``groups`` as an array of one patient for each label of y, or raise.

    Parameters
    ----------
    y : array-like of shape (n_samples,)
        Only its length counts.
    groups : array-like of shape (n_samples,) or None

    Returns
    -------
    ndarray of shape (n_samples,) or None
        None where ``groups`` is None.

    Raises
    ------
    ValueError
        ``groups`` is of another length than y, or an image has no patient: None, NaN or NA.
    TypeError
        ``groups`` mixes types that cannot be sorted, such as numbers and strings.
    """
    if groups is None:
        return None
    groups = column_or_1d(groups)
    check_consistent_length(y, groups)
    n_missing = sum(map(_is_missing_group, groups.tolist()))
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


def _is_missing_group(group):
    try:
        return group is None or bool(group != group)
    except TypeError:  # pandas.NA is neither true nor false
        return True


def is_whole_number(value):
    """Return whether a value is a whole number of Python or NumPy; True and False are none."""
    return isinstance(value, numbers.Integral) and not isinstance(value, bool)


def check_whole_number(name, value, smallest):
    """Raise unless a parameter is a whole number of at least ``smallest``.

    Parameters
    ----------
    name : str
        The parameter, for the message.
    value : object
    smallest : int

    Raises
    ------
    TypeError
        The value is no whole number.
    ValueError
        The value is below ``smallest``.
    """
    if not is_whole_number(value):
        raise TypeError(f"{name}={value!r} must be a whole number")
    if value < smallest:
        raise ValueError(f"{name}={value!r} must be at least {smallest}")


def check_real_number(name, value, in_range, must):
    """Raise unless a parameter is a real number in a range.

    Parameters
    ----------
    name : str
        The parameter, for the message.
    value : object
    in_range : callable
        Takes the value, returns whether it lies in the range.
    must : str
        The range, for the message: ``"be above 0"``.

    Raises
    ------
    TypeError
        The value is no real number, or is True or False.
    ValueError
        The value is out of the range.
    """
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        raise TypeError(f"{name}={value!r} must be a number")
    if not in_range(value):
        raise ValueError(f"{name}={value!r} must {must}")
