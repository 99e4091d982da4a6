"""What runs often, compiled once: a forward pass, and the steps of an epoch.

Keras compiles too, but a small head then spends most of its time between the steps. TensorFlow and
JAX have functions of their own here; every other backend runs Keras' own.
"""

import contextlib
import itertools

import numpy as np

from . import distribution
from .startup import keras

# Every forward pass has a fixed number of rows, the last batch being padded: a convolution may
# round differently in a batch of another size, and an image's features must not depend on its
# company. A head is so small that a call costs more than the rows.
FORWARD_BATCH_SIZE = 16
HEAD_BATCH_SIZE = 64


def forward(network, inputs):
    """Run ``network`` in inference mode over ``inputs``, at the fixed batch size.

    Parameters
    ----------
    network : keras.Model
        It keeps its compiled function.
    inputs : ndarray of shape (n, ...), float32

    Returns
    -------
    ndarray of shape (n, n_outputs), float32
    """
    batch_size = HEAD_BATCH_SIZE if network.name == "head" else FORWARD_BATCH_SIZE
    if not hasattr(network, "compiled_forward"):
        network.compiled_forward = _function(network, batch_size, training=False)
    outputs = np.empty((len(inputs), network.output_shape[-1]), np.float32)
    for start in range(0, len(inputs), batch_size):
        batch = inputs[start : start + batch_size]
        n_rows = len(batch)
        if n_rows < batch_size:
            batch = np.pad(batch, [(0, batch_size - n_rows)] + [(0, 0)] * (batch.ndim - 1))
        outputs[start : start + n_rows] = network.compiled_forward(batch)[:n_rows]
    return outputs


def in_training_mode(network, batch):
    """Call ``network`` in training mode; ``batch`` always has the same number of rows."""
    if not hasattr(network, "compiled_training"):
        network.compiled_training = _function(network, len(batch), training=True)
    return network.compiled_training(batch)


def steps(network):
    """Return what trains a compiled ``epochs.TrainingNetwork`` on this backend."""
    return _STEPS.get(_backend(), _KerasSteps)(network)


def read(variables):
    """Return copies of the values of Keras variables, a list of ndarray."""
    if _backend() == "tensorflow":  # Keras' way copies three times
        return [np.asarray(variable.value.numpy()) for variable in variables]
    return [keras.ops.convert_to_numpy(variable).copy() for variable in variables]


def write(variables, values):
    """Give Keras variables the values of arrays, which are copied.

    Raises
    ------
    ValueError
        There are more of one than of the other, or a shape is another.
    """
    if _backend() == "tensorflow":
        import tensorflow as tf

        for variable, value in zip(variables, values, strict=True):
            variable.value.assign(tf.constant(value, variable.dtype), read_value=False)
    else:
        _assign(variables, values)


def optimizer(name):
    """Return a new Keras optimizer; TensorFlow's Adam in one pass over the weights."""
    new = keras.optimizers.get(name)
    if _backend() == "tensorflow" and type(new) is keras.optimizers.Adam:
        return _one_pass_adam().from_config(new.get_config())
    return new


def _backend():
    return keras.backend.backend()


def _function(network, n_rows, training):
    """Return a function from ``n_rows`` inputs, as an array, to what ``network`` makes of them."""
    make = _FUNCTIONS.get(_backend(), _keras_function)
    return make(network, n_rows, training)


def _keras_function(network, n_rows, training):
    if not training:
        return network.predict_on_batch

    def run(batch):
        with _without_gradients():
            return keras.ops.convert_to_numpy(network(batch, training=True))

    return run


def _without_gradients():
    """Keep PyTorch from storing every activation for a backward pass that does not come."""
    if _backend() == "torch":
        import torch

        return torch.no_grad()
    return contextlib.nullcontext()


class _KerasSteps:
    """Steps on any backend, by Keras' own ``train_on_batch``."""

    def __init__(self, network):
        self._network = network

    def start_epoch(self):
        """Forget the sums of the epoch before."""
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
        """Let the network's variables be what was learnt."""

    def average_statistics(self, x, edges, number):
        """Join the batches to the averages of batch normalisation, ``number`` batches old."""
        for start, stop in itertools.pairwise(edges):
            with _averaging(self._network, number), _without_gradients():
                self._network.call_learnt(x[start:stop])
            number += 1


