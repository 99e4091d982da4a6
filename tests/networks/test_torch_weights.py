"""Weights of PyTorch: Keras computes what PyTorch does, and what does not fit is refused."""

import functools
import hashlib
import http.server
import io
import pickle
import re
import threading
import time
from collections import OrderedDict

import keras
import numpy as np
import pytest

from lungestimators import (
    BackboneClassifier,
    BackboneFeatures,
    DenseNetClassifier,
    MobileNetClassifier,
    clear_feature_cache,
)
from lungestimators.networks import architectures, torchxrayvision_weights
from lungestimators.networks.weights import build_with_weights

torch = pytest.importorskip("torch", reason="PyTorch, the reference, is not installed")
# What needs PyTorch is imported behind that line.
import safetensors.torch  # noqa: E402

from . import torch_networks  # noqa: E402

SMALL = (1, 2, 1, 1)
MEAN, DEVIATION = np.float32([[0.485, 0.456, 0.406], [0.229, 0.224, 0.225]])


@pytest.fixture(scope="module")
def densenet():
    return torch_networks.with_random_values(torch_networks.DenseNet(SMALL))


@pytest.fixture(scope="module")
def xray_densenet():
    return torch_networks.with_random_values(torch_networks.DenseNet(SMALL, 1), channels=1)


@pytest.fixture(scope="module")
def mobilenet():
    return torch_networks.with_random_values(torch_networks.MobileNetV2(0.5))


@pytest.fixture(scope="module")
def folder(tmp_path_factory, densenet, xray_densenet, mobilenet):
    """Files of these networks."""
    folder = tmp_path_factory.mktemp("torch")
    torch.save(densenet.state_dict(), folder / "densenet.pt")
    torch.save(xray_densenet, folder / "xray.pt")  # a whole network, as torchxrayvision's files
    safetensors.torch.save_file(mobilenet.state_dict(), folder / "mobilenet.safetensors")
    return folder


def pooled(network, pixels):
    """PyTorch's averages of the last three resolutions, for pixels with the channels last."""
    with torch.no_grad():
        maps = network(torch.from_numpy(pixels.transpose(0, 3, 1, 2).copy()))
    return np.concatenate([m.mean((2, 3)).numpy() for m in maps], axis=1)


def assert_close(found, expected):
    assert found.shape == expected.shape
    assert np.abs(expected).mean() > 0.05  # there is a signal
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5 * np.abs(expected).max())


def random_images(size, channels, n=2):
    return np.random.default_rng(0).random((n, size, size, channels), np.float32)


def build(name, size, channels, path, **options):
    network = architectures.build_application(
        name, size, channels, str(path), tuple(options.items())
    )
    return lambda images: keras.ops.convert_to_numpy(network(images))


@pytest.mark.parametrize("size", [64, 75])
def test_a_densenet_computes_what_pytorch_does(folder, densenet, size):
    images = random_images(size, 3)
    found = build("DenseNet", size, 3, folder / "densenet.pt", blocks=SMALL)(images)
    assert_close(found, pooled(densenet, (images - MEAN) / DEVIATION))


@pytest.mark.parametrize("size", [64, 75])
def test_a_mobilenet_v2_computes_what_pytorch_does(folder, mobilenet, size):
    images = random_images(size, 3)
    path = folder / "mobilenet.safetensors"
    found = build("MobileNetV2", size, 3, path, alpha=0.5)(images)
    assert_close(found, pooled(mobilenet, (images - MEAN) / DEVIATION))


def test_keras_own_padding_and_variance_would_give_other_features(folder, mobilenet, monkeypatch):
    monkeypatch.setattr("lungestimators.networks.weights.with_torch_arithmetic", lambda n: n)
    images = random_images(64, 3)
    path = folder / "mobilenet.safetensors"
    found = build("MobileNetV2", 64, 3, path, alpha=0.5)(images)
    expected = pooled(mobilenet, (images - MEAN) / DEVIATION)
    assert np.abs(found - expected).max() > 0.01 * np.abs(expected).max()


