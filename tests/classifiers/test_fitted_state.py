"""A fitted estimator answers as it was fitted, whatever its parameters are set to afterwards."""

import pickle

import keras
import numpy as np
import pytest
from sklearn.base import clone

from lungestimators import (
    BackboneClassifier,
    BackboneFeatures,
    CNNClassifier,
    DenseNetClassifier,
    MobileNetClassifier,
)
from lungestimators.classifiers.parameters import PREDICTION_PARAMETERS, TRAINING_PARAMETERS

SMALL = dict(weights=None, image_size=32, dense_units=8, epochs=2, random_state=0)
CLASSIFIERS = {
    "CNN": CNNClassifier(**SMALL, filters=(4, 8)),
    "MobileNet": MobileNetClassifier(**SMALL, alpha=0.25, trainable="head"),
    "DenseNet": DenseNetClassifier(**SMALL, blocks=(1, 1, 1, 1), trainable="last_stage"),
    "Backbone": BackboneClassifier("MobileNetV3Small", **SMALL, trainable="head"),
}
FEATURES = BackboneFeatures("MobileNetV3Small", weights=None, image_size=32, random_state=0)

# Another value for every parameter there is, usable or not.
OTHER = dict(
    image_size=48,
    image_shape=(16, 16),
    weights="imagenet",
    filters=(2,),
    alpha=0.5,
    blocks=(6, 12, 24, 16),
    backbone="DenseNet121",
    trainable="all",
    feature_cache=None,
    epochs=7,
    batch_size=3,
    optimizer="sgd",
    learning_rate=0.5,
    fine_tune_epochs=3,
    fine_tune_learning_rate=0.5,
    early_stopping=True,
    validation_fraction=0.5,
    n_iter_no_change=1,
    class_weight="balanced",
    augment=True,
    dense_units=5,
    dropout=0.9,
    n_networks=2,
    n_views=2,
    on_error="skip",
    callbacks=[keras.callbacks.TerminateOnNaN()],
    random_state=8,
    verbose=1,
)


# What these two have in common with the others is tried with those, in less time.
SLOW = ("MobileNet", "Backbone")


def marks(label):
    return [pytest.mark.slow] if label in SLOW else []


def cases(estimators):
    return [
        pytest.param(estimator, name, id=f"{label}-{name}", marks=marks(label))
        for label, estimator in estimators.items()
        for name in estimator.get_params()
    ]


@pytest.fixture(scope="module")
def images():
    rng = np.random.default_rng(0)
    X = rng.integers(0, 60, size=(24, 16, 16), dtype=np.uint8)
    y = np.tile(["clear", "opaque"], 12)
    X[y == "opaque", 4:12, 4:12] += 120
    return X, y


@pytest.fixture(scope="module")
def fitted(images):
    """Each classifier, fitted, its probabilities and those of its ``model_``, made once."""
    X, y = images
    made = {}

    def get(estimator):
        key = type(estimator)
        if key not in made:
            clf = clone(estimator).fit(X, y)
            inner = clf.model_.predict(X[..., None], verbose=0)
            made[key] = pickle.dumps(clf), clf.predict_proba(X), inner
        return made[key]

    return get


@pytest.mark.parametrize(("estimator", "name"), cases(CLASSIFIERS))
def test_a_parameter_that_is_set_after_fit_changes_no_answer_unless_it_says_how_to_predict(
    estimator, name, images, fitted, capsys
):
    X, _ = images
    clf, probabilities, _ = fitted(estimator)
    clf = pickle.loads(clf).set_params(**{name: OTHER[name]})
    unchanged = np.array_equal(clf.predict_proba(X), probabilities)
    assert unchanged == (name not in PREDICTION_PARAMETERS)
    value = clf.get_params()[name]
    assert value is OTHER[name] or value == OTHER[name]


@pytest.mark.parametrize(
    "estimator",
    [pytest.param(clf, id=label, marks=marks(label)) for label, clf in CLASSIFIERS.items()],
)
def test_parameters_that_are_set_after_fit_change_no_copy_and_no_model(
    estimator, images, fitted, capsys
):
    X, y = images
    clf, probabilities, inner = fitted(estimator)
    clf = pickle.loads(clf)
    clf.set_params(**{name: OTHER[name] for name in set(clf.get_params()) - PREDICTION_PARAMETERS})
    same = pickle.loads(pickle.dumps(clf))
    labels = clf.classes_[probabilities.argmax(axis=1)]
    np.testing.assert_array_equal(same.predict_proba(X), probabilities)
    np.testing.assert_array_equal(same.predict(X), labels)
    assert same.score(X, y) == (labels == y).mean()
    np.testing.assert_array_equal(same.model_.predict(X[..., None], verbose=0), inner)


@pytest.mark.parametrize("name", FEATURES.get_params())
def test_a_parameter_that_is_set_after_fit_changes_no_feature(name, images, capsys):
    X, _ = images
    features = clone(FEATURES).fit(X)
    expected, names = features.transform(X), features.get_feature_names_out()
    features.set_params(**{name: OTHER[name]})
    for same in (features, pickle.loads(pickle.dumps(features))):
        np.testing.assert_array_equal(same.transform(X), expected)
        np.testing.assert_array_equal(same.get_feature_names_out(), names)


