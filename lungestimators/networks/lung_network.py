"""The network that finds the lungs in a radiograph, and its weights."""

import functools
import json

import numpy as np
import safetensors

from ..backends.startup import keras
from . import blueprints, chest_weights, onnx_sessions

# Side in pixels of the grey square that the network sees, and of the mask that it returns.
IMAGE_SIZE = 160
MASK_SIZE = 80

WEIGHTS = chest_weights.FOLDER / "lungs" / "LungNetwork.safetensors"
# Keras' JSON of build_lung_network, so that the network can run where Keras is not installed.
ARCHITECTURE = WEIGHTS.with_suffix(".json")

# Names of a layer's weights, in Keras' order.
_WEIGHTS_IN_ORDER = "kernel", "bias", "gamma", "beta", "moving_mean", "moving_variance"

# Filters of the levels, from the finest (MASK_SIZE pixels a side) to the coarsest.
_FILTERS = (24, 48, 96, 128, 160)


def build_lung_network():
    """Build the network with random weights: a U-Net whose finest level is that of the mask.

    The input is a grey square of ``IMAGE_SIZE`` pixels a side, in 0..1. The output is one vector:
    ``MASK_SIZE ** 2`` logits of the mask, row by row (positive: lung), then the logit that the
    image is an upright frontal radiograph that shows both lungs.

    Returns
    -------
    keras.Model

    References
    ----------
    Ronneberger et al., "U-Net: Convolutional Networks for Biomedical Image Segmentation", MICCAI
    2015, arXiv:1505.04597.
    """
    inputs = keras.Input((IMAGE_SIZE, IMAGE_SIZE, 1), name="image")
    x = _convolve(inputs, _FILTERS[0], "stem", strides=2)
    finer = []
    for level, filters in enumerate(_FILTERS):
        if level:
            finer.append(x)
            x = keras.layers.MaxPooling2D(name=f"down_{level}")(x)
            x = _convolve(x, filters, f"down_{level}_a")
        x = _convolve(x, filters, f"down_{level}_b")
    means = keras.layers.GlobalAveragePooling2D(name="means")(x)
    found = keras.layers.Dense(1, name="found")(means)
    for level in reversed(range(len(finer))):
        x = keras.layers.UpSampling2D(interpolation="bilinear", name=f"up_{level}")(x)
        x = keras.layers.Concatenate(name=f"join_{level}")([x, finer[level]])
        x = _convolve(x, _FILTERS[level], f"up_{level}_a")
    mask = keras.layers.Conv2D(1, 1, name="mask")(x)
    mask = keras.layers.Flatten(name="mask_as_row")(mask)
    outputs = keras.layers.Concatenate(name="mask_and_found")([mask, found])
    return keras.Model(inputs, outputs, name="lung_network")


def _convolve(x, filters, name, strides=1):
    """Add a 3x3 convolution, batch normalisation and ReLU."""
    x = keras.layers.Conv2D(
        filters, 3, strides, "same", use_bias=False, kernel_initializer="he_normal", name=name
    )(x)
    # Keras' momentum of 0.99 needs more steps than some trainings have.
    x = keras.layers.BatchNormalization(momentum=0.9, name=f"{name}_normalised")(x)
    return keras.layers.ReLU(name=f"{name}_relu")(x)


@functools.cache
def lung_network_blueprint(runtime="keras"):
    """Return the network with the weights that come with the package; they are read once.

    Parameters
    ----------
    runtime : {"keras", "onnxruntime"}
        What runs it.

    Returns
    -------
    blueprints.Blueprint
    """
    architecture = ARCHITECTURE.read_text(encoding="utf-8").strip()
    tensors = chest_weights.read_chest_weights(WEIGHTS, "LungNetwork", {}).tensors
    weights = tuple(
        tensors[f"{layer['name']}/{name}"].astype(np.float32)
        for layer in json.loads(architecture)["config"]["layers"]
        for name in _WEIGHTS_IN_ORDER
        if f"{layer['name']}/{name}" in tensors
    )
    if runtime == "onnxruntime":
        weights = onnx_sessions.OnnxWeights(weights)
    return blueprints.Blueprint(architecture, weights, MASK_SIZE**2 + 1)


def digest_of_lung_weights():
    """Return the SHA-256 that the file of the weights states, without reading them."""
    with safetensors.safe_open(WEIGHTS, framework="numpy") as file:
        return file.metadata()["sha256"]
