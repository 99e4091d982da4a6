"""Forward passes by TensorFlow, for any size of batch, and for one row with the bits of several."""

import contextlib
import inspect

import numpy as np
import tensorflow as tf

from .. import _compat
from .forward import AnySizeForward
from .startup import keras

# Layers whose sums may be ordered differently for one row. Each takes and gives one tensor.
_WITH_KERNELS = (
    keras.layers.Conv2D,
    keras.layers.Dense,
    keras.layers.DepthwiseConv2D,
    keras.layers.SeparableConv2D,
)


def any_size_forward_by_tensorflow(network):
    """Return the forward passes of a network as an ``AnySizeForward``, or None.

    None on a GPU, which may choose another algorithm for the same shapes in another process; and
    for a network with layers of half precision, whose rounding hides most differences.
    """
    layers = _compat.keras_layers_of(network)
    if tf.config.list_logical_devices("GPU") or any(x.compute_dtype != "float32" for x in layers):
        return None
    shape = network.input_shape[1:]
    return AnySizeForward(
        compile_for_shape(lambda batch: network(batch, training=False), (None, *shape)),
        lambda two_rows: _compile_for_one_row(network, two_rows),
        lambda: _random_weights(network),
    )


def compile_for_shape(function, shape):
    """Return a function of tensors, compiled for inputs of a shape, as a function of arrays."""
    function = tf.function(function, input_signature=[tf.TensorSpec(shape)], autograph=False)
    function = function.get_concrete_function()
    return lambda batch: function(tf.constant(batch)).numpy()


def _compile_for_one_row(network, two_rows):
    """Return a compiled network for one row, which layers that round differently there get twice.

    Parameters
    ----------
    network : keras.Model
    two_rows : ndarray
        Two inputs, on which each layer is tried.
    """
    twice = set()

    def try_layer(layer, x):
        both = layer(x)
        if not np.array_equal(layer(x[:1]), both[:1]):
            twice.add(layer)
        return both

    def run_layer(layer, x):
        return layer(tf.concat([x, x], axis=0))[:1] if layer in twice else layer(x)

    _call_layer_by_layer(network, tf.constant(two_rows), try_layer)
    shape = (1, *network.input_shape[1:])
    return compile_for_shape(lambda x: _call_layer_by_layer(network, x, run_layer), shape)


def _call_layer_by_layer(network, x, call_layer):
    """Return the outputs of a network in inference mode; a function calls layers with kernels.

    Parameters
    ----------
    network : keras.Model
        Functional.
    x : tf.Tensor
    call_layer : callable
        ``(layer, x) -> outputs``.
    """

    def call(layer, *args, **kwargs):
        if _compat.keras_is_functional(layer):
            return _compat.keras_call_layers_of(layer, args[0], call)
        if type(layer) in _WITH_KERNELS and len(args) == 1 and not kwargs:
            return call_layer(layer, args[0])
        if "training" in inspect.signature(layer.call).parameters:
            kwargs["training"] = False
        return layer(*args, **kwargs)

    return _compat.keras_call_layers_of(network, x, call)


@contextlib.contextmanager
def _random_weights(network):
    """Give a network random weights in the block, under which no ReLU is silent for all inputs."""
    rng = np.random.default_rng(0)
    own = [variable.value.numpy() for variable in network.weights]
    try:
        for variable, value in zip(network.weights, own, strict=True):
            if value.dtype != np.float32 or value.ndim == 0:
                continue
            if variable.name == "moving_mean":
                new = rng.normal(0, 0.1, value.shape)
            elif value.ndim == 1:  # biases, scales, variances
                new = rng.uniform(0.5, 1.5, value.shape)
            else:
                new = rng.normal(0, np.sqrt(2 / np.prod(value.shape[:-1])), value.shape)
            variable.value.assign(new.astype(np.float32))
        yield
    finally:
        for variable, value in zip(network.weights, own, strict=True):
            variable.value.assign(value)