def test_an_image_shape_that_is_taken_back_after_fit_is_still_that_of_the_fit(images):
    X, y = images
    flat = X.reshape(24, -1)
    for estimator, method in ((CLASSIFIERS["CNN"], "predict_proba"), (FEATURES, "transform")):
        estimator = clone(estimator).set_params(image_shape=(16, 16)).fit(flat, y)
        expected = getattr(estimator, method)(flat)
        estimator.set_params(image_shape=None)
        np.testing.assert_array_equal(getattr(estimator, method)(flat), expected)


def test_a_new_fit_takes_the_parameters_that_were_set(images):
    X, y = images
    clf = clone(CLASSIFIERS["CNN"]).fit(X, y).set_params(image_size=16, dropout=0.1)
    expected = clone(clf).fit(X, y).predict_proba(X)
    np.testing.assert_array_equal(clf.fit(X, y).predict_proba(X), expected)


def test_a_fit_that_fails_leaves_the_earlier_fit_its_parameters(images):
    X, y = images
    clf = clone(CLASSIFIERS["CNN"]).fit(X, y)
    expected = clf.predict_proba(X)
    with pytest.raises(ValueError, match="too small"):
        clf.set_params(image_size=2).fit(X, y)
    np.testing.assert_array_equal(clf.predict_proba(X), expected)


@pytest.mark.parametrize(("estimator", "name"), cases({"CNN": CLASSIFIERS["CNN"]}))
def test_partial_fit_takes_what_says_how_to_train_and_refuses_another_network(
    estimator, name, images, capsys
):
    X, y = images
    clf = clone(estimator).partial_fit(X, y, classes=["clear", "opaque"])
    before = clf.predict_proba(X)
    clf.set_params(**{name: OTHER[name]})
    if name == "early_stopping":
        with pytest.raises(ValueError, match="does not support early_stopping=True"):
            clf.partial_fit(X, y)
    elif name in TRAINING_PARAMETERS | PREDICTION_PARAMETERS:
        assert clf.partial_fit(X, y).n_iter_ == 2
        return
    else:
        with pytest.raises(ValueError, match=f"{name}=.*counts only in a new fit"):
            clf.partial_fit(X, y)
    assert clf.n_iter_ == 1
    np.testing.assert_array_equal(clf.predict_proba(X), before)


def test_a_rate_that_is_set_between_two_calls_counts_at_once(images):
    X, y = images
    clf = clone(CLASSIFIERS["CNN"]).partial_fit(X, y, classes=["clear", "opaque"])
    clf.set_params(learning_rate=0.05).partial_fit(X, y)
    assert clf.history_["learning_rate"] == pytest.approx([0.001, 0.05])


def test_a_seed_that_is_a_generator_stays_the_same_seed(images):
    X, y = images
    clf = clone(CLASSIFIERS["CNN"]).set_params(random_state=np.random.RandomState(0))
    clf.partial_fit(X, y, classes=["clear", "opaque"]).partial_fit(X, y)
    assert pickle.loads(pickle.dumps(clf)).partial_fit(X, y).n_iter_ == 3


@pytest.mark.core
@pytest.mark.parametrize(
    ("first", "second"), [("adam", "sgd"), ("sgd", "adam"), ("adam", "adamw"), ("adam", "rmsprop")]
)
def test_another_optimizer_between_two_calls_begins_anew(images, first, second):
    """Adam and AdamW have states of one shape: one would be taken for the other's."""
    X, y = images
    clf = clone(CLASSIFIERS["CNN"]).set_params(optimizer=first)
    clf.partial_fit(X, y, classes=["clear", "opaque"])
    without_state = pickle.loads(pickle.dumps(clf))
    (network,) = without_state._networks
    without_state._networks = [network._replace(optimizer_state={})]
    for one in (clf, without_state):
        one.set_params(optimizer=second).partial_fit(X, y).partial_fit(X, y)
    np.testing.assert_array_equal(clf.predict_proba(X), without_state.predict_proba(X))


def test_an_optimizer_keeps_its_state_however_its_name_is_written(images):
    X, y = images
    clf = clone(CLASSIFIERS["CNN"]).partial_fit(X, y, classes=["clear", "opaque"])
    other = pickle.loads(pickle.dumps(clf)).set_params(optimizer=np.str_("Adam"))
    np.testing.assert_array_equal(
        other.partial_fit(X, y).predict_proba(X), clf.partial_fit(X, y).predict_proba(X)
    )


def test_partial_fit_refuses_early_stopping_as_scikit_learn_does(images):
    X, y = images
    clf = clone(CLASSIFIERS["CNN"]).set_params(early_stopping=True)
    with pytest.raises(ValueError, match="partial_fit does not support early_stopping=True"):
        clf.partial_fit(X, y, classes=["clear", "opaque"])
    assert not hasattr(clf, "classes_")
