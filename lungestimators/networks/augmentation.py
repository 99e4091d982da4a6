"""Random changes of an image that leave its diagnosis alone."""

import json

import numpy as np
import xxhash

from ..backends import compiled
from ..backends.startup import keras
from . import pool

# Augmented views of each image that go through a frozen network, whatever the number of epochs.
N_VIEWS = 8


def as_json(augment):
    """The estimators' ``augment`` as plain data: None, ``"gentle"`` or a Keras layer's JSON."""
    if augment is None:
        return None
    if isinstance(augment, bool | np.bool_):
        return "gentle" if augment else None
    if isinstance(augment, keras.layers.Layer):
        return json.dumps(_without_names(keras.saving.serialize_keras_object(augment)))
    raise TypeError(f"augment={augment!r} must be False, True or a Keras layer")


def check(augment):
    """Raise unless ``augment`` can be built anew from plain data."""
    if augment is None or isinstance(augment, bool | np.bool_):
        return
    plain = as_json(augment)
    try:
        with pool.seeded(0):
            layers(plain)
    except Exception as error:  # whatever Keras meets in a layer that is not its own
        raise ValueError(
            f"augment={augment!r} cannot be built again from its configuration: register the layer "
            f"with keras.saving.register_keras_serializable ({error})"
        ) from error


def _without_names(value):
    """Drop the names that Keras numbers through the process: a view follows from this text."""
    if isinstance(value, list):
        return [_without_names(item) for item in value]
    if not isinstance(value, dict) or "input_layers" in value:
        return value
    automatic = "name" in value and "trainable" in value
    return {
        key: _without_names(item)
        for key, item in value.items()
        if not (automatic and key == "name")
    }


def layers(augment):
    """Build the layers of what ``as_json`` returned."""
    if augment is None:
        return []
    if augment == "gentle":
        return _gentle()
    return [keras.saving.deserialize_keras_object(json.loads(augment))]


def _gentle():
    """No flip: the heart is on the left, and a mirrored chest is another diagnosis."""
    return [
        keras.layers.RandomTranslation(0.05, 0.05, fill_mode="constant", name="shift"),
        keras.layers.RandomRotation(7 / 360, fill_mode="constant", name="rotate"),
        keras.layers.RandomZoom((-0.1, 0.1), fill_mode="constant", name="zoom"),
        keras.layers.RandomBrightness(0.1, value_range=(0, 1), name="brightness"),
        keras.layers.RandomContrast(0.2, value_range=(0, 1), name="contrast"),
    ]


def seed_generators(flat_layers):
    """Return the generators from which random layers draw."""
    generators = (
        getattr(layer, "seed_generator", None) or getattr(layer, "generator", None)
        for layer in flat_layers
    )
    return [g for g in generators if isinstance(g, keras.random.SeedGenerator)]


def augmented(images, augment, view):
    """Return one augmented view of each image; it follows from the image, and nothing beside it.

    Parameters
    ----------
    images : ndarray of shape (n, image_size, image_size, channels), float32
    augment : str
        What ``as_json`` returned.
    view : bytes
        What tells this view, and the seed of the fit, from any other.

    Returns
    -------
    ndarray of the same shape
    """
    shape = images.shape[1:]
    result = np.empty_like(images)
    with pool.borrow(("augment", augment, shape), lambda: _build(augment, shape)) as network:
        generators = seed_generators(network._flatten_layers())
        for row, image in enumerate(images):
            digest = xxhash.xxh3_64(view)
            digest.update(image)
            random = np.random.default_rng(digest.intdigest())
            for generator in generators:
                state = random.integers(2**31, size=generator.state.shape)
                generator.state.assign(state.astype("uint32"))
            result[row] = compiled.in_training_mode(network, image[None])[0]
    return result


def _build(augment, shape):
    inputs = x = keras.Input(shape)
    for layer in layers(augment):
        x = layer(x)
    return keras.Model(inputs, x, name="augmentation")
