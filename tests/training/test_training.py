"""Trainings start at once, cost no memory, and are those of a plain Keras loop."""

import subprocess
import sys
import threading
import tracemalloc

import keras
import numpy as np
import pytest
from sklearn.base import clone
from sklearn.model_selection import cross_val_score

from lungestimators import BackboneClassifier, DenseNetClassifier
from lungestimators.backends import compiled
from lungestimators.images.prepared import PreparedImages
from lungestimators.networks import blueprints, pool
from lungestimators.training import fitting, stages


@pytest.fixture
def fresh():
    """No built network is left over from earlier, nor after."""
    pool._idle.clear()
    yield
    pool._idle.clear()


def options(**changes):
    values = dict(
        feature_cache=None,
        batch_size=8,
        optimizer="adam",
        augment=None,
        n_iter_no_change=5,
        verbose=0,
        seed=7,
    )
    return stages.Options(**{**values, **changes})


def images(X, size=16):
    return PreparedImages(X[..., None], size, 1, (0.0, 255.0))


@pytest.fixture
def parts(squares):
    backbone = blueprints.initial_backbone("CNN", (("filters", (4, 8)),), 16, 1, None, 0)
    return blueprints.Parts(backbone, blueprints.initial_head(backbone.n_outputs, 2, 16, 0.0, 0))


@pytest.mark.core
def test_a_reused_network_gives_bitwise_the_model_of_a_new_one(cnn, squares, fresh):
    X, y = squares
    expected = clone(cnn).fit(X, y).predict_proba(X)
    assert pool._idle
    clone(cnn).set_params(random_state=5, learning_rate=0.1, epochs=7).fit(X[:24], y[:24])
    again = clone(cnn).fit(X, y)
    np.testing.assert_array_equal(again.predict_proba(X), expected)


@pytest.mark.parametrize("trainable", ["head", "last_stage", "all"])
def test_every_fitted_classifier_owns_its_weights(squares, trainable):
    X, y = squares
    first, second = (
        DenseNetClassifier(
            weights=None,
            blocks=(1, 1, 1, 1),
            image_size=32,
            trainable=trainable,
            epochs=2,
            fine_tune_epochs=2,
            random_state=seed,
        )
        for seed in (0, 1)
    )
    expected = first.fit(X, y).predict_proba(X)
    second.fit(X, y)
    np.testing.assert_array_equal(first.predict_proba(X), expected)
    for weight in first.model_.weights:
        weight.assign(np.zeros(weight.shape))
    np.testing.assert_array_equal(first.predict_proba(X), expected)


@pytest.mark.core
def test_values_are_written_and_read_as_copies():
    variables = [keras.Variable(np.zeros(shape, "float32")) for shape in ((3, 2), ())]
    values = [np.arange(6, dtype="float32").reshape(3, 2), np.float32(7)]
    compiled.write(variables, values)
    read = compiled.read(variables)
    values[0][:] = -1
    variables[0].assign(np.ones((3, 2)))
    np.testing.assert_array_equal(read[0], [[0, 1], [2, 3], [4, 5]])
    assert read[1] == 7
    assert all(isinstance(value, np.ndarray) for value in read)
    read[0][:] = -2
    np.testing.assert_array_equal(compiled.read(variables)[0], np.ones((3, 2)))
    with pytest.raises(ValueError):
        compiled.write(variables, values[:1])


@pytest.mark.core
def test_prediction_sets_the_weights_of_its_network_once(cnn, squares, monkeypatch):
    X, y = squares
    cnn.fit(X, y).predict(X)
    calls = []
    write = compiled.write
    monkeypatch.setattr(
        compiled, "write", lambda into, values: calls.append(id(into[0])) or write(into, values)
    )
    cnn.predict(np.concatenate([X] * 4))
    assert not calls
    clone(cnn).set_params(random_state=1).fit(X, y).predict(X)
    calls.clear()
    expected = cnn.predict_proba(X)
    assert len(set(calls)) == len(calls) == 2
    np.testing.assert_array_equal(cnn.predict_proba(X), expected)


@pytest.mark.core
def test_a_network_whose_borrower_failed_is_thrown_away(cnn, squares, fresh, monkeypatch):
    X, y = squares
    expected = clone(cnn).fit(X, y).predict_proba(X)

    def fail(*arguments):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        for steps in (compiled._TensorFlowSteps, compiled._JaxSteps, compiled._KerasSteps):
            patched.setattr(steps, "train", fail)
        with pytest.raises(KeyboardInterrupt):
            clone(cnn).fit(X, y)
    np.testing.assert_array_equal(clone(cnn).fit(X, y).predict_proba(X), expected)


