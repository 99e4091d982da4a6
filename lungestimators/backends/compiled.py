"""The running backend: networks run and trained by its compiled functions, variables, optimizers.

Keras compiles too, but a small head then spends most of its time between the steps. The modules
``tensorflow`` and ``jax`` have functions of their own; ``keras`` serves every other backend.
"""

import numpy as np

from .. import backends
from .startup import keras

# Every forward pass has a fixed number of rows, the last batch being padded: a convolution may
# round differently in a batch of another size, and an image's features must not depend on the
# other images of its batch. A head is so small that a call costs more than the rows.
FORWARD_BATCH_SIZE = 16
HEAD_BATCH_SIZE = 64


def forward_by_backend(network, inputs):
    """Run a network in inference mode over all inputs, in batches of a fixed size.

    Parameters
    ----------
    network : keras.Model
        Keeps its compiled function as an attribute.
    inputs : ndarray of shape (n, ...), float32

    Returns
    -------
    ndarray of shape (n, n_outputs), float32
    """
    batch_size = HEAD_BATCH_SIZE if network.name == "head" else FORWARD_BATCH_SIZE
    if not hasattr(network, "compiled_forward"):
        network.compiled_forward = _compile_by_backend(network, batch_size, training=False)
    outputs = np.empty((len(inputs), network.output_shape[-1]), np.float32)
    for start in range(0, len(inputs), batch_size):
        batch = inputs[start : start + batch_size]
        n_rows = len(batch)
        if n_rows < batch_size:
            batch = np.pad(batch, [(0, batch_size - n_rows)] + [(0, 0)] * (batch.ndim - 1))
        outputs[start : start + n_rows] = network.compiled_forward(batch)[:n_rows]
    return outputs


def training_forward_by_backend(network, batch):
    """Run a network in training mode over one batch, which must always have the same size."""
    if not hasattr(network, "compiled_training"):
        network.compiled_training = _compile_by_backend(network, len(batch), training=True)
    return network.compiled_training(batch)


def training_steps_by_backend(network):
    """Return the object that takes the training steps of an ``epochs.TrainingNetwork``.

    Returns
    -------
    tensorflow.TrainingSteps, jax.TrainingSteps or keras.TrainingSteps
    """
    return _running_backend().training_steps(network)


def read_variables_by_backend(variables):
    """Return copies of the values of Keras variables, a list of ndarray."""
    return _running_backend().read_variables(variables)


def write_variables_by_backend(variables, values):
    """Copy arrays into Keras variables.

    Raises
    ------
    ValueError
        The numbers of variables and arrays differ, or a shape does.
    """
    _running_backend().write_variables(variables, values)


def new_optimizer_by_backend(name):
    """Return a new Keras optimizer of that name, which may have a faster update than Keras' own."""
    return _running_backend().new_optimizer(name)


def _running_backend():
    """Return the functions of Keras' backend, as :class:`functions.BackendFunctions`."""
    backend = keras.backend.backend()
    return getattr(backends, backend if backend in ("tensorflow", "jax") else "keras").BACKEND


def _compile_by_backend(network, n_rows, training):
    """Return a compiled function that runs ``network`` over an array of ``n_rows`` inputs."""
    return _running_backend().compile_function(network, n_rows, training)
