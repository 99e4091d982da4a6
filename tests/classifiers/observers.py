"""Callbacks that keep what they are given, and the fits that they observe."""

import numpy as np
from sklearn.base import clone

from lungestimators import (
    BackboneClassifier,
    CNNClassifier,
    DenseNetClassifier,
    MobileNetClassifier,
)

SMALL = dict(weights=None, image_size=32, dense_units=8, epochs=3, random_state=0)
DENSENET = DenseNetClassifier(**SMALL, blocks=(1, 1, 1, 1), learning_rate=0.01)
FITS = {
    "CNN": CNNClassifier(**{**SMALL, "image_size": 16}, filters=(4, 8), learning_rate=0.01),
    "MobileNet, head": MobileNetClassifier(**SMALL, alpha=0.25, trainable="head"),
    "DenseNet, last stage": clone(DENSENET).set_params(
        trainable="last_stage", epochs=2, fine_tune_epochs=2
    ),
    "Backbone, head": BackboneClassifier("MobileNetV3Small", **SMALL, trainable="head"),
    "CNN, early stopping": CNNClassifier(
        **{**SMALL, "image_size": 16, "epochs": 20},
        filters=(4, 8),
        learning_rate=0.5,
        early_stopping=True,
        validation_fraction=0.25,
        n_iter_no_change=2,
    ),
}


class Observer:
    """Keep all that the hooks are given; stop after some number of epochs."""

    def __init__(self, stop_after=None):
        self.events = []
        self.fitted = []
        self.begun_with = []
        self.stop_after = stop_after

    def setup(self, estimator, context):
        self.events.append(("setup", context.max_subtasks))

    def teardown(self, estimator, context):
        self.events.append(("teardown", context.task_name))

    def on_fit_task_begin(self, estimator, context, *, X, y, metadata, fitted_estimator):
        self.events.append(("begin", context.task_name, context.task_id))
        if context.task_name == "epoch":
            self.begun_with.append(fitted_estimator)

    def on_fit_task_end(self, estimator, context, *, X, y, metadata, fitted_estimator):
        self.events.append(("end", context.task_name, context.task_id))
        self.given = dict(X=X, y=y, metadata=metadata)
        if context.task_name == "epoch":
            self.fitted.append(fitted_estimator)
            return len(self.fitted) == self.stop_after


class Counter:
    """Count the epochs, and ask for nothing."""

    def __init__(self):
        self.n_epochs = 0

    def setup(self, estimator, context):
        pass

    def teardown(self, estimator, context):
        pass

    def on_fit_task_begin(self, estimator, context):
        pass

    def on_fit_task_end(self, estimator, context):
        self.n_epochs += context.task_name == "epoch"


def assert_same_model(first, second, X):
    np.testing.assert_array_equal(first.predict_proba(X), second.predict_proba(X))
    for network, other in zip(first._networks, second._networks, strict=True):
        for part, other_part in zip(network.parts, other.parts, strict=True):
            for weight, other_weight in zip(part.weights, other_part.weights, strict=True):
                np.testing.assert_array_equal(weight, other_weight)
    assert first.history_ == second.history_
    assert first.n_iter_ == second.n_iter_
