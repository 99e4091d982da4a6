"""``model_`` of several networks gives their mean, and holds common layers once."""

import collections
import warnings

import keras
import numpy as np
import pytest
from sklearn.base import clone

from .flat_models import KNOWN_OPERATIONS, LAYERS, as_array, tensorflow_only

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def several(fitted, pixels):
    """Three networks that learnt whole, on a frozen backbone, and with last stages that differ."""
    made = {
        name: clone(fitted[name]).set_params(n_networks=3, epochs=2).fit(*pixels)
        for name in ("CNN", "MobileNet")
    }
    last_stage = dict(n_networks=3, epochs=2, trainable="last_stage", fine_tune_epochs=2)
    made["last stage"] = clone(fitted["MobileNet"]).set_params(**last_stage).fit(*pixels)
    return made


NAMES = ["CNN", "MobileNet", "last stage"]


def count_layers(model):
    return collections.Counter(type(layer).__name__ for layer in model.layers)


@pytest.mark.parametrize("name", NAMES)
def test_it_gives_predict_proba(several, pixels, name):
    X, _ = pixels
    expected = several[name].predict_proba(X)
    model = several[name].model_
    assert np.ptp(expected[:, 0]) > 1e-3, "all images alike: nothing would be compared"
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        answers = [model.predict(X[..., None], verbose=0), as_array(model(X))]
    for found in answers:
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5)


def test_a_frozen_backbone_stands_in_it_once(several, fitted):
    one, three = (count_layers(each["MobileNet"].model_) for each in (fitted, several))
    for kind in ("Conv2D", "DepthwiseConv2D"):
        assert three[kind] == one[kind] > 0
    assert three["Dropout"] == 3 * one["Dropout"] == 3
    for layer in LAYERS["MobileNet"]:
        assert several["MobileNet"].model_.get_layer(layer)


def test_networks_that_learnt_whole_stand_side_by_side(several, fitted):
    one, three = (count_layers(each["CNN"].model_) for each in (fitted, several))
    assert three["Conv2D"] == 3 * one["Conv2D"]
    model = several["CNN"].model_
    names = {layer.name for layer in model.layers}
    for layer in LAYERS["CNN"]:
        assert {f"network_{number}_{layer}" for number in range(3)} <= names
        assert layer not in names
    for number, network in enumerate(several["CNN"]._networks):
        kernel = model.get_layer(f"network_{number}_conv2_conv").get_weights()[0]
        expected = network.parts.backbone.build().get_layer("conv2_conv").get_weights()[0]
        np.testing.assert_array_equal(kernel, expected)
    assert model.layers[-1].name == "mean_of_networks"


def test_layers_below_the_last_stage_stand_in_it_once(several, fitted):
    names = {layer.name for layer in several["last stage"].model_.layers}
    assert "conv_pw_6" in names and "network_0_conv_pw_6" not in names
    assert "conv_pw_13" not in names and "network_2_conv_pw_13" in names
    one, three = (count_layers(clf.model_) for clf in (fitted["MobileNet"], several["last stage"]))
    assert one["Conv2D"] < three["Conv2D"] < 3 * one["Conv2D"]


def test_saved_it_predicts_the_same(several, pixels, tmp_path):
    X, _ = pixels
    for name in ("CNN", "last stage"):
        several[name].model_.save(tmp_path / "model.keras")
        loaded = keras.models.load_model(tmp_path / "model.keras")
        np.testing.assert_allclose(
            loaded.predict(X[..., None], verbose=0),
            several[name].predict_proba(X),
            rtol=0,
            atol=1e-5,
        )


def test_it_refuses_another_shape_and_warns_of_another_range(several, pixels):
    X, _ = pixels
    model = several["CNN"].model_
    with pytest.raises(ValueError, match="takes images of shape"):
        model.predict(X[:, :20, :, None], verbose=0)
    with pytest.warns(UserWarning, match="scale the pixels first"):
        model(X / 255)


@pytest.mark.slow
@tensorflow_only
@pytest.mark.parametrize("name", NAMES)
def test_it_is_made_of_operations_that_other_runtimes_know(several, name):
    import tensorflow as tf

    model = several[name].model_
    traced = tf.function(model).get_concrete_function(tf.TensorSpec((None, 50, 70, 1)))
    assert {operation.type for operation in traced.graph.get_operations()} <= KNOWN_OPERATIONS
    assert len(traced.captured_inputs) == len(model.weights)


def test_it_has_the_image_itself_only(several, pixels):
    X, _ = pixels
    clf = several["MobileNet"]
    expected = clf.predict_proba(X)
    clf = clone(clf).set_params(n_views=3).fit(*pixels)
    found = clf.model_.predict(X[..., None], verbose=0)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5)
    assert np.abs(clf.predict_proba(X) - expected).max() > 1e-4
