"""TrainingNetwork: train epochs whose order, views of images and dropout follow from a seed."""

import math

import numpy as np

from .. import _compat
from ..backends import compiled, distribution
from ..backends.startup import keras
from ..images.reading import read_files_in_threads
from ..images.threads import map_in_threads
from ..networks import augmentation, dropout, normalisation
from ..networks.blueprints import Parts
from .disk_array import DiskArray

# Images over which the statistics of batch normalisation are averaged after training.
_IMAGES_FOR_STATISTICS = 1024

# Bytes of images in one call of the compiled steps: enough batches to lose no time between small
# ones, and few enough to show progress and to be interrupted.
_CALL_BYTES = 4 * 2**20


class TrainingNetwork(keras.Model):
    """A Keras model of the learning layers, trained by epochs that follow from a seed.

    Attributes
    ----------
    steps : TrainingSteps
        Of the running backend; set when the network is compiled.
    fresh_optimizer_state : list of ndarray
        The optimizer's variables before the first step; set when the network is compiled.
    """

    def set_state(self, parts, optimizer_state):
        """Set the weights to those of ``parts``, and the optimizer's variables.

        Parameters
        ----------
        parts : Parts
        optimizer_state : list of ndarray or None
            None: the state before the first step.
        """
        for name in self._learnt():
            weights = getattr(parts, name).weights
            compiled.write_variables_by_backend(self.get_layer(name).weights, weights)
        dropout.set_dropout_rate(self.get_layer("head"), parts.head.architecture)
        state = self.fresh_optimizer_state if optimizer_state is None else optimizer_state
        compiled.write_variables_by_backend(self.optimizer.variables, state)
        self.stop_training = False

    def parts_with_weights(self, parts):
        """Return ``parts`` with copies of the weights as they are now."""
        learnt = {}
        for name in self._learnt():
            weights = compiled.read_variables_by_backend(self.get_layer(name).weights)
            learnt[name] = getattr(parts, name)._replace(weights=tuple(weights))
        return parts._replace(**learnt)

    def jax_state_sync(self):
        """Write what was learnt to the variables; a callback's ``model`` calls this on JAX."""
        self.steps.end_epoch()
        super().jax_state_sync()

    def optimizer_state(self):
        """Return a copy of the optimizer's variables."""
        return compiled.read_variables_by_backend(self.optimizer.variables)

    def _learnt(self):
        """Return the names of the parts that learn."""
        return [layer.name for layer in self.layers if layer.name in Parts._fields]

    def learning_batch_norms(self):
        """Return the layers of batch normalisation whose statistics move."""
        return [
            layer
            for layer in _compat.keras_layers_of(self)
            if isinstance(layer, keras.layers.BatchNormalization) and layer.trainable
        ]

    def call_learnt(self, x):
        """Run the learning parts one after another in training mode, without augmentation."""
        for name in self._learnt():
            x = self.get_layer(name)(x, training=True)
        return x

    def average_batch_norm(self, source, batch_size, seed):
        """Set the moving statistics of batch normalisation to plain averages over the images.

        After few steps the moving statistics still hold much of their initial values and of
        statistics under earlier weights, and the network would predict badly.

        Parameters
        ----------
        source : ndarray, DiskArray or PreparedImages
            As for :meth:`train_epochs`.
        batch_size : int
        seed : int
            Decides which images are taken, of more than 1024.
        """
        if not self.learning_batch_norms():
            return
        rows = np.random.default_rng(seed).permutation(len(source))[:_IMAGES_FOR_STATISTICS]
        calls = _group_batches_of_epoch(self._bytes_of_image(), rows, batch_size)
        for batches, number, images in self._read_calls(source, calls, 0):
            self.steps.average_statistics(images, _edges_of_batches_of_epoch(batches), number)
        normalisation.bound_normalisation_statistics(self.learning_batch_norms())

    def train_epochs(
        self,
        source,
        y,
        sample_weight,
        *,
        batch_size,
        epochs,
        initial_epoch,
        seed,
        callbacks,
        validation_data=None,
    ):
        """Train for some epochs, whose order and dropout follow from ``seed``.

        Keras' own ``fit`` is not used: its shuffling draws from the backend's global generator,
        which belongs to the user, and a small head spends more time in it than in learning. The
        name is not ``train``: under PyTorch a Keras model is a module, whose ``train`` sets a mode.

        Parameters
        ----------
        source : ndarray, DiskArray or PreparedImages
            Shape (n, ...) or (n, n_views, ...), float32. With one dimension more than the network's
            input: several views of each image, of which every epoch takes one. A DiskArray and
            PreparedImages are read as they are needed.
        y : ndarray of shape (n,), int
        sample_weight : ndarray of shape (n,), float32
        batch_size, epochs, initial_epoch : int
            ``epochs`` is the number of the last epoch plus 1.
        seed : int
        callbacks : list of keras.callbacks.Callback
            Several small batches begin and end as one, as with Keras' ``steps_per_execution``.
        validation_data : Data, optional
        """
        callbacks = keras.callbacks.CallbackList(
            callbacks,
            add_history=True,
            model=self,
            epochs=epochs,
            steps=len(distribution.split_into_distributed_batches(y, batch_size)),
            verbose=0,
        )
        self.stop_training = False
        callbacks.on_train_begin()
        logs = {}
        for epoch in range(initial_epoch, epochs):
            random = np.random.default_rng([seed, epoch])
            rows = random.permutation(len(y))
            augmentation.set_seeds_of_random_layers(
                augmentation.seed_generators_of_random_layers(self), random
            )
            views = None
            if self._has_views(source):
                views = _choose_views_of_epoch(source.shape[1], len(y), epoch, seed)
            callbacks.on_epoch_begin(epoch)
            self.steps.start_epoch()
            calls = _group_batches_of_epoch(self._bytes_of_image(), rows, batch_size)
            for batches, number, images in self._read_calls(source, calls, views):
                callbacks.on_train_batch_begin(number)
                some = np.concatenate(batches)
                logs = self.steps.train(
                    images, y[some], sample_weight[some], _edges_of_batches_of_epoch(batches)
                )
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

    def _has_views(self, source):
        """Return whether ``source`` holds several views of each image."""
        return len(source.shape) > len(self.input_shape)

    def _bytes_of_image(self):
        """Return the bytes of one image, or of one vector, as the network takes it."""
        return 4 * math.prod(self.input_shape[1:])

    def _read_calls(self, source, calls, views):
        """Yield each call of the steps with its images, read ahead unless they are in memory.

        Parameters
        ----------
        source : ndarray, DiskArray or PreparedImages
        calls : iterator of (batches, number)
            As :func:`_group_batches_of_epoch` returns it.
        views : int, ndarray of int or None
            The view that is taken of all images, or of each.

        Yields
        ------
        batches : list of ndarray
        number : int
        images : ndarray
        """

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
        return read_files_in_threads(take, calls, source.paths())

    def _validate(self, source, y, sample_weight):
        """Return loss and accuracy on validation data."""
        probabilities = np.empty((len(y), self.output_shape[-1]), np.float32)
        rows = np.arange(len(y))
        calls = _group_batches_of_epoch(self._bytes_of_image(), rows, compiled.FORWARD_BATCH_SIZE)
        for batches, _, images in self._read_calls(source, calls, 0):
            probabilities[np.concatenate(batches)] = compiled.forward_by_backend(self, images)
        right = np.clip(probabilities[np.arange(len(y)), y], 1e-7, 1)
        return {
            "val_loss": float(np.mean(-np.log(right) * sample_weight)),
            "val_accuracy": float(np.mean(probabilities.argmax(axis=1) == y)),
        }


def _group_batches_of_epoch(bytes_of_image, rows, batch_size):
    """Split rows into batches, and group small batches for one call of the compiled steps.

    Yields
    ------
    batches : list of ndarray
    number : int
        How many batches came before.
    """
    batches = distribution.split_into_distributed_batches(rows, batch_size)
    per_call = max(1, _CALL_BYTES // (bytes_of_image * batch_size))
    for number in range(0, len(batches), per_call):
        yield batches[number : number + per_call], number


def _edges_of_batches_of_epoch(batches):
    """Return where each batch begins in their concatenation, and where the last one ends."""
    return np.cumsum([0, *map(len, batches)]).astype(np.int32)


def _choose_views_of_epoch(n_views, n_images, epoch, seed):
    """Return the view of each image that an epoch takes: all in turn, from a random first one."""
    start = np.random.default_rng(seed).integers(n_views, size=n_images)
    return (start + epoch) % n_views
