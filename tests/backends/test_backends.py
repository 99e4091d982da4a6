"""The classifiers on TensorFlow, JAX and PyTorch: all learn, and agree on the same weights.

The first half is part of the core, which runs under each backend. The second compares the others
with TensorFlow, in one process for each.
"""

import importlib.util
import json
import os
import random
import subprocess
import sys

import joblib
import keras
import numpy as np
import pytest
from sklearn.base import clone

from lungestimators import (
    BackboneClassifier,
    BackboneFeatures,
    CNNClassifier,
    DenseNetClassifier,
    MobileNetClassifier,
    clear_feature_cache,
    feature_cache_info,
)
from lungestimators.training import epochs

BACKEND = keras.config.backend()

# How far probabilities and features of the same weights may be apart, features in relation to the
# largest.
PROBABILITY = 1e-4
FEATURE = 1e-5

SMALL = dict(weights=None, image_size=32, epochs=2, fine_tune_epochs=2, dense_units=16)

WAYS = {
    "head": dict(trainable="head"),
    "head of augmented images": dict(trainable="head", augment=True),
    "everything": dict(trainable="all", early_stopping=True, class_weight="balanced"),
    "everything of augmented images": dict(trainable="all", augment=True, optimizer="sgd"),
    "a Keras layer": dict(trainable="all", augment=keras.layers.RandomContrast(0.3)),
}


@pytest.mark.core
@pytest.mark.parametrize("way", WAYS)
def test_every_way_of_training_learns_and_the_seed_decides_all(cnn, squares, way):
    X, y = squares
    clf = clone(cnn).set_params(epochs=12, **WAYS[way])
    weight = np.linspace(0.5, 1.5, 48)
    first = clf.fit(X, y, sample_weight=weight)
    assert first.score(X, y) > 0.8
    again = clone(clf).fit(X, y, sample_weight=weight)
    np.testing.assert_array_equal(again.predict_proba(X), first.predict_proba(X))
    model = first.model_.predict(X[..., None], verbose=0)
    np.testing.assert_allclose(first.predict_proba(X), model, atol=1e-4)


@pytest.mark.core
def test_the_last_stage_is_trained_on_kept_activations(squares):
    X, y = squares
    clf = DenseNetClassifier(
        **SMALL, blocks=(1, 1, 1, 1), trainable="last_stage", learning_rate=0.01, random_state=0
    )
    clear_feature_cache()
    probabilities = clf.fit(X, y).predict_proba(X)
    assert feature_cache_info().misses == 48
    again = clone(clf).set_params(feature_cache=None).fit(X, y)
    np.testing.assert_array_equal(again.predict_proba(X), probabilities)
    assert len(clf.history_["loss"]) == 4


@pytest.mark.core
@pytest.mark.skipif(BACKEND != "torch", reason="only PyTorch stores activations unasked")
def test_nothing_is_stored_for_a_backward_pass_where_there_is_none(cnn, squares, monkeypatch):
    import torch

    from lungestimators.training.epochs import TrainingNetwork

    call_learnt, outputs = TrainingNetwork.call_learnt, []

    def watched(network, x):
        outputs.append(call_learnt(network, x))
        return outputs[-1]

    monkeypatch.setattr(TrainingNetwork, "call_learnt", watched)
    cnn.fit(*squares)
    assert outputs and not any(output.requires_grad for output in outputs)
    assert torch.is_grad_enabled()


@pytest.mark.core
def test_a_callback_sees_the_network_as_it_is_in_the_middle_of_an_epoch(cnn, squares, monkeypatch):
    class Watch(keras.callbacks.Callback):
        def on_train_begin(self, logs=None):
            self.seen = []

        def on_train_batch_end(self, batch, logs=None):
            kernel = self.model.get_layer("head").get_layer("dense").get_weights()[0]
            self.seen.append((float(kernel.std()), logs["loss"]))

    X, y = squares
    monkeypatch.setattr(epochs, "_CALL_BYTES", 1)  # callbacks are told of every batch
    clf = clone(cnn).set_params(epochs=2, batch_size=24, callbacks=[Watch()])
    clf.fit(X, y)
    (seen,) = (callback.seen for callback in clf.callbacks_)
    assert len(set(seen)) == len(seen) == 4
    plain = clone(clf).set_params(callbacks=None).fit(X, y)
    np.testing.assert_array_equal(plain.predict_proba(X), clf.predict_proba(X))


@pytest.mark.core
def test_global_generators_and_settings_are_left_alone(cnn, squares):
    def state():
        found = [random.getstate(), np.random.get_state()[1].tolist(), keras.config.floatx()]
        if BACKEND == "torch":
            import torch

            found += [torch.get_rng_state().tolist(), torch.get_num_threads()]
            found += [torch.get_default_dtype(), torch.is_grad_enabled()]
        if BACKEND == "jax":
            import jax

            found += [jax.config.jax_enable_x64, jax.config.jax_default_device]
        return found

    before = state()
    cnn.set_params(augment=True, early_stopping=True).fit(*squares).predict(squares[0])
    assert state() == before


# What follows compares the others with TensorFlow.

reference = pytest.mark.skipif(
    BACKEND != "tensorflow", reason="compares the other backends with TensorFlow, and runs there"
)

