"""Weights are loaded whole or not at all, and an error says which network a file holds."""

import os
import subprocess
import sys
import time

import h5py
import keras
import numpy as np
import pytest
from keras.src.legacy.saving import legacy_h5_format
from sklearn.base import clone

from lungestimators import (
    BackboneClassifier,
    BackboneFeatures,
    CNNClassifier,
    DenseNetClassifier,
    MobileNetClassifier,
)
from lungestimators.networks import keras_weights

MOBILENET = "mobilenet_2_5_224_tf_no_top.h5"
DENSENET = "densenet121_weights_tf_dim_ordering_tf_kernels_notop.h5"
MOBILENET_V2 = "mobilenet_v2_1.0_224_no_top_dequant.weights.h5"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("weights")


def saved(network, path):
    """Save in Keras 3's format, or in the older one of the files that Keras offers."""
    if path.name.endswith(".weights.h5"):
        network.save_weights(path)
    else:
        with h5py.File(path, "w") as file:
            legacy_h5_format.save_weights_to_hdf5_group(file, network)
    return path


def application(name, **options):
    build = getattr(keras.applications, name)
    return build(include_top=False, weights=None, input_shape=(32, 32, 3), **options)


@pytest.mark.parametrize("kind", ["file.weights.h5", "file.h5"])
@pytest.mark.parametrize("alpha", [0.25, 0.5, 0.75, 1.0, 1.5])
def test_the_width_of_a_mobilenet_is_read_from_its_file(folder, alpha, kind):
    path = saved(application("MobileNet", alpha=alpha), folder / f"{alpha}{kind}")
    assert keras_weights.parameters_of_weights_file(path, "MobileNet") == {"alpha": alpha}
    assert keras_weights.parameters_of_weights_file(path, "MobileNetV2") == {}


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["file.weights.h5", "file.h5"])
@pytest.mark.parametrize("alpha", [0.35, 0.5, 1.0, 1.4])
def test_the_width_of_a_mobilenet_v2_is_read_from_its_file(folder, alpha, kind):
    path = saved(application("MobileNetV2", alpha=alpha), folder / f"v2 {alpha}{kind}")
    assert keras_weights.parameters_of_weights_file(path, "MobileNetV2") == {"alpha": alpha}
    assert keras_weights.parameters_of_weights_file(path, "MobileNet") == {}


@pytest.mark.parametrize("kind", ["file.weights.h5", "file.h5"])
@pytest.mark.parametrize("blocks", [(6, 12, 24, 16), (1, 2, 3, 1), (1, 1, 1, 1)])
def test_the_blocks_of_a_densenet_are_read_from_its_file(folder, blocks, kind):
    from keras.src.applications.densenet import DenseNet

    network = DenseNet(blocks, include_top=False, weights=None, input_shape=(32, 32, 3))
    path = saved(network, folder / f"{sum(blocks)}{kind}")
    assert keras_weights.parameters_of_weights_file(path, "DenseNet121") == {"blocks": blocks}


@pytest.fixture
def images():
    rng = np.random.default_rng(0)
    return rng.integers(0, 255, (12, 32, 32), dtype=np.uint8), np.tile(["a", "b"], 6)


def test_a_real_file_of_another_width_says_its_width(images, real_weights):
    for estimator in (
        MobileNetClassifier(image_size=32, weights=real_weights / MOBILENET),
        BackboneClassifier("MobileNet", image_size=32, weights=real_weights / MOBILENET, alpha=0.5),
        BackboneFeatures("MobileNet", image_size=32, weights=real_weights / MOBILENET),
    ):
        with pytest.raises(ValueError, match=r"holds a MobileNet of alpha=0.25, .* is alpha="):
            estimator.fit(*images)
        assert estimator.set_params(alpha=0.25).fit(*images)
    features = BackboneFeatures("MobileNetV2", image_size=32, alpha=1.4)
    with pytest.raises(ValueError, match=r"holds a MobileNetV2 of alpha=1.0, .* is alpha=1.4"):
        features.set_params(weights=real_weights / MOBILENET_V2).fit(images[0])


@pytest.mark.slow
def test_a_file_of_other_blocks_or_filters_says_which(images, folder):
    X, y = images
    cnn = CNNClassifier(image_size=32, filters=(4, 8), epochs=1).fit(X, y)
    path = saved(cnn._networks[0].parts.backbone.build(), folder / "cnn.weights.h5")
    with pytest.raises(ValueError, match=r"a CNN of filters=\(4, 8\), .*=\(4, 8, 16\)"):
        clone(cnn).set_params(filters=(4, 8, 16), weights=path).fit(X, y)
    rgb = np.repeat(X[..., None], 3, axis=3)
    with pytest.raises(ValueError, match="a CNN for images of 1 channels, and X has 3"):
        clone(cnn).set_params(weights=path).fit(rgb, y)
    assert clone(cnn).set_params(weights=path).fit(X, y)
    path = saved(application("DenseNet121"), folder / "densenet.weights.h5")
    with pytest.raises(ValueError, match=r"of blocks=\(6, 12, 24, 16\), .*blocks=\(1, 1, 1, 1\)"):
        DenseNetClassifier(blocks=(1, 1, 1, 1), image_size=32, weights=path).fit(X, y)


