"""Training steps, forward passes, Adam and dropout as TensorFlow functions and operations."""

import numpy as np
import tensorflow as tf

from .. import _compat
from .functions import BackendFunctions
from .startup import keras
from .tensorflow_forward import any_size_forward_by_tensorflow, compile_for_shape


class TrainingSteps:
    """Training steps as a loop inside one TensorFlow function, which serves every batch size.

    Parameters
    ----------
    network : epochs.TrainingNetwork
        Compiled.
    """

    def __init__(self, network):
        self._network = network
        self._train = self._average = None

    def start_epoch(self):
        """Set the sums of loss and accuracy to zero."""
        self._loss = self._correct = self._n = 0

    def train(self, x, y, sample_weight, edges):
        """Take one step for each batch, ``x[edges[i]:edges[i + 1]]``.

        Returns
        -------
        dict
            ``loss`` and ``accuracy``, means over the epoch so far.
        """
        if self._train is None:
            self._train = self._trace(self._train_tensorflow_steps, labels=True)
        loss, correct = self._train(
            *_tensors_for_tensorflow(x, y.astype(np.int32), sample_weight, edges)
        )
        self._loss += float(loss)
        self._correct += float(correct)
        self._n += len(y)
        return {"loss": self._loss / self._n, "accuracy": self._correct / self._n}

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
        if self._average is None:
            self._average = self._trace(self._average_tensorflow_steps, labels=False)
        self._average(*_tensors_for_tensorflow(x, edges, np.float32(number)))

    def _trace(self, function, labels):
        """Return a TensorFlow function of images in any number, with labels and weights or not."""

        def vector(dtype):
            return tf.TensorSpec((None,), dtype)

        signature = [tf.TensorSpec((None, *self._network.input_shape[1:]), tf.float32)]
        if labels:
            signature += [vector(tf.int32), vector(tf.float32), vector(tf.int32)]
        else:
            signature += [vector(tf.int32), tf.TensorSpec((), tf.float32)]
        function = tf.function(function, input_signature=signature, autograph=False)
        return function.get_concrete_function()

    def _train_tensorflow_steps(self, x, y, sample_weight, edges):
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

    def _average_tensorflow_steps(self, x, edges, number):
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


def _tensors_for_tensorflow(*arrays):
    """Return arrays as TensorFlow tensors."""
    return [tf.constant(array) for array in arrays]


def compile_by_tensorflow(network, n_rows, training):
    """Return a function from an array of ``n_rows`` inputs to the array of a network's outputs."""

    def run(batch):
        return network(batch, training=training)

    return compile_for_shape(run, (n_rows, *network.input_shape[1:]))


def read_variables_by_tensorflow(variables):
    """Return copies of the values of Keras variables, a list of ndarray.

    Keras' ``convert_to_numpy`` copies three times.
    """
    return [np.asarray(variable.value.numpy()) for variable in variables]


def write_variables_by_tensorflow(variables, values):
    """Assign arrays to Keras variables."""
    for variable, value in zip(variables, values, strict=True):
        variable.value.assign(tf.constant(value, variable.dtype), read_value=False)


def new_optimizer_by_tensorflow(name):
    """Return a new Keras optimizer of that name; for Adam, this module's."""
    optimizer = keras.optimizers.get(name)
    if type(optimizer) is keras.optimizers.Adam:
        return Adam.from_config(optimizer.get_config())
    return optimizer


class Adam(keras.optimizers.Adam):
    """Keras' Adam, whose update reads and writes every weight once, not a dozen times."""

    def apply(self, gradients, variables):
        """Update the variables by their gradients."""
        step = tf.cast(self.iterations.value + 1, tf.float32)
        beta_1_power = tf.pow(self.beta_1, step)
        beta_2_power = tf.pow(self.beta_2, step)
        for gradient, variable in zip(gradients, variables, strict=True):
            momentum, velocity = _compat.keras_adam_averages(self, variable)
            tf.raw_ops.ResourceApplyAdam(
                var=variable.handle,
                m=momentum.value.handle,
                v=velocity.value.handle,
                beta1_power=beta_1_power,
                beta2_power=beta_2_power,
                lr=self.learning_rate.value,
                beta1=self.beta_1,
                beta2=self.beta_2,
                epsilon=self.epsilon,
                grad=gradient,
            )
        self.iterations.assign_add(1)


class AdjustableDropout(keras.layers.Dropout):
    """Keras' Dropout, to the last bit, whose rate can change after the network is traced.

    Attributes
    ----------
    variable_rate : tf.Variable
        The rate in use. Keras' ``rate`` is where it begins, and must not be 0: Keras' layer would
        have no generator of random numbers then.
    """

    def __init__(self, **config):
        super().__init__(**config)
        # TensorFlow's variable: Keras' would count as a weight of the head. 64 bits, since the
        # rate of Keras' layer is a Python float.
        self.variable_rate = tf.Variable(self.rate, trainable=False, dtype=tf.float64)

    def call(self, inputs, training=False):
        """Drop inputs and scale the others, in training only."""
        if not training:
            return inputs
        rate, dtype = self.variable_rate.read_value(), inputs.dtype
        random = keras.random.uniform(tf.shape(inputs), dtype=dtype, seed=self.seed_generator)
        scaled = inputs * tf.cast(1 / (1 - rate), dtype)
        return tf.where(random >= tf.cast(rate, dtype), scaled, tf.zeros((), dtype))


def is_under_tensorflow_strategy():
    """Return whether the caller is in the scope of a ``tf.distribute`` strategy."""
    return tf.distribute.has_strategy()


BACKEND = BackendFunctions(
    TrainingSteps,
    compile_by_tensorflow,
    read_variables_by_tensorflow,
    write_variables_by_tensorflow,
    new_optimizer_by_tensorflow,
    any_size_forward_by_tensorflow,
)
