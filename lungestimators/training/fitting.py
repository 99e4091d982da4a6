"""One fit, stage after stage. The only module that knows SciKeras.

SciKeras runs a compiled Keras network on checked arrays; it is never inherited from, never given
a ``random_state`` (it would switch TensorFlow's determinism on for the whole process) and never
handed to scikit-learn.
"""

import functools
import math

import numpy as np
import sklearn

from ..backends import compiled, distribution
from ..backends.startup import keras, quiet
from ..features import extraction
from ..images.reading import prepare_all
from ..networks import architectures, augmentation, blueprints, dropout, normalisation, pool
from . import disk_array
from .epochs import Announcer, Progress, TrainingNetwork, best_weights, put_back

with quiet():  # it imports TensorFlow under every backend
    from scikeras.wrappers import BaseWrapper

# Rows of vectors that go through the top of a network at once.
_RUN_ROWS = 1024


def fit(parts, stages, train, validation, options, callbacks=(), task=None):
    """Train ``parts`` through all stages; the learning rate of each falls along a cosine.

    Parameters
    ----------
    parts : Parts
    stages : list of Stage
    train : Data
    validation : Data or None
    options : Options
    callbacks : sequence of keras.callbacks.Callback
        Each stage is a training to them, as each call of ``fit`` is in Keras.
    task : callbacks.FitTask, optional
        Is told of every epoch, and may end the training.

    Returns
    -------
    parts : Parts
    history : dict of list
        One value an epoch: ``loss``, ``accuracy``, ``learning_rate`` and, with ``validation``,
        ``val_loss`` and ``val_accuracy``.
    """
    _check_agreement(parts, train, stages, options)
    history = {}
    frozen = _Frozen(train, validation, options)
    for stage in stages:
        parts, stage_history, _ = run_stage(
            parts,
            stage,
            frozen,
            options,
            learning_rate=stage.cosine,
            callbacks=callbacks,
            task=task,
            earlier_history=history,
        )
        history = _joined(history, stage_history)
        if task is not None and task.stopped:
            break
    return parts, history


def partial_fit(parts, stage, train, options, *, epoch, optimizer_state):
    """Train for one epoch at the stage's first learning rate.

    Parameters
    ----------
    epoch : int
        Its number; order and dropout of an epoch follow from seed and number.
    optimizer_state : list of ndarray or None
        Where the epoch before stopped.

    Returns
    -------
    parts : Parts
    history : dict of list
    optimizer_state : list of ndarray
    """
    _check_agreement(parts, train, [stage], options)
    return run_stage(
        parts,
        stage._replace(epochs=1),
        _Frozen(train, None, options),
        options,
        learning_rate=lambda epoch: stage.learning_rate,
        first_epoch=epoch,
        optimizer_state=optimizer_state,
    )


def _check_agreement(parts, train, stages, options):
    """Raise where other processes that train the same network were asked for something else."""
    architectures = [part.architecture for part in parts]
    what_matters = options._replace(feature_cache=None, verbose=0)
    arrays = train.y, train.sample_weight
    distribution.check_agreement(arrays, architectures, stages, what_matters)


class _Frozen:
    """The data of a fit as its stages take them: what is frozen runs at most once."""

    def __init__(self, train, validation, options):
        self._train = train
        self._validation = validation
        self._options = options
        self._vectors = {}

    def inputs(self, parts, stage):
        """Return what the learning layers of a stage take.

        Returns
        -------
        train, plain, validation : Data
            ``train`` with several views of each image where a frozen network is under augmented
            images; ``plain`` without; ``validation`` may be None.
        """
        if stage.trainable == "all":
            train, validation = (
                data and data._replace(images=_in_memory_if_small(data.images))
                for data in (self._train, self._validation)
            )
            return train, train, validation
        train = plain = self._through("plain", self._train, parts, stage, [None])
        if self._options.augment is not None:
            train = self._through("views", self._train, parts, stage, range(augmentation.N_VIEWS))
        validation = self._validation
        if validation is not None:
            validation = self._through("validation", validation, parts, stage, [None])
        return train, plain, validation

    def _through(self, name, data, parts, stage, views):
        """Send images through the layers below the learning ones, as many views as there are."""
        below = blueprints.below(parts.backbone, stage.cut)
        if name not in self._vectors:
            vectors = disk_array.allocate((len(data.images), len(views), below.n_outputs))
            for number, view in enumerate(views):
                for rows, some in self._stream(below, data.images, view):
                    vectors[rows, number] = some
            self._vectors[name] = vectors
        vectors = self._vectors[name]
        if stage.cut == "last_stage" and stage.trainable == "head":
            vectors = _run(blueprints.above(parts.backbone), vectors)
        return data._replace(images=vectors)

    def _stream(self, below, images, view):
        options = self._options
        arguments = {}
        if view is not None:
            arguments["augment"] = options.augment
            arguments["view"] = f"{options.augment} {options.seed} {view}".encode()
        return extraction.stream(
            below, images, options.feature_cache, verbose=options.verbose, **arguments
        )


