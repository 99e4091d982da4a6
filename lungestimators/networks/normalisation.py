"""Batch normalisation that learns, and does not blow rounding up.

Keras divides by ``sqrt(variance + 0.001)``, so a channel that is constant but for rounding comes
out 30 times as large, and 30 times as large again behind every further normalisation. A few of
them in a row turn the last bits of a convolution, which depend on the processor and on the size of
the batch, into answers.
"""

import numpy as np

from ..backends.startup import keras

# A channel that varies by less than this part of its mean is taken for a constant. A convolution
# rounds to about 1e-6 of its output, so a channel at this limit is known to a thousandth. Channels
# of networks in order vary by 0.004 of their mean or more
# (docs/design/experiments-without-scripts.md).
LEAST_VARIATION = 1e-3

# The same of pixels, which are rounded to about 1e-7: a thousandth is contrast enough for them.
LEAST_VARIATION_OF_PIXELS = 1e-4

# The variance, in units of 1 + mean**2, by which a constant channel is divided. It leaves nothing
# of rounding, and nothing of a channel that was 0 for all training images and is not for another.
_CONSTANT = 1e12


class BatchNormalization(keras.layers.BatchNormalization):
    """Keras' layer, to the last bit but under PyTorch, but for channels constant in a batch."""

    def call(self, inputs, training=None, mask=None):
        if not (training and self.trainable):
            return super().call(inputs, training=training, mask=mask)
        ops = keras.ops
        x = ops.cast(inputs, keras.backend.result_type(inputs.dtype, "float32"))
        axis = self.axis % len(x.shape)
        mean, variance = _moments(ops, x, [a for a in range(len(x.shape)) if a != axis])
        # The statistics are averaged as they are: in a batch of two images, a channel may have
        # equal values by chance.
        for moving, new in ((self.moving_mean, mean), (self.moving_variance, variance)):
            old = ops.cast(moving, x.dtype)
            moving.assign(old * self.momentum + new * (1.0 - self.momentum))
        outputs = ops.batch_normalization(
            x=x,
            mean=mean,
            variance=_bounded(ops, self, ops.stop_gradient(mean), variance),
            axis=self.axis,
            offset=ops.cast(self.beta, x.dtype) if self.center else None,
            scale=ops.cast(self.gamma, x.dtype) if self.scale else None,
            epsilon=self.epsilon,
        )
        return ops.cast(outputs, self.compute_dtype)


def bound(layers):
    """Let Keras' layers of batch normalisation be ours, in place: a copy of a network is slow."""
    for layer in layers:
        layer.__class__ = BatchNormalization


def bound_statistics(layers):
    """Bound the moving statistics of layers: from then on Keras' own layer does what ours does."""
    for layer in layers:
        mean, variance = (
            keras.ops.convert_to_numpy(moving)
            for moving in (layer.moving_mean, layer.moving_variance)
        )
        bounded = _bounded(np, layer, mean, variance)
        if not np.array_equal(bounded, variance):
            layer.moving_variance.assign(bounded)


def _moments(ops, x, axes):
    """Return mean and variance of each channel."""
    mean, variance = ops.moments(x, axes=axes)
    if keras.backend.backend() == "torch":
        # Keras' is E[x^2] - E[x]^2 there, which is mostly rounding where contrast is faint.
        variance = ops.var(x, axis=axes)
    return mean, variance


def _bounded(ops, layer, mean, variance):
    square = ops.square(mean)
    least = LEAST_VARIATION_OF_PIXELS if _takes_pixels(layer) else LEAST_VARIATION
    return ops.where(variance > least**2 * square, variance, _CONSTANT * (1.0 + square))


def _takes_pixels(layer):
    """Whether a layer is the first of the custom CNN: no other of images has no weights."""
    return layer.input_spec.ndim == 4 and not (layer.center or layer.scale)
