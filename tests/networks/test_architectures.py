"""Weights are loaded whole or not at all, and the right layers learn."""

import os
import subprocess
import sys

import h5py
import keras
import numpy as np
import pytest

from lungestimators import BackboneClassifier, DenseNetClassifier, MobileNetClassifier
from lungestimators.networks import architectures

MOBILENET = "mobilenet_2_5_224_tf_no_top.h5"
DENSENET = "densenet121_weights_tf_dim_ordering_tf_kernels_notop.h5"


@pytest.fixture(scope="module")
def mobilenet_file(tmp_path_factory):
    """A file of MobileNet's structure and random values."""
    path = tmp_path_factory.mktemp("weights") / "mobilenet.weights.h5"
    network = keras.applications.MobileNet(
        include_top=False, weights=None, alpha=0.25, input_shape=(32, 32, 3)
    )
    network.save_weights(path)
    return path


@pytest.fixture
def keras_home(tmp_path, monkeypatch):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    (tmp_path / "models").mkdir()
    return tmp_path


def test_missing_imagenet_weights_name_file_url_folder_and_way_out(squares, tmp_path):
    program = (
        "import numpy as np\n"
        "from lungestimators import *\n"
        "X, y = np.zeros((6, 32, 32), np.uint8), [0, 1] * 3\n"
        "for clf in (MobileNetClassifier(alpha=0.25), DenseNetClassifier(), "
        "BackboneClassifier('EfficientNetV2B0')):\n"
        "    try:\n"
        "        clf.fit(X, y)\n"
        "    except FileNotFoundError as error:\n"
        "        print('ERROR', error)\n"
    )
    # A proxy that refuses makes every machine one without a network.
    refusing = {name: "http://127.0.0.1:9" for name in ("http_proxy", "https_proxy")}
    environment = {**os.environ, **refusing, "KERAS_HOME": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True
    )
    errors = [line for line in done.stdout.splitlines() if line.startswith("ERROR")]
    assert len(errors) == 3, done.stdout + done.stderr
    for error, file in zip(
        errors, (MOBILENET, DENSENET, "efficientnetv2-b0_notop.h5"), strict=True
    ):
        assert repr(file) in error
        assert "https://storage.googleapis.com/" in error
        assert str(tmp_path / "models") in error
        assert "weights=None" in error


def test_imagenet_weights_are_found_in_keras_home(squares, keras_home, real_weights):
    (keras_home / "models" / MOBILENET).symlink_to(real_weights / MOBILENET)
    X, y = squares
    settings = dict(alpha=0.25, epochs=2, random_state=0)
    found = MobileNetClassifier(**settings).fit(X, y).predict_proba(X)
    given = MobileNetClassifier(**settings, weights=real_weights / MOBILENET).fit(X, y)
    np.testing.assert_array_equal(given.predict_proba(X), found)


def test_densenet121_weights_are_found_in_keras_home(squares, keras_home):
    network = keras.applications.DenseNet121(
        include_top=False, weights=None, input_shape=(224, 224, 3)
    )
    with h5py.File(keras_home / "models" / DENSENET, "w") as file:
        layers = [layer for layer in network.layers if layer.weights]
        file.attrs["layer_names"] = [layer.name.encode() for layer in layers]
        file.attrs["keras_version"] = b"2.0.0"
        for layer in layers:
            group = file.create_group(layer.name)
            names = [f"{layer.name}/{w.name}:0" for w in layer.weights]
            group.attrs["weight_names"] = [name.encode() for name in names]
            for name, weight in zip(names, layer.get_weights(), strict=True):
                group[name] = weight
    X, y = squares
    clf = DenseNetClassifier(epochs=1, image_size=32, random_state=0).fit(X, y)
    loaded = clf.model_.get_layer("conv1_conv")
    np.testing.assert_array_equal(
        loaded.get_weights()[0], network.get_layer("conv1_conv").get_weights()[0]
    )


def test_a_file_of_another_network_is_refused(squares, mobilenet_file):
    for clf in (
        BackboneClassifier("MobileNetV2", weights=mobilenet_file, image_size=32),
        DenseNetClassifier(weights=str(mobilenet_file), image_size=32),
    ):
        with pytest.raises(ValueError, match="damaged or holds the weights of another network"):
            clf.fit(*squares)


def test_a_damaged_file_is_refused(squares, mobilenet_file, tmp_path):
    damaged = tmp_path / "damaged.weights.h5"
    damaged.write_bytes(mobilenet_file.read_bytes()[:200_000])
    with pytest.raises(ValueError, match="damaged"):
        MobileNetClassifier(alpha=0.25, weights=damaged, image_size=32).fit(*squares)


def test_densenet_of_other_depth_has_no_imagenet_weights(squares):
    with pytest.raises(ValueError, match="no ImageNet weights of a DenseNet"):
        DenseNetClassifier(blocks=(1, 1, 1, 1)).fit(*squares)


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


def test_fine_tuning_the_top_changes_the_last_stage_only(squares, real_weights):
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
