"""One fit: stages and options. The only module that knows SciKeras.

SciKeras runs a compiled Keras network on checked arrays; it is never inherited from, never given
a ``random_state`` (it would switch TensorFlow's determinism on for the whole process) and never
handed to scikit-learn.
"""

import json
import math
import os
from typing import NamedTuple

import keras
import numpy as np
from scikeras.wrappers import BaseWrapper

from . import features, networks, reuse
from .epochs import Progress, TrainingNetwork
from .reuse import Parts


class Data(NamedTuple):
    """Prepared images, class numbers, and a weight for each image."""

    images: np.ndarray
    y: np.ndarray
    sample_weight: np.ndarray


class Stage(NamedTuple):
    """Epochs in which the same layers learn.

    Attributes
    ----------
    trainable : {"head", "top", "all"}
    epochs : int
    learning_rate : float
        Of the first epoch.
    keep_batch_norm : bool
        Whether the batch normalisation of the backbone stays as it was pre-trained.
    """

    trainable: str
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


def initial_parts(
    *, backbone, options, image_size, channels, weights, n_classes, dense_units, dropout, seed
):
    """Build the network of a fit: pre-trained or random backbone, random head.

    Parameters
    ----------
    backbone : str
        ``"CNN"``, ``"DenseNet"`` or a name in ``keras.applications``.
    options : tuple of (str, value)
        The backbone's own parameters.

    Returns
    -------
    Parts
    """
    if backbone == "CNN":
        build, arguments = (
            networks.build_cnn,
            (image_size, channels, weights, *dict(options).values()),
        )
    else:
        build = networks.build_application
        arguments = (backbone, image_size, channels, weights, options)
    backbone_blueprint = reuse.blueprint(
        build, arguments, seed if weights is None else 0, file_state=_file_state(weights)
    )
    return Parts(
        backbone=backbone_blueprint,
        head=reuse.blueprint(
            networks.build_head,
            (backbone_blueprint.n_outputs, n_classes, dense_units, dropout),
            seed,
        ),
    )


def _file_state(weights):
    """What tells a weights file from the one that stood there before."""
    if weights in (None, "imagenet") or not os.path.exists(weights):
        return None
    state = os.stat(weights)
    return state.st_mtime_ns, state.st_size


def plan(trainable, pretrained, epochs, learning_rate, fine_tune_epochs, fine_tune_learning_rate):
    """Return the stages of a fit.

    A pre-trained backbone is never trained under a random head: its gradients would be noise. So
    ``"top"`` and ``"all"`` train the head first.
    """
    if trainable == "auto":
        trainable = "head" if pretrained else "all"
    if trainable == "head" or (trainable == "all" and not pretrained):
        return [Stage(trainable, epochs, learning_rate, keep_batch_norm=pretrained)]
    stages = [Stage("head", epochs, learning_rate, keep_batch_norm=pretrained)]
    if fine_tune_epochs:
        stages.append(
            Stage(trainable, fine_tune_epochs, fine_tune_learning_rate, keep_batch_norm=pretrained)
        )
    return stages


def fit(parts, stages, train, validation, options):
    """Train ``parts`` through all stages; the learning rate of each falls along a cosine.

    Returns
    -------
    parts : Parts
    history : dict of list
        One value an epoch: ``loss``, ``accuracy``, ``learning_rate`` and, with ``validation``,
        ``val_loss`` and ``val_accuracy``.
    """
    history = {}
    for stage in stages:
        parts, stage_history, _ = run_stage(
            parts, stage, train, validation, options, learning_rate=stage.cosine
        )
        for name, values in stage_history.items():
            history.setdefault(name, []).extend(values)
    return parts, history


