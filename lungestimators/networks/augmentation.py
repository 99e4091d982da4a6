"""Augmentation: random layers that change an image and leave its diagnosis alone; their seeds."""

import json

import numpy as np
import xxhash

from .. import _compat
from ..backends import compiled
from ..backends.startup import keras
from . import pool

# Augmented views of each image that go through a frozen network, for any number of epochs.
N_VIEWS = 8


def augmentation_as_json(augment):
    """Return a parameter ``augment`` as plain data: None, ``"gentle"`` or a Keras layer's JSON."""
    if augment is None:
        return None
    if isinstance(augment, bool | np.bool_):
        return "gentle" if augment else None
    if isinstance(augment, keras.layers.Layer):
        return json.dumps(_augmentation_without_names(keras.saving.serialize_keras_object(augment)))
    raise TypeError(f"augment={augment!r} must be False, True or a Keras layer")


def check_augment(augment):
    """Raise unless the layer that a user passed as ``augment`` can be built again from its JSON."""
    if augment is None or isinstance(augment, bool | np.bool_):
        return
    plain = augmentation_as_json(augment)
    try:
        with pool.seeded_building(0):
            build_augmentation_layers(plain)
    except Exception as error:  # Keras and the layer itself raise errors of many kinds
        raise ValueError(
            f"augment={augment!r} cannot be built again from its configuration: register the layer "
            f"with keras.saving.register_keras_serializable ({error})"
        ) from error


def _augmentation_without_names(value):
    """Drop the names that Keras numbers through the process: views follow from this text."""
    if isinstance(value, list):
        return [_augmentation_without_names(item) for item in value]
    if not isinstance(value, dict) or "input_layers" in value:
        return value
    automatic = "name" in value and "trainable" in value
    return {
        key: _augmentation_without_names(item)
        for key, item in value.items()
        if not (automatic and key == "name")
    }


def build_augmentation_layers(augment):
    """Return new Keras layers, built from the result of ``augmentation_as_json``."""
    if augment is None:
        return []
    if augment == "gentle":
        return _build_gentle_layers()
    return [keras.saving.deserialize_keras_object(json.loads(augment))]


def _build_gentle_layers():
    """Return the layers of ``augment=True``: small shifts, rotations, zooms, changes of light."""
    # No flip: the heart is on the left, and a mirrored chest has another diagnosis.
    return [
        keras.layers.RandomTranslation(0.05, 0.05, fill_mode="constant", name="shift"),
        keras.layers.RandomRotation(7 / 360, fill_mode="constant", name="rotate"),
        keras.layers.RandomZoom((-0.1, 0.1), fill_mode="constant", name="zoom"),
        keras.layers.RandomBrightness(0.1, value_range=(0, 1), name="brightness"),
        keras.layers.RandomContrast(0.2, value_range=(0, 1), name="contrast"),
    ]


def seed_generators_of_random_layers(network):
    """Return the seed generators of a network's random layers, those inside layers among them."""
    generators = (
        getattr(layer, "seed_generator", None) or getattr(layer, "generator", None)
        for layer in _compat.keras_layers_of(network)
    )
    return [g for g in generators if isinstance(g, keras.random.SeedGenerator)]


def set_seeds_of_random_layers(generators, random):
    """Set the state of each seed generator to numbers drawn from a ``numpy.random.Generator``."""
    for generator in generators:
        state = random.integers(2**31, size=generator.state.shape)
        generator.state.assign(state.astype("uint32"))


def augment_images(images, augment, view):
    """Return one augmented view of each image, which follows from the image and ``view`` alone.

    Parameters
    ----------
    images : ndarray of shape (n, image_size, image_size, channels), float32
    augment : str
        The result of ``augmentation_as_json``.
    view : bytes
        Another value gives another view. It holds the seed of the fit.

    Returns
    -------
    ndarray of the same shape
    """
    shape = images.shape[1:]
    views = np.empty_like(images)
    key = "augment", augment, shape
    with pool.borrow_network(key, lambda: _build_augmentation_network(augment, shape)) as network:
        generators = seed_generators_of_random_layers(network)
        for row, image in enumerate(images):
            digest = xxhash.xxh3_64(view)
            digest.update(image)
            set_seeds_of_random_layers(generators, np.random.default_rng(digest.intdigest()))
            views[row] = compiled.training_forward_by_backend(network, image[None])[0]
    return views


def _build_augmentation_network(augment, shape):
    """Return a Keras model of the augmentation layers, for images of one shape."""
    inputs = x = keras.Input(shape)
    for layer in build_augmentation_layers(augment):
        x = layer(x)
    return keras.Model(inputs, x, name="augmentation")
