"""A network that a user's function builds has everything that the package's networks have."""

import functools
import pickle
import subprocess
import sys
import time
from pathlib import Path

import keras
import numpy as np
import pytest
from optuna.distributions import CategoricalDistribution
from sklearn.base import clone
from sklearn.model_selection import cross_val_score

from lungestimators import (
    BackboneClassifier,
    BackboneFeatures,
    OptunaSearch,
    clear_feature_cache,
    feature_cache_info,
    search_space,
)
from lungestimators.networks import architectures, blueprints, cutting
from tests.networks import own_networks

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def empty_cache():
    clear_feature_cache()


def classifier(function, **options):
    settings = dict(image_size=16, epochs=4, dense_units=16, learning_rate=0.01, random_state=0)
    return BackboneClassifier(function, **{"weights": None, **settings, **options})


def features(function, **options):
    return BackboneFeatures(
        function, **{"weights": None, "image_size": 16, "random_state": 0, **options}
    )


def averages(network, images, *names):
    """The averages of the outputs of some layers, joined, of a user's network itself."""
    outputs = [network.get_layer(name).output for name in names]
    maps = keras.tree.flatten(keras.Model(network.input, outputs)(images, training=False))
    return np.concatenate([keras.ops.convert_to_numpy(each).mean((1, 2)) for each in maps], axis=1)


def moved_layers(before, after):
    """Names of the layers of the backbone whose weights differ between two classifiers."""
    return {
        layer.name
        for layer in after.model_.layers
        if not layer.name.startswith("head_") and layer.weights
        for a, b in [(before.model_.get_layer(layer.name).get_weights(), layer.get_weights())]
        if any(not np.array_equal(x, y) for x, y in zip(a, b, strict=True))
    }


@pytest.mark.core
@pytest.mark.parametrize(
    ("function", "trainable"),
    [
        (own_networks.small, "auto"),
        (own_networks.small, "last_stage"),
        (own_networks.vector, "head"),
        (own_networks.vector, "all"),
    ],
)
def test_it_learns_clones_and_pickles_like_any_other(squares, function, trainable):
    X, y = squares
    clf = classifier(function, trainable=trainable, epochs=20, augment=trainable == "head")
    probabilities = clf.fit(X, y).predict_proba(X)
    assert clf.score(X, y) > 0.9
    np.testing.assert_array_equal(clone(clf).fit(X, y).predict_proba(X), probabilities)
    again = pickle.loads(pickle.dumps(clf))
    assert again.backbone is function
    np.testing.assert_array_equal(again.predict_proba(X), probabilities)


def test_features_are_averages_of_the_maps_that_the_users_network_gives(squares):
    X, _ = squares
    network = own_networks.trained(16, 1)
    expected = averages(network, X[..., None] / np.float32(255), "fine", "coarse_relu")
    found = features(own_networks.trained, weights="pretrained").fit_transform(X)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


def test_a_vector_is_used_as_it_is(squares):
    X, _ = squares
    found = features(own_networks.vector).fit_transform(X)
    network = features(own_networks.vector).fit(X)._network.build()
    assert found.shape == (48, 5)
    images = X[..., None] / np.float32(255)
    expected = keras.ops.convert_to_numpy(network(images))
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
    assert np.abs(found).max() <= 1  # of tanh


def test_models_in_models_give_what_they_gave_and_become_one_graph(squares):
    X, y = squares
    images = X[..., None] / np.float32(255)
    expected = keras.ops.convert_to_numpy(own_networks.nested(16, 1)(images, training=False))
    settings = dict(weights="pretrained", image_size=16)
    found = features(own_networks.nested, **settings).fit_transform(X)
    np.testing.assert_allclose(found[:, -3:], expected.mean((1, 2)), rtol=1e-4, atol=1e-5)
    clf = classifier(own_networks.nested, weights="pretrained", trainable="all").fit(X, y)
    assert not any(isinstance(layer, keras.Model) for layer in clf.model_.layers)
    answers = keras.ops.convert_to_numpy(clf.model_(X[..., None]))
    np.testing.assert_allclose(answers, clf.predict_proba(X), atol=1e-5)


@pytest.mark.core
@pytest.mark.parametrize("trainable", ["head", "last_stage", "all"])
def test_model_gives_the_same_probabilities_and_keeps_the_users_names(squares, trainable):
    X, y = squares
    clf = classifier(own_networks.small, trainable=trainable).fit(X, y)
    names = [layer.name for layer in clf.model_.layers]
    assert {"centre", "fine", "coarse", "coarse_bn", "coarse_relu"} < set(names)
    answers = keras.ops.convert_to_numpy(clf.model_(X[..., None]))
    np.testing.assert_allclose(answers, clf.predict_proba(X), atol=1e-5)


