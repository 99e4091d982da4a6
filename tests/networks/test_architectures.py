"""Backbones see what Keras' preprocessing gives, and the right layers of them learn."""

import sys

import keras
import numpy as np
import pytest

from lungestimators import MobileNetClassifier
from lungestimators.networks import architectures

MOBILENET = "mobilenet_2_5_224_tf_no_top.h5"


@pytest.mark.parametrize("name", ["MobileNet", "DenseNet121", "VGG16", "EfficientNetV2B0"])
def test_the_backbone_sees_what_its_own_preprocessing_gives(name):
    builder = getattr(keras.applications, name)
    module = sys.modules[builder.__module__]
    backbone = architectures.build_application(name, 64, 1, None, ())
    images = np.random.default_rng(0).random((2, 64, 64, 1), np.float32)
    pixels = np.repeat(images, 3, axis=3) * 255
    expected = backbone.get_layer("application")(module.preprocess_input(pixels))
    np.testing.assert_allclose(backbone(images), expected, rtol=1e-4, atol=1e-5)


def changed(before, after):
    return [not np.array_equal(a, b) for a, b in zip(before, after, strict=True)]


def test_fine_tuning_the_last_stage_changes_nothing_else(squares, real_weights):
    settings = dict(
        weights=real_weights / MOBILENET, alpha=0.25, image_size=32, epochs=1, random_state=0
    )
    clf = MobileNetClassifier(**settings, trainable="last_stage", fine_tune_epochs=2).fit(*squares)
    head = MobileNetClassifier(**settings).fit(*squares)
    assert clf.n_iter_ == 3
    before = head.model_
    moved = {
        layer.name
        for layer in clf.model_.layers
        if not layer.name.startswith("head_")
        and any(changed(before.get_layer(layer.name).get_weights(), layer.get_weights()))
    }
    assert moved == {"conv_dw_12", "conv_pw_12", "conv_dw_13", "conv_pw_13"}


def test_fine_tuning_all_keeps_the_statistics_of_batch_normalisation(squares, real_weights):
    clf = MobileNetClassifier(
        weights=real_weights / MOBILENET,
        alpha=0.25,
        image_size=32,
        epochs=1,
        fine_tune_epochs=1,
        trainable="all",
        random_state=0,
    ).fit(*squares)
    application = clf.model_
    original = keras.applications.MobileNet(
        include_top=False, weights=None, alpha=0.25, input_shape=(32, 32, 3)
    )
    original.load_weights(real_weights / MOBILENET)
    moved = {
        layer.name
        for layer in original.layers
        if layer.weights
        and any(changed(layer.get_weights(), application.get_layer(layer.name).get_weights()))
    }
    assert {"conv_pw_11", "conv_pw_13"} <= moved
    assert not any(name.endswith("_bn") for name in moved)
