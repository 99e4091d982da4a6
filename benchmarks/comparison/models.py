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
# What each choice of --weights means for a network. The package has no weights of a MobileNetV2.
# Networks with random weights are trained whole, at a size that two cores can bear.
_IMAGENET = dict(weights="imagenet", image_size=224)
WEIGHTS = {
    "chest": {
        "CNN": dict(weights="chest"),
        "MobileNet": dict(weights="chest"),
        "DenseNet": dict(weights="chest"),
        "MobileNetV2": _IMAGENET,
    },
    "imagenet": {
        "CNN": dict(weights=None),
        "MobileNet": _IMAGENET,
        "DenseNet": _IMAGENET,
        "MobileNetV2": _IMAGENET,
    },
    "none": {
        "CNN": dict(weights=None),
        "MobileNet": dict(weights=None, alpha=0.25, image_size=64, epochs=15, learning_rate=3e-3),
        "DenseNet": dict(weights=None, image_size=32, epochs=10, batch_size=32, learning_rate=2e-3),
        "MobileNetV2": dict(weights=None, image_size=64, epochs=20),
    },
}
_DESCRIPTIONS = {
    "chest": "weights of the package, learnt from radiographs and from synthetic images of other "
    "seeds",
    "imagenet": "ImageNet weights",
    None: "random weights",
}
# Sets that the weights of the package have seen, by the beginnings of their names.
_SEEN = ("pneumoniamnist",)
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


def default_weights(problem):
    """Return the choice of weights where none is asked for: none that have seen the images."""
    return "none" if _is_seen(problem) else "chest"


def _is_seen(problem):
    """Return whether the weights of the package were learnt from people of a problem."""
    return problem.name.lower().startswith(_SEEN)


def choose_weights(choice, names, settings, problem):
    """Set the weights of networks for which ``settings`` has none; say which, in sentences.

    Parameters
    ----------
    choice : {"chest", "imagenet", "none"}
        ``"none"`` starts from random weights, and trains small networks whole.
    names : list of str
        Models to run.
    settings : dict of str to dict
        Parameters of each model, changed in place.
    problem : Problem
    """
    chosen = [name for name in names if name in WEIGHTS[choice] and "weights" not in settings[name]]
    for name in chosen:
        settings[name] = WEIGHTS[choice][name] | settings[name]
    sentences = []
    for weights, description in _DESCRIPTIONS.items():
        those = [name for name in chosen if settings[name]["weights"] == weights]
        if those:
            sentences.append(f"{_enumerate(those)}: {description}.")
    if any(settings[name].get("weights") == "chest" for name in names) and not problem.synthetic:
        sentences.append(
            "SEEN IN PRE-TRAINING: the weights of the package were learnt from these people, so "
            "that scores with them are too high."
            if _is_seen(problem)
            else "docs/weights.md names the sets that the weights of the package have seen: on "
            "those, scores with them are too high."
        )
    return " ".join(sentences)


def _enumerate(names):
    """Return names as a sentence has them: A, B and C."""
    *first, last = names
    return f"{', '.join(first)} and {last}" if first else last
