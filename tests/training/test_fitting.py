"""Fits are those of a plain Keras loop."""

import keras
import numpy as np
import pytest

from lungestimators import BackboneClassifier, backends
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
    backbone = blueprints.initial_backbone_blueprint("CNN", (("filters", (4, 8)),), 16, 1, None, 0)
    return blueprints.Parts(
        backbone, blueprints.initial_head_blueprint(backbone.n_outputs, 2, 16, 0.0, 0)
    )


@pytest.mark.core
def test_an_epoch_is_that_of_a_plain_keras_loop(squares, parts):
    """The same weights, order and learning rate in Keras' own ``train_on_batch``."""
    X, labels = squares
    y = (labels == "opaque").astype(int)
    weight = np.linspace(0.5, 1.5, 48, dtype=np.float32)
    data = stages.Data(images(X), y, weight)
    stage = stages.Stage("all", "head", 3, 0.01, keep_batch_norm=False)
    trained, history = fitting.fit_all_stages(parts, [stage], data, None, options())

    backbone, head = parts.backbone.build(), parts.head.build()
    model = keras.Model(backbone.input, head(backbone.output))
    model.compile(
        keras.optimizers.Adam(),
        keras.losses.SparseCategoricalCrossentropy(),
        metrics=["accuracy"],
    )
    prepared = images(X).prepare()
    for epoch in range(3):
        model.optimizer.learning_rate = stage.cosine_learning_rate(epoch)
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


@pytest.mark.slow
def test_keras_own_steps_give_the_same_training(squares, parts, fresh, monkeypatch):
    """What runs on every backend beside what runs on TensorFlow."""
    X, labels = squares
    data = stages.Data(images(X), (labels == "opaque").astype(int), np.ones(48, np.float32))
    stage = stages.Stage("all", "head", 3, 0.01, keep_batch_norm=False)
    trained, history = fitting.fit_all_stages(parts, [stage], data, data, options())
    pool._idle.clear()
    monkeypatch.setattr(compiled, "_running_backend", lambda: backends.keras.BACKEND)
    again, their_history = fitting.fit_all_stages(parts, [stage], data, data, options())
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


@pytest.mark.slow
def test_fine_tuning_from_the_cut_is_fine_tuning_the_whole_with_frozen_layers(squares):
    """A Keras model with the same layers frozen, trained on whole images by Keras alone."""
    X, labels = squares
    y = (labels == "opaque").astype(int)
    backbone = blueprints.initial_backbone_blueprint(
        "DenseNet", (("blocks", (1, 1, 1, 2)),), 32, 1, None, 0
    )
    parts = blueprints.Parts(
        backbone, blueprints.initial_head_blueprint(backbone.n_outputs, 2, 16, 0.0, 0)
    )
    data = stages.Data(images(X, 32), y, np.ones(48, np.float32))
    stage = stages.Stage("last_stage", "last_stage", 3, 0.001, keep_batch_norm=True)
    trained, history = fitting.fit_all_stages(parts, [stage], data, None, options())

    network, head = parts.backbone.build(), parts.head.build()
    for layer in network.get_layer("application").layers:
        layer.trainable = layer.name.startswith("conv5") and not layer.name.endswith("_bn")
    model = keras.Model(network.input, head(network.output))
    model.compile(keras.optimizers.Adam(), keras.losses.SparseCategoricalCrossentropy())
    prepared = images(X, 32).prepare()
    for epoch in range(3):
        model.optimizer.learning_rate = stage.cosine_learning_rate(epoch)
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


@pytest.mark.slow
def test_the_last_stage_is_trained_on_every_view_and_predicts_the_plain_image(squares):
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
