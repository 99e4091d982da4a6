"""The models that compare.py knows, the controls beside them, and where weights come from."""

import ast
import os
from pathlib import Path

import numpy as np
from PIL import Image
from sklearn.dummy import DummyClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from lungestimators import (
    BackboneClassifier,
    CNNClassifier,
    DenseNetClassifier,
    MobileNetClassifier,
)
from lungestimators.networks.imagenet_weights import HOST, can_connect

from .problems import InputError, read

# On 66 test images; see docs/published-results.md for why they are at chance.
PUBLISHED = {"CNN": 0.4848, "MobileNet": 0.2727, "DenseNet": 0.2879}
DEFAULT_MODELS = ["CNN", "MobileNet", "DenseNet", "Majority", "Thumbnails"]
# Random weights are trained whole, at a size that two cores can bear.
FROM_SCRATCH = {
    "MobileNet": dict(weights=None, alpha=0.25, image_size=64, epochs=15, learning_rate=3e-3),
    "MobileNetV2": dict(weights=None, image_size=64, epochs=20),
    "DenseNet": dict(weights=None, image_size=32, epochs=10, batch_size=32, learning_rate=2e-3),
}
QUICK = dict(image_size=32, epochs=2)
_CACHED = {
    "MobileNet": "mobilenet_{alpha}_{size}_tf_no_top.h5",
    "MobileNetV2": "mobilenet_v2_weights_tf_dim_ordering_tf_kernels_1.0_{size}_no_top.h5",
    "DenseNet": "densenet121_weights_tf_dim_ordering_tf_kernels_notop.h5",
}


def thumbnails(X):
    """16x16 grey thumbnails as flat rows, out of paths or of uint8 arrays."""
    return np.array([read(x, "L", 16, Image.Resampling.BOX).ravel() for x in X]) / 255


def majority(random_state):
    """Build the control that always says the most frequent class."""
    return DummyClassifier(strategy="prior")


def logistic_regression(random_state):
    """Build the control that sees thumbnails only: what needs no network."""
    return make_pipeline(
        FunctionTransformer(thumbnails), StandardScaler(), LogisticRegression(max_iter=2000)
    )


def mobilenet_v2(**parameters):
    """Build the pre-trained network that is newer than those of the comparison."""
    return BackboneClassifier("MobileNetV2", **parameters)


MODELS = {
    "CNN": CNNClassifier,
    "MobileNet": MobileNetClassifier,
    "DenseNet": DenseNetClassifier,
    "MobileNetV2": mobilenet_v2,
    "Majority": majority,
    "Thumbnails": logistic_regression,
}
TITLES = {"Majority": "majority class", "Thumbnails": "logistic regression, 16x16"}


def build(name, settings, quick, seed):
    """Build a model by its name; ``settings`` come last."""
    parameters = dict(random_state=seed)
    if quick and name not in TITLES:
        parameters |= QUICK
        if name != "CNN":
            parameters |= dict(weights=None, trainable="head")
    try:
        return MODELS[name](**(parameters | settings))
    except TypeError as error:
        raise InputError(f"--set {name}: {error}") from error


def read_settings(items):
    """MODEL.PARAMETER=VALUE -> {model: {parameter: value}}."""
    settings = {name: {} for name in MODELS}
    for item in items:
        key, equals, value = item.partition("=")
        model, dot, parameter = key.partition(".")
        if not (equals and dot) or model not in MODELS:
            raise InputError(
                f"--set {item}: write MODEL.PARAMETER=VALUE, with one of {', '.join(MODELS)}"
            )
        try:
            settings[model][parameter] = ast.literal_eval(value)
        except (ValueError, SyntaxError):
            settings[model][parameter] = value
    return settings


def without_weights(choice, names, settings):
    """Return the backbones that start from random weights, and why."""
    backbones = [n for n in names if n in FROM_SCRATCH and "weights" not in settings[n]]
    if choice == "none":
        return backbones, "as asked"
    if choice == "imagenet":
        return [], ""
    missing = [n for n in backbones if not _is_cached(n, settings[n])]
    if missing and can_connect(HOST):
        missing = []
    return missing, "no ImageNet weights in Keras' cache, and no network"


def _is_cached(name, settings):
    folder = Path(os.environ.get("KERAS_HOME", "~/.keras")).expanduser() / "models"
    alpha = {1.0: "1_0", 0.75: "7_5", 0.5: "5_0", 0.25: "2_5"}.get(settings.get("alpha", 1.0))
    size = settings.get("image_size", 224)
    size = size if size in (128, 160, 192) else 224
    return (folder / _CACHED[name].format(alpha=alpha, size=size)).exists()
