"""Networks that differ in their rate of dropout are built once, and each learns by its own rate."""

import pickle

import keras
import numpy as np
import pytest
from sklearn.base import clone

from lungestimators import DenseNetClassifier, backends
from lungestimators.backends import compiled
from lungestimators.networks import blueprints, dropout, pool
from lungestimators.training import fitting

only_tensorflow = pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="elsewhere a rate is a constant of the network"
)


@pytest.fixture
def fresh():
    """No built network is left over from earlier, nor after."""
    pool._idle.clear()
    yield
    pool._idle.clear()


def densenet(trainable="head", **changes):
    clf = DenseNetClassifier(
        weights=None,
        blocks=(1, 1, 1, 1),
        image_size=32,
        trainable=trainable,
        epochs=2,
        fine_tune_epochs=2,
        random_state=0,
    )
    return clf.set_params(**changes)


def assert_same_model(first, second):
    assert first.history_ == second.history_
    for one, other in zip(first._networks[0].parts, second._networks[0].parts, strict=True):
        assert one.architecture == other.architecture
        for weight, same in zip(one.weights, other.weights, strict=True):
            np.testing.assert_array_equal(weight, same)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("trainable", "rate"), [("head", 0), ("head", 0.3), ("last_stage", 0.3), ("all", 0.3)]
)
def test_a_network_borrowed_from_another_rate_learns_what_a_new_one_does(
    squares, fresh, trainable, rate
):
    X, y = squares
    expected = densenet(trainable, dropout=rate).fit(X, y)
    pool._idle.clear()
    others = [densenet(trainable, dropout=other).fit(X, y) for other in (0.1, 0.7)]
    found = densenet(trainable, dropout=rate).fit(X, y)
    assert_same_model(found, expected)
    np.testing.assert_array_equal(found.predict_proba(X), expected.predict_proba(X))
    for other in others:
        assert other.history_["loss"] != found.history_["loss"]


@only_tensorflow
@pytest.mark.parametrize(
    "rate", [0.3, *(pytest.param(rate, marks=pytest.mark.slow) for rate in (0, 0.999))]
)
def test_a_variable_rate_is_that_of_keras_to_the_last_bit(cnn, squares, fresh, monkeypatch, rate):
    X, y = squares
    found = clone(cnn).set_params(dropout=rate).fit(X, y)
    pool._idle.clear()
    monkeypatch.setattr(dropout, "_is_dropout_adjustable", lambda: False)
    assert_same_model(found, clone(cnn).set_params(dropout=rate).fit(X, y))


def test_epochs_one_by_one_keep_the_rate(cnn, squares, fresh):
    X, y = squares

    def train(rate, between):
        clf = clone(cnn).set_params(dropout=rate)
        for _ in range(2):
            clf.partial_fit(X, y, classes=np.unique(y))
            between()
        return clf

    expected = train(0.3, between=lambda: None)
    assert_same_model(train(0.3, between=lambda: train(0.7, between=lambda: None)), expected)


@pytest.mark.slow
@only_tensorflow
@pytest.mark.parametrize("trainable", ["head", "last_stage", "all"])
def test_trials_that_differ_in_numbers_alone_build_and_trace_nothing(
    squares, fresh, monkeypatch, trainable
):
    X, y = squares
    densenet(trainable).fit(X, y).predict(X)

    def fail(*arguments, **options):
        raise AssertionError("built or traced anew")

    for module, name in [
        (fitting, "_build_network_to_fit"),
        (compiled, "_compile_by_backend"),
        (backends.tensorflow.TrainingSteps, "_trace"),
        (blueprints, "blueprint_with_fixed_names"),
        (keras.models, "model_from_json"),
    ]:
        monkeypatch.setattr(module, name, fail)
    for changes in [
        dict(dropout=0),
        dict(dropout=0.123),
        dict(learning_rate=0.02, fine_tune_learning_rate=0.003),
        dict(batch_size=5, class_weight="balanced"),
        dict(epochs=3, fine_tune_epochs=1),
    ]:
        densenet(trainable, **changes).fit(X[:-3], y[:-3]).predict(X)


def test_a_fitted_classifier_holds_its_own_rate_in_a_layer_of_keras(squares, fresh):
    X, y = squares
    fitted = [densenet(dropout=rate).fit(X, y) for rate in (0.7, 0.2, 0)]
    for clf, rate in zip(fitted, (0.7, 0.2, 0), strict=True):
        for same in (clf, pickle.loads(pickle.dumps(clf))):
            layer = same.model_.get_layer("head_dropout")
            assert type(layer) is keras.layers.Dropout
            assert layer.rate == rate
