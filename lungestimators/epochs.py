"""Epochs that follow from a seed: order, dropout, batch statistics, and what they show."""

import math

import keras
import numpy as np

from .reuse import Parts

# Images over which the statistics of batch normalisation are averaged after training.
_SETTLE_IMAGES = 1024


class TrainingNetwork(keras.Model):
    """A network that can be put back to any state and whose epochs follow from a seed."""

    def restore(self, parts, optimizer_state):
        """Take the weights of ``parts`` and the given, or a fresh, state of the optimizer."""
        for name in self._learnt():
            self.get_layer(name).set_weights(getattr(parts, name).weights)
        state = self.fresh_optimizer_state if optimizer_state is None else optimizer_state
        for variable, value in zip(self.optimizer.variables, state, strict=True):
            variable.assign(value)
        self.stop_training = False

    def parts(self, before):
        """Return ``before`` with the weights as they are now."""
        return before._replace(
            **{
                name: getattr(before, name)._replace(
                    weights=tuple(self.get_layer(name).get_weights())
                )
                for name in self._learnt()
            }
        )

    def optimizer_state(self):
        """Return a copy of the optimizer's variables."""
        return [keras.ops.convert_to_numpy(v).copy() for v in self.optimizer.variables]

    def _learnt(self):
        return [layer.name for layer in self.layers if layer.name in Parts._fields]

    def settle_batch_norm(self, images, batch_size, seed):
        """Set the moving statistics of batch normalisation to plain averages over the images.

        After few steps they are still part initial value, part statistics of earlier weights, and
        the network in inference mode is not the one that was trained.
        """
        layers = [
            layer
            for layer in self._flatten_layers()
            if isinstance(layer, keras.layers.BatchNormalization) and layer.trainable
        ]
        if not layers:
            return
        momenta = [layer.momentum for layer in layers]
        rows = np.random.default_rng(seed).permutation(len(images))[:_SETTLE_IMAGES]
        batches = np.array_split(rows, math.ceil(len(rows) / batch_size))
        try:
            for number, batch in enumerate(batches):
                for layer in layers:
                    layer.momentum = number / (number + 1)
                x = images[batch]
                for name in self._learnt():
                    x = self.get_layer(name)(x, training=True)
        finally:
            for layer, momentum in zip(layers, momenta, strict=True):
                layer.momentum = momentum

    def fit(self, x, y, sample_weight, *, batch_size, seed, callbacks, **arguments):
        """Train in an order and with dropout that follow from ``seed``.

        Keras' own shuffling draws from the backend's global generator, which is the user's.
        """
        batches = _Batches(x, y, sample_weight, batch_size)
        generators = [
            generator
            for layer in self._flatten_layers()
            for generator in (
                getattr(layer, "seed_generator", None) or getattr(layer, "generator", None),
            )
            if isinstance(generator, keras.random.SeedGenerator)
        ]

        def start_epoch(epoch, logs=None):
            random = np.random.default_rng([seed, epoch])
            batches.shuffle(random)
            for generator in generators:
                state = random.integers(2**31, size=generator.state.shape)
                generator.state.assign(state.astype("uint32"))

        first = keras.callbacks.LambdaCallback(on_epoch_begin=start_epoch)
        return super().fit(batches, callbacks=[first, *callbacks], **arguments)


class _Batches(keras.utils.PyDataset):
    """Batches of nearly equal size: a last one of a single image would break normalisation."""

    def __init__(self, x, y, sample_weight, batch_size):
        super().__init__()
        self._arrays = (x, y, sample_weight)
        self._n_batches = math.ceil(len(y) / batch_size)
        self._rows = np.array_split(np.arange(len(y)), self._n_batches)

    def __len__(self):
        return self._n_batches

    def __getitem__(self, index):
        return tuple(array[self._rows[index]] for array in self._arrays)

    def shuffle(self, random):
        """Deal the rows anew."""
        n_rows = len(self._arrays[0])
        self._rows = np.array_split(random.permutation(n_rows), self._n_batches)


class Progress(keras.callbacks.Callback):
    """One bar for the whole stage, with loss, accuracy and the time left."""

    def __init__(self, stage, first_epoch):
        super().__init__()
        self._stage = stage
        self._first_epoch = first_epoch

    def on_train_begin(self, logs=None):
        steps = self.params["steps"]
        print(f"Training {self._stage.trainable}: {self._stage.epochs} epochs of {steps} steps")
        self._bar = keras.utils.Progbar(
            self._stage.epochs * steps,
            stateful_metrics=["loss", "accuracy", "val_loss", "val_accuracy"],
        )

    def on_epoch_begin(self, epoch, logs=None):
        self._epoch = epoch - self._first_epoch

    def on_train_batch_end(self, batch, logs=None):
        self._update(batch + 1, logs)

    def on_epoch_end(self, epoch, logs=None):
        self._update(self.params["steps"], logs)

    def on_train_end(self, logs=None):
        if self._epoch + 1 < self._stage.epochs:
            print(f"\nStopped early, after epoch {self._epoch + 1}")

    def _update(self, batch, logs):
        done = self._epoch * self.params["steps"] + batch
        values = [(name, value) for name, value in (logs or {}).items() if name != "learning_rate"]
        self._bar.update(done, values)