@contextlib.contextmanager
def _averaging(network, number):
    """Let batch normalisation take the mean of its statistics and of ``number`` batches before."""
    layers = network.learning_batch_norms()
    momenta = [layer.momentum for layer in layers]
    try:
        for layer in layers:
            layer.momentum = number / (number + 1)
        yield
    finally:
        for layer, momentum in zip(layers, momenta, strict=True):
            layer.momentum = momentum


class _JaxSteps:
    """The same without a look at the variables between two steps: JAX carries their values.

    ``train_on_batch`` puts the values back into the variables after every step, and waits for it.
    """

    def __init__(self, network):
        import jax

        self._network = network
        self._state = None
        self._distribution = distribution.current()
        # Keras makes the variables of a metric when it is first called.
        nothing = np.zeros((1, network.output_shape[-1]))
        network.compute_metrics(x=None, y=nothing[:, 0], y_pred=nothing)
        step, average = {}, {}
        if self._distribution is not None:
            # Where the variables lie, their new values are to lie.
            state = tuple([v.value.sharding for v in some] for some in self._variables())
            step["out_shardings"] = None, state
            average["out_shardings"] = [v.value.sharding for v in network.variables]
        self._step = jax.jit(network.train_step, donate_argnums=0, **step)
        self._average = jax.jit(self._averaged, **average)

    def start_epoch(self):
        """Forget the sums of the epoch before."""
        self._network.reset_metrics()

    def train(self, x, y, sample_weight, edges):
        """Take one step for each batch, ``x[edges[i]:edges[i + 1]]``.

        Returns
        -------
        dict
            ``loss`` and ``accuracy``, means over the epoch so far: scalar arrays that may still be
            being computed.
        """
        if self._state is None:
            self._state = tuple([v.value for v in some] for some in self._variables())
        for start, stop in itertools.pairwise(edges):
            batch = [self._spread(array[start:stop]) for array in (x, y, sample_weight)]
            logs, self._state = self._step(self._state, tuple(batch))
        return logs

    def end_epoch(self):
        """Let the network's variables be what was learnt."""
        if self._state is not None:
            for variables, values in zip(self._variables(), self._state, strict=True):
                _assign(variables, values)
            self._state = None

    def average_statistics(self, x, edges, number):
        """Join the batches to the averages of batch normalisation, ``number`` batches old."""
        variables = self._network.variables
        values = [variable.value for variable in variables]
        for start, stop in itertools.pairwise(edges):
            batch = self._spread(x[start:stop])
            values = self._average(values, np.float32(number), batch)
            number += 1
        _assign(variables, values)

    def _spread(self, batch):
        return distribution.spread(batch, self._distribution)

    def _variables(self):
        """What a step takes and gives, in the order that Keras' ``train_step`` asks for."""
        network = self._network
        return (
            network.trainable_variables,
            network.non_trainable_variables,
            network.optimizer.variables,
            network.metrics_variables,
        )

    def _averaged(self, values, number, x):
        variables = self._network.variables
        state = list(zip(variables, values, strict=True))
        with keras.StatelessScope(state_mapping=state) as scope, _averaging(self._network, number):
            self._network.call_learnt(x)
            return [scope.get_current_value(variable) for variable in variables]


def _assign(variables, values):
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)


def _jax_function(network, n_rows, training):
    import jax

    @jax.jit
    def run(trainable, fixed, batch):
        return network.stateless_call(trainable, fixed, batch, training=training)[0]

    def function(batch):
        variables = network.trainable_variables, network.non_trainable_variables
        return np.asarray(run(*([v.value for v in some] for some in variables), batch))

    return function


