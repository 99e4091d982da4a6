"""Training steps and forward passes by Keras' own methods, which run on every backend."""

import contextlib
import itertools

from .functions import BackendFunctions
from .startup import keras


class TrainingSteps:
    """Training steps and statistics of batch normalisation, by Keras' ``train_on_batch``.

    Parameters
    ----------
    network : epochs.TrainingNetwork
        Compiled.
    """

    def __init__(self, network):
        self._network = network

    def start_epoch(self):
        """Set the sums of loss and accuracy to zero."""
        self._sums, self._n = {"loss": 0.0, "accuracy": 0.0}, 0

    def train(self, x, y, sample_weight, edges):
        """Take one step for each batch, ``x[edges[i]:edges[i + 1]]``.

        Returns
        -------
        dict
            ``loss`` and ``accuracy``, means over the epoch so far.
        """
        for start, stop in itertools.pairwise(edges):
            logs = self._network.train_on_batch(
                x[start:stop],
                y[start:stop],
                sample_weight=sample_weight[start:stop],
                return_dict=True,
            )
            for name in self._sums:
                self._sums[name] += float(logs[name]) * (stop - start)
        self._n += len(y)
        return {name: total / self._n for name, total in self._sums.items()}

    def end_epoch(self):
        """Do nothing: the network's variables hold what was learnt after every step."""

    def average_statistics(self, x, edges, number):
        """Add batches to the averages of batch normalisation.

        Parameters
        ----------
        x : ndarray
        edges : ndarray of int
            The batches are ``x[edges[i]:edges[i + 1]]``.
        number : int
            Batches that the averages hold already.
        """
        for start, stop in itertools.pairwise(edges):
            with averaging_momentum_by_keras(self._network, number), _without_gradients_by_keras():
                self._network.call_learnt(x[start:stop])
            number += 1


@contextlib.contextmanager
def averaging_momentum_by_keras(network, number):
    """Set the momentum under which batch normalisation takes the mean of ``number`` + 1 batches.

    The first ``number`` of them are in its moving statistics already; the next call adds one.
    """
    layers = network.learning_batch_norms()
    momenta = [layer.momentum for layer in layers]
    try:
        for layer in layers:
            layer.momentum = number / (number + 1)
        yield
    finally:
        for layer, momentum in zip(layers, momenta, strict=True):
            layer.momentum = momentum


def compile_by_keras(network, n_rows, training):
    """Return a function from an array of inputs to the array of a network's outputs."""
    if not training:
        return network.predict_on_batch

    def run(batch):
        with _without_gradients_by_keras():
            return keras.ops.convert_to_numpy(network(batch, training=True))

    return run


def read_variables_by_keras(variables):
    """Return copies of the values of Keras variables, a list of ndarray."""
    return [keras.ops.convert_to_numpy(variable).copy() for variable in variables]


def write_variables_by_keras(variables, values):
    """Assign arrays, or tensors of the backend, to Keras variables."""
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)


def new_optimizer_by_keras(name):
    """Return a new Keras optimizer of that name."""
    return keras.optimizers.get(name)


def _without_gradients_by_keras():
    """Keep PyTorch from storing every activation for a backward pass that does not come."""
    if keras.backend.backend() == "torch":
        import torch

        return torch.no_grad()
    return contextlib.nullcontext()


BACKEND = BackendFunctions(
    TrainingSteps,
    compile_by_keras,
    read_variables_by_keras,
    write_variables_by_keras,
    new_optimizer_by_keras,
)
