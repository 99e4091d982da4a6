"""Dropout: heads that differ only in their rate share one built and traced network.

A search tries a new rate in every trial, and building a network costs as much as training it. The
architecture of a fitted classifier holds the classifier's own rate.
"""

import functools
import json

from .. import backends
from ..backends.startup import keras

# The rate under which networks are built and kept. Not 0: Keras' layer would have no generator of
# random numbers then.
ANY_RATE = 0.5


@functools.lru_cache(maxsize=32)
def with_dropout_rate(architecture, rate):
    """Return Keras' JSON of a head with another rate; a network without dropout is unchanged."""
    config = json.loads(architecture)
    for dropout in _dropout_configs(config):
        dropout["rate"] = float(rate)
    return json.dumps(config)


def key_without_dropout_rate(architecture):
    """Return a key of the networks that are equal in inference mode: they differ in the rate."""
    return with_dropout_rate(architecture, ANY_RATE)


def key_of_adjustable_dropout(architecture):
    """Return a key of the heads that ``set_dropout_rate`` can turn into one another.

    The rate is part of the key on other backends than TensorFlow, where it cannot be changed.
    """
    return with_dropout_rate(architecture, ANY_RATE) if _is_dropout_adjustable() else architecture


def make_dropout_adjustable(head):
    """Return a head, newly built, as one whose rate can be changed: on TensorFlow only."""
    if not _is_dropout_adjustable():
        return head

    return keras.models.clone_model(head, clone_function=_clone_with_adjustable_dropout)


def set_dropout_rate(head, architecture):
    """Give a head with an adjustable rate the rate of an architecture with the same key."""
    if _is_dropout_adjustable():
        head.get_layer("dropout").variable_rate.assign(_dropout_rate_of(architecture))


@functools.lru_cache(maxsize=32)
def _dropout_rate_of(architecture):
    """Return the rate of dropout in Keras' JSON of a head."""
    (dropout,) = _dropout_configs(json.loads(architecture))
    return dropout["rate"]


def _dropout_configs(config):
    """Return the configurations of the layers of dropout in a network's configuration."""
    return [
        layer["config"] for layer in config["config"]["layers"] if layer["class_name"] == "Dropout"
    ]


def _is_dropout_adjustable():
    """Return whether the rate of a built head can be changed: on TensorFlow only."""
    return keras.backend.backend() == "tensorflow"


def _clone_with_adjustable_dropout(layer):
    """Return a copy of a layer without its weights, adjustable if it is dropout."""
    config = layer.get_config()
    if isinstance(layer, keras.layers.Dropout):
        return backends.tensorflow.AdjustableDropout.from_config({**config, "rate": ANY_RATE})
    return type(layer).from_config(config)
