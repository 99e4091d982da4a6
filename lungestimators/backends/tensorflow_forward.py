"""Forward passes by TensorFlow, for any size of batch, and for one row with the bits of several."""

import numpy as np
import tensorflow as tf

from .. import _compat
from .forward import AnySizeForward
from .startup import keras


def any_size_forward_by_tensorflow(network, batch_size, n_threads):
    """Return the forward passes of a network as an ``AnySizeForward``; None on a GPU.

    A GPU may choose another algorithm for the same shapes in another process.
    """
    if tf.config.list_logical_devices("GPU"):
        return None
    shape = network.input_shape[1:]
    return AnySizeForward(
        compile_for_shape(lambda batch: network(batch, training=False), (None, *shape)),
        lambda two_rows: compile_for_shape(_call_for_one_row(network, two_rows), (1, *shape)),
        batch_size,
        n_threads,
    )


def compile_for_shape(function, shape):
    """Return a function of tensors, compiled for inputs of a shape, as a function of arrays."""
    function = tf.function(function, input_signature=[tf.TensorSpec(shape)], autograph=False)
    function = function.get_concrete_function()
    return lambda batch: function(tf.constant(batch)).numpy()


def _call_for_one_row(network, two_rows):
    """Return a call of a network on one row; layers that round differently there get it twice."""
    twice = _layers_that_round_differently(network, two_rows)

    def call(layer, *args, **kwargs):
        if isinstance(layer, keras.Model):
            return _compat.keras_call_layers_of(layer, args[0], call)
        if layer not in twice:
            return layer(*args, **kwargs)
        return layer(tf.concat([args[0], args[0]], axis=0), *args[1:], **kwargs)[:1]

    return lambda batch: _compat.keras_call_layers_of(network, batch, call)


def _layers_that_round_differently(network, two_rows):
    """Return the layers with weights that give one row other bits than two rows at once."""
    found = set()

    def call(layer, *args, **kwargs):
        if isinstance(layer, keras.Model):
            return _compat.keras_call_layers_of(layer, args[0], call)
        both = layer(*args, **kwargs)
        if getattr(layer, "weights", None):
            one = layer(args[0][:1], *args[1:], **kwargs)
            if not np.array_equal(one, both[:1]):
                found.add(layer)
        return both

    _compat.keras_call_layers_of(network, tf.constant(two_rows), call)
    return found
