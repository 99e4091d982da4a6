"""Weights files in the package's own format, and those that come with the package."""

import json
import socket
import threading
import time
import warnings

import keras
import numpy as np
import pytest
import safetensors.numpy
from PIL import Image

from lungestimators import (
    BackboneClassifier,
    BackboneFeatures,
    CNNClassifier,
    DenseNetClassifier,
    MobileNetClassifier,
    make_chest_xrays,
)
from lungestimators.networks import chest_weights, imagenet_weights
from lungestimators.networks.architectures import build_cnn
from lungestimators.networks.chest_weights import read_chest_weights, save_chest_weights

OPTIONS = {"alpha": 0.25}


def _mobilenet(image_size=32):
    return keras.applications.MobileNet(
        include_top=False, weights=None, alpha=0.25, input_shape=(image_size, image_size, 3)
    )


@pytest.fixture(scope="module")
def network():
    """Return a MobileNet with random weights and random statistics."""
    network = _mobilenet()
    rng = np.random.default_rng(0)
    for weight in network.weights:
        weight.assign(rng.uniform(0.5, 1.5, weight.shape) * np.where(weight.value == 0, 1, weight))
    return network


@pytest.fixture
def file(network, tmp_path):
    path = tmp_path / "weights.safetensors"
    save_chest_weights(path, network, "MobileNet", OPTIONS, {"image_size": "32", "version": "1"})
    return path


def _edit(path, tensors=(), metadata=()):
    """Change tensors and metadata of a file."""
    with safetensors.safe_open(path, framework="numpy") as opened:
        names, card = opened.keys(), opened.metadata()
        old = {name: opened.get_tensor(name) for name in names}
    safetensors.numpy.save_file(old | dict(tensors), path, card | dict(metadata))


def test_what_is_saved_is_loaded(network, file):
    loaded = read_chest_weights(file, "MobileNet", OPTIONS).load(_mobilenet())
    for before, after in zip(network.weights, loaded.weights, strict=True):
        # Kernels are kept in float16.
        rtol, atol = (1e-3, 1e-7) if len(before.shape) == 4 else (0, 0)
        np.testing.assert_allclose(np.asarray(after), np.asarray(before), rtol=rtol, atol=atol)


def test_a_classifier_takes_the_file(file, squares):
    X, y = squares
    clf = MobileNetClassifier(weights=file, alpha=0.25, image_size=32, epochs=2, random_state=0)
    assert clf.fit(X, y).predict_proba(X).shape == (48, 2)


def test_a_changed_weight_is_found_out(file):
    with safetensors.safe_open(file, framework="numpy") as opened:
        kernel = opened.get_tensor("conv1/kernel")
    kernel[0, 0, 0, 0] += 1
    _edit(file, tensors={"conv1/kernel": kernel})
    with pytest.raises(ValueError, match="is damaged: its SHA-256 is not the one that it states"):
        read_chest_weights(file, "MobileNet", OPTIONS)


