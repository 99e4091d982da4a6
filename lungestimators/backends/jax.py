"""Training steps and forward passes compiled by JAX, and the exchange between JAX' processes."""

import itertools

import jax
import numpy as np
from jax.experimental import multihost_utils

from . import distribution
from .keras import BACKEND as KERAS_BACKEND
from .keras import averaging_momentum_by_keras, write_variables_by_keras
from .startup import keras


class TrainingSteps:
    """Training steps that hand the variables' values on without writing them to the variables.

    Keras' ``train_on_batch`` puts the values back into the variables after every step, and waits
    for them.

    Parameters
    ----------
    network : epochs.TrainingNetwork
        Compiled.
    """

    def __init__(self, network):
        self._network = network
        self._state = None
        self._distribution = distribution.current_distribution()
        # Keras makes the variables of a metric when it is first called.
        nothing = np.zeros((1, network.output_shape[-1]))
        network.compute_metrics(x=None, y=nothing[:, 0], y_pred=nothing)
        step, average = {}, {}
        if self._distribution is not None:
            # New values are to lie on the devices on which the variables lie.
            state = tuple(
                [v.value.sharding for v in some] for some in self._variables_of_jax_step()
            )
            step["out_shardings"] = None, state
            average["out_shardings"] = [v.value.sharding for v in network.variables]
        self._step = jax.jit(network.train_step, donate_argnums=0, **step)
        self._average = jax.jit(self._averaged_by_jax, **average)

    def start_epoch(self):
        """Set the sums of loss and accuracy to zero."""
        self._network.reset_metrics()

    def train(self, x, y, sample_weight, edges):
        """Take one step for each batch, ``x[edges[i]:edges[i + 1]]``.

        Returns
        -------
        dict
            ``loss`` and ``accuracy``, means over the epoch so far: scalar arrays that JAX may
            still be computing.
        """
        if self._state is None:
            self._state = tuple([v.value for v in some] for some in self._variables_of_jax_step())
        for start, stop in itertools.pairwise(edges):
            batch = [
                self._split_over_jax_devices(array[start:stop]) for array in (x, y, sample_weight)
            ]
            logs, self._state = self._step(self._state, tuple(batch))
        return logs

    def end_epoch(self):
        """Write what was learnt to the network's variables."""
        if self._state is not None:
            for variables, values in zip(self._variables_of_jax_step(), self._state, strict=True):
                write_variables_by_keras(variables, values)
            self._state = None

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
        variables = self._network.variables
        values = [variable.value for variable in variables]
        for start, stop in itertools.pairwise(edges):
            batch = self._split_over_jax_devices(x[start:stop])
            values = self._average(values, np.float32(number), batch)
            number += 1
        write_variables_by_keras(variables, values)

    def _split_over_jax_devices(self, batch):
        """Return a batch, divided among the devices under a distribution."""
        if self._distribution is None:
            return batch
        return split_over_jax_devices(batch, self._distribution)

    def _variables_of_jax_step(self):
        """Return the variables that a step changes, in the order of Keras' ``train_step``."""
        network = self._network
        return (
            network.trainable_variables,
            network.non_trainable_variables,
            network.optimizer.variables,
            network.metrics_variables,
        )

    def _averaged_by_jax(self, values, number, x):
        """Return the values of the network's variables after one more batch of statistics."""
        variables = self._network.variables
        state = list(zip(variables, values, strict=True))
        scope = keras.StatelessScope(state_mapping=state)
        with scope, averaging_momentum_by_keras(self._network, number):
            self._network.call_learnt(x)
            return [scope.get_current_value(variable) for variable in variables]


def compile_by_jax(network, n_rows, training):
    """Return a function from an array of inputs to the array of a network's outputs."""

    @jax.jit
    def run(trainable, fixed, batch):
        return network.stateless_call(trainable, fixed, batch, training=training)[0]

    def function(batch):
        variables = network.trainable_variables, network.non_trainable_variables
        return np.asarray(run(*([v.value for v in some] for some in variables), batch))

    return function


def split_over_jax_devices(batch, distribution):
    """Give each device its part of a batch, or the whole batch if it cannot be divided equally.

    Parameters
    ----------
    batch : ndarray
        The whole batch, in every process.
    distribution : keras.distribution.DataParallel

    Returns
    -------
    jax.Array
    """
    if len(batch) % distribution.num_model_replicas == 0:
        layout = distribution.get_data_layout(batch.shape)
    else:
        layout = keras.distribution.TensorLayout([None] * batch.ndim, distribution.device_mesh)
    return jax.make_array_from_callback(
        batch.shape, layout.backend_layout, lambda part: batch[part]
    )


def count_jax_processes():
    """Return the number of processes that JAX joined into one program, mostly 1."""
    return jax.process_count()


def is_same_in_all_jax_processes(array):
    """Return whether all of JAX' processes call this with equal arrays; wait for all of them."""
    return not (multihost_utils.process_allgather(array) != array).any()


BACKEND = KERAS_BACKEND._replace(training_steps=TrainingSteps, compile_function=compile_by_jax)
