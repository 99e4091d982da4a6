"""scikit-learn's own checks on the four real classes, and the manners users expect beyond them."""

import getpass
import os
import random
import subprocess
import sys
import tempfile
from pathlib import Path

import joblib
import keras
import numpy as np
import pytest
from PIL import Image
from sklearn import config_context
from sklearn.base import clone, is_classifier
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import VotingClassifier
from sklearn.model_selection import GridSearchCV, cross_val_score, cross_validate
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils.estimator_checks import estimator_checks_generator, parametrize_with_checks

from lungestimators import (
    BackboneClassifier,
    CNNClassifier,
    DenseNetClassifier,
    MobileNetClassifier,
)


def _save_mobilenet():
    """Save a MobileNet whose random weights let an image through, and return the file's path.

    Keras' own initial values take a depthwise kernel for a dense one and fade to nothing in a
    frozen network.
    """
    network = keras.applications.MobileNet(
        include_top=False, weights=None, alpha=0.25, input_shape=(32, 32, 3)
    )
    rng = np.random.default_rng(0)
    for layer in network.layers:
        if isinstance(layer, keras.layers.Conv2D | keras.layers.DepthwiseConv2D):
            (kernel,) = layer.get_weights()
            depthwise = isinstance(layer, keras.layers.DepthwiseConv2D)
            fan_in = 9 if depthwise else np.prod(kernel.shape[:3])
            layer.set_weights([rng.normal(0, np.sqrt(2 / fan_in), kernel.shape)])
    # The path is part of the names of the checks, which all processes of one run must share; it is
    # replaced as a whole, since each of them writes it.
    folder = Path(tempfile.gettempdir(), f"lungestimators-tests-{getpass.getuser()}")
    folder.mkdir(exist_ok=True)
    path = folder / "mobilenet.weights.h5"
    own = folder / f"{os.getpid()}.weights.h5"
    network.save_weights(own)
    own.replace(path)
    return str(path)


SMALL = dict(image_shape=(1, -1, 1), image_size=32, weights=None, epochs=12, dense_units=32)
SMALL["learning_rate"] = 0.01
ESTIMATORS = [
    CNNClassifier(**{**SMALL, "image_size": 8}, filters=(8, 8)),
    MobileNetClassifier(**{**SMALL, "weights": _save_mobilenet()}, alpha=0.25),
    DenseNetClassifier(**SMALL, blocks=(1, 1, 1, 1), trainable="head"),
    BackboneClassifier("MobileNetV3Small", **SMALL, trainable="head"),
]

# A network that learns whole and a frozen one stand for all four where time is short: in the usual
# run, under another backend, where each new size of a batch is compiled anew, and on an imitated
# processor.
FEW, OTHERS = ESTIMATORS[::2], ESTIMATORS[1::2]

EXPECTED_FAILURES = {
    # Weighting an image is not repeating it in a shuffled batch, as in scikit-learn's own
    # estimators that learn by stochastic gradient descent.
    "check_sample_weight_equivalence_on_dense_data": "batches are drawn at random",
}


@pytest.mark.core
# scikit-learn's checks draw pixels from normal distributions.
@pytest.mark.filterwarnings("ignore:float64 pixels lie in:UserWarning")
@parametrize_with_checks(FEW, expected_failed_checks=lambda estimator: EXPECTED_FAILURES)
def test_scikit_learn_accepts_the_classifier(estimator, check):
    check(estimator)


@pytest.mark.slow
# scikit-learn's checks draw pixels from normal distributions.
@pytest.mark.filterwarnings("ignore:float64 pixels lie in:UserWarning")
@parametrize_with_checks(OTHERS, expected_failed_checks=lambda estimator: EXPECTED_FAILURES)
def test_scikit_learn_accepts_the_other_classifiers(estimator, check):
    check(estimator)


@pytest.mark.parametrize("estimator", ESTIMATORS, ids=lambda e: type(e).__name__)
def test_at_least_fifty_checks_run(estimator):
    assert sum(1 for _ in estimator_checks_generator(estimator)) >= 50


