"""Heads that differ in their rate of dropout alone share one built and traced network.

A search tries a new rate in every trial, and a new network costs as much as training one. A fitted
classifier's own architecture holds its own rate all the same.
"""

import functools
import json

from ..backends.startup import keras

# The rate under which networks are built and kept. Not 0: Keras' layer would have no generator of
# random numbers then.
ANY_RATE = 0.5


@functools.lru_cache(maxsize=32)
def with_rate(architecture, rate):
    """Return Keras' JSON of a head with another rate; a network without dropout is left alone."""
    config = json.loads(architecture)
    for dropout in _dropouts(config):
        dropout["rate"] = float(rate)
    return json.dumps(config)


def forward_key(architecture):
    """Return what networks have in common that are the same in inference mode."""
    return with_rate(architecture, ANY_RATE)


def training_key(architecture):
    """Return what heads have in common that ``adjust`` can turn into one another.

    On other backends than TensorFlow the rate is part of it: it stays a constant of the network.
    """
    return with_rate(architecture, ANY_RATE) if _on_tensorflow() else architecture


def adjustable(head):
    """Return a head, newly built, as one whose rate can be adjusted on TensorFlow."""
    if not _on_tensorflow():
        return head

    return keras.models.clone_model(head, clone_function=_clone)


def adjust(head, architecture):
    """Give what ``adjustable`` returned the rate of an architecture that has the same key."""
    if _on_tensorflow():
        head.get_layer("dropout").variable_rate.assign(_rate(architecture))


@functools.lru_cache(maxsize=32)
def _rate(architecture):
    (dropout,) = _dropouts(json.loads(architecture))
    return dropout["rate"]


def _dropouts(config):
    return [
        layer["config"] for layer in config["config"]["layers"] if layer["class_name"] == "Dropout"
    ]


def _on_tensorflow():
    return keras.backend.backend() == "tensorflow"


def _clone(layer):
    kind = _adjustable_dropout() if isinstance(layer, keras.layers.Dropout) else type(layer)
    return kind.from_config(layer.get_config())


def _adjustable_dropout():
    import tensorflow as tf

    class AdjustableDropout(keras.layers.Dropout):
        """Keras' Dropout, to the last bit, whose rate is no constant of what is traced."""

        def __init__(self, **config):
            super().__init__(**{**config, "rate": ANY_RATE})
            # TensorFlow's variable: Keras' would count as a weight of the head. 64 bits, since the
            # rate of Keras' layer is a Python float.
            self.variable_rate = tf.Variable(ANY_RATE, trainable=False, dtype=tf.float64)

        def call(self, inputs, training=False):
            if not training:
                return inputs
            rate, dtype = self.variable_rate.read_value(), inputs.dtype
            random = keras.random.uniform(tf.shape(inputs), dtype=dtype, seed=self.seed_generator)
            scaled = inputs * tf.cast(1 / (1 - rate), dtype)
            return tf.where(random >= tf.cast(rate, dtype), scaled, tf.zeros((), dtype))

    return AdjustableDropout