@pytest.mark.core
def test_threads_give_the_models_of_a_single_one(cnn, squares):
    X, y = squares
    expected = {seed: clone(cnn).set_params(random_state=seed).fit(X, y) for seed in range(4)}
    found = {}

    def fit(seed):
        found[seed] = clone(cnn).set_params(random_state=seed).fit(X, y)

    threads = [threading.Thread(target=fit, args=(seed,)) for seed in expected]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for seed, clf in expected.items():
        np.testing.assert_array_equal(found[seed].predict_proba(X), clf.predict_proba(X))


def test_joblib_threads_give_the_scores_of_a_single_one(cnn, squares):
    from joblib import parallel_config

    X, y = squares
    expected = cross_val_score(cnn, X, y, cv=4, scoring="neg_log_loss")
    with parallel_config("threading"):
        found = cross_val_score(cnn, X, y, cv=4, scoring="neg_log_loss", n_jobs=2)
    np.testing.assert_array_equal(found, expected)


def test_few_networks_are_kept(cnn, squares, fresh):
    X, y = squares
    for units in range(3, 15):
        clone(cnn).set_params(dense_units=units, epochs=1).fit(X, y).predict(X)
    assert sum(map(len, pool._idle.values())) <= pool.MAX_IDLE


HUNDRED_FITS = """
import gc, os
import numpy as np
from lungestimators import CNNClassifier

def resident():
    gc.collect()
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")

rng = np.random.default_rng(0)
X = rng.integers(0, 255, size=(32, 16, 16), dtype=np.uint8)
y = np.arange(32) % 2
for number in range(100):
    CNNClassifier(
        image_size=16, filters=(4, 8), epochs=2, random_state=number
    ).fit(X, y).predict(X)
    if number in (9, 99):
        print(resident())
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc/self/statm")
def test_a_hundred_fits_do_not_grow_memory():
    done = subprocess.run(
        [sys.executable, "-c", HUNDRED_FITS], capture_output=True, text=True, check=True
    )
    after_10, after_100 = map(int, done.stdout.split())
    assert after_100 < 1.1 * after_10


@pytest.mark.core
def test_an_epoch_is_that_of_a_plain_keras_loop(squares, parts):
    """The same weights, order and learning rate in Keras' own ``train_on_batch``."""
    X, labels = squares
    y = (labels == "opaque").astype(int)
    weight = np.linspace(0.5, 1.5, 48, dtype=np.float32)
    data = stages.Data(images(X), y, weight)
    stage = stages.Stage("all", "head", 3, 0.01, keep_batch_norm=False)
    trained, history = fitting.fit(parts, [stage], data, None, options())

    backbone, head = parts.backbone.build(), parts.head.build()
    model = keras.Model(backbone.input, head(backbone.output))
    model.compile(
        keras.optimizers.Adam(),
        keras.losses.SparseCategoricalCrossentropy(),
        metrics=["accuracy"],
    )
    prepared = images(X).prepare()
    for epoch in range(3):
        model.optimizer.learning_rate = stage.cosine(epoch)
        rows = np.random.default_rng([7, epoch]).permutation(48)
        logs = [
            model.train_on_batch(prepared[batch], y[batch], weight[batch], return_dict=True)
            for batch in np.array_split(rows, 6)  # all of 8 images
        ]
        for name, values in history.items():
            if name != "learning_rate":
                expected = np.mean([float(log[name]) for log in logs])
                assert values[epoch] == pytest.approx(expected, rel=1e-3)
    kernel = model.get_layer("conv2_conv").get_weights()[0]
    ours = trained.backbone.build().get_layer("conv2_conv").get_weights()[0]
    np.testing.assert_allclose(ours, kernel, atol=2e-3)
    start = parts.backbone.build().get_layer("conv2_conv").get_weights()[0]
    assert np.abs(kernel - start).max() > 0.05


def test_keras_own_steps_give_the_same_training(squares, parts, fresh, monkeypatch):
    """What runs on every backend beside what runs on TensorFlow."""
    X, labels = squares
    data = stages.Data(images(X), (labels == "opaque").astype(int), np.ones(48, np.float32))
    stage = stages.Stage("all", "head", 3, 0.01, keep_batch_norm=False)
    trained, history = fitting.fit(parts, [stage], data, data, options())
    pool._idle.clear()
    monkeypatch.setattr(compiled, "_backend", lambda: "another")
    again, their_history = fitting.fit(parts, [stage], data, data, options())
    for name, values in history.items():
        np.testing.assert_allclose(their_history[name], values, rtol=1e-3)
    for ours, theirs in zip(
        trained.backbone.weights + trained.head.weights,
        again.backbone.weights + again.head.weights,
        strict=True,
    ):
        np.testing.assert_allclose(ours, theirs, atol=2e-3)


