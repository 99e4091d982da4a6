"""Epochs that follow from a seed: order, dropout, batch statistics, and what they show."""

import contextlib
import math
import types

import numpy as np

from ..backends import compiled, distribution
from ..backends.startup import keras
from ..images.reading import read_ahead
from ..images.threads import map_in_threads
from ..networks import augmentation, dropout, normalisation
from ..networks.blueprints import Parts
from .disk_array import DiskArray

# Images over which the statistics of batch normalisation are averaged after training.
_SETTLE_IMAGES = 1024

# Batches that are handed over at once: enough to lose no time between small ones, and few enough
# to show progress and to be interrupted.
_CALL_BYTES = 4 * 2**20


class TrainingNetwork(keras.Model):
    """A network that can be put back to any state and whose epochs follow from a seed."""

    def restore(self, parts, optimizer_state):
        """Take the weights of ``parts`` and the given, or a fresh, state of the optimizer."""
        for name in self._learnt():
            compiled.write(self.get_layer(name).weights, getattr(parts, name).weights)
        dropout.adjust(self.get_layer("head"), parts.head.architecture)
        state = self.fresh_optimizer_state if optimizer_state is None else optimizer_state
        compiled.write(self.optimizer.variables, state)
        self.stop_training = False

    def parts(self, before):
        """Return ``before`` with the weights as they are now."""
        return before._replace(
            **{
                name: getattr(before, name)._replace(
                    weights=tuple(compiled.read(self.get_layer(name).weights))
                )
                for name in self._learnt()
            }
        )

    def jax_state_sync(self):
        """Let the variables be what was learnt: on JAX, callbacks ask for it in their ``model``."""
        self.steps.end_epoch()
        super().jax_state_sync()

    def optimizer_state(self):
        """Return a copy of the optimizer's variables."""
        return compiled.read(self.optimizer.variables)

    def _learnt(self):
        return [layer.name for layer in self.layers if layer.name in Parts._fields]

    def learning_batch_norms(self):
        """Return the layers of batch normalisation whose statistics move."""
        return [
            layer
            for layer in self._flatten_layers()
            if isinstance(layer, keras.layers.BatchNormalization) and layer.trainable
        ]

    def call_learnt(self, x):
        """Call the learnt parts one after another in training mode, without augmentation."""
        for name in self._learnt():
            x = self.get_layer(name)(x, training=True)
        return x

    def settle_batch_norm(self, source, batch_size, seed):
        """Set the moving statistics of batch normalisation to plain averages over the images.

        After few steps they are still part initial value, part statistics of earlier weights, and
        the network in inference mode is not the one that was trained.
        """
        if not self.learning_batch_norms():
            return
        rows = np.random.default_rng(seed).permutation(len(source))[:_SETTLE_IMAGES]
        calls = _calls(self._n_bytes(), rows, batch_size)
        for batches, number, taken in self._taken(source, calls, 0):
            self.steps.average_statistics(taken, _edges(batches), number)
        normalisation.bound_statistics(self.learning_batch_norms())

    def fit(
        self,
        x,
        y,
        sample_weight,
        *,
        source,
        batch_size,
        epochs,
        initial_epoch,
        seed,
        callbacks,
        validation_data=None,
        **unused,
    ):
        """Train in an order and with dropout that follow from ``seed``.

        Keras' own loop is not used: its shuffling draws from the backend's global generator, which
        is the user's, and a small head spends more time in it than in learning.

        Parameters
        ----------
        x : ndarray of shape (n, 1)
            Stands for the images where SciKeras wants an array.
        y : ndarray of shape (n,)
        sample_weight : ndarray of shape (n,), float32
        source : ndarray, DiskArray or PreparedImages
            Shape (n, ...) or (n, n_views, ...), float32. With one dimension more than the network's
            input: several views of each image, of which every epoch takes one. What is not in
            memory is read as it is needed.
        batch_size, epochs, initial_epoch : int
        seed : int
        callbacks : list of keras.callbacks.Callback
            Batches that are handed over at once begin and end as one, as with Keras'
            ``steps_per_execution``.
        validation_data : tuple of (source, y, sample_weight), optional
        **unused
            What SciKeras passes on besides.

        Returns
        -------
        types.SimpleNamespace
            An empty ``history``: SciKeras looks up every name in one, and a callback takes ours.
        """
        callbacks = keras.callbacks.CallbackList(
            callbacks,
            add_history=True,
            model=self,
            epochs=epochs,
            steps=len(distribution.deal(y, batch_size)),
            verbose=0,
        )
        self.stop_training = False
        callbacks.on_train_begin()
        logs = {}
        for epoch in range(initial_epoch, epochs):
            random = np.random.default_rng([seed, epoch])
            rows = random.permutation(len(y))
            for generator in augmentation.seed_generators(self._flatten_layers()):
                state = random.integers(2**31, size=generator.state.shape)
                generator.state.assign(state.astype("uint32"))
            views = (
                _views(source.shape[1], len(y), epoch, seed) if self._has_views(source) else None
            )
            callbacks.on_epoch_begin(epoch)
            self.steps.start_epoch()
            calls = _calls(self._n_bytes(), rows, batch_size)
            for batches, number, taken in self._taken(source, calls, views):
                callbacks.on_train_batch_begin(number)
                some = np.concatenate(batches)
                logs = self.steps.train(taken, y[some], sample_weight[some], _edges(batches))
                callbacks.on_train_batch_end(number + len(batches) - 1, logs)
                if self.stop_training:
                    break
            self.steps.end_epoch()
            if validation_data is not None:
                logs = {**logs, **self._validate(*validation_data)}
            callbacks.on_epoch_end(epoch, logs)
            if self.stop_training:
                break
        callbacks.on_train_end(logs)
        return types.SimpleNamespace(history={})

    def _has_views(self, source):
        return len(source.shape) > len(self.input_shape)

    def _n_bytes(self):
        """What one image takes."""
        return 4 * math.prod(self.input_shape[1:])

    def _taken(self, source, calls, views):
        """Yield each call with its images; those that must be read are read ahead."""

        def take(call):
            batches, number = call
            rows = np.concatenate(batches)
            if not self._has_views(source):
                return batches, number, source[rows]
            return batches, number, source[rows, views[rows] if np.ndim(views) else views]

        if isinstance(source, np.ndarray):
            return map(take, calls)
        if isinstance(source, DiskArray):
            return map_in_threads(take, calls)
        return read_ahead(take, calls, source.paths())

    def _validate(self, source, y, sample_weight):
        probabilities = np.empty((len(y), self.output_shape[-1]), np.float32)
        calls = _calls(self._n_bytes(), np.arange(len(y)), compiled.FORWARD_BATCH_SIZE)
        for batches, _, taken in self._taken(source, calls, 0):
            probabilities[np.concatenate(batches)] = compiled.forward(self, taken)
        right = np.clip(probabilities[np.arange(len(y)), y], 1e-7, 1)
        return {
            "val_loss": float(np.mean(-np.log(right) * sample_weight)),
            "val_accuracy": float(np.mean(probabilities.argmax(axis=1) == y)),
        }


