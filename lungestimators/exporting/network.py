"""The network of an export: ``model_`` with names for input and output, on cropped images."""

import numpy as np

from ..backends.startup import keras
from ..networks import pool
from .description import PIXELS, PROBABILITIES


def build_network_to_export(parts, checks_images):
    """Return the Keras model that is exported.

    Parameters
    ----------
    parts : steps.Parts
    checks_images : bool
        Whether the network itself raises for images of another size or depth. LiteRT and the
        signatures of a SavedModel do not compare them with the input: a network that ends in a
        global mean would answer for images of any size.

    Returns
    -------
    keras.Model
        It has the input ``pixels``, and the output ``probabilities``, in a dict: all exporters take
        the names from there.
    """
    model = parts.classifier.model_
    with pool.seeded_building(0):
        pixels = x = keras.Input(parts.image_shape, dtype="float32", name=PIXELS)
        if checks_images:
            # The only operation of all runtimes that asks for equal sides, and stretches none.
            black = np.zeros((1, *parts.image_shape), np.float32)
            x = keras.ops.concatenate([black, x], axis=0)[1:, ...]
        if any(parts.border):
            top, left = parts.border
            x = keras.layers.Cropping2D(((top, top), (left, left)), dtype="float32")(x)
        return keras.Model(pixels, {PROBABILITIES: model(x, training=False)}, name="lungestimators")
