"""Checks of a classifier's parameters, before any work is done."""

import numbers
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from ..backends import distribution, keras_settings
from ..features.parameters import check_backbone_parameters
from ..networks import augmentation
from ..training import keras_callbacks, stages
from ..validation import PathLike, check_whole_number
from . import weighting


@dataclass(kw_only=True, eq=False, repr=False)
class ClassifierParameters:
    """Parameters that all classifiers share, with their types and usual defaults."""

    image_size: int = 224
    image_shape: Sequence[int] | None = None
    weights: PathLike | None = "imagenet"
    trainable: Literal["auto", "head", "last_stage", "all"] = "auto"
    feature_cache: PathLike | None = "memory"
    epochs: int = 60
    batch_size: int = 16
    optimizer: str = "adam"
    learning_rate: float = 1e-3
    fine_tune_epochs: int = 10
    fine_tune_learning_rate: float = 1e-4
    early_stopping: bool = False
    validation_fraction: float = 0.1
    n_iter_no_change: int = 10
    class_weight: Mapping[Any, float] | Literal["balanced"] | None = None
    augment: "bool | keras.layers.Layer" = False
    dense_units: int = 512
    dropout: float = 0.5
    on_error: Literal["raise", "skip"] = "raise"
    callbacks: "Callbacks | None" = None
    random_state: int | np.random.RandomState | None = None
    verbose: int = 0


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

    keras_settings.check()
    distribution.check(estimator.batch_size)
    keras_callbacks.check(estimator.callbacks)
    stages.check_optimizer(estimator.optimizer)
    augmentation.check(estimator.augment)
