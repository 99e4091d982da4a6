"""Presets of keras-hub are networks like any other; those here are folders, without a network."""

import json
import pickle
import sys

import keras
import numpy as np
import pytest
from sklearn.model_selection import cross_val_score

from lungestimators import BackboneClassifier, BackboneFeatures
from lungestimators.networks import blueprints, cutting

keras_hub = pytest.importorskip("keras_hub", reason="keras-hub, the extra hub, is not installed")

pytestmark = pytest.mark.slow


def resnet():
    return keras_hub.models.ResNetBackbone(
        input_conv_filters=[64],
        input_conv_kernel_sizes=[3],
        stackwise_num_filters=[64, 64],
        stackwise_num_blocks=[1, 1],
        stackwise_num_strides=[1, 2],
        block_type="basic_block",
    )


@pytest.fixture
def preset(tmp_path):
    """The folder of a small ResNet with an image converter of its own means."""
    keras.utils.set_random_seed(0)
    folder = tmp_path / "resnet"
    resnet().save_to_preset(folder)
    converter = keras_hub.layers.ResNetImageConverter(
        image_size=(32, 32), scale=[0.017, 0.018, 0.019], offset=[-2.1, -2.0, -1.8]
    )
    converter.save_to_preset(folder)
    return folder


def classifier(preset, **options):
    settings = dict(image_size=32, epochs=3, dense_units=16, learning_rate=0.01, random_state=0)
    options = {"weights": "pretrained", **settings, **options}
    return BackboneClassifier(f"keras_hub:{preset}", **options)


def features(preset, **options):
    options = {"weights": "pretrained", "image_size": 32, "random_state": 0, **options}
    return BackboneFeatures(f"keras_hub:{preset}", **options)


@pytest.fixture
def images(squares):
    return squares[0].repeat(2, axis=1).repeat(2, axis=2), squares[1]