def test_a_file_that_tells_nothing_is_damaged_or_of_another_network(images, folder):
    X, y = images
    clf = MobileNetClassifier(image_size=32, alpha=0.25)
    (folder / "text.h5").write_text("no weights")
    with h5py.File(folder / "empty.weights.h5", "w") as file:
        file.create_group("layers")
    saved(application("MobileNetV3Small"), folder / "v3.weights.h5")
    for name in ("text.h5", "empty.weights.h5", "v3.weights.h5"):
        with pytest.raises(ValueError, match="damaged or holds the weights of another network"):
            clf.set_params(weights=folder / name).fit(X, y)


@pytest.mark.parametrize("alpha", [25, 4.1, 0.03, 0, -1, np.nan, np.inf])
def test_a_width_out_of_range_is_refused_at_once(images, alpha):
    for estimator in (
        MobileNetClassifier(weights=None, alpha=alpha),
        BackboneClassifier("MobileNetV2", weights=None, alpha=alpha),
        BackboneFeatures("MobileNetV2", weights=None, alpha=alpha),
    ):
        start = time.perf_counter()
        with pytest.raises(ValueError, match=r"alpha=.* must lie between 0\.03125 and 4"):
            estimator.fit(*images)
        assert time.perf_counter() - start < 5


@pytest.mark.parametrize(
    ("estimator", "error", "message"),
    [
        (MobileNetClassifier(alpha="0.25"), TypeError, "alpha='0.25' must be a number"),
        (MobileNetClassifier(alpha=True), TypeError, "alpha=True must be a number"),
        (BackboneFeatures(alpha=None), TypeError, "alpha=None must be a number"),
        (CNNClassifier(filters=()), ValueError, r"filters=\(\) must be a tuple"),
        (CNNClassifier(filters=(4, 0)), ValueError, r"filters=\(4, 0\) must be a tuple"),
        (CNNClassifier(filters=(4.5,)), ValueError, r"filters=\(4.5,\) must be a tuple"),
        (CNNClassifier(filters=8), ValueError, "filters=8 must be a tuple"),
        (CNNClassifier(filters="48"), ValueError, "filters='48' must be a tuple"),
        (DenseNetClassifier(blocks=(6, 12, 24)), ValueError, "must be a tuple of four"),
        (DenseNetClassifier(blocks=(6, 12, 24, 0)), ValueError, "must be a tuple of four"),
        (DenseNetClassifier(blocks=121), ValueError, "blocks=121 must be a tuple of four"),
        (
            BackboneClassifier("DenseNet121", weights=None, alpha=0.5),
            ValueError,
            "DenseNet121 has no alpha",
        ),
        (
            BackboneFeatures("ResNet50", weights=None, alpha=0.5),
            ValueError,
            "ResNet50 has no alpha",
        ),
        (BackboneClassifier("DenseNet", weights=None), ValueError, "is not in keras.applications"),
        (BackboneClassifier("CNN", weights=None), ValueError, "is not in keras.applications"),
    ],
)
def test_a_structure_that_cannot_be_is_named(images, estimator, error, message):
    with pytest.raises(error, match=message):
        estimator.fit(*images)


@pytest.mark.parametrize(
    "estimator",
    [
        MobileNetClassifier(image_size=32, weights="nowhere.h5"),
        DenseNetClassifier(image_size=32, blocks=(1, 1, 1, 1)),
        DenseNetClassifier(weights="imagenet", image_size=32, blocks=(1, 1, 1, 1)),
    ],
)
def test_where_random_weights_are_the_way_out_their_cost_is_said(images, estimator):
    with pytest.raises((ValueError, FileNotFoundError), match=r"weights=None .*hours on a CPU"):
        estimator.fit(*images)


def test_the_width_reaches_the_network(images):
    X, _ = images
    features = BackboneFeatures("MobileNet", weights=None, image_size=32, random_state=0)
    widths = [
        clone(features).set_params(alpha=alpha).fit_transform(X).shape[1] for alpha in (1.0, 0.25)
    ]
    assert widths[0] == 4 * widths[1]
    named = clone(features).set_params(alpha=0.25).fit_transform(X)
    clf = MobileNetClassifier(weights=None, image_size=32, random_state=0, epochs=1, alpha=0.25)
    clf.set_params(trainable="head").fit(X, np.tile(["a", "b"], 6))
    np.testing.assert_array_equal(
        clf._networks[0].parts.backbone.run(X[..., None] / np.float32(255)), named
    )


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


@pytest.mark.slow
def test_missing_imagenet_weights_name_file_url_folder_and_way_out(squares, tmp_path):
    program = (
        "import numpy as np\n"
        "from lungestimators import *\n"
        "X, y = np.zeros((6, 32, 32), np.uint8), [0, 1] * 3\n"
        "for clf in (MobileNetClassifier(alpha=0.25, weights='imagenet', image_size=224), "
        "DenseNetClassifier(weights='imagenet'), "
        "BackboneClassifier('EfficientNetV2B0', weights='imagenet')):\n"
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
    settings = dict(alpha=0.25, image_size=224, epochs=2, random_state=0)
    found = MobileNetClassifier(**settings, weights="imagenet").fit(X, y).predict_proba(X)
    given = MobileNetClassifier(**settings, weights=real_weights / MOBILENET).fit(X, y)
    np.testing.assert_array_equal(given.predict_proba(X), found)


@pytest.mark.slow
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
    clf = DenseNetClassifier(weights="imagenet", epochs=1, image_size=32, random_state=0).fit(X, y)
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
        DenseNetClassifier(weights="imagenet", blocks=(1, 1, 1, 1)).fit(*squares)
