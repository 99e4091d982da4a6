"""Fit a network, stage after stage: what is frozen, what learns, and what comes out."""

import contextlib
import functools
import math

import numpy as np

from ..backends import compiled, distribution
from ..backends.startup import keras
from ..features import extraction
from ..images.prepared import read_all_prepared
from ..networks import augmentation, cutting, dropout, normalisation, pool
from . import disk_array
from .scikeras_adapter import SciKerasNetwork, train_with_scikeras
from .stage_callbacks import EpochAnnouncer, StageProgress, best_weights_from_stage_callbacks
from .stages import unfreeze_for_stage

# Vectors that go through the last stage of a backbone at once.
_VECTORS_AT_ONCE = 1024


def fit_all_stages(parts, stages, train, validation, options, callbacks=(), task=None):
    """Train a network through all stages; the learning rate of each falls along a cosine.

    Parameters
    ----------
    parts : Parts
    stages : list of Stage
    train : Data
    validation : Data or None
    options : Options
    callbacks : sequence of keras.callbacks.Callback
        They see each stage as one training, as they see a call of ``fit`` in Keras.
    task : fit_task.FitTask, optional
        Is told of every epoch, and may end the training.

    Returns
    -------
    parts : Parts
    history : dict of list
        One value an epoch: ``loss``, ``accuracy``, ``learning_rate`` and, with ``validation``,
        ``val_loss`` and ``val_accuracy``.
    """
    _check_that_processes_fit_alike(parts, train, stages, options)
    history = {}
    inputs = StageInputs(train, validation, options)
    for stage in stages:
        parts, stage_history, _ = fit_one_stage(
            parts,
            stage,
            inputs,
            options,
            learning_rate=stage.cosine_learning_rate,
            callbacks=callbacks,
            task=task,
            earlier_history=history,
        )
        history = _joined_histories_of_fit(history, stage_history)
        if task is not None and task.stopped:
            break
    return parts, history


def fit_stage_for_one_epoch(parts, stage, train, options, *, epoch, optimizer_state):
    """Train a network for one epoch at the first learning rate of a stage.

    Parameters
    ----------
    epoch : int
        Number of the epoch: its order and dropout follow from the seed and this number.
    optimizer_state : list of ndarray or None
        The optimizer's variables after the epoch before.

    Returns
    -------
    parts : Parts
    history : dict of list
    optimizer_state : list of ndarray
    """
    _check_that_processes_fit_alike(parts, train, [stage], options)
    return fit_one_stage(
        parts,
        stage._replace(epochs=1),
        StageInputs(train, None, options),
        options,
        learning_rate=lambda epoch: stage.learning_rate,
        first_epoch=epoch,
        optimizer_state=optimizer_state,
    )


def _check_that_processes_fit_alike(parts, train, stages, options):
    """Raise if processes that train one network together were given different arguments."""
    architectures = [part.architecture for part in parts]
    what_matters = options._replace(feature_cache=None, verbose=0)
    arrays = train.y, train.sample_weight
    distribution.check_distributed_fits_agree(arrays, architectures, stages, what_matters)


class StageInputs:
    """Training data for each stage of a fit.

    Frozen layers run once per image; later stages reuse their outputs.

    Parameters
    ----------
    train : Data
    validation : Data or None
    options : Options
    """

    def __init__(self, train, validation, options):
        self._train = train
        self._validation = validation
        self._options = options
        self._vectors = {}

    def for_stage(self, parts, stage):
        """Return the inputs of the layers that learn in a stage.

        Returns
        -------
        train, plain, validation : Data
            ``train`` has several views of each image if the images are augmented and some layers
            are frozen. ``plain`` has the images without augmentation. ``validation`` may be None.
        """
        if stage.trainable == "all":
            train, validation = (
                data and data._replace(images=_prepare_before_fit_if_small(data.images))
                for data in (self._train, self._validation)
            )
            return train, train, validation
        train = plain = self._run_frozen_part("plain", self._train, parts, stage, [None])
        if self._options.augment is not None:
            views = range(augmentation.N_VIEWS)
            train = self._run_frozen_part("views", self._train, parts, stage, views)
        validation = self._validation
        if validation is not None:
            validation = self._run_frozen_part("validation", validation, parts, stage, [None])
        return train, plain, validation

    def _run_frozen_part(self, name, data, parts, stage, views):
        """Return data with the outputs of the frozen layers, kept under ``name``, as images."""
        frozen = cutting.cut_frozen_part(parts.backbone, stage.cut)
        if name not in self._vectors:
            vectors = disk_array.allocate_memory_or_disk_array(
                (len(data.images), len(views), frozen.n_outputs)
            )
            for number, view in enumerate(views):
                for rows, some in self._stream_features(frozen, data.images, view):
                    vectors[rows, number] = some
            self._vectors[name] = vectors
        vectors = self._vectors[name]
        if stage.cut == "last_stage" and stage.trainable == "head":
            vectors = _vectors_to_fit_head(cutting.cut_last_stage(parts.backbone), vectors)
        return data._replace(images=vectors)

    def _stream_features(self, frozen, images, view):
        """Yield rows and vectors of one view, None for images without augmentation."""
        options = self._options
        arguments = {}
        if view is not None:
            arguments["augment"] = options.augment
            arguments["view"] = f"{options.augment} {options.seed} {view}".encode()
        return extraction.stream_features(
            frozen, images, options.feature_cache, verbose=options.verbose, **arguments
        )


def _prepare_before_fit_if_small(images):
    """Return images prepared as one array if it is small, else as they are, read in every epoch."""
    small = 4 * math.prod(images.shape) <= disk_array.MOST_BYTES
    return read_all_prepared(images) if small else images