def test_the_backbone_sees_what_the_presets_converter_gives(images, preset):
    rgb = np.repeat(images[0][..., None], 3, axis=3)
    backbone = keras_hub.models.Backbone.from_preset(str(preset))
    converter = keras_hub.layers.ImageConverter.from_preset(str(preset))
    maps = keras.ops.convert_to_numpy(backbone(converter(rgb.astype("float32")), training=False))
    found = features(preset).fit_transform(images[0])
    np.testing.assert_allclose(found[:, -64:], maps.mean((1, 2)), rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(features(preset).fit_transform(rgb), found, rtol=1e-5, atol=1e-6)


def test_a_preset_without_a_converter_sees_pixels_in_0_to_1(images, preset):
    (preset / "image_converter.json").unlink()
    rgb = np.repeat(images[0][..., None], 3, axis=3) / np.float32(255)
    backbone = keras_hub.models.Backbone.from_preset(str(preset))
    maps = keras.ops.convert_to_numpy(backbone(rgb, training=False))
    found = features(preset).fit_transform(images[0])
    np.testing.assert_allclose(found[:, -64:], maps.mean((1, 2)), rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("trainable", ["auto", "last_stage", "all"])
def test_it_learns_pickles_and_has_a_model(images, preset, trainable):
    X, y = images
    clf = classifier(preset, trainable=trainable, fine_tune_epochs=2).fit(X, y)
    probabilities = clf.predict_proba(X)
    again = pickle.loads(pickle.dumps(clf))
    np.testing.assert_array_equal(again.predict_proba(X), probabilities)
    np.testing.assert_allclose(clf.model_(X[..., None]), probabilities, atol=1e-4)


def test_without_weights_it_is_random_and_everything_learns(images, preset):
    X, y = images
    one, same, other = (
        features(preset, weights=None, random_state=seed).fit(X)._network.weights
        for seed in (0, 0, 1)
    )
    assert all(map(np.array_equal, one, same))
    assert not all(map(np.array_equal, one, other))
    clf = classifier(preset, weights=None, epochs=1).fit(X, y)
    kernel = clf.model_.get_layer("conv1_conv").get_weights()[0]
    before = clf.set_params(trainable="head").fit(X, y).model_.get_layer("conv1_conv")
    assert not np.array_equal(kernel, before.get_weights()[0])


def test_a_weights_file_of_the_same_network_is_loaded(images, preset, tmp_path):
    X, _ = images
    network = resnet()
    network.save_weights(tmp_path / "other.weights.h5")
    network.save_to_preset(preset)
    expected = features(preset).fit_transform(X)
    found = features(preset, weights=tmp_path / "other.weights.h5").fit_transform(X)
    np.testing.assert_array_equal(found, expected)


def test_a_replaced_preset_is_noticed(images, preset):
    before = features(preset).fit_transform(images[0])
    keras.utils.set_random_seed(1)
    resnet().save_to_preset(preset)
    assert not np.array_equal(features(preset).fit_transform(images[0]), before)


def test_layers_of_keras_hub_are_cut_and_their_batch_norm_stays(images, tmp_path):
    X, y = images
    keras.utils.set_random_seed(0)
    keras_hub.models.EfficientNetBackbone(
        stackwise_kernel_sizes=[3, 3],
        stackwise_num_repeats=[1, 1],
        stackwise_input_filters=[8, 8],
        stackwise_output_filters=[8, 8],
        stackwise_expansion_ratios=[1, 4],
        stackwise_squeeze_and_excite_ratios=[0.0, 0.25],
        stackwise_strides=[1, 2],
        stackwise_block_types=["fused", "unfused"],
        width_coefficient=1.0,
        depth_coefficient=1.0,
    ).save_to_preset(tmp_path)
    name = f"keras_hub:{tmp_path}"
    whole = blueprints.initial_backbone_blueprint(name, (), 32, 1, "pretrained", 0)
    below, above = cutting.cut_frozen_part(whole, "last_stage"), cutting.cut_last_stage(whole)
    pixels = X[:4, ..., None] / np.float32(255)
    np.testing.assert_allclose(
        above.run(below.run(pixels)), whole.run(pixels), rtol=1e-4, atol=1e-6
    )
    clf = classifier(tmp_path, trainable="all", epochs=1, fine_tune_epochs=1).fit(X, y)
    statistics = [
        number
        for number, weight in enumerate(clf._networks[0].parts.backbone.build().weights)
        if "moving" in weight.path
    ]
    assert statistics
    for number in statistics:
        np.testing.assert_array_equal(
            clf._networks[0].parts.backbone.weights[number], whole.weights[number]
        )


@pytest.mark.slow
def test_worker_processes_give_the_scores_of_one_process(images, preset):
    clf = classifier(preset, feature_cache=None)
    alone = cross_val_score(clf, *images, cv=4)
    np.testing.assert_array_equal(cross_val_score(clf, *images, cv=4, n_jobs=2), alone)


def test_an_unknown_preset_says_what_there_is(images):
    with pytest.raises(
        ValueError, match=r"(?s)'keras_hub:no_such_preset' .*Unknown preset identif"
    ):
        features("no_such_preset").fit(images[0])


def test_a_preset_that_cannot_be_downloaded_says_what_works_without_a_network(images, monkeypatch):
    def unreachable(*args):
        raise ConnectionError("api.kaggle.com does not answer")

    monkeypatch.setattr("kagglehub.model_download", unreachable)
    with pytest.raises(
        FileNotFoundError, match=r"(?s)does not answer.*backbone='keras_hub:FOLDER'"
    ):
        features("resnet_18_imagenet").fit(images[0])


def test_a_preset_of_texts_is_refused(images, tmp_path):
    keras_hub.models.BertBackbone(
        vocabulary_size=8, num_layers=1, num_heads=1, hidden_dim=4, intermediate_dim=4
    ).save_to_preset(tmp_path)
    with pytest.raises(ValueError, match="ImageConverter that is compatible with BertBackbone"):
        features(tmp_path).fit(images[0])


def test_a_layer_that_changes_its_name_is_refused(images, tmp_path):
    keras_hub.models.MobileNetBackbone(
        stackwise_expansion=[[8], [8]],
        stackwise_num_blocks=[1, 1],
        stackwise_num_filters=[[8], [8]],
        stackwise_kernel_size=[[3], [3]],
        stackwise_num_strides=[[2], [2]],
        stackwise_se_ratio=[[None], [0.25]],
        stackwise_activation=[["relu"], ["relu"]],
        stackwise_padding=[[1], [1]],
        output_num_filters=16,
        depthwise_filters=8,
        depthwise_stride=1,
        depthwise_residual=False,
        squeeze_and_excite=None,
        last_layer_filter=16,
    ).save_to_preset(tmp_path)
    with pytest.raises(ValueError, match=r"\(DepthwiseConvBlock\) has the name .* built again"):
        features(tmp_path).fit(images[0])


def test_a_preset_of_another_size_says_its_size(images, preset):
    config = json.loads((preset / "config.json").read_text())
    config["config"]["image_shape"] = [64, 64, 3]
    (preset / "config.json").write_text(json.dumps(config))
    with pytest.raises(ValueError, match=r"takes images of shape \(None, 64, 64, 3\)"):
        features(preset).fit(images[0])


@pytest.mark.parametrize("weights", ["imagenet", "chest"])
def test_weights_of_other_networks_are_refused_at_once(images, weights):
    with pytest.raises(ValueError, match="weights='pretrained'"):
        features("resnet_18_imagenet", weights=weights).fit(images[0])


def test_the_error_without_keras_hub_names_the_extra(images, preset, monkeypatch):
    monkeypatch.setitem(sys.modules, "keras_hub", None)
    with pytest.raises(ImportError, match=r"lungestimators\[hub\]"):
        features(preset).fit(images[0])