@contextlib.contextmanager
def put_back(variables):
    """Give variables the values that they have now when the block ends."""
    before = compiled.read(variables)
    try:
        yield
    finally:
        compiled.write(variables, before)


def best_weights(callbacks):
    """Return the weights that early stopping would go back to now, or None."""
    best = None
    for callback in callbacks:
        if isinstance(callback, keras.callbacks.EarlyStopping) and callback.restore_best_weights:
            best = callback.best_weights or best  # the last one prevails
    return best


def _calls(n_bytes, rows, batch_size):
    """Deal rows into batches, as many to one call of compiled steps as are small together.

    Yields
    ------
    batches : list of ndarray
    number : int
        How many batches came before.
    """
    batches = distribution.deal(rows, batch_size)
    per_call = max(1, _CALL_BYTES // (n_bytes * batch_size))
    for number in range(0, len(batches), per_call):
        yield batches[number : number + per_call], number


def _edges(batches):
    return np.cumsum([0, *map(len, batches)]).astype(np.int32)


def _views(n_views, n_images, epoch, seed):
    """Which view of each image an epoch takes: all in turn, each image from its own start."""
    start = np.random.default_rng(seed).integers(n_views, size=n_images)
    return (start + epoch) % n_views


class Progress(keras.callbacks.Callback):
    """One bar for the whole stage, with loss, accuracy and the time left."""

    def __init__(self, stage, first_epoch):
        super().__init__()
        self._stage = stage
        self._first_epoch = first_epoch

    def on_train_begin(self, logs=None):
        epochs, self._steps = self._stage.epochs, self.params["steps"]
        self._n_steps, self._done = epochs * self._steps, 0
        print(
            f"Training {self._stage.trainable}: {epochs} epoch{'s' * (epochs > 1)} of "
            f"{self._steps} step{'s' * (self._steps > 1)}"
        )
        self._bar = keras.utils.Progbar(
            self._n_steps, stateful_metrics=["loss", "accuracy", "val_loss", "val_accuracy"]
        )

    def on_epoch_begin(self, epoch, logs=None):
        self._epoch = epoch - self._first_epoch

    def on_train_batch_begin(self, batch, logs=None):
        # What is done is shown when more is to come, so that the last line is written once.
        if self._done:
            self._bar.update(self._done, self._values(), finalize=False)

    def on_train_batch_end(self, batch, logs=None):
        self._done, self._logs = self._epoch * self._steps + batch + 1, logs

    def on_epoch_end(self, epoch, logs=None):
        self._logs = logs  # with what validation gave

    def on_train_end(self, logs=None):
        self._bar.update(self._done, self._values(), finalize=True)
        if self._done < self._n_steps:
            print(f"Stopped early, after epoch {self._epoch + 1}")

    def _values(self):
        return [(name, value) for name, value in self._logs.items() if name != "learning_rate"]


class Announcer(keras.callbacks.Callback):
    """Tell a task of every epoch, and end the training where it says so.

    It comes last: what an epoch changes, such as the best weights so far, is then known.

    Parameters
    ----------
    task : callbacks.FitTask
    learnt : callable
        Returns what a training that ended here would.
    """

    def __init__(self, task, learnt):
        super().__init__()
        self._task = task
        self._learnt = learnt

    def on_epoch_begin(self, epoch, logs=None):
        self._task.begin_epoch(self._learnt)

    def on_epoch_end(self, epoch, logs=None):
        if self._task.end_epoch(self._learnt):
            self.model.stop_training = True