def _in_memory_if_small(images):
    """Return the images as they are, to be read in every epoch, or few of them prepared."""
    small = 4 * math.prod(images.shape) <= disk_array.MOST_BYTES
    return prepare_all(images) if small else images


def _run(network, vectors):
    """Send every view of every image through a network."""
    outputs = disk_array.allocate((*vectors.shape[:2], network.n_outputs))
    for start in range(0, len(vectors), _RUN_ROWS):
        rows = np.arange(start, min(start + _RUN_ROWS, len(vectors)))
        for view in range(vectors.shape[1]):
            outputs[rows, view] = network.run(vectors[rows, view])
    return outputs


def run_stage(
    parts,
    stage,
    frozen,
    options,
    *,
    learning_rate,
    first_epoch=0,
    optimizer_state=None,
    callbacks=(),
    task=None,
    earlier_history=None,
):
    """Train for the epochs of one stage.

    Parameters
    ----------
    frozen : _Frozen
    learning_rate : callable
        Epoch number -> learning rate.
    first_epoch : int
        The number of the first epoch.
    optimizer_state : list of ndarray, optional
        Where an earlier call stopped.
    callbacks : sequence of keras.callbacks.Callback
    task : callbacks.FitTask, optional
        Is told of every epoch, and may end the training.
    earlier_history : dict of list, optional
        Of the stages before, for ``task``.

    Returns
    -------
    parts : Parts
    history : dict of list
    optimizer_state : list of ndarray
    """
    train, plain, validation = frozen.inputs(parts, stage)
    learning = parts
    if stage.trainable == "last_stage":
        learning = parts._replace(backbone=blueprints.above(parts.backbone))
    head_only = stage.trainable == "head"
    key = (
        "train",
        None if head_only else (learning.backbone.architecture, stage.keep_batch_norm),
        dropout.training_key(learning.head.architecture),
        options.augment if stage.trainable == "all" else None,
        options.optimizer,
    )
    build = functools.partial(_build, learning, stage, options)
    # Callbacks may set any attribute of a layer or of the optimizer.
    with pool.borrow(key, build, distribution.current(), alone=bool(callbacks)) as network:
        network.restore(learning, optimizer_state)
        told = [keras.callbacks.LearningRateScheduler(learning_rate)]
        if options.verbose:
            told.append(Progress(stage, first_epoch))
        if validation is not None:
            told.append(
                keras.callbacks.EarlyStopping(
                    "val_loss", patience=options.n_iter_no_change, restore_best_weights=True
                )
            )
        history = keras.callbacks.History()
        told += [*callbacks, history]

        def learnt():
            network.settle_batch_norm(plain.images, options.batch_size, options.seed)
            after = network.parts(learning)
            if stage.trainable == "last_stage":
                above = after.backbone
                after = after._replace(backbone=blueprints.with_above(parts.backbone, above))
            return after, _floats(history.history)

        def learnt_so_far():
            best = best_weights(told)
            # Settling moves statistics and draws from seeds, and leaves what is learnt alone.
            moved = network.non_trainable_variables if best is None else network.variables
            with put_back(moved):
                if best is not None:
                    network.set_weights(best)
                after, stage_history = learnt()
            return after, _joined(earlier_history, stage_history)

        if task is not None:
            told.append(Announcer(task, learnt_so_far))
        engine = BaseWrapper(network, callbacks=told, verbose=0)
        # SciKeras sends y through transformers, which warn where the user wants data frames.
        with sklearn.config_context(transform_output="default"):
            engine.fit(
                np.arange(len(train.y))[:, None],
                train.y,
                train.sample_weight,
                source=train.images,
                batch_size=options.batch_size,
                epochs=stage.epochs,
                initial_epoch=first_epoch,
                seed=options.seed,
                validation_data=validation,
            )
        return *learnt(), network.optimizer_state()


def _floats(history):
    return {name: [float(value) for value in values] for name, values in history.items()}


def _joined(earlier, history):
    """The history of one stage after that of the stages before."""
    return {name: earlier.get(name, []) + values for name, values in history.items()}


def _build(parts, stage, options):
    """A compiled network that learns what the stage says."""
    head = dropout.adjustable(parts.head.build())
    if stage.trainable == "head":
        inputs = keras.Input(head.input_shape[1:])
        outputs = head(inputs)
    else:
        backbone = parts.backbone.build()
        backbone.name = "backbone"
        architectures.unfreeze(backbone, stage.keep_batch_norm)
        inputs = x = keras.Input(backbone.input_shape[1:])
        for layer in augmentation.layers(options.augment if stage.trainable == "all" else None):
            # Else Keras records these layers' default, True, and all that follows inherits it.
            x = layer(x, training=False)
        outputs = head(backbone(x))
    network = TrainingNetwork(inputs, outputs, name="training")
    normalisation.bound(network.learning_batch_norms())
    network.compile(
        optimizer=compiled.optimizer(options.optimizer),
        loss=keras.losses.SparseCategoricalCrossentropy(),
        metrics=["accuracy"],
    )
    network.optimizer.build(network.trainable_variables)
    network.fresh_optimizer_state = network.optimizer_state()
    network.steps = compiled.steps(network)
    return network