def test_random_weights_follow_the_seed_and_pretrained_ones_do_not(squares):
    X, _ = squares

    def fitted(function, **options):
        return features(function, **options).fit(X)._network.weights

    def same(one, other):
        return all(map(np.array_equal, one, other))

    assert same(fitted(own_networks.small), fitted(own_networks.small))
    assert not same(fitted(own_networks.small), fitted(own_networks.small, random_state=1))
    known = fitted(own_networks.trained, weights="pretrained")
    assert same(known, fitted(own_networks.trained, weights="pretrained", random_state=1))


def test_pretrained_weights_stay_and_random_ones_learn_unless_trainable_says_otherwise(squares):
    untouched = classifier(own_networks.trained, weights="pretrained").fit(*squares)
    again = classifier(own_networks.trained, weights="pretrained", epochs=1).fit(*squares)
    assert moved_layers(untouched, again) == set()
    learnt = classifier(own_networks.trained).fit(*squares)
    assert moved_layers(untouched, learnt) == {"fine", "coarse", "coarse_bn"}
    last = classifier(own_networks.trained, weights="pretrained", trainable="last_stage")
    assert moved_layers(untouched, last.fit(*squares)) == {"coarse"}  # batch norm and all


def test_the_last_stage_and_what_lies_before_are_the_network():
    X = np.random.default_rng(0).random((5, 16, 16, 1), np.float32)
    whole = blueprints.initial_backbone_blueprint(own_networks.small, (), 16, 1, None, 0)
    below, above = cutting.cut_frozen_part(whole, "last_stage"), cutting.cut_last_stage(whole)
    np.testing.assert_allclose(above.run(below.run(X)), whole.run(X), rtol=1e-5, atol=1e-7)
    assert len(above.weights) == 5  # of coarse and coarse_bn


def test_a_weights_file_is_loaded_whole_or_refused(squares, tmp_path):
    X, y = squares
    path = tmp_path / "mine.weights.h5"
    own_networks.trained(16, 1).save_weights(path)
    expected = features(own_networks.trained, weights="pretrained").fit_transform(X)
    found = features(own_networks.small, weights=path).fit_transform(X)
    np.testing.assert_array_equal(found, expected)
    assert feature_cache_info().misses == 48  # one network, however it came
    with pytest.raises(ValueError, match="could not be loaded"):
        features(own_networks.wide, weights=path).fit(X)
    with pytest.raises(FileNotFoundError, match="there is no such file"):
        classifier(own_networks.small, weights=tmp_path / "none.weights.h5").fit(X, y)


def test_every_image_goes_through_a_frozen_network_once(squares):
    X, y = squares
    clf = classifier(own_networks.trained, weights="pretrained", epochs=1)
    cross_val_score(clf, X, y, cv=3)
    features(own_networks.trained, weights="pretrained").fit_transform(X)
    assert feature_cache_info().misses == 48


@pytest.mark.slow
def test_worker_processes_give_the_scores_of_one_process_and_share_a_store(squares, tmp_path):
    X, y = squares
    clf = classifier(own_networks.scaled, trainable="head", feature_cache=tmp_path / "store")
    alone = cross_val_score(clone(clf).set_params(feature_cache=None), X, y, cv=4)
    np.testing.assert_array_equal(cross_val_score(clf, X, y, cv=4, n_jobs=2), alone)
    before = feature_cache_info(tmp_path / "store").bytes
    clf.fit(X, y)
    assert feature_cache_info(tmp_path / "store").bytes == before > 0


