"""Batch normalisation that learns without enlarging rounding errors of constant channels.

Keras divides by ``sqrt(variance + 0.001)``. A channel that is constant but for rounding becomes 30
times as large, and 30 times larger again with every further normalisation. A few of them in a row
let predictions depend on the last bits of a convolution, which depend on the processor and on the
size of the batch.
"""

import numpy as np

from ..backends.startup import keras

# A channel that varies by less than this part of its mean counts as constant. A convolution rounds
# to about 1e-6 of its output, so a channel at this limit is known to a thousandth. Channels of
# networks that work vary by 0.004 of their mean or more
# (docs/design/experiments-without-scripts.md).
LEAST_VARIATION = 1e-3

# The same limit for pixels, which are rounded to about 1e-7: a contrast of a thousandth is enough.
LEAST_VARIATION_OF_PIXELS = 1e-4

# The variance, in units of 1 + mean**2, that a constant channel gets. Divided by it, rounding
# vanishes, and so does a channel that was 0 for all training images and is not for another image.
_CONSTANT = 1e12


class BatchNormalization(keras.layers.BatchNormalization):
    """Keras' layer with another variance for channels that are constant in a batch.

    All other channels are those of Keras' layer to the last bit, except under PyTorch.
    """

    def call(self, inputs, training=None, mask=None):
        """Normalise a batch; in training, with its own statistics and new moving statistics."""
        if not (training and self.trainable):
            return super().call(inputs, training=training, mask=mask)
        ops = keras.ops
        x = ops.cast(inputs, keras.backend.result_type(inputs.dtype, "float32"))
        axis = self.axis % len(x.shape)
        mean, variance = _normalisation_moments(
            ops, x, [a for a in range(len(x.shape)) if a != axis]
        )
        # The moving statistics average the variance before it is bounded: in a batch of two
        # images, a channel may have equal values by chance.
        for moving, new in ((self.moving_mean, mean), (self.moving_variance, variance)):
            old = ops.cast(moving, x.dtype)
            moving.assign(old * self.momentum + new * (1.0 - self.momentum))
        outputs = ops.batch_normalization(
            x=x,
            mean=mean,
            variance=_bounded_normalisation(ops, self, ops.stop_gradient(mean), variance),
            axis=self.axis,
            offset=ops.cast(self.beta, x.dtype) if self.center else None,
            scale=ops.cast(self.gamma, x.dtype) if self.scale else None,
            epsilon=self.epsilon,
        )
        return ops.cast(outputs, self.compute_dtype)


def bound_batch_norm(layers):
    """Turn Keras' layers of batch normalisation into this module's, in place: copying is slow."""
    for layer in layers:
        layer.__class__ = BatchNormalization


def bound_normalisation_statistics(layers):
    """Bound the moving variance of layers, so that Keras' own layer then gives the same output."""
    for layer in layers:
        mean, variance = (
            keras.ops.convert_to_numpy(moving)
            for moving in (layer.moving_mean, layer.moving_variance)
        )
        bounded = _bounded_normalisation(np, layer, mean, variance)
        if not np.array_equal(bounded, variance):
            layer.moving_variance.assign(bounded)


def _normalisation_moments(ops, x, axes):
    """Return mean and variance of each channel."""
    mean, variance = ops.moments(x, axes=axes)
    if keras.backend.backend() == "torch":
        # Keras computes E[x^2] - E[x]^2 there, which is mostly rounding if contrast is faint.
        variance = ops.var(x, axis=axes)
    return mean, variance


def _bounded_normalisation(ops, layer, mean, variance):
    """Return the variance of each channel, a huge one for channels that count as constant."""
    square = ops.square(mean)
    least = LEAST_VARIATION_OF_PIXELS if _normalisation_is_of_pixels(layer) else LEAST_VARIATION
    return ops.where(variance > least**2 * square, variance, _CONSTANT * (1.0 + square))


def _normalisation_is_of_pixels(layer):
    """Return whether a layer is the first of the custom CNN: no other of maps has no weights."""
    return layer.input_spec.ndim == 4 and not (layer.center or layer.scale)
