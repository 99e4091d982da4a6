"""The models that compare.py knows, the controls beside them, and their weights."""

import ast

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
_WEIGHTS = {
    "chest": "frozen, with the weights of this package, learnt from chest radiographs and from "
    "synthetic images of other seeds (docs/weights.md)",
    "imagenet": "frozen, with ImageNet weights",
    "none": "random weights, trained whole on small images, as asked",
}
QUICK = dict(image_size=32, epochs=2)


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
    """Build the newer network beside those of the comparison; the package has no weights of it."""
    return BackboneClassifier("MobileNetV2", **(dict(weights="imagenet") | parameters))


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


def choose_weights(choice, names, settings):
    """Set the weights of backbones for which ``settings`` has none; return which, in a sentence.

    Parameters
    ----------
    choice : {"chest", "imagenet", "none"}
        ``"none"`` starts from random weights, and trains small networks whole.
    names : list of str
        Models to run.
    settings : dict of str to dict
        Parameters of each model, changed in place.
    """
    chosen = [name for name in names if name in FROM_SCRATCH and "weights" not in settings[name]]
    if choice == "chest" and "MobileNetV2" in chosen:
        chosen.remove("MobileNetV2")
    for name in chosen:
        own = FROM_SCRATCH[name] if choice == "none" else dict(weights=choice)
        settings[name] = own | settings[name]
    return f"{' and '.join(chosen)}: {_WEIGHTS[choice]}." if chosen else ""
