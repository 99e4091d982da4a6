"""Checks of a classifier's parameters, before any work is done."""

import numbers

import numpy as np

from ..backends import distribution, keras_settings
from ..features.parameters import check_backbone_parameters
from ..networks import augmentation
from ..training import stages
from ..training.callbacks import check_callbacks
from ..validation import check_whole_number
from . import weighting


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
        check_whole_number(estimator, name, 1)
    check_whole_number(estimator, "fine_tune_epochs", 0)
    for name in ("learning_rate", "fine_tune_learning_rate"):
        between(name, 0, np.inf, "above 0")
    between("validation_fraction", 0, 1, "between 0 and 1")
    between("dropout", 0, 1, "at least 0 and below 1")
    if estimator.trainable not in ("auto", "head", "last_stage", "all"):
        raise ValueError(
            f"trainable={estimator.trainable!r} must be 'auto', 'head', 'last_stage' or 'all'"
        )
    if estimator.on_error not in ("raise", "skip"):
        raise ValueError(f"on_error={estimator.on_error!r} must be 'raise' or 'skip'")
    if not isinstance(estimator.early_stopping, bool | np.bool_):
        raise TypeError(f"early_stopping={estimator.early_stopping!r} must be True or False")
    weighting.check_class_weight(estimator.class_weight)

    keras_settings.check_keras_settings()
    distribution.check_batch_size(estimator.batch_size)
    check_callbacks(estimator.callbacks)
    stages.check_optimizer(estimator.optimizer)
    augmentation.check_augment(estimator.augment)