def run_stage(
    parts, stage, train, validation, options, *, learning_rate, first_epoch=0, optimizer_state=None
):
    """Train for the epochs of one stage.

    Parameters
    ----------
    learning_rate : callable
        Epoch number -> learning rate.
    first_epoch : int
        The number of the first epoch; order and dropout of an epoch follow from seed and number.
    optimizer_state : list of ndarray, optional
        Where an earlier call stopped.

    Returns
    -------
    parts : Parts
    history : dict of list
    optimizer_state : list of ndarray
    """
    head_only = stage.trainable == "head" and options.augment is None
    if head_only:
        train, validation = (
            data
            and data._replace(
                images=features.extract(parts.backbone, data.images, options.feature_cache)
            )
            for data in (train, validation)
        )
    key = (
        "train",
        None
        if head_only
        else (parts.backbone.architecture, stage.trainable, stage.keep_batch_norm),
        parts.head.architecture,
        options.augment,
        options.optimizer,
    )
    with reuse.borrow(key, lambda: _build(parts, head_only, stage, options)) as network:
        network.restore(parts, optimizer_state)
        callbacks = [keras.callbacks.LearningRateScheduler(learning_rate)]
        if options.verbose:
            callbacks.append(Progress(stage, first_epoch))
        arguments = {}
        if validation is not None:
            arguments["validation_data"] = tuple(validation)
            arguments["validation_batch_size"] = features.FORWARD_BATCH_SIZE
            callbacks.append(
                keras.callbacks.EarlyStopping(
                    "val_loss", patience=options.n_iter_no_change, restore_best_weights=True
                )
            )
        engine = BaseWrapper(network, callbacks=callbacks, shuffle=False, verbose=0)
        engine.fit(
            *train,
            batch_size=options.batch_size,
            epochs=stage.epochs,
            initial_epoch=first_epoch,
            seed=options.seed,
            **arguments,
        )
        network.settle_batch_norm(train.images, options.batch_size, options.seed)
        history = {
            name: [float(value) for value in values] for name, values in engine.history_.items()
        }
        return network.parts(parts), history, network.optimizer_state()


def _build(parts, head_only, stage, options):
    """A compiled network that learns what the stage says."""
    head = parts.head.build()
    if head_only:
        inputs = keras.Input(head.input_shape[1:])
        outputs = head(inputs)
    else:
        backbone = parts.backbone.build()
        networks.freeze(backbone, stage.trainable, stage.keep_batch_norm)
        inputs = x = keras.Input(backbone.input_shape[1:])
        for layer in _augmentation_layers(options.augment):
            x = layer(x)
        outputs = head(backbone(x))
    network = TrainingNetwork(inputs, outputs, name="training")
    network.compile(
        optimizer=keras.optimizers.get(options.optimizer),
        loss=keras.losses.SparseCategoricalCrossentropy(),
        metrics=["accuracy"],
    )
    network.optimizer.build(network.trainable_variables)
    network.fresh_optimizer_state = network.optimizer_state()
    return network


def check_optimizer(optimizer):
    """Raise unless ``optimizer`` is a name that Keras knows."""
    if not isinstance(optimizer, str):
        raise TypeError(
            f"optimizer={optimizer!r} must be the name of a Keras optimizer, such as 'adam'; its "
            "learning rate is the parameter learning_rate"
        )
    try:
        keras.optimizers.get(optimizer)
    except ValueError:
        raise ValueError(
            f"optimizer={optimizer!r} is no Keras optimizer; 'adam', 'adamw' and 'sgd' are"
        ) from None


def augmentation(augment):
    """The estimators' ``augment`` as plain data: None, ``"gentle"`` or a Keras layer's JSON."""
    if augment is None or augment is False:
        return None
    if augment is True:
        return "gentle"
    if isinstance(augment, keras.layers.Layer):
        return json.dumps(keras.saving.serialize_keras_object(augment))
    raise TypeError(f"augment={augment!r} must be False, True or a Keras layer")


def _augmentation_layers(augment):
    if augment is None:
        return []
    if augment == "gentle":
        return networks.build_augmentation()
    return [keras.saving.deserialize_keras_object(json.loads(augment))]