CHILD = """
import json, sys
from pathlib import Path
import joblib, keras, numpy as np
from lungestimators import feature_cache_info

folder = Path(sys.argv[1])
data = np.load(folder / "squares.npz")
X, y = data["X"], data["y"]
out, found = {}, {"backend": keras.config.backend()}
for path in sorted(folder.glob("fitted-*.joblib")):
    out[path.stem] = joblib.load(path).predict_proba(X)
features = joblib.load(folder / "features.joblib")
out["features"] = features.transform(X)
info = feature_cache_info(features.feature_cache)
found["hits"], found["misses"] = info.hits, info.misses
out["model"] = keras.models.load_model(folder / "cnn.keras").predict(X[..., None], verbose=0)
trained = joblib.load(folder / "begun.joblib")
trained.partial_fit(X, y)
found["history"] = trained.history_
out["trained"] = trained.predict_proba(X)
joblib.dump(trained, folder / f"trained-{keras.config.backend()}.joblib")
trained.model_.save(folder / f"trained-{keras.config.backend()}.keras")
np.savez(folder / f"{keras.config.backend()}.npz", **out)
print(json.dumps(found))
"""


@pytest.fixture(scope="module")
def fitted():
    """Four classifiers fitted on TensorFlow, of which two learn whole and two in part."""
    return [
        CNNClassifier(**{**SMALL, "image_size": 16}, filters=(4, 8), random_state=0),
        MobileNetClassifier(**SMALL, alpha=0.25, trainable="all", random_state=0),
        DenseNetClassifier(**SMALL, blocks=(1, 1, 1, 1), trainable="last_stage", random_state=0),
        BackboneClassifier("MobileNetV3Small", **SMALL, trainable="head", random_state=0),
    ]


@pytest.fixture(scope="module")
def expected(fitted, tmp_path_factory):
    """What TensorFlow makes of the images; the folder holds all that it takes."""
    folder = tmp_path_factory.mktemp("backends")
    rng = np.random.default_rng(0)
    X = rng.integers(0, 60, size=(48, 16, 16), dtype=np.uint8)
    y = np.tile(["clear", "opaque"], 24)
    X[y == "opaque", 4:12, 4:12] += 120
    np.savez(folder / "squares.npz", X=X, y=y)
    out = {}
    for clf in fitted:
        path = folder / f"fitted-{type(clf).__name__}.joblib"
        joblib.dump(clf.fit(X, y), path)
        out[path.stem] = clf.predict_proba(X)
    features = BackboneFeatures(
        "MobileNetV3Small",
        image_size=32,
        weights=None,
        random_state=0,
        feature_cache=str(folder / "cache"),
    ).fit(X)
    out["features"] = features.transform(X)
    joblib.dump(features, folder / "features.joblib")
    fitted[0].model_.save(folder / "cnn.keras")
    out["model"] = out["fitted-CNNClassifier"]
    begun = clone(fitted[0]).set_params(dropout=0).partial_fit(X, y, classes=["clear", "opaque"])
    joblib.dump(begun, folder / "begun.joblib")
    out["trained"] = begun.partial_fit(X, y).predict_proba(X)
    return folder, X, out, begun.history_


@pytest.fixture(scope="module", params=["jax", "torch"])
def other(request, expected):
    """What another backend makes of the same, and says of it."""
    if importlib.util.find_spec(request.param) is None:
        pytest.skip(f"{request.param} is not installed (pip install 'lungestimators[backends]')")
    folder = expected[0]
    done = subprocess.run(
        [sys.executable, "-c", CHILD, str(folder)],
        capture_output=True,
        text=True,
        env={**os.environ, "KERAS_BACKEND": request.param, "CUDA_VISIBLE_DEVICES": ""},
    )
    assert done.returncode == 0, done.stderr[-3000:]
    said = json.loads(done.stdout.splitlines()[-1])
    assert said["backend"] == request.param
    with np.load(folder / f"{request.param}.npz") as file:
        return dict(file), said


@pytest.mark.slow
@reference
def test_the_same_weights_give_the_same_probabilities(other, expected, fitted):
    for clf in fitted:
        name = f"fitted-{type(clf).__name__}"
        ours, theirs = expected[2][name], other[0][name]
        # Each layer of a deep network that was trained from random weights enlarges rounding.
        atol = 10 * PROBABILITY if isinstance(clf, MobileNetClassifier) else PROBABILITY
        np.testing.assert_allclose(theirs, ours, rtol=0, atol=atol, err_msg=name)
        assert np.ptp(ours[:, 0]) > 100 * PROBABILITY, "all images alike: nothing was compared"


@pytest.mark.slow
@reference
def test_frozen_features_agree(other, expected):
    ours, theirs = expected[2]["features"], other[0]["features"]
    assert np.abs(theirs - ours).max() <= FEATURE * np.abs(ours).max()


@pytest.mark.slow
@reference
def test_a_saved_keras_model_predicts_elsewhere(other, expected):
    # The model resizes by Keras, whose backends have resizing operations of their own.
    np.testing.assert_allclose(other[0]["model"], expected[2]["model"], atol=1e-4)


@pytest.mark.slow
@reference
def test_no_backend_takes_features_that_another_computed(other):
    assert (other[1]["hits"], other[1]["misses"]) == (0, 48)


@pytest.mark.slow
@reference
def test_training_goes_on_elsewhere_as_it_would_have_here(other, expected):
    """The same weights, optimizer state and order of images; without dropout nothing is random."""
    for name, values in expected[3].items():
        np.testing.assert_allclose(other[1]["history"][name], values, rtol=1e-3, err_msg=name)
    np.testing.assert_allclose(other[0]["trained"], expected[2]["trained"], atol=2e-3)


@pytest.mark.slow
@reference
def test_what_was_trained_elsewhere_predicts_here(other, expected):
    folder, X = expected[:2]
    backend = other[1]["backend"]
    theirs = other[0]["trained"]
    here = joblib.load(folder / f"trained-{backend}.joblib")
    np.testing.assert_allclose(here.predict_proba(X), theirs, rtol=0, atol=PROBABILITY)
    model = keras.models.load_model(folder / f"trained-{backend}.keras")
    np.testing.assert_allclose(model.predict(X[..., None], verbose=0), theirs, atol=1e-4)
