"""The weight of each image: what ``class_weight`` and ``sample_weight`` may be."""

import warnings

import numpy as np
from sklearn.utils.class_weight import compute_sample_weight

from .. import _compat
from ..validation import check_real_number


def check_class_weight(class_weight):
    """Raise unless ``class_weight`` is None, ``"balanced"`` or a dict of usable weights.

    Raises
    ------
    TypeError
        It is none of these, or a weight is no number.
    ValueError
        A weight is negative, NaN or infinite, or every weight is 0.
    """
    if class_weight is None or (isinstance(class_weight, str) and class_weight == "balanced"):
        return
    if not isinstance(class_weight, dict):
        hint = ""
        if not isinstance(class_weight, str) and np.ndim(class_weight) == 1:
            hint = "; for one weight a class, in sorted order, dict(zip(np.unique(y), weights))"
        error = ValueError if isinstance(class_weight, str) else TypeError
        raise error(
            f"class_weight={class_weight!r} must be None, 'balanced' or a dict of class label to "
            f"weight{hint}"
        )
    for label, weight in class_weight.items():
        name = f"class_weight[{label!r}]"
        check_real_number(name, weight, lambda x: 0 <= x < np.inf, "be finite and at least 0")


def check_class_names(class_weight, classes, all_known):
    """Raise or warn where a dict names classes that y does not hold.

    A fold of a cross-validation may lack a rare class, so a name that y does not hold is no error
    by itself. Like scikit-learn's own estimators, nothing is said where all classes of y are named.

    Parameters
    ----------
    class_weight : dict, "balanced" or None
    classes : ndarray
        The classes of y, or all classes there are.
    all_known : bool
        Whether ``classes`` are all there will ever be, so that another name is a mistake.

    Raises
    ------
    ValueError
        A name cannot be that of a class.
    """
    if not isinstance(class_weight, dict):
        return
    classes = classes.tolist()
    absent = [label for label in class_weight if label not in classes]
    if not absent:
        return
    there = f"the classes {'are' if all_known else 'of y are'} {classes}"
    for label in absent:
        meant = [name for name in classes if _plain(name) == _plain(label)]
        if meant or isinstance(label, str) != isinstance(classes[0], str):
            raise ValueError(
                f"class_weight names the class {label!r} ({type(label).__name__}), but {there} "
                f"({type(classes[0]).__name__})"
                + (f": did you mean {meant[0]!r}?" if meant else "")
            )
    if all_known:
        raise ValueError(f"class_weight names {absent}, but {there}")
    if any(name not in class_weight for name in classes):
        warnings.warn(
            f"class_weight names {absent}, of which y holds no image; {there}. That is right where "
            "a fold lacks a rare class; otherwise a name is misspelt, and its class has weight 1",
            UserWarning,
            stacklevel=5,  # from fit
        )


def _plain(label):
    """A label as it is easily confused with others: 1, 1.0, "1" and " 1"; "Normal" and "normal"."""
    if isinstance(label, float) and label.is_integer():  # as numpy.float64 is, too
        label = int(label)
    return str(label).strip().casefold()


def check_sample_weight(X, y, sample_weight, class_weight, classes):
    """Return one weight an image, 0 where its class has weight 0, or raise.

    Parameters
    ----------
    X : list or ndarray
        The images.
    y : ndarray of int
        Numbers of the labels in ``classes``.
    sample_weight : array-like or None
    class_weight : dict, "balanced" or None
    classes : ndarray

    Returns
    -------
    ndarray of shape (n,), float64
        The user's array is not written to.

    Raises
    ------
    ValueError
        A weight is negative, or the weights leave one class only.
    """
    sample_weight = _compat.check_sample_weight(sample_weight, X)
    n_classes = len(np.unique(y))
    if len(np.unique(y[sample_weight > 0])) < 2 and n_classes > 1:
        raise ValueError("sample_weight leaves one class only: a classifier needs two or more")
    if isinstance(class_weight, dict):
        weighs = by_image(class_weight, y, classes) > 0
        sample_weight = np.where(weighs, sample_weight, 0.0)
        n_left = len(np.unique(y[sample_weight > 0]))
        if n_left < min(n_classes, 2):
            raise ValueError(
                f"class_weight={class_weight} leaves {'one class only' if n_left else 'no image'}: "
                "images of weight 0 are left out, and a classifier needs two classes or more"
            )
    return sample_weight


def by_image(class_weight, y, classes):
    """Return the weight that the class of each image gives it.

    Parameters
    ----------
    class_weight : dict, "balanced" or None
    y : ndarray of int
        Numbers of the labels in ``classes``.
    classes : ndarray

    Returns
    -------
    ndarray of shape (n,), float64
    """
    if isinstance(class_weight, dict):
        labels = classes.tolist()
        class_weight = {n: float(class_weight.get(label, 1.0)) for n, label in enumerate(labels)}
    return compute_sample_weight(class_weight, y)