def test_a_file_that_ends_early_is_damaged(file):
    content = file.read_bytes()
    file.write_bytes(content[: len(content) // 2])
    with pytest.raises(ValueError, match="is damaged"):
        read_chest_weights(file, "MobileNet", OPTIONS)


def test_a_later_format_is_refused(file):
    _edit(file, metadata={chest_weights.FORMAT_KEY: "2"})
    with pytest.raises(ValueError, match=r"is of format 2, and this version .* reads format 1"):
        read_chest_weights(file, "MobileNet", OPTIONS)


@pytest.mark.parametrize(
    "name, options, asked",
    [("MobileNet", {"alpha": 0.5}, "MobileNet-0.5"), ("DenseNet121", {}, "DenseNet121")],
)
def test_another_network_is_named(file, name, options, asked):
    message = f"holds a MobileNet-0.25, and the parameters ask for a {asked}"
    with pytest.raises(ValueError, match=message):
        read_chest_weights(file, name, options)


def test_images_of_quite_another_size_are_warned_of(file, squares):
    clf = MobileNetClassifier(weights=file, alpha=0.25, epochs=1, random_state=0)
    with pytest.warns(UserWarning, match="image_size=96: the weights .* images of 32 pixels"):
        clf.set_params(image_size=96).fit(*squares)
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        clf.set_params(image_size=48).fit(*squares)


FILES = sorted(chest_weights.FOLDER.glob("*.safetensors"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_files_of_the_package_are_whole_and_say_where_they_come_from(path):
    with safetensors.safe_open(path, framework="numpy") as opened:
        card = opened.metadata()
    name, options = card["network"], json.loads(card["options"])
    assert chest_weights.find_chest_weights(name, options) == path
    assert read_chest_weights(path, name, options).image_size == int(card["image_size"])
    assert card["command"].startswith(f"python benchmarks/pretrain.py {path.stem} ")
    assert card["version"] and card["pixels"]
    for source in json.loads(card["sources"]):
        assert source["n_images"] > 0
        assert all(source[key] for key in ("title", "licence", "attribution", "changes"))


def test_the_files_of_the_package_are_small():
    sizes = {path.stem: path.stat().st_size / 1e6 for path in FILES}
    assert 0 < max(sizes.values()) <= 15
    assert sum(sizes.values()) <= 25


@pytest.mark.parametrize(
    "clf",
    [
        MobileNetClassifier(random_state=0),
        pytest.param(
            MobileNetClassifier(alpha=0.25, image_size=96, random_state=0), marks=pytest.mark.slow
        ),
        pytest.param(DenseNetClassifier(random_state=0), marks=pytest.mark.slow),
        pytest.param(BackboneClassifier("MobileNet", random_state=0), marks=pytest.mark.slow),
    ],
    ids=["MobileNet", "MobileNet-0.25", "DenseNet", "Backbone"],
)
def test_a_classifier_with_weights_of_the_package_needs_no_network(clf, monkeypatch):
    def refuse(*arguments, **options):
        raise AssertionError("a connection was made")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    X, y = make_chest_xrays(90, image_size=96, random_state=0)
    assert clf.fit(X[::2], y[::2]).score(X[1::2], y[1::2]) > 0.8


@pytest.mark.parametrize(
    "clf, named",
    [
        (MobileNetClassifier(weights="chest", alpha=0.5), "MobileNet-0.5"),
        (DenseNetClassifier(weights="chest", blocks=(1, 1, 1, 1)), "DenseNet"),
        (DenseNetClassifier(weights="chest", blocks=(6, 12, 32, 32)), "DenseNet169"),
        (BackboneFeatures("MobileNetV3Small", weights="chest"), "MobileNetV3Small"),
        (CNNClassifier(filters=(2, 3), weights="chest"), "CNN-2-3"),
    ],
    ids=["alpha", "blocks", "depth", "backbone", "filters"],
)
def test_a_network_without_weights_is_told_which_there_are(clf, named, squares, file, monkeypatch):
    file.rename(file.parent / "MobileNet-0.25.safetensors")
    monkeypatch.setattr(chest_weights, "FOLDER", file.parent)
    message = f"no weights='chest' of {named}.* of MobileNet-0.25"
    with pytest.raises(ValueError, match=message) as raised:
        clf.fit(*squares)
    # The custom CNN, and a DenseNet with blocks of its own, have no ImageNet weights either.
    assert ("weights='imagenet'" in str(raised.value)) == (named not in ("CNN-2-3", "DenseNet"))


def test_a_file_in_the_folder_of_the_package_is_found_by_its_network(file, squares, monkeypatch):
    X, y = squares
    settings = dict(alpha=0.25, image_size=32, epochs=1, random_state=0)
    expected = MobileNetClassifier(weights=file, **settings).fit(X, y).predict_proba(X)
    file.rename(file.parent / "MobileNet-0.25.safetensors")
    monkeypatch.setattr(chest_weights, "FOLDER", file.parent)
    found = MobileNetClassifier(weights="chest", **settings).fit(X, y).predict_proba(X)
    np.testing.assert_array_equal(found, expected)


def test_the_custom_cnn_has_no_others(squares):
    with pytest.raises(ValueError, match="There are no weights='imagenet' of the custom CNN"):
        CNNClassifier(weights="imagenet").fit(*squares)


def test_the_custom_cnn_takes_its_file_for_grey_images_and_their_like_in_rgb(tmp_path, squares):
    X, y = squares
    options = {"filters": (4, 8)}
    network = build_cnn(16, 1, None, **options)
    network.get_layer("normalise").set_weights([np.array([0.3]), np.array([0.1])])
    path = tmp_path / "cnn.safetensors"
    save_chest_weights(path, network, "CNN", options, {"image_size": "16", "version": "1"})
    clf = CNNClassifier(weights=path, **options, image_size=16, epochs=3, random_state=0)
    expected = clf.fit(X, y).predict_proba(X)
    rgb = np.repeat(X[..., None], 3, axis=3)
    found = clf.fit(rgb, y).predict_proba(rgb)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-4)
    np.testing.assert_allclose(clf.model_.predict(rgb, verbose=0), found, rtol=0, atol=1e-5)
    with pytest.raises(ValueError, match="holds a CNN-4-8, and the parameters ask for a CNN-4-4"):
        clf.set_params(filters=(4, 4)).fit(X, y)


@pytest.mark.parametrize(
    "weights, error",
    [("chest", ValueError), ("nowhere.h5", FileNotFoundError), ("imagenet", FileNotFoundError)],
)
def test_weights_that_are_not_there_fail_at_once(monkeypatch, tmp_path, squares, weights, error):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    monkeypatch.setattr("urllib.request.getproxies", dict)

    def refuse(*arguments):
        raise OSError("no network")

    def build(*arguments, **options):
        raise AssertionError("a network was built")

    monkeypatch.setattr("socket.create_connection", refuse)
    monkeypatch.setattr(keras.applications, "DenseNet169", build)
    build.__name__ = "DenseNet169"
    began = time.monotonic()
    with pytest.raises(error, match=r"DenseNet169|ImageNet weights of DenseNet|no such file"):
        DenseNetClassifier(weights=weights, blocks=(6, 12, 32, 32)).fit(*squares)
    assert time.monotonic() - began < 2


def test_a_host_that_never_answers_is_given_up(monkeypatch):
    answered = threading.Event()

    def connect(address, timeout):
        answered.wait(30)
        raise TimeoutError

    monkeypatch.setattr("urllib.request.getproxies", dict)
    monkeypatch.setattr("socket.create_connection", connect)
    began = time.monotonic()
    assert not imagenet_weights.can_connect("example.invalid")
    assert time.monotonic() - began < 5
    answered.set()


@pytest.mark.parametrize(
    "name, alpha", [("MobileNetV2", 0.35), ("MobileNet", 0.5)], ids=["layers", "shapes"]
)
def test_weights_that_differ_in_layers_or_shapes_are_not_loaded_in_part(file, name, alpha):
    other = getattr(keras.applications, name)(
        include_top=False, weights=None, alpha=alpha, input_shape=(32, 32, 3)
    )
    before = other.get_weights()
    with pytest.raises(ValueError, match=r"differ in \d+ weights, such as .*of Keras"):
        read_chest_weights(file, "MobileNet", OPTIONS).load(other)
    assert all(map(np.array_equal, other.get_weights(), before))


def test_a_file_of_another_program_is_no_weights_of_the_cnn(tmp_path, squares):
    path = tmp_path / "other.safetensors"
    safetensors.numpy.save_file({"kernel": np.zeros(3, np.float32)}, path)
    with pytest.raises(ValueError, match="is not a file of this package"):
        CNNClassifier(weights=path, image_size=16).fit(*squares)


@pytest.mark.parametrize("kind", ["array", "file"])
def test_images_in_colour_are_warned_of(kind, file, tmp_path, monkeypatch):
    file.rename(file.parent / "MobileNet-0.25.safetensors")
    monkeypatch.setattr(chest_weights, "FOLDER", file.parent)
    rng = np.random.default_rng(0)
    grey = np.repeat(rng.integers(0, 255, (4, 32, 32, 1), dtype=np.uint8), 3, axis=3)
    colour = grey // (1, 1, 2)
    features = BackboneFeatures(
        "MobileNet", alpha=0.25, weights="chest", image_size=32, feature_cache=None
    )
    names = ["X[2]"]
    X = np.concatenate([grey[:2], colour.astype(np.uint8)])
    if kind == "file":
        names = [str(tmp_path / f"{number}.jpg") for number in range(len(X))]
        for image, name in zip(X, names, strict=True):
            Image.fromarray(image).save(name)
        X, names = names, names[2:3]
    with pytest.warns(UserWarning, match="is in colour, and weights='chest'") as record:
        features.fit_transform(X)
    assert [str(warning.message).split(" is in")[0] for warning in record] == names
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        features.fit_transform(X[:2])
        features.set_params(weights=None, random_state=0).fit_transform(X)
