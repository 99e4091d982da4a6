"""Class labels as class numbers, for ``fit`` and for ``partial_fit``."""

import numpy as np


def number_class_labels(y):
    """Return the classes that y holds and the class number of each label.

    Parameters
    ----------
    y : ndarray of shape (n_samples,)
        Class labels.

    Returns
    -------
    classes : ndarray of shape (n_classes,)
        The different labels, sorted.
    numbers : ndarray of shape (n_samples,), int
        Position of each label in ``classes``.

    Raises
    ------
    ValueError
        y holds one class only.
    """
    classes, numbers = np.unique(y, return_inverse=True)
    if len(classes) < 2:
        raise ValueError(f"y holds one class only ({classes[0]!r}): a classifier needs two or more")
    return classes, numbers


def check_partial_fit_classes(classes, known):
    """Return all classes of a classifier that is trained by ``partial_fit``, or raise.

    Parameters
    ----------
    classes : array-like of shape (n_classes,) or None
        The argument of this call.
    known : ndarray of shape (n_classes,) or None
        The classes of the first call; None in the first call.

    Returns
    -------
    ndarray of shape (n_classes,)
        Sorted.

    Raises
    ------
    ValueError
        The first call has no ``classes``, or fewer than two; or a later call has others.
    """
    if known is None:
        if classes is None:
            raise ValueError("classes must be passed on the first call to partial_fit")
        known = np.unique(classes)
        if len(known) < 2:
            raise ValueError(f"classes={classes!r} holds one class only: two or more are needed")
    elif classes is not None and not np.array_equal(known, np.unique(classes)):
        raise ValueError(
            f"classes={classes!r} is not the same as on the first call to partial_fit: {known}"
        )
    return known


def number_known_class_labels(y, classes):
    """Return the position of each label of y in ``classes``, or raise where one is not there."""
    unknown = np.setdiff1d(y, classes)
    if len(unknown):
        raise ValueError(f"y holds {unknown}, which are not among the classes {classes}")
    return np.searchsorted(classes, y)