def _vectors_to_fit_head(network, vectors):
    """Return what the head learns from: the outputs of a Blueprint for all views in ``vectors``."""
    outputs = disk_array.allocate_memory_or_disk_array((*vectors.shape[:2], network.n_outputs))
    for start in range(0, len(vectors), _VECTORS_AT_ONCE):
        rows = np.arange(start, min(start + _VECTORS_AT_ONCE, len(vectors)))
        for view in range(vectors.shape[1]):
            outputs[rows, view] = network.run(vectors[rows, view])
    return outputs


def fit_one_stage(
    parts,
    stage,
    inputs,
    options,
    *,
    learning_rate,
    first_epoch=0,
    optimizer_state=None,
    callbacks=(),
    task=None,
    earlier_history=None,
):
    """Train a network for the epochs of one stage.

    Parameters
    ----------
    inputs : StageInputs
    learning_rate : callable
        Epoch number -> learning rate.
    first_epoch : int
        The number of the first epoch.
    optimizer_state : list of ndarray, optional
        The optimizer's variables at the end of an earlier call.
    callbacks : sequence of keras.callbacks.Callback
    task : fit_task.FitTask, optional
        Is told of every epoch, and may end the training.
    earlier_history : dict of list, optional
        Of the stages before; ``task`` is shown it together with this stage's.

    Returns
    -------
    parts : Parts
    history : dict of list
    optimizer_state : list of ndarray
    """
    train, plain, validation = inputs.for_stage(parts, stage)
    learning = parts
    if stage.trainable == "last_stage":
        learning = parts._replace(backbone=cutting.cut_last_stage(parts.backbone))
    head_only = stage.trainable == "head"
    key = (
        "train",
        None if head_only else (learning.backbone.architecture, stage.keep_batch_norm),
        dropout.key_of_adjustable_dropout(learning.head.architecture),
        options.augment if stage.trainable == "all" else None,
        options.optimizer,
    )
    build = functools.partial(_build_network_to_fit, learning, stage, options)
    spread_over = distribution.current_distribution()
    # Callbacks may set any attribute of a layer or of the optimizer.
    with pool.borrow_network(key, build, spread_over, alone=bool(callbacks)) as network:
        network.set_state(learning, optimizer_state)
        told = [keras.callbacks.LearningRateScheduler(learning_rate)]
        if options.verbose:
            told.append(StageProgress(stage, first_epoch))
        if validation is not None:
            told.append(
                keras.callbacks.EarlyStopping(
                    "val_loss", patience=options.n_iter_no_change, restore_best_weights=True
                )
            )
        history = keras.callbacks.History()
        told += [*callbacks, history]

        def learnt():
            network.average_batch_norm(plain.images, options.batch_size, options.seed)
            after = network.parts_with_weights(learning)
            if stage.trainable == "last_stage":
                backbone = cutting.join_cut_last_stage(parts.backbone, after.backbone)
                after = after._replace(backbone=backbone)
            return after, _history_of_fit_as_floats(history.history)

        def learnt_so_far():
            best = best_weights_from_stage_callbacks(told)
            # Averaging changes statistics and the state of seeds, but nothing that is trained.
            moved = network.non_trainable_variables if best is None else network.variables
            with _variables_put_back_after_fit(moved):
                if best is not None:
                    network.set_weights(best)
                after, stage_history = learnt()
            return after, _joined_histories_of_fit(earlier_history, stage_history)

        if task is not None:
            told.append(EpochAnnouncer(task, learnt_so_far))
        train_with_scikeras(
            network,
            train.images,
            train.y,
            train.sample_weight,
            batch_size=options.batch_size,
            epochs=stage.epochs,
            initial_epoch=first_epoch,
            seed=options.seed,
            callbacks=told,
            validation_data=validation,
        )
        return *learnt(), network.optimizer_state()


@contextlib.contextmanager
def _variables_put_back_after_fit(variables):
    """Set Keras variables back to their present values when the block ends: the fit goes on."""
    before = compiled.read_variables_by_backend(variables)
    try:
        yield
    finally:
        compiled.write_variables_by_backend(variables, before)


def _history_of_fit_as_floats(history):
    """Return a history with Python floats as values."""
    return {name: [float(value) for value in values] for name, values in history.items()}


def _joined_histories_of_fit(earlier, history):
    """Return the history of one stage appended to that of the stages before."""
    return {name: earlier.get(name, []) + values for name, values in history.items()}


def _build_network_to_fit(parts, stage, options):
    """Build and compile a SciKerasNetwork of the layers that learn in a stage."""
    head = dropout.make_dropout_adjustable(parts.head.build())
    if stage.trainable == "head":
        inputs = keras.Input(head.input_shape[1:])
        outputs = head(inputs)
    else:
        backbone = parts.backbone.build()
        backbone.name = "backbone"
        unfreeze_for_stage(backbone, stage.keep_batch_norm)
        inputs = x = keras.Input(backbone.input_shape[1:])
        augment = options.augment if stage.trainable == "all" else None
        for layer in augmentation.build_augmentation_layers(augment):
            # Otherwise Keras records these layers' default, True, and all later layers inherit it.
            x = layer(x, training=False)
        outputs = head(backbone(x))
    network = SciKerasNetwork(inputs, outputs, name="training")
    normalisation.bound_batch_norm(network.learning_batch_norms())
    network.compile(
        optimizer=compiled.new_optimizer_by_backend(options.optimizer),
        loss=keras.losses.SparseCategoricalCrossentropy(),
        metrics=["accuracy"],
    )
    network.optimizer.build(network.trainable_variables)
    network.fresh_optimizer_state = network.optimizer_state()
    network.steps = compiled.training_steps_by_backend(network)
    return network
