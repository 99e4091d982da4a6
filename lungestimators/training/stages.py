"""Plan the stages of a fit: which layers learn for how many epochs, on which data, how."""

import math
from typing import NamedTuple

import numpy as np

from .. import _compat
from ..backends.startup import keras
from ..images.prepared import PreparedImages
from .disk_array import DiskArray


class Data(NamedTuple):
    """Training or validation data.

    Attributes
    ----------
    images : PreparedImages, ndarray or DiskArray
        Images, or the features that a frozen network computed from them.
    y : ndarray of shape (n,), int
        Class numbers.
    sample_weight : ndarray of shape (n,), float32
    """

    images: PreparedImages | np.ndarray | DiskArray
    y: np.ndarray
    sample_weight: np.ndarray


class Stage(NamedTuple):
    """A number of epochs in which the same layers learn.

    Attributes
    ----------
    trainable : {"head", "last_stage", "all"}
    cut : {"head", "last_stage"}
        Where the frozen part ends, unless all layers learn: before the head, or before the last
        stage of the backbone, which then learns in a later stage of the fit.
    epochs : int
    learning_rate : float
        Of the first epoch.
    keep_batch_norm : bool
        Whether the batch normalisation of the backbone keeps its pre-trained statistics.
    """

    trainable: str
    cut: str
    epochs: int
    learning_rate: float
    keep_batch_norm: bool

    def cosine_learning_rate(self, epoch):
        """Return the learning rate of an epoch, which falls to zero along half a cosine."""
        return self.learning_rate * 0.5 * (1 + math.cos(math.pi * epoch / self.epochs))


class Options(NamedTuple):
    """Parameters that all stages of a fit share, named as the estimators' parameters.

    ``augment`` is the result of ``augmentation.augmentation_as_json``.
    """

    feature_cache: str | None
    batch_size: int
    optimizer: str
    augment: str | None
    n_iter_no_change: int
    verbose: int
    seed: int


def resolve_trainable_for_stages(trainable, pretrained):
    """Return ``"head"``, ``"last_stage"`` or ``"all"``, also for ``trainable="auto"``."""
    if trainable == "auto":
        return "head" if pretrained else "all"
    return trainable


def plan_stages(
    trainable, pretrained, epochs, learning_rate, fine_tune_epochs, fine_tune_learning_rate
):
    """Return the stages of a fit, a list of Stage.

    A pre-trained backbone is never trained under a random head, whose gradients would be noise. So
    ``"last_stage"`` and ``"all"`` train the head first.
    """
    trainable = resolve_trainable_for_stages(trainable, pretrained)
    cut = "last_stage" if trainable == "last_stage" else "head"
    if trainable == "head" or (trainable == "all" and not pretrained):
        return [Stage(trainable, cut, epochs, learning_rate, keep_batch_norm=pretrained)]
    stages = [Stage("head", cut, epochs, learning_rate, keep_batch_norm=pretrained)]
    if fine_tune_epochs:
        stages.append(Stage(trainable, cut, fine_tune_epochs, fine_tune_learning_rate, pretrained))
    return stages


def unfreeze_for_stage(network, keep_batch_norm):
    """Make all layers of a network trainable, with or without those of batch normalisation.

    Parameters
    ----------
    network : keras.Model
    keep_batch_norm : bool
        Whether batch normalisation is frozen: it then stays in inference mode, with the
        statistics of the pre-training.
    """
    network.trainable = True
    for layer in _compat.keras_layers_of(network):
        if keep_batch_norm and isinstance(layer, keras.layers.BatchNormalization):
            layer.trainable = False
