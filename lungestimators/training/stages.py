"""What is trained when: the stages of a fit, their data and options."""

import functools
import math
from typing import NamedTuple

import numpy as np

from ..backends import devices
from ..backends.startup import keras
from ..images.prepared import PreparedImages
from .disk_array import DiskArray


class Data(NamedTuple):
    """Images, or what a frozen network made of them, class numbers, and a weight for each."""

    images: PreparedImages | np.ndarray | DiskArray
    y: np.ndarray
    sample_weight: np.ndarray


class Stage(NamedTuple):
    """Epochs in which the same layers learn.

    Attributes
    ----------
    trainable : {"head", "last_stage", "all"}
    cut : {"head", "last_stage"}
        Where the frozen layers end, unless all learn: before the head, or before the last stage,
        which then learns in a later stage.
    epochs : int
    learning_rate : float
        Of the first epoch.
    keep_batch_norm : bool
        Whether the batch normalisation of the backbone stays as it was pre-trained.
    """

    trainable: str
    cut: str
    epochs: int
    learning_rate: float
    keep_batch_norm: bool

    def cosine(self, epoch):
        """Return the learning rate of an epoch, which falls to zero along half a cosine."""
        return self.learning_rate * 0.5 * (1 + math.cos(math.pi * epoch / self.epochs))


class Options(NamedTuple):
    """How every stage is run; the names are those of the estimators' parameters."""

    feature_cache: str | None
    batch_size: int
    optimizer: str
    augment: str | None
    n_iter_no_change: int
    verbose: int
    seed: int


def resolve(trainable, pretrained):
    """What ``trainable`` means: ``"head"``, ``"last_stage"`` or ``"all"``."""
    if trainable == "auto":
        return "head" if pretrained else "all"
    return trainable


def plan(trainable, pretrained, epochs, learning_rate, fine_tune_epochs, fine_tune_learning_rate):
    """Return the stages of a fit.

    A pre-trained backbone is never trained under a random head: its gradients would be noise. So
    ``"last_stage"`` and ``"all"`` train the head first.
    """
    trainable = resolve(trainable, pretrained)
    cut = "last_stage" if trainable == "last_stage" else "head"
    if trainable == "head" or (trainable == "all" and not pretrained):
        return [Stage(trainable, cut, epochs, learning_rate, keep_batch_norm=pretrained)]
    stages = [Stage("head", cut, epochs, learning_rate, keep_batch_norm=pretrained)]
    if fine_tune_epochs:
        stages.append(Stage(trainable, cut, fine_tune_epochs, fine_tune_learning_rate, pretrained))
    return stages


def check_optimizer(optimizer):
    """Raise unless ``optimizer`` is a name that Keras knows."""
    if not isinstance(optimizer, str):
        raise TypeError(
            f"optimizer={optimizer!r} must be the name of a Keras optimizer, such as 'adam'; its "
            "learning rate is the parameter learning_rate"
        )
    devices.prepare()  # Keras is about to create the first variable
    try:
        _build_optimizer(optimizer)
    except ValueError:
        raise ValueError(
            f"optimizer={optimizer!r} is no Keras optimizer; 'adam', 'adamw' and 'sgd' are"
        ) from None


@functools.cache
def _build_optimizer(name):
    """Build an optimizer for nothing; once only, since it costs a tenth of an epoch of a head."""
    keras.optimizers.get(name)
