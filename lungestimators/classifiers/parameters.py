"""Checks of a classifier's parameters and labels, before any work is done."""

import numbers
import os

import numpy as np
from sklearn.utils import column_or_1d
from sklearn.utils.multiclass import check_classification_targets, type_of_target
from sklearn.utils.validation import check_consistent_length

from ..features import cache
from ..images import columns
from . import weighting

# Widths of a MobileNet: the narrowest that has a channel everywhere, and one of sixteen times the
# weights of the published network, far above which a mistyped width builds for minutes.
_ALPHAS = 1 / 32, 4


def check_y(X, y):
    """Return y as one class label an image, or raise."""
    if y is None:
        raise ValueError("This classifier requires y to be passed, but the target y is None")
    shape = columns.shape_of(y)
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


def check_backbone_parameters(estimator):
    """Raise unless the parameters that say what the network is and where features are kept fit."""
    _whole(estimator, "image_size", 1)
    if estimator.weights is not None and not isinstance(estimator.weights, str | os.PathLike):
        raise TypeError(f"weights={estimator.weights!r} must be 'imagenet', None or a path")
    if not isinstance(estimator.verbose, bool | np.bool_):
        _whole(estimator, "verbose", 0)
    _check_structure(estimator)
    cache_name(estimator.feature_cache)


def cache_name(feature_cache):
    """Return ``feature_cache`` as a str or None, the directory opened, or raise."""
    if feature_cache is not None and not isinstance(feature_cache, str | os.PathLike):
        raise TypeError(f"feature_cache={feature_cache!r} must be 'memory', None or a directory")
    name = None if feature_cache is None else os.fspath(feature_cache)
    cache.open_store(name)
    return name


def check_parameters(estimator):
    """Raise unless every parameter of a classifier is of its type and in its range."""

    def between(name, low, high, right):
        value = getattr(estimator, name)
        if isinstance(value, bool) or not isinstance(value, numbers.Real):
            raise TypeError(f"{name}={value!r} must be a number")
        if not low < value < high and not (name == "dropout" and value == 0):
            raise ValueError(f"{name}={value!r} must be {right}")

    check_backbone_parameters(estimator)
    for name in ("epochs", "batch_size", "dense_units", "n_iter_no_change"):
        _whole(estimator, name, 1)
    _whole(estimator, "fine_tune_epochs", 0)
    for name in ("learning_rate", "fine_tune_learning_rate"):
        between(name, 0, np.inf, "above 0")
    between("validation_fraction", 0, 1, "between 0 and 1")
    between("dropout", 0, 1, "at least 0 and below 1")
    if estimator.trainable not in ("auto", "head", "top", "all"):
        raise ValueError(
            f"trainable={estimator.trainable!r} must be 'auto', 'head', 'top' or 'all'"
        )
    if estimator.on_error not in ("raise", "skip"):
        raise ValueError(f"on_error={estimator.on_error!r} must be 'raise' or 'skip'")
    if not isinstance(estimator.early_stopping, bool | np.bool_):
        raise TypeError(f"early_stopping={estimator.early_stopping!r} must be True or False")
    weighting.check_class_weight(estimator.class_weight)

    from ..backends import distribution, keras_settings
    from ..networks import augmentation
    from ..training import fitting, keras_callbacks

    keras_settings.check()
    distribution.check(estimator.batch_size)
    keras_callbacks.check(estimator.callbacks)
    fitting.check_optimizer(estimator.optimizer)
    augmentation.check(estimator.augment)


def _check_structure(estimator):
    """Raise unless the parameters that some networks have, and others not, are in their range."""
    parameters = estimator.get_params(deep=False)
    if "alpha" in parameters:
        alpha = parameters["alpha"]
        if isinstance(alpha, bool | np.bool_) or not isinstance(alpha, numbers.Real):
            raise TypeError(f"alpha={alpha!r} must be a number")
        if not _ALPHAS[0] <= alpha <= _ALPHAS[1]:
            raise ValueError(
                f"alpha={alpha!r} must lie between {_ALPHAS[0]} and {_ALPHAS[1]}: it multiplies "
                "the number of channels, which is 1 in the published network"
            )
    if "filters" in parameters and not _whole_numbers(parameters["filters"]):
        raise ValueError(
            f"filters={parameters['filters']!r} must be a tuple of one whole number, at least 1, "
            "for each block, such as (32, 64, 128)"
        )
    if "blocks" in parameters and not (
        _whole_numbers(parameters["blocks"]) and len(parameters["blocks"]) == 4
    ):
        raise ValueError(
            f"blocks={parameters['blocks']!r} must be a tuple of four whole numbers, at least 1, "
            "such as (6, 12, 24, 16)"
        )


def _whole_numbers(values):
    return (
        isinstance(values, list | tuple | np.ndarray)
        and len(values) > 0
        and all(
            isinstance(n, numbers.Integral) and not isinstance(n, bool) and n >= 1 for n in values
        )
    )


def _whole(estimator, name, smallest):
    value = getattr(estimator, name)
    if isinstance(value, bool) or not isinstance(value, numbers.Integral):
        raise TypeError(f"{name}={value!r} must be a whole number")
    if value < smallest:
        raise ValueError(f"{name}={value!r} must be at least {smallest}")