@pytest.mark.parametrize("channels", [1, 3])
def test_torchxrayvision_gets_one_channel_from_minus_1024_to_1024(folder, xray_densenet, channels):
    images = random_images(128, channels)
    found = build("DenseNet", 128, channels, folder / "xray.pt", blocks=SMALL)(images)
    pixels = (2 * images.mean(axis=3, keepdims=True) - 1) * 1024
    assert_close(found, pooled(xray_densenet, pixels))


def test_grey_images_are_repeated_for_three_channels(folder, mobilenet):
    images = random_images(64, 1)
    path = folder / "mobilenet.safetensors"
    found = build("MobileNetV2", 64, 1, path, alpha=0.5)(images)
    assert_close(found, pooled(mobilenet, (images - MEAN) / DEVIATION))


@pytest.mark.slow
@pytest.mark.parametrize("channels", [1, 3])
def test_densenet121_computes_what_pytorch_does(tmp_path, channels):
    network = torch_networks.DenseNet((6, 12, 24, 16), channels=channels)
    torch_networks.with_random_values(network, channels)
    torch.save(network, tmp_path / "whole.pth")
    images = random_images(224, 1)
    found = build("DenseNet121", 224, 1, tmp_path / "whole.pth")(images)
    pixels = (2 * images - 1) * 1024 if channels == 1 else (images - MEAN) / DEVIATION
    assert_close(found, pooled(network, pixels))


@pytest.mark.slow
def test_timms_names_give_the_same_features(folder, mobilenet, tmp_path):
    torch.save(torch_networks.timm_names(mobilenet.state_dict()), tmp_path / "timm.pth")
    images = random_images(64, 3)
    found, expected = (
        build("MobileNetV2", 64, 3, path, alpha=0.5)(images)
        for path in (tmp_path / "timm.pth", folder / "mobilenet.safetensors")
    )
    np.testing.assert_array_equal(found, expected)


def old_names(state):
    """The names in torchvision's first files, as a network in DataParallel has them."""
    return {
        "module." + re.sub(r"(denselayer\d+\.(?:norm|conv))(\d)", r"\1.\2", name): value
        for name, value in state.items()
    }


@pytest.mark.parametrize(
    "wrap",
    [
        old_names,
        lambda state: {"epoch": 3, "state_dict": state, "optimizer": {"state": {}}},
        lambda state: {"model": OrderedDict(state)},
        lambda state: {n: v for n, v in state.items() if "tracked" not in n},
    ],
)
def test_names_and_wrappers_of_training_scripts_are_understood(folder, densenet, tmp_path, wrap):
    path = tmp_path / "wrapped.pt"
    torch.save(wrap(densenet.state_dict()), path)
    images = random_images(32, 3)
    found, expected = (
        build("DenseNet", 32, 3, file, blocks=SMALL)(images)
        for file in (path, folder / "densenet.pt")
    )
    np.testing.assert_array_equal(found, expected)