@pytest.mark.core
@pytest.mark.parametrize("name", ["adam", "adamw", "sgd", "rmsprop"])
def test_every_optimizer_learns(cnn, squares, name):
    X, y = squares
    clf = cnn.set_params(optimizer=name, epochs=10).fit(X, y)
    assert clf.history_["loss"][-1] < clf.history_["loss"][0]


@pytest.mark.parametrize(
    ("backbone", "size"),
    [("MobileNet", 32), ("MobileNetV2", 64), ("ResNet50V2", 64), ("EfficientNetV2B0", 64)],
)
def test_a_backbone_that_was_cut_is_the_backbone(backbone, size):
    X = np.random.default_rng(0).random((5, size, size, 3), np.float32)
    whole = blueprints.initial_backbone(backbone, (), size, 3, None, 0)
    below, above = blueprints.below(whole, "last_stage"), blueprints.above(whole)
    np.testing.assert_allclose(above.run(below.run(X)), whole.run(X), rtol=1e-5, atol=1e-7)
    assert len(below.weights) + len(above.weights) == len(whole.weights)
    assert blueprints.with_above(whole, above).weights == whole.weights


def test_fine_tuning_from_the_cut_is_fine_tuning_the_whole_with_frozen_layers(squares):
    """A Keras model with the same layers frozen, trained on whole images by Keras alone."""
    X, labels = squares
    y = (labels == "opaque").astype(int)
    backbone = blueprints.initial_backbone("DenseNet", (("blocks", (1, 1, 1, 2)),), 32, 1, None, 0)
    parts = blueprints.Parts(backbone, blueprints.initial_head(backbone.n_outputs, 2, 16, 0.0, 0))
    data = stages.Data(images(X, 32), y, np.ones(48, np.float32))
    stage = stages.Stage("last_stage", "last_stage", 3, 0.001, keep_batch_norm=True)
    trained, history = fitting.fit(parts, [stage], data, None, options())

    network, head = parts.backbone.build(), parts.head.build()
    for layer in network.get_layer("application").layers:
        layer.trainable = layer.name.startswith("conv5") and not layer.name.endswith("_bn")
    model = keras.Model(network.input, head(network.output))
    model.compile(keras.optimizers.Adam(), keras.losses.SparseCategoricalCrossentropy())
    prepared = images(X, 32).prepare()
    for epoch in range(3):
        model.optimizer.learning_rate = stage.cosine(epoch)
        rows = np.random.default_rng([7, epoch]).permutation(48)
        losses = [
            float(model.train_on_batch(prepared[batch], y[batch]))
            for batch in np.array_split(rows, 6)
        ]
        assert history["loss"][epoch] == pytest.approx(np.mean(losses), rel=1e-3)
    ours = trained.backbone.build().get_layer("application")
    moved = 0
    for layer in network.get_layer("application").layers:
        for mine, theirs in zip(
            ours.get_layer(layer.name).get_weights(), layer.get_weights(), strict=True
        ):
            np.testing.assert_allclose(mine, theirs, atol=1e-3)
        moved += layer.trainable and bool(layer.weights)
    assert moved == 4


def test_the_top_is_trained_on_every_view_and_predicts_the_plain_image(squares):
    X, y = squares
    clf = BackboneClassifier(
        "MobileNetV3Small",
        weights=None,
        image_size=32,
        trainable="last_stage",
        augment=True,
        epochs=2,
        fine_tune_epochs=2,
        random_state=0,
    ).fit(X, y)
    probabilities = clf.predict_proba(X)
    model = clf.model_.predict(X[..., None], verbose=0)
    np.testing.assert_allclose(probabilities, model, atol=1e-5)


def test_prediction_takes_the_same_memory_for_any_number_of_images(cnn, squares):
    X, y = squares
    clf = cnn.set_params(image_size=64, epochs=1).fit(X, y)

    def peak(n_images):
        many = np.resize(X, (n_images, 16, 16))
        tracemalloc.start()
        clf.predict_proba(many)
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return most

    peak(256)
    few = peak(512)
    # As floats at 64 pixels the further images would take 56 MB.
    assert peak(4096) - few < 4 * 2**20
