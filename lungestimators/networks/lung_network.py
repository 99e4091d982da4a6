"""STAND-IN, to be dropped: hand-made weights in place of the network that finds the lungs."""

import functools

import numpy as np

from ..backends.startup import keras
from . import blueprints, pool

IMAGE_SIZE = 160
MASK_SIZE = 80


@functools.cache
def lung_network_blueprint():
    """Return a network of dark pixels in two ellipses, and of the mean of the image."""
    with pool.seeded_building(0):
        inputs = keras.Input((IMAGE_SIZE, IMAGE_SIZE, 1), name="image")
        x = keras.layers.AveragePooling2D(2, name="halve")(inputs)
        per_pixel = keras.layers.EinsumDense(
            "bhwc,cd->bhwd", (MASK_SIZE, MASK_SIZE, 1), bias_axes="hwd", name="mask"
        )
        x = keras.layers.Flatten(name="mask_as_row")(per_pixel(x))
        means = keras.layers.GlobalAveragePooling2D(name="means")(inputs)
        found = keras.layers.Dense(1, name="found")
        outputs = keras.layers.Concatenate(name="mask_and_found")([x, found(means)])
        network = keras.Model(inputs, outputs, name="lung_network")
    y, x = np.mgrid[:MASK_SIZE, :MASK_SIZE] / MASK_SIZE + 0.5 / MASK_SIZE
    bias = np.full((MASK_SIZE, MASK_SIZE), -9.0, np.float32)
    for centre in (0.28, 0.72):
        ellipse = ((y - 0.48) / 0.3) ** 2 + ((x - centre) / 0.16) ** 2
        bias = np.maximum(bias, 8 * (1 - ellipse))
    per_pixel.set_weights([np.full((1, 1), -0.5, np.float32), bias[..., None]])
    found.set_weights([np.full((1, 1), 40, np.float32), np.full(1, -4, np.float32)])
    architecture = blueprints.blueprint_with_fixed_names(network.to_json())
    return blueprints.Blueprint(architecture, tuple(network.get_weights()), 6401)