@pytest.mark.parametrize("estimator", ESTIMATORS, ids=lambda e: type(e).__name__)
def test_scikit_learn_sees_a_classifier(estimator):
    assert is_classifier(estimator)


def test_cross_validation_stratifies_labels_sorted_by_folder(cnn, squares):
    X, y = squares
    order = np.argsort(y, kind="stable")
    assert cross_val_score(cnn, X[order], y[order], cv=3).min() > 0.9


def test_grid_search_over_an_architecture_parameter(cnn, squares):
    search = GridSearchCV(cnn, {"filters": [(2,), (4, 8)]}, cv=2).fit(*squares)
    assert (
        search.best_estimator_.model_.get_layer("conv1_conv").filters
        == (search.best_params_["filters"][0])
    )


@pytest.mark.core
@pytest.mark.parametrize("y_type", [str, int, bool], ids=lambda t: t.__name__)
def test_labels_of_every_kind_come_back(cnn, squares, y_type):
    X, labels = squares
    y = labels if y_type is str else (labels == "opaque").astype(y_type)
    predicted = cnn.fit(X, y).predict(X)
    assert predicted.dtype == y.dtype
    assert (predicted == y).mean() > 0.9


@pytest.mark.core
def test_three_classes(cnn, squares):
    X, y = squares
    X = X.copy()
    y = np.tile(["clear", "opaque", "white"], 16)
    X[y == "white"] = 255
    probabilities = cnn.fit(X, y).predict_proba(X)
    assert probabilities.shape == (48, 3)
    assert probabilities.dtype == np.float64
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=0, atol=1e-15)


