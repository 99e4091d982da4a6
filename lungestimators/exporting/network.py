"""The network of an export: ``model_``, with names for its input and output, on cropped images."""

from ..backends.startup import keras
from ..networks import pool
from .description import PIXELS, PROBABILITIES


def build_network_to_export(parts):
    """Return the Keras model that is exported.

    Parameters
    ----------
    parts : steps.Parts

    Returns
    -------
    keras.Model
        It has the input ``pixels``, and the output ``probabilities``, in a dict: all exporters take
        the names from there.
    """
    model = parts.classifier.model_
    with pool.seeded_building(0):
        (pixels,), (probabilities,) = model.inputs, model.outputs
        if any(parts.border):
            pixels = keras.Input(parts.image_shape, dtype="float32", name=PIXELS)
            top, left = parts.border
            cropping = keras.layers.Cropping2D(
                ((top, top), (left, left)), dtype="float32", name="preprocessing_crop"
            )
            probabilities = model(cropping(pixels), training=False)
        return keras.Model(pixels, {PROBABILITIES: probabilities}, name="lungestimators")
