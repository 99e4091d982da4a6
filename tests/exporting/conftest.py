"""Fitted classifiers of each class, and their exports in each format."""

import functools

import keras
import numpy as np
import pytest
from sklearn.base import clone
from sklearn.pipeline import make_pipeline

from lungestimators import (
    BackboneClassifier,
    BorderCrop,
    CNNClassifier,
    DenseNetClassifier,
    MobileNetClassifier,
    export,
    make_chest_xrays,
)

from ..networks import own_networks
from .runtimes import FORMATS

SETTINGS = dict(image_size=32, dense_units=8, learning_rate=0.01, epochs=4, random_state=0)


def pytest_collection_modifyitems(items):
    """Skip what exports where Keras does not run on TensorFlow."""
    if keras.config.backend() != "tensorflow":
        for item in items:
            if "tests/exporting/" in item.path.as_posix() and "core" not in item.keywords:
                item.add_marker(pytest.mark.skip(reason="Keras exports from TensorFlow"))


@pytest.fixture(scope="session")
def chest():
    """100 images that no network takes as they are, and their labels."""
    X, y = make_chest_xrays(100, image_size=50, random_state=0)
    X.flags.writeable = False
    return X, np.array(["COVID-19", "normal", "pneumonia"])[y]


@pytest.fixture(scope="session")
def fitted(chest):
    """A function: name of a kind -> fitted estimator. Nobody fits it again or sets parameters."""
    cnn = CNNClassifier(**SETTINGS, filters=(4, 8))
    made = {
        "CNN": cnn,
        "MobileNet": MobileNetClassifier(**SETTINGS, alpha=0.25),
        "DenseNet": DenseNetClassifier(**SETTINGS, blocks=(1, 1, 1, 1), weights=None),
        "Backbone": BackboneClassifier(own_networks.small, **SETTINGS, weights=None),
        "Pipeline": make_pipeline(BorderCrop(0.1), "passthrough", BorderCrop(0.05), clone(cnn)),
    }
    return functools.cache(lambda name: made[name].fit(*chest))


@pytest.fixture(scope="session")
def exported(fitted, tmp_path_factory):
    """A function: name of a kind, format -> path of its export, made once."""

    @functools.cache
    def export_once(name, format):
        path = tmp_path_factory.mktemp(name) / FORMATS[format]
        export(fitted(name), path)
        return path

    return export_once


def as_pixels(X):
    """Images as an exported network takes them."""
    X = np.asarray(X, np.float32)
    return X[..., None] if X.ndim == 3 else X