def test_damaged_files_are_refused(folder, densenet, mobilenet, tmp_path):
    whole = (folder / "densenet.pt").read_bytes()
    flipped = bytearray(whole)
    flipped[len(whole) // 2] ^= 1
    legacy = io.BytesIO()
    torch.save(densenet.state_dict(), legacy, _use_new_zipfile_serialization=False)
    legacy = legacy.getvalue()
    files = {
        "empty.pt": b"",
        "text.pt": b"no weights at all",
        "truncated.pt": whole[:-1000],
        "start.pt": whole[:1000],
        "flipped.pt": flipped,
        "legacy.pt": legacy[:-1000],
        "legacy start.pt": legacy[:1000],
        "empty.safetensors": b"",
        "truncated.safetensors": (folder / "mobilenet.safetensors").read_bytes()[:-1000],
    }
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
        start = time.process_time()
        with pytest.raises(ValueError, match="is damaged"):
            build_without_building("DenseNet", tmp_path / name, blocks=SMALL)
        assert time.process_time() - start < 1


def build_without_building(name, path, **options):
    """Read a file for a network that must not be built."""

    def builder(**_):
        pytest.fail("the network was built")

    builder.__name__ = name
    return build_with_weights(builder, name, (64, 64, 3), str(path), options)


@pytest.mark.parametrize(
    ("name", "options", "file", "message"),
    [
        ("DenseNet121", {}, "densenet.pt", r"a DenseNet \(blocks=\(1, 2, 1, 1\)\), .* DenseNet121"),
        ("DenseNet169", {}, "densenet.pt", r"ask for a DenseNet169 \(blocks=\(6, 12, 32, 32\)\)"),
        ("MobileNetV2", {"alpha": 1.0}, "densenet.pt", "holds a DenseNet .* ask for a MobileNetV2"),
        ("MobileNetV2", {"alpha": 1.0}, "mobilenet.safetensors", r"\(alpha=0.5\).*\(alpha=1.0\)"),
        ("DenseNet121", {}, "mobilenet.safetensors", "holds a MobileNetV2"),
        ("MobileNet", {"alpha": 1.0}, "densenet.pt", "read for DenseNet and MobileNetV2 alone"),
        ("ResNet50", {}, "xray.pt", "read for DenseNet and MobileNetV2 alone"),
    ],
)
def test_a_file_of_another_network_says_what_it_holds(folder, name, options, file, message):
    start = time.process_time()
    with pytest.raises(ValueError, match=message):
        build_without_building(name, folder / file, **options)
    assert time.process_time() - start < 1


def changed(state, name, value):
    state = dict(state)
    if value is None:
        del state[name]
    else:
        state[name] = value
    return state


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        (
            "features.norm5.running_var",
            None,
            r"it lacks 1, among them 'features.norm5.running_var'",
        ),
        ("features.denseblock2.denselayer1.conv1.weight", None, "it lacks 1, among them"),
        ("features.norm6.weight", torch.ones(3), "it holds others, 1, among them 'features.norm6"),
        ("features.conv0.bias", torch.ones(64), "it holds others, 1, among them 'features.conv0.b"),
        ("features.conv0.weight", torch.ones(64, 2, 7, 7), "for images of 2 channels"),
    ],
)
def test_a_file_is_loaded_whole_or_not_at_all(densenet, tmp_path, name, value, message):
    torch.save(changed(densenet.state_dict(), name, value), tmp_path / "file.pt")
    with pytest.raises(ValueError, match=message):
        build_without_building("DenseNet", tmp_path / "file.pt", blocks=SMALL)


def test_a_weight_of_another_shape_is_named(densenet, tmp_path):
    name = "features.transition1.conv.weight"
    torch.save(changed(densenet.state_dict(), name, torch.ones(40, 96, 1, 1)), tmp_path / "file.pt")
    with pytest.raises(ValueError, match=rf"{name} has the shape \(40, 96, 1, 1\), .* pool2_conv"):
        build("DenseNet", 32, 3, tmp_path / "file.pt", blocks=SMALL)


def test_a_network_of_another_kind_is_refused(tmp_path):
    torch.save({"layer1.0.conv1.weight": torch.ones(2, 2, 3, 3)}, tmp_path / "resnet.pth")
    with pytest.raises(ValueError, match=r"no DenseNet and no MobileNetV2 .* 'layer1\.0"):
        build_without_building("DenseNet121", tmp_path / "resnet.pth")
    state = torch_networks.MobileNetV2(0.5).state_dict()
    state["features.0.0.weight"] = state["features.0.0.weight"][:, :1]
    torch.save(state, tmp_path / "grey.pt")
    with pytest.raises(ValueError, match="a MobileNetV2 for images of 1 channels"):
        build_without_building("MobileNetV2", tmp_path / "grey.pt", alpha=0.5)


def test_an_image_size_far_from_torchxrayvisions_is_warned_of(folder):
    with pytest.warns(UserWarning, match="image_size=64: .* learnt from images of 224 pixels"):
        build("DenseNet", 64, 1, folder / "xray.pt", blocks=SMALL)


@pytest.fixture
def radiographs():
    images = np.random.default_rng(0).integers(0, 100, (16, 120, 120), dtype=np.uint8)
    images[::2, 20:60, 20:60] += 120
    return images, np.tile(["opaque", "clear"], 8)


