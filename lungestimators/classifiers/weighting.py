"""The weight of each image in the loss, from ``class_weight`` and ``sample_weight``."""

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
        ``class_weight`` is of another type, or a weight is no number.
    ValueError
        ``class_weight`` is another string, or a weight is negative, NaN or infinite.
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


def check_weighted_classes(class_weight, classes, all_known):
    """Raise or warn where a dict of class weights names classes that y does not hold.

    A fold of a cross-validation may lack a rare class, so that a name without images is an error
    only where ``classes`` are complete, or where the name resembles that of another class. There is
    no warning where the dict names all classes of y: scikit-learn's own estimators do not warn
    either.

    Parameters
    ----------
    class_weight : dict, "balanced" or None
    classes : ndarray
        The classes of y, or all classes.
    all_known : bool
        Whether ``classes`` are all classes that the classifier will ever see.

    Raises
    ------
    ValueError
        A name is no class, or has another type than the classes.
    """
    if not isinstance(class_weight, dict):
        return
    classes = classes.tolist()
    absent = [label for label in class_weight if label not in classes]
    if not absent:
        return
    there = f"the classes {'are' if all_known else 'of y are'} {classes}"
    for label in absent:
        meant = [
            name
            for name in classes
            if _spelling_of_weighted_class(name) == _spelling_of_weighted_class(label)
        ]
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


def _spelling_of_weighted_class(label):
    """Return the same text for labels that are easily confused: 1, 1.0 and " 1"; "Ill", "ill"."""
    if isinstance(label, float) and label.is_integer():  # as numpy.float64 is, too
        label = int(label)
    return str(label).strip().casefold()


def check_weighting_of_images(X, y, sample_weight, class_weight, classes):
    """Return ``sample_weight`` as an array, with 0 for images of classes of weight 0, or raise.

    Parameters
    ----------
    X : list or ndarray
        The images.
    y : ndarray of int
        Class number of each image: its position in ``classes``.
    sample_weight : array-like or None
    class_weight : dict, "balanced" or None
    classes : ndarray

    Returns
    -------
    ndarray of shape (n_samples,), float64
        A copy where anything changes: the user's array is not written to.

    Raises
    ------
    ValueError
        A weight is negative, or fewer than two classes have images of a weight above 0.
    """
    sample_weight = _compat.sklearn_check_sample_weight(sample_weight, X)
    n_classes = len(np.unique(y))
    if len(np.unique(y[sample_weight > 0])) < 2 and n_classes > 1:
        raise ValueError("sample_weight leaves one class only: a classifier needs two or more")
    if isinstance(class_weight, dict):
        weighs = _class_weight_of_each_image(class_weight, y, classes) > 0
        sample_weight = np.where(weighs, sample_weight, 0.0)
        n_left = len(np.unique(y[sample_weight > 0]))
        if n_left < min(n_classes, 2):
            raise ValueError(
                f"class_weight={class_weight} leaves {'one class only' if n_left else 'no image'}: "
                "images of weight 0 are left out, and a classifier needs two classes or more"
            )
    return sample_weight


def weights_in_loss(sample_weight, class_weight, y, classes):
    """Return the weight of each image in the loss: its own times that of its class, 1 on average.

    Parameters
    ----------
    sample_weight : ndarray of shape (n_samples,), float64
    class_weight : dict, "balanced" or None
        ``"balanced"`` is computed from the images given here.
    y : ndarray of int
        Class number of each image: its position in ``classes``.
    classes : ndarray

    Returns
    -------
    ndarray of shape (n_samples,), float32
    """
    if class_weight is not None:
        sample_weight = sample_weight * _class_weight_of_each_image(class_weight, y, classes)
    return (sample_weight / sample_weight.mean()).astype(np.float32)


def _class_weight_of_each_image(class_weight, y, classes):
    """Return the weight of each image's class, as float64."""
    if isinstance(class_weight, dict):
        labels = classes.tolist()
        class_weight = {n: float(class_weight.get(label, 1.0)) for n, label in enumerate(labels)}
    return compute_sample_weight(class_weight, y)
