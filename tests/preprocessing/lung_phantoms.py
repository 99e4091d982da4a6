"""Images with lungs of known shape, and small networks of which the answer is known."""

import functools

import numpy as np

from lungestimators.backends.startup import keras
from lungestimators.networks import blueprints, lung_network

SIZE, SIDE = lung_network.IMAGE_SIZE, lung_network.MASK_SIZE

# Top, left, bottom and right of rectangular lungs, as shares of the image.
RIGHT_LUNG, LEFT_LUNG = (0.2, 0.15, 0.7, 0.4), (0.2, 0.6, 0.7, 0.85)
BOTH = (RIGHT_LUNG, LEFT_LUNG)


def mask_of(lungs, height=SIDE, width=SIDE):
    """Which pixels the rectangles cover."""
    mask = np.zeros((height, width), bool)
    for top, left, bottom, right in lungs:
        rows, columns = np.round([top * height, bottom * height]), [left * width, right * width]
        (first, last), (start, stop) = rows.astype(int), np.round(columns).astype(int)
        mask[first:last, start:stop] = True
    return mask


def phantom(height=SIZE, width=SIZE, lungs=BOTH, tissue=0.7):
    """A grey image in 0..1: dark lungs in bright tissue."""
    return np.where(mask_of(lungs, height, width), 0.2, tissue).astype(np.float32)


def _small_network(weight, bias, found):
    """A network whose mask is ``weight * pixel + bias``, with ``found`` of the brightest pixel."""
    inputs = keras.Input((SIZE, SIZE, 1), name="image")
    x = keras.layers.AveragePooling2D(2, name="halve")(inputs)
    per_pixel = keras.layers.EinsumDense(
        "bhwc,cd->bhwd", (SIDE, SIDE, 1), bias_axes="hwd", name="mask"
    )
    row = keras.layers.Flatten(name="mask_as_row")(per_pixel(x))
    brightest = keras.layers.GlobalMaxPooling2D(name="brightest")(inputs)
    last = keras.layers.Dense(1, name="found")
    outputs = keras.layers.Concatenate(name="mask_and_found")([row, last(brightest)])
    network = keras.Model(inputs, outputs, name="lung_network")
    per_pixel.set_weights([np.full((1, 1), weight), np.asarray(bias)[..., None]])
    last.set_weights([np.full((1, 1), found[0]), np.full(1, found[1])])
    architecture = blueprints.blueprint_with_fixed_names(network.to_json())
    return blueprints.Blueprint(architecture, tuple(network.get_weights()), SIDE**2 + 1)


@functools.cache
def finds_dark_pixels(runtime):
    """Dark pixels are lung; an image without a bright pixel is no radiograph."""
    return _small_network(-20, np.full((SIDE, SIDE), 9.0), (20, -12))


@functools.cache
def finds_the_same_lungs_in_every_image(runtime):
    """Two ellipses in the middle, whatever is in the image."""
    y, x = (np.mgrid[:SIDE, :SIDE] + 0.5) / SIDE
    ellipses = [((y - 0.5) / 0.3) ** 2 + ((x - centre) / 0.14) ** 2 for centre in (0.33, 0.67)]
    return _small_network(0, 5 - 5 * np.minimum(*ellipses), (0, 5))