@pytest.mark.slow
@pytest.mark.parametrize(("trainable", "channels"), [("head", 3), ("last_stage", 1)])
def test_a_classifier_with_torchxrayvisions_weights_works_throughout(
    folder, radiographs, tmp_path, trainable, channels
):
    X, y = radiographs
    X = X[..., None] * np.float32([0.5, 1.0, 0.75])[:channels] / 255
    clf = DenseNetClassifier(
        weights=folder / "xray.pt",
        blocks=SMALL,
        image_size=112,
        epochs=3,
        fine_tune_epochs=1,
        trainable=trainable,
        random_state=0,
    )
    expected = clf.fit(X, y).predict_proba(X)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(clf)).predict_proba(X), expected)
    clf.model_.save(tmp_path / "model.keras")
    model = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(model.predict(X, verbose=0), expected, atol=1e-4)
    clear_feature_cache()
    np.testing.assert_array_equal(clf.fit(X, y).predict_proba(X), expected)


def test_features_of_a_mobilenet_v2_of_pytorch(folder, mobilenet, radiographs):
    X, _ = radiographs
    features = BackboneFeatures(
        "MobileNetV2", weights=folder / "mobilenet.safetensors", alpha=0.5, image_size=120
    )
    pixels = (X[..., None] / np.float32(255) - MEAN) / DEVIATION
    assert_close(features.fit_transform(X), pooled(mobilenet, pixels.astype(np.float32)))


def test_a_classifier_names_what_is_wrong_with_a_file(folder, radiographs):
    for clf in (
        MobileNetClassifier(weights=folder / "mobilenet.safetensors"),
        BackboneClassifier("MobileNetV2", weights=folder / "mobilenet.safetensors"),
        DenseNetClassifier(weights=folder / "mobilenet.safetensors"),
    ):
        with pytest.raises(ValueError, match=r"holds a MobileNetV2 \(alpha=0.5\), and the param"):
            clf.fit(*radiographs)


@pytest.fixture
def published(monkeypatch, tmp_path):
    """Another file in the place of torchxrayvision's, on a server of this machine."""
    network = torch_networks.with_random_values(torch_networks.DenseNet((6, 12, 24, 16), 1), 1)
    path = tmp_path / "published.pt"
    torch.save(network, path)
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    monkeypatch.setenv("no_proxy", "*")
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=tmp_path)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        url = f"http://127.0.0.1:{server.server_address[1]}/published.pt"
        monkeypatch.setattr(torchxrayvision_weights, "_URL", url)
        monkeypatch.setattr(torchxrayvision_weights, "can_connect", lambda host: True)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield path
        server.shutdown()


def test_torchxrayvision_is_downloaded_once_and_checked(published, monkeypatch):
    digest = hashlib.sha256(published.read_bytes()).hexdigest()
    monkeypatch.setattr(torchxrayvision_weights, "_SHA256", digest)
    found = torchxrayvision_weights.find_torchxrayvision_weights("DenseNet121")
    assert found == published.parent / "keras" / "models" / "published.pt"
    published.unlink()
    monkeypatch.setattr(torchxrayvision_weights, "can_connect", lambda host: False)
    assert found == torchxrayvision_weights.find_torchxrayvision_weights("DenseNet121")
    network, pixels = build_with_weights(
        keras.applications.DenseNet121, "DenseNet121", (128, 128, 3), "torchxrayvision", {}
    )
    assert (network.input_shape, pixels) == ((None, 128, 128, 1), "torchxrayvision")


def test_another_file_than_torchxrayvisions_is_refused(published):
    with pytest.raises(FileNotFoundError, match=r"could not be downloaded: .*SHA256"):
        torchxrayvision_weights.find_torchxrayvision_weights("DenseNet121")
    assert not any((published.parent / "keras" / "models").iterdir())


def test_without_a_network_torchxrayvision_ends_at_once(published, radiographs, monkeypatch):
    monkeypatch.setattr(torchxrayvision_weights, "can_connect", lambda host: False)
    with pytest.raises(FileNotFoundError, match=r"published.pt.* or pass its path as weights="):
        build_without_building("DenseNet121", "torchxrayvision")
    for clf in (
        DenseNetClassifier(weights="torchxrayvision", blocks=(6, 12, 32, 32)),
        BackboneClassifier("MobileNetV2", weights="torchxrayvision"),
    ):
        with pytest.raises(ValueError, match=r"no weights='torchxrayvision' of .*DenseNet121"):
            clf.fit(*radiographs)