@pytest.mark.core
@pytest.mark.parametrize(
    "wrap",
    [
        lambda clf: make_pipeline(FunctionTransformer(lambda X: X // 2), clf),
        lambda clf: CalibratedClassifierCV(clf, cv=2),
        lambda clf: VotingClassifier([("a", clf), ("b", clone(clf))], voting="soft"),
    ],
    ids=["Pipeline", "CalibratedClassifierCV", "VotingClassifier"],
)
def test_meta_estimators_take_images(cnn, squares, wrap):
    X, y = squares
    flat = X.reshape(len(X), -1)
    assert wrap(cnn.set_params(image_shape=(16, 16))).fit(flat, y).score(flat, y) > 0.9


def test_sample_weight_is_routed(cnn, squares):
    X, y = squares
    weight = np.where(y == "opaque", 1.0, 0.1)
    with config_context(enable_metadata_routing=True):
        clf = cnn.set_fit_request(sample_weight=True).set_score_request(sample_weight=False)
        scores = cross_validate(
            clf,
            X,
            y,
            cv=2,
            params={"sample_weight": weight},
            return_estimator=True,
            return_indices=True,
        )
    for fitted, train in zip(scores["estimator"], scores["indices"]["train"], strict=True):
        expected = clone(cnn).fit(X[train], y[train], sample_weight=weight[train])
        unweighted = clone(cnn).fit(X[train], y[train])
        np.testing.assert_array_equal(fitted.predict_proba(X), expected.predict_proba(X))
        assert not np.array_equal(fitted.predict_proba(X), unweighted.predict_proba(X))


# A value other than the default for every parameter, and what it must change.
OTHER_VALUES = dict(
    image_size=24,
    image_shape=(16, 16),
    trainable="head",
    feature_cache=None,
    epochs=2,
    batch_size=8,
    optimizer="sgd",
    learning_rate=0.05,
    fine_tune_epochs=1,
    fine_tune_learning_rate=0.05,
    early_stopping=True,
    validation_fraction=0.25,
    n_iter_no_change=1,
    class_weight={"clear": 5},
    augment=True,
    dense_units=24,
    dropout=0.1,
    n_networks=2,
    n_views=2,
    random_state=1,
    on_error="skip",
    callbacks=[keras.callbacks.EarlyStopping("loss", mode="max")],
    verbose=1,
    filters=(4, 4),
)


def test_every_parameter_has_another_value_in_the_table(cnn):
    assert set(OTHER_VALUES) | {"weights"} == set(cnn.get_params())


@pytest.mark.parametrize("name", OTHER_VALUES)
def test_every_parameter_survives_clone_and_reaches_the_network(
    cnn, squares, name, capsys, monkeypatch, tmp_path
):
    X, y = squares
    base = clone(cnn).set_params(epochs=3)
    if name == "image_shape":
        assert clone(base).set_params(image_shape=(16, 16)).fit(X.reshape(48, -1), y).n_features_in_
        return
    if name == "on_error":
        paths = [str(tmp_path / f"{number}.png") for number in range(48)]
        for path, image in zip(paths[1:], X[1:], strict=True):
            Image.fromarray(image).save(path)
        with pytest.warns(UserWarning, match="Left out"):
            skipping = clone(base).set_params(on_error="skip").fit(paths, y)
        assert list(skipping.skipped_) == [paths[0]]
        return
    if name == "callbacks":  # a clone has copies of them
        stopping = clone(clone(base).set_params(callbacks=OTHER_VALUES[name]))
        assert stopping.callbacks[0].monitor == "loss"
        assert stopping.fit(X, y).n_iter_ == 2
        return
    if name in ("validation_fraction", "n_iter_no_change"):
        # At this learning rate the validation loss does not fall in every epoch.
        base.set_params(early_stopping=True, n_iter_no_change=5, epochs=20, learning_rate=0.5)
        y = np.random.default_rng(0).permutation(y)
    if name.startswith("fine_tune"):
        base.fit(X, y)
        weights = tmp_path / "blocks.weights.h5"
        model = base.model_
        backbone = keras.Model(
            model.get_layer("normalise").input, model.get_layer("flatten").output
        )
        backbone.save_weights(weights)
        base.set_params(weights=weights, trainable="last_stage", fine_tune_epochs=2)
    if name == "feature_cache":
        base.set_params(trainable="head", feature_cache=tmp_path / "cache")
    changed = clone(clone(base).set_params(**{name: OTHER_VALUES[name]}))
    assert changed.get_params()[name] == OTHER_VALUES[name]
    before = base.fit(X, y).predict_proba(X)
    if name == "feature_cache":
        assert any((tmp_path / "cache").iterdir())
    capsys.readouterr()
    after = changed.fit(X, y).predict_proba(X)
    if name == "verbose":
        assert "accuracy" in capsys.readouterr().out
    elif name == "feature_cache":
        np.testing.assert_array_equal(before, after)
    elif name == "n_iter_no_change":
        assert changed.n_iter_ < base.n_iter_
    else:
        assert not np.array_equal(before, after)


@pytest.mark.core
@pytest.mark.parametrize("estimator", FEW, ids=lambda e: type(e).__name__)
def test_the_same_seed_gives_bitwise_the_same_model(estimator, squares):
    check_that_the_seed_decides_all(estimator, squares)


@pytest.mark.slow
@pytest.mark.parametrize("estimator", OTHERS, ids=lambda e: type(e).__name__)
def test_the_same_seed_gives_bitwise_the_same_other_model(estimator, squares):
    check_that_the_seed_decides_all(estimator, squares)


def check_that_the_seed_decides_all(estimator, squares):
    X, y = squares
    X = X.reshape(len(X), -1)
    settings = dict(random_state=3, epochs=2, augment=True)
    first = clone(estimator).set_params(**settings).fit(X, y).predict_proba(X)
    # A fit of other data in between changes what lies in the caches of the process.
    clone(estimator).set_params(random_state=4, epochs=1).fit(X[::-1], y)
    again = clone(estimator).set_params(**settings).fit(X, y).predict_proba(X)
    np.testing.assert_array_equal(first, again)


@pytest.mark.slow
@pytest.mark.core
def test_the_same_seed_gives_the_same_model_in_a_new_process_and_in_workers(cnn, squares, tmp_path):
    X, y = squares
    expected = cnn.fit(X, y).predict_proba(X)
    np.savez(tmp_path / "squares.npz", X=X, y=y)
    program = (
        "import sys, numpy as np, joblib\n"
        "from lungestimators import CNNClassifier\n"
        "data = np.load(sys.argv[1] + '/squares.npz')\n"
        "clf = joblib.load(sys.argv[1] + '/clf.joblib').fit(data['X'], data['y'])\n"
        "np.save(sys.argv[1] + '/out.npy', clf.predict_proba(data['X']))\n"
    )
    joblib.dump(clone(cnn), tmp_path / "clf.joblib")
    subprocess.run([sys.executable, "-c", program, str(tmp_path)], check=True, capture_output=True)
    np.testing.assert_array_equal(np.load(tmp_path / "out.npy"), expected)

    splits = [(np.arange(48), np.arange(48))] * 2
    both = cross_validate(clone(cnn), X, y, cv=splits, n_jobs=2, return_estimator=True)
    # Workers of PyTorch have fewer threads than this process, which moves the last bits.
    tolerance = 1e-5 if keras.config.backend() == "torch" else 0
    for fitted in both["estimator"]:
        np.testing.assert_allclose(fitted.predict_proba(X), expected, rtol=0, atol=tolerance)


def test_fit_leaves_global_state_alone(cnn, squares):
    """TensorFlow's; test_backends.py has that of the others."""
    import tensorflow as tf

    def draw():
        return (
            random.random(),
            np.random.rand(),
            float(keras.random.uniform(())),
            float(tf.random.uniform(())),
        )

    keras.utils.set_random_seed(5)
    expected = draw()
    keras.utils.set_random_seed(5)
    policy = keras.config.dtype_policy()
    cnn.set_params(augment=True, early_stopping=True).fit(*squares).predict(squares[0])
    assert draw() == expected
    assert keras.config.dtype_policy() == policy
    # With TensorFlow's op determinism on, this would raise.
    model = keras.Sequential([keras.layers.Dropout(0.5), keras.layers.Dense(1)])
    model.compile(loss="mse")
    model.fit(np.ones((4, 2)), np.ones(4), verbose=0)


def test_a_hand_written_keras_loop_reaches_the_same_accuracy(cnn, squares):
    X, y = squares
    rng = np.random.default_rng(1)
    X = np.where(rng.random(X.shape) < 0.5, rng.integers(0, 255, X.shape), X).astype(np.uint8)
    train, test = np.arange(0, 24), np.arange(24, 48)
    ours = cnn.set_params(epochs=15).fit(X[train], y[train]).score(X[test], y[test])

    layers = keras.layers
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            layers.Rescaling(1 / 255),
            layers.BatchNormalization(momentum=0.9, center=False, scale=False),
            *[
                layer
                for filters in (4, 8)
                for layer in (
                    layers.Conv2D(filters, 3, padding="same", use_bias=False),
                    layers.BatchNormalization(momentum=0.9),
                    layers.ReLU(),
                    layers.MaxPooling2D(),
                )
            ],
            layers.Flatten(),
            layers.BatchNormalization(momentum=0.9, center=False, scale=False),
            layers.Dense(16, use_bias=False),
            layers.BatchNormalization(momentum=0.9),
            layers.ReLU(),
            layers.Dropout(0.5),
            layers.Dense(2, activation="softmax"),
        ]
    )
    model.compile("adam", "sparse_categorical_crossentropy")
    model.optimizer.learning_rate = 0.01
    target = (y == "opaque").astype(int)
    model.fit(X[train][..., None], target[train], epochs=15, batch_size=16, verbose=0)
    theirs = (model.predict(X[test][..., None], verbose=0).argmax(axis=1) == target[test]).mean()
    assert ours > 0.7
    assert abs(ours - theirs) <= 0.2
