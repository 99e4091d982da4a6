"""Images and one fitted classifier of each class, for all tests of ``model_``."""

import keras
import numpy as np
import pytest

from lungestimators import (
    BackboneClassifier,
    CNNClassifier,
    DenseNetClassifier,
    MobileNetClassifier,
)


def save_healthy_weights(builder, path, **options):
    """A file of random weights under which the signal does not fade, as it does under Keras' own.

    Where it fades, normalisation scales up the rounding that each machine does in its own way.
    """
    network = builder(include_top=False, weights=None, input_shape=(64, 64, 3), **options)
    random = np.random.default_rng(0)
    for layer in network.layers:
        for weight in layer.weights:
            if weight.name.endswith("kernel"):
                depthwise = isinstance(layer, keras.layers.DepthwiseConv2D)
                fan_in = np.prod(weight.shape[: 2 if depthwise else -1])
                weight.assign(random.normal(0, np.sqrt(2 / fan_in), weight.shape))
    network.save_weights(path)
    return path


@pytest.fixture(scope="session")
def pixels():
    """Images that no network takes as they are, in two classes."""
    random = np.random.default_rng(0)
    X = random.integers(0, 60, size=(24, 50, 70), dtype=np.uint8)
    X[::2, 10:30, 10:40] += 120
    X.flags.writeable = False
    return X, np.tile(["opaque", "clear"], 12)


@pytest.fixture(scope="session")
def fitted(pixels, tmp_path_factory):
    """One classifier of each class; nobody fits it again or changes its parameters."""
    folder = tmp_path_factory.mktemp("weights")
    settings = dict(image_size=64, dense_units=16, learning_rate=0.01, random_state=0)
    mobilenet = save_healthy_weights(
        keras.applications.MobileNet, folder / "mobilenet.weights.h5", alpha=0.25
    )
    v3 = save_healthy_weights(keras.applications.MobileNetV3Small, folder / "v3.weights.h5")
    classifiers = {
        "CNN": CNNClassifier(**settings, filters=(4, 8), epochs=4),
        "MobileNet": MobileNetClassifier(**settings, alpha=0.25, weights=mobilenet, epochs=20),
        "DenseNet": DenseNetClassifier(**settings, blocks=(1, 1, 1, 1), weights=None, epochs=2),
        "Backbone": BackboneClassifier("MobileNetV3Small", **settings, weights=v3, epochs=20),
    }
    return {name: clf.fit(*pixels) for name, clf in classifiers.items()}
