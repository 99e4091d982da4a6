"""What is constant but for rounding does not become an answer."""

import keras
import numpy as np
import pytest

from lungestimators import BackboneClassifier, MobileNetClassifier
from lungestimators.networks import normalisation


def trained_layer(x, epochs=3, kind=normalisation.BatchNormalization):
    """A layer after some steps on ``x``, its statistics those of ``x``."""
    layer = kind(momentum=0.0)
    for _ in range(epochs):
        outputs = keras.ops.convert_to_numpy(layer(x, training=True))
    if kind is normalisation.BatchNormalization:
        normalisation.bound_normalisation_statistics([layer])
    return layer, outputs


@pytest.mark.core
@pytest.mark.parametrize("mean", [0.1, 1.0, -300.0])
def test_a_channel_that_is_constant_but_for_rounding_is_silent(mean):
    random = np.random.default_rng(0)
    rounding = random.choice([-1, 0, 1], size=(64, 3)) * np.spacing(np.float32(abs(mean)))
    x = (np.float32(mean) + rounding).astype(np.float32)
    assert x.std() > 0
    layer, outputs = trained_layer(x)
    assert np.abs(outputs).max() < 1e-6
    assert np.abs(keras.ops.convert_to_numpy(layer(x, training=False))).max() < 1e-6


@pytest.mark.core
def test_a_channel_that_was_dead_in_training_says_nothing_later():
    x = np.random.default_rng(0).normal(1, 0.5, size=(64, 2)).astype(np.float32)
    x[:, 1] = 0
    layer, _ = trained_layer(x)
    awake = keras.ops.convert_to_numpy(layer(np.array([[1.0, 0.5]], np.float32), training=False))
    assert abs(awake[0, 1]) < 1e-5


def healthy_channels(shape):
    """Five channels: a usual one, faint ones, one with a large mean, and one that is rare."""
    x = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    x *= np.array([1, 1e-6, 1, 30, 1], np.float32)
    x += np.array([0, 1e-6, 100, 0, 0], np.float32)
    x[1:, ..., 4] = 0  # all images but one
    return x


@pytest.mark.core
@pytest.mark.parametrize("shape", [(16, 5), (4, 6, 6, 5)])
def test_every_other_channel_has_mean_zero_and_its_own_variance(shape):
    x = healthy_channels(shape)
    layer, outputs = trained_layer(x)
    axes = tuple(range(len(shape) - 1))
    mean, variance = x.mean(axes, np.float64), x.var(axes, np.float64)
    expected = (x - mean) / np.sqrt(variance + layer.epsilon)
    np.testing.assert_allclose(outputs, expected, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(layer.get_weights()[-1], variance, rtol=1e-4)


@pytest.mark.core
@pytest.mark.skipif(
    keras.backend.backend() == "torch", reason="Keras' variance is E[x^2] - E[x]^2 there"
)
@pytest.mark.parametrize("shape", [(16, 5), (4, 6, 6, 5)])
def test_every_other_channel_has_the_bits_of_keras(shape):
    x = healthy_channels(shape)
    ours, outputs = trained_layer(x)
    keras_layer, expected = trained_layer(x, kind=keras.layers.BatchNormalization)
    np.testing.assert_array_equal(outputs, expected)
    for mine, theirs in zip(ours.get_weights(), keras_layer.get_weights(), strict=True):
        np.testing.assert_array_equal(mine, theirs)


@pytest.mark.core
def test_images_of_faint_contrast_are_told_apart(cnn, squares):
    """A standard deviation of a few ten-thousandths of the mean, as of 12 bits far above black."""
    X, y = squares
    X = (30000 + X * np.float32(20 / X.max())).astype(np.uint16)
    assert 1e-4 < X.std() / X.mean() < 5e-4
    assert cnn.set_params(epochs=8).fit(X, y).score(X, y) == 1


@pytest.mark.core
def test_images_without_contrast_say_nothing(cnn, squares):
    X, y = squares
    X = np.full(X.shape, 0.5, np.float32)
    X[::2] = np.nextafter(X[::2], np.float32(1))
    probabilities = cnn.fit(X, y).predict_proba(X)
    np.testing.assert_allclose(probabilities, probabilities[:1].repeat(len(X), 0), atol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("backbone", ["MobileNetV2", "MobileNetV3Small"])
def test_the_last_bit_of_a_pixel_does_not_change_an_answer(squares, backbone):
    """Images fade to nothing in a random network that is not trained, up to its last stage."""
    X, y = squares
    X = np.float32(X[..., None]) / 255
    clf = BackboneClassifier(
        backbone,
        weights=None,
        image_size=32,
        trainable="last_stage",
        epochs=2,
        fine_tune_epochs=2,
        random_state=0,
    ).fit(X, y)
    probabilities = clf.predict_proba(X)
    # Another size of the batch rounds otherwise; on many processors so does every convolution.
    for batch_size in (1, 7, 48):
        model = clf.model_.predict(X, batch_size=batch_size, verbose=0)
        np.testing.assert_allclose(model, probabilities, atol=1e-5)
    moved = clf.predict_proba(np.nextafter(X, np.float32(0.5)))
    np.testing.assert_allclose(moved, probabilities, atol=1e-5)


@pytest.mark.slow
def test_a_fitted_network_holds_plain_layers_and_bounded_statistics(squares, tmp_path):
    X, y = squares
    clf = MobileNetClassifier(
        weights=None, alpha=0.25, image_size=32, trainable="head", epochs=1, random_state=0
    ).fit(X, y)
    path = tmp_path / "model.keras"
    clf.model_.save(path)
    loaded = keras.models.load_model(path)
    np.testing.assert_allclose(
        loaded.predict(X[..., None], verbose=0), clf.predict_proba(X), atol=1e-5
    )
    (head,) = (part for part in clf._networks[0].parts if "dense_bn" in part.architecture)
    assert "lungestimators" not in head.architecture
    mean, variance = head.weights[:2]
    dead = mean == 0
    assert dead.any()
    assert (variance[dead] > 1e6).all()
    assert (variance[~dead] < 1e6).any()
