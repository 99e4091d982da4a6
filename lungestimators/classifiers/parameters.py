"""Parameters of the classifiers: types and defaults, checks, and what a fit makes of them."""

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from ..backends import devices, distribution, keras_settings
from ..backends.startup import keras
from ..features.parameters import check_backbone_parameters, check_feature_cache_parameter
from ..networks import augmentation
from ..training import stages
from ..training.callbacks import check_callbacks
from ..validation import PathLike, check_real_number, check_whole_number
from . import weighting

if TYPE_CHECKING:
    _Callbacks = Sequence[keras.callbacks.Callback]


# No estimator itself: scikit-learn has no types, and below a class without types type checkers
# accept any parameter of a dataclass, a misspelt one too.
@dataclass(kw_only=True, eq=False, repr=False)
class ClassifierParameters:
    """Parameters that all classifiers have, with the types and the usual defaults.

    ``docstrings`` says what each of them means.
    """

    image_size: int = 128
    image_shape: Sequence[int] | None = None
    weights: PathLike | None = "chest"
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
    class_weight: dict[Any, Any] | Literal["balanced"] | None = None
    augment: "bool | keras.layers.Layer" = False
    dense_units: int = 512
    dropout: float = 0.5
    n_networks: int = 1
    n_views: int = 1
    on_error: Literal["raise", "skip"] = "raise"
    callbacks: "_Callbacks | Callable[[], _Callbacks | None] | None" = None
    random_state: int | np.random.RandomState | None = None
    verbose: int = 0


# Parameters that say how to train, not what the network is: ``partial_fit`` uses their values of
# the moment, and no prediction of a fitted classifier depends on them. A change of a parameter that
# is in neither of these sets counts from the next fit on.
TRAINING_PARAMETERS = frozenset(
    {
        "feature_cache",
        "epochs",
        "batch_size",
        "optimizer",
        "learning_rate",
        "fine_tune_epochs",
        "fine_tune_learning_rate",
        "early_stopping",
        "validation_fraction",
        "n_iter_no_change",
        "class_weight",
        "augment",
        "on_error",
        "callbacks",
        "verbose",
    }
)


# Parameters that say how to predict: the next prediction uses their value of the moment.
PREDICTION_PARAMETERS = frozenset({"n_views"})


def check_classifier_parameters(classifier):
    """Raise unless every parameter of a classifier has a usable type and value."""
    check_backbone_parameters(classifier)
    counts = "epochs", "batch_size", "dense_units", "n_iter_no_change", "n_networks", "n_views"
    for name in counts:
        check_whole_number(name, getattr(classifier, name), 1)
    check_whole_number("fine_tune_epochs", classifier.fine_tune_epochs, 0)
    for name in ("learning_rate", "fine_tune_learning_rate"):
        check_real_number(name, getattr(classifier, name), lambda x: 0 < x < np.inf, "be above 0")
    check_real_number(
        "validation_fraction",
        classifier.validation_fraction,
        lambda x: 0 < x < 1,
        "be between 0 and 1",
    )
    check_real_number(
        "dropout", classifier.dropout, lambda x: 0 <= x < 1, "be at least 0 and below 1"
    )
    if classifier.trainable not in ("auto", "head", "last_stage", "all"):
        raise ValueError(
            f"trainable={classifier.trainable!r} must be 'auto', 'head', 'last_stage' or 'all'"
        )
    if classifier.on_error not in ("raise", "skip"):
        raise ValueError(f"on_error={classifier.on_error!r} must be 'raise' or 'skip'")
    if not isinstance(classifier.early_stopping, bool | np.bool_):
        raise TypeError(f"early_stopping={classifier.early_stopping!r} must be True or False")
    weighting.check_class_weight(classifier.class_weight)

    keras_settings.check_keras_settings()
    distribution.check_batch_size_under_distribution(classifier.batch_size)
    check_callbacks(classifier.callbacks)
    _check_optimizer_parameter(classifier.optimizer)
    augmentation.check_augment(classifier.augment)


def _check_optimizer_parameter(optimizer):
    """Raise unless ``optimizer`` is the name of a Keras optimizer."""
    if not isinstance(optimizer, str):
        raise TypeError(
            f"optimizer={optimizer!r} must be the name of a Keras optimizer, such as 'adam'; its "
            "learning rate is the parameter learning_rate"
        )
    devices.prepare_devices()  # Keras is about to create the first variable
    try:
        _try_optimizer_parameter(optimizer)
    except ValueError:
        raise ValueError(
            f"optimizer={optimizer!r} is no Keras optimizer; 'adam', 'adamw' and 'sgd' are"
        ) from None


@functools.cache
def _try_optimizer_parameter(name):
    """Build an optimizer, to see whether Keras can; once: it takes a tenth of a head's epoch."""
    keras.optimizers.get(name)


def check_network_parameters(classifier, built_with):
    """Raise where a parameter of the network has another value than when the network was built.

    Parameters
    ----------
    classifier : LungClassifier
    built_with : dict of str to object
        The parameters that the network was built with, by name.
    """
    for name, before in built_with.items():
        value = getattr(classifier, name)
        if value is not before and not np.array_equal(value, before):
            raise ValueError(
                f"partial_fit goes on with the network that an earlier call built with "
                f"{name}={before!r}: {name}={value!r} counts only in a new fit, such as "
                "partial_fit of a clone"
            )


def trained_layers_from_parameters(classifier):
    """Return which layers a fit trains: ``"head"``, ``"last_stage"`` or ``"all"``."""
    return stages.resolve_trainable_for_stages(
        str(classifier.trainable), classifier.weights is not None
    )


def training_stages_from_parameters(classifier):
    """Return the stages of a fit, as :class:`stages.Stage`."""
    return stages.plan_stages(
        str(classifier.trainable),
        classifier.weights is not None,
        int(classifier.epochs),
        float(classifier.learning_rate),
        int(classifier.fine_tune_epochs),
        float(classifier.fine_tune_learning_rate),
    )


def training_options_from_parameters(classifier, seed):
    """Return how each stage of a fit is run, as :class:`stages.Options`."""
    return stages.Options(
        feature_cache=check_feature_cache_parameter(classifier.feature_cache),
        batch_size=int(classifier.batch_size),
        optimizer=str(classifier.optimizer),
        augment=augmentation.augmentation_as_json(classifier.augment),
        n_iter_no_change=int(classifier.n_iter_no_change),
        verbose=int(classifier.verbose),
        seed=seed,
    )