class _TensorFlowSteps:
    """The same as a loop inside one TensorFlow function, traced for every size of a batch."""

    def __init__(self, network):
        self._network = network
        self._train = self._average = None

    def start_epoch(self):
        """Forget the sums of the epoch before."""
        self._loss = self._correct = self._n = 0

    def train(self, x, y, sample_weight, edges):
        """Take one step for each batch, ``x[edges[i]:edges[i + 1]]``.

        Returns
        -------
        dict
            ``loss`` and ``accuracy``, means over the epoch so far.
        """
        if self._train is None:
            self._train = self._trace(self._train_steps, labels=True)
        loss, correct = self._train(*_tensors(x, y.astype(np.int32), sample_weight, edges))
        self._loss += float(loss)
        self._correct += float(correct)
        self._n += len(y)
        return {"loss": self._loss / self._n, "accuracy": self._correct / self._n}

    def end_epoch(self):
        """Let the network's variables be what was learnt."""

    def average_statistics(self, x, edges, number):
        """Join the batches to the averages of batch normalisation, ``number`` batches old."""
        if self._average is None:
            self._average = self._trace(self._average_steps, labels=False)
        self._average(*_tensors(x, edges, np.float32(number)))

    def _trace(self, function, labels):
        import tensorflow as tf

        def vector(dtype):
            return tf.TensorSpec((None,), dtype)

        signature = [tf.TensorSpec((None, *self._network.input_shape[1:]), tf.float32)]
        if labels:
            signature += [vector(tf.int32), vector(tf.float32), vector(tf.int32)]
        else:
            signature += [vector(tf.int32), tf.TensorSpec((), tf.float32)]
        function = tf.function(function, input_signature=signature, autograph=False)
        return function.get_concrete_function()

    def _train_steps(self, x, y, sample_weight, edges):
        import tensorflow as tf

        network = self._network
        variables = network.trainable_variables

        def step(i, loss_sum, n_correct):
            rows = slice(edges[i], edges[i + 1])
            labels, weights = y[rows], sample_weight[rows]
            with tf.GradientTape() as tape:
                probabilities = network(x[rows], training=True)
                losses = keras.losses.sparse_categorical_crossentropy(labels, probabilities)
                loss = tf.reduce_mean(losses * weights)
                scaled = network.optimizer.scale_loss(loss)
            network.optimizer.apply(tape.gradient(scaled, variables), variables)
            predicted = tf.argmax(probabilities, axis=1, output_type=tf.int32)
            correct = tf.reduce_sum(tf.cast(predicted == labels, tf.float32))
            loss_sum += loss * tf.cast(tf.size(labels), tf.float32)
            return i + 1, loss_sum, n_correct + correct

        return tf.while_loop(
            lambda i, *sums: i < tf.size(edges) - 1, step, (0, 0.0, 0.0), parallel_iterations=1
        )[1:]

    def _average_steps(self, x, edges, number):
        import tensorflow as tf

        layers = self._network.learning_batch_norms()
        momenta = [layer.momentum for layer in layers]

        def step(i, number):
            for layer in layers:
                layer.momentum = number / (number + 1)
            self._network.call_learnt(x[edges[i] : edges[i + 1]])
            return i + 1, number + 1

        try:
            return tf.while_loop(
                lambda i, number: i < tf.size(edges) - 1, step, (0, number), parallel_iterations=1
            )
        finally:
            for layer, momentum in zip(layers, momenta, strict=True):
                layer.momentum = momentum


def _tensors(*arrays):
    import tensorflow as tf

    return [tf.constant(array) for array in arrays]


def _tensorflow_function(network, n_rows, training):
    import tensorflow as tf

    def run(batch):
        return network(batch, training=training)

    shape = (n_rows, *network.input_shape[1:])
    function = tf.function(run, input_signature=[tf.TensorSpec(shape)], autograph=False)
    function = function.get_concrete_function()
    return lambda batch: function(tf.constant(batch)).numpy()


def _one_pass_adam():
    import tensorflow as tf

    class Adam(keras.optimizers.Adam):
        """Keras' Adam, whose update reads and writes every weight once, not a dozen times."""

        def apply(self, gradients, variables):
            step = tf.cast(self.iterations.value + 1, tf.float32)
            beta_1_power = tf.pow(self.beta_1, step)
            beta_2_power = tf.pow(self.beta_2, step)
            for gradient, variable in zip(gradients, variables, strict=True):
                index = self._get_variable_index(variable)
                tf.raw_ops.ResourceApplyAdam(
                    var=variable.handle,
                    m=self._momentums[index]._value.handle,
                    v=self._velocities[index]._value.handle,
                    beta1_power=beta_1_power,
                    beta2_power=beta_2_power,
                    lr=self.learning_rate.value,
                    beta1=self.beta_1,
                    beta2=self.beta_2,
                    epsilon=self.epsilon,
                    grad=gradient,
                )
            self.iterations.assign_add(1)

    return Adam


_STEPS = {"tensorflow": _TensorFlowSteps, "jax": _JaxSteps}
_FUNCTIONS = {"tensorflow": _tensorflow_function, "jax": _jax_function}