@pytest.mark.slow
def test_a_saved_classifier_predicts_in_a_process_that_knows_nothing_of_its_layers(
    squares, tmp_path
):
    X, y = squares
    clf = classifier(own_networks.scaled).fit(X, y)
    (tmp_path / "clf.pkl").write_bytes(pickle.dumps((clf, X)))
    program = (
        "import pickle, sys; clf, X = pickle.load(open(sys.argv[1], 'rb')); "
        "print(clf.predict_proba(X)[:, 0].tolist())"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, tmp_path / "clf.pkl"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    found = np.array(pickle.loads(pickle.dumps(eval(done.stdout))))
    np.testing.assert_allclose(found, clf.predict_proba(X)[:, 0], atol=1e-6)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:Choices for a categorical distribution")
def test_a_search_chooses_between_functions(squares):
    choices = (own_networks.small, own_networks.vector)
    space = {"backbone": CategoricalDistribution(choices)}
    search = OptunaSearch(classifier(None, epochs=1), space, cv=2, n_trials=3, random_state=0)
    search.fit(*squares)
    assert search.best_estimator_.backbone in choices
    assert {params["backbone"] for params in search.cv_results_["params"]} == set(choices)
    assert "backbone" not in search_space(classifier(own_networks.small))


def test_parameters_of_a_function_are_a_partial_of_it(squares):
    X, y = squares
    partial = functools.partial(own_networks.small, filters=8)
    expected = classifier(own_networks.wide).fit(X, y).predict_proba(X)
    np.testing.assert_array_equal(classifier(partial).fit(X, y).predict_proba(X), expected)


def test_a_layer_whose_code_has_changed_is_another_network(squares, monkeypatch):
    """As in a notebook, whose cell is run again: the configuration is the same."""
    X, _ = squares
    before = features(own_networks.scaled).fit_transform(X)
    monkeypatch.setattr(own_networks.Scale, "call", lambda self, x: x * self.factor + 1)
    changed = functools.partial(own_networks.scaled)  # another function, as after the cell has run
    np.testing.assert_allclose(features(changed).fit_transform(X), before + 1, atol=1e-5)


def test_names_that_the_package_gives_to_its_layers_may_be_taken():
    inputs = keras.Input((16, 16, 1))
    x = keras.layers.Conv2D(2, 3, strides=2, name="pool_1")(inputs)
    network = keras.Model(inputs, keras.layers.Conv2D(2, 3, strides=2, name="features")(x))
    assert architectures.vector_of_application(network).output_shape == (None, 4)


@pytest.mark.parametrize(
    ("name", "error", "message"),
    [
        ("text", TypeError, r"own_networks\.text must return a keras\.Model, and it returned str"),
        ("subclassed", TypeError, "returned a Subclassed, a model with a method call of its own"),
        ("unbuilt", ValueError, r"has no inputs, .* \(None, 16, 16, 1\): begin with keras.Input"),
        ("whole_numbers", ValueError, "images of type uint8, and they are float32, from 0 to 1"),
        ("two_inputs", ValueError, "has 2 inputs, and one is needed"),
        ("two_outputs", ValueError, "has 2 outputs, and one is needed"),
        ("of_another_size", ValueError, r"of shape \(None, 32, 32, 1\), and its images have"),
        ("always_rgb", ValueError, r"must follow image_size and channels, which are 1 for grey"),
        ("sequence", ValueError, r"output of shape \(None, 49, 4\), .*GlobalAveragePooling1D"),
        ("half_precision", ValueError, "an output of type float16, and float32 is needed"),
        ("unregistered", ValueError, r"'unregistered\w*' \(Unregistered\) cannot .*register_keras"),
        ("with_lambda", ValueError, r"'lambda\w*' \(Lambda\) cannot be .* in place of a Lambda"),
        ("forgetful", ValueError, "computes other features .* get_config of a layer lacks"),
        ("called_twice", ValueError, "calls the layer 'shared_relu' more than once"),
        ("reserved_name", ValueError, "has a layer named 'head_relu'"),
        ("own_norm", ValueError, "the layer 'mine' of the class OwnNorm, which inherits"),
    ],
)
def test_a_network_that_cannot_be_used_says_why(squares, name, error, message):
    X, y = squares
    function = getattr(own_networks, name)
    with pytest.raises(error, match=message):
        classifier(function).fit(X, y)
    with pytest.raises(error, match=message):
        features(function).fit(X)


def inside():
    def function(image_size, channels):
        raise AssertionError

    return function


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        (dict(backbone=own_networks.not_at_the_top[0]), ValueError, "lambda.* cannot be imported"),
        (dict(backbone=inside()), ValueError, "<locals>.function cannot be imported.*top level"),
        (dict(backbone=keras.applications.VGG16), ValueError, "pass its name, backbone='VGG16'"),
        (dict(backbone=3), TypeError, "backbone=3 must be the name of a network of keras.appl"),
        (dict(weights="imagenet"), ValueError, r"For backbone=.*small pass weights='pretrained'"),
        (dict(weights="chest"), ValueError, "weights='chest' is for networks of keras.applica"),
        (dict(alpha=0.5), ValueError, "alpha=0.5 is the width of a MobileNet"),
        (dict(backbone="VGG16", weights="pretrained"), ValueError, "is for a function or a preset"),
    ],
)
def test_a_wrong_parameter_is_named_at_once(squares, settings, error, message):
    X, y = squares
    start = time.perf_counter()
    with pytest.raises(error, match=message):
        classifier(own_networks.small).set_params(**settings).fit(X, y)
    with pytest.raises(error, match=message):
        features(own_networks.small).set_params(**settings).fit(X)
    assert time.perf_counter() - start < 1


def test_a_last_stage_needs_a_feature_map(squares):
    with pytest.raises(ValueError, match="'last_stage' needs a network with a layer that has"):
        classifier(own_networks.dense, trainable="last_stage").fit(*squares)
    assert classifier(own_networks.dense, trainable="all").fit(*squares)


def test_losses_of_layers_are_not_used_and_warned_of(squares):
    with pytest.warns(UserWarning, match="regularizers or other losses"):
        classifier(own_networks.regularized).fit(*squares)
