"""Several networks in one classifier are the classifiers with the seeds that are documented."""

import pickle
import warnings

import joblib
import keras
import numpy as np
import pytest
from PIL import Image
from sklearn.base import clone
from sklearn.model_selection import cross_validate
from sklearn.utils.estimator_checks import parametrize_with_checks

from lungestimators import (
    CNNClassifier,
    OptunaSearch,
    clear_feature_cache,
    feature_cache_info,
    search_space,
)
from lungestimators.networks import augmentation, blueprints

from .observers import FITS, Observer, assert_same_model
from .test_contract import EXPECTED_FAILURES, SMALL


@pytest.fixture
def weights(cnn, squares, tmp_path):
    """A file of weights of the blocks of ``cnn``."""
    model = cnn.fit(*squares).model_
    blocks = keras.Model(model.get_layer("normalise").input, model.get_layer("flatten").output)
    blocks.save_weights(tmp_path / "blocks.weights.h5")
    return tmp_path / "blocks.weights.h5"


@pytest.fixture
def frozen(cnn, weights):
    """Three heads on frozen blocks, whose features are in no store yet."""
    clear_feature_cache()
    return clone(cnn).set_params(weights=weights, n_networks=3)


def alone(clf):
    """The unfitted classifiers of one network that a classifier of several stands for."""
    seeds = np.random.RandomState(clf.random_state).randint(2**31, size=clf.n_networks)
    return [clone(clf).set_params(n_networks=1, random_state=int(seed)) for seed in seeds]


def assert_mean_of(clf, members, X):
    expected = np.mean([member.predict_proba(X) for member in members], axis=0)
    np.testing.assert_allclose(clf.predict_proba(X), expected, rtol=0, atol=1e-12)
    for number, (network, member) in enumerate(zip(clf._networks, members, strict=True)):
        for part, other in zip(network.parts, member._networks[0].parts, strict=True):
            for weight, other_weight in zip(part.weights, other.weights, strict=True):
                np.testing.assert_array_equal(weight, other_weight)
        rows = np.flatnonzero(np.array(clf.history_["network"]) == number)
        own = {name: [values[row] for row in rows] for name, values in clf.history_.items()}
        assert own == {**member.history_, "network": [number] * member.n_iter_}
    assert clf.n_iter_ == len(clf.history_["loss"]) == sum(member.n_iter_ for member in members)


@pytest.mark.slow
@pytest.mark.parametrize("name", FITS)
def test_it_is_the_mean_of_classifiers_with_the_documented_seeds(name, squares):
    X, y = squares
    clf = clone(FITS[name]).set_params(n_networks=2).fit(X, y)
    members = [member.fit(X, y) for member in alone(clf)]
    assert_mean_of(clf, members, X)
    assert not np.array_equal(*[member.predict_proba(X) for member in members])


@pytest.mark.slow
@pytest.mark.parametrize("trainable", ["head", "last_stage", "all"])
@pytest.mark.parametrize("augment", [False, True])
def test_it_is_their_mean_where_a_file_has_the_first_weights(frozen, squares, trainable, augment):
    X, y = squares
    frozen.set_params(trainable=trainable, augment=augment, n_networks=2, fine_tune_epochs=2)
    assert_mean_of(frozen.fit(X, y), [member.fit(X, y) for member in alone(frozen)], X)


def test_it_is_their_mean_with_weights_patients_and_a_validation_split(frozen, squares):
    X, y = squares
    frozen.set_params(class_weight="balanced", early_stopping=True, validation_fraction=0.25)
    arguments = dict(sample_weight=np.arange(48) % 3, groups=np.arange(48) // 4)
    clf = frozen.fit(X, y, **arguments)
    assert_mean_of(clf, [member.fit(X, y, **arguments) for member in alone(clf)], X)


def test_one_network_takes_its_seeds_from_the_random_state_itself(cnn, squares):
    clf = cnn.fit(*squares)
    draws = np.random.RandomState(0).randint(2**31, size=3)  # the split, the weights, the training
    assert [network.seed for network in clf._networks] == [draws[2]]
    assert "network" not in clf.history_


def test_a_generator_as_seed_is_drawn_from_once_for_each_network(cnn, squares):
    X, y = squares
    generator = np.random.RandomState(0)
    clf = clone(cnn).set_params(n_networks=2, random_state=generator).fit(X, y)
    expected = clone(cnn).set_params(n_networks=2, random_state=0).fit(X, y)
    assert_same_model(clf, expected, X)
    assert not np.array_equal(clf.fit(X, y).predict_proba(X), expected.predict_proba(X))


@pytest.mark.parametrize("early_stopping", [False, True])
def test_frozen_layers_see_every_image_once_for_all_networks(frozen, squares, early_stopping):
    X, y = squares
    frozen.set_params(early_stopping=early_stopping, validation_fraction=0.25)
    frozen.fit(X, y).predict(X)
    assert feature_cache_info().misses == 48
    other = X[::-1] // 2
    frozen.predict(other)
    assert feature_cache_info().misses == 2 * 48


def test_a_prediction_without_a_store_runs_frozen_layers_once(frozen, squares, monkeypatch):
    X, y = squares
    expected = frozen.fit(X, y).predict_proba(X)
    seen = []
    run = blueprints.Blueprint.run

    def counting_run(self, inputs):
        seen.append(len(inputs) if inputs.ndim == 4 else 0)
        return run(self, inputs)

    monkeypatch.setattr(blueprints.Blueprint, "run", counting_run)
    frozen.set_params(feature_cache=None)
    np.testing.assert_array_equal(frozen.predict_proba(X), expected)
    assert sum(seen) == 48


def test_each_network_has_augmented_views_of_its_own(frozen, squares):
    frozen.set_params(augment=True).fit(*squares)
    assert feature_cache_info().misses == 48 * (1 + 3 * augmentation.N_VIEWS)


@pytest.mark.core
def test_partial_fit_trains_every_network(cnn, squares):
    X, y = squares
    clf = cnn.set_params(n_networks=2)
    members = alone(clf)
    for _ in range(3):
        for each in (clf, *members):
            each.partial_fit(X, y, classes=["clear", "opaque"])
    assert_mean_of(clf, members, X)
    assert clf.n_iter_ == 6
    with pytest.raises(ValueError, match="n_networks=3 counts only in a new fit"):
        clf.set_params(n_networks=3).partial_fit(X, y)


def test_partial_fit_goes_on_where_each_network_stopped(squares):
    X, y = squares
    y = np.random.default_rng(0).permutation(y)
    clf = clone(FITS["CNN, early stopping"]).set_params(n_networks=2).fit(X, y)
    members = [member.fit(X, y) for member in alone(clf)]
    assert members[0].n_iter_ != members[1].n_iter_
    for each in (clf, *members):
        each.set_params(early_stopping=False).partial_fit(X, y)
    assert_mean_of(clf, members, X)


def test_callbacks_see_the_epochs_of_all_networks(cnn, squares):
    X, y = squares
    cnn.set_params(epochs=2, n_networks=2)
    expected = clone(cnn).fit(X, y)
    observer = Observer()
    observed = clone(cnn).set_callbacks(observer).fit(X, y)
    assert observer.events[0] == ("setup", 4)
    ends = [event for event in observer.events if event[:2] == ("end", "epoch")]
    assert ends == [("end", "epoch", number) for number in range(4)]
    assert [fitted.n_iter_ for fitted in observer.fitted] == [1, 2, 3, 4]
    assert [len(fitted._networks) for fitted in observer.fitted] == [1, 1, 2, 2]
    assert [fitted.n_iter_ for fitted in observer.begun_with] == [0, 1, 2, 3]
    assert_same_model(observed, expected, X)
    assert_same_model(observer.fitted[-1], expected, X)


@pytest.mark.parametrize("epoch", [1, 3])
def test_a_callback_that_stops_leaves_the_networks_that_it_was_shown(cnn, squares, epoch):
    X, y = squares
    cnn.set_params(epochs=2, n_networks=3)
    observer = Observer(stop_after=epoch)
    stopped = clone(cnn).set_callbacks(observer).fit(X, y)
    assert len(stopped._networks) == (epoch + 1) // 2
    assert stopped.history_["network"] == [0, 0, 1][:epoch]
    assert_same_model(stopped, observer.fitted[-1], X)


class Failing(Observer):
    def on_fit_task_end(self, estimator, context):
        if context.task_id == 5:
            raise ValueError("in the second network")


def test_a_fit_that_fails_in_the_second_network_is_undone(cnn, squares):
    X, y = squares
    expected = cnn.set_params(n_networks=2).fit(X, y).predict_proba(X)
    before = cnn.set_callbacks(Failing()).__dict__.copy()
    with pytest.raises(ValueError, match="in the second network"):
        cnn.fit(X[::-1], y)
    assert cnn.__dict__ == before
    np.testing.assert_array_equal(cnn.predict_proba(X), expected)


@pytest.mark.slow
def test_every_network_has_keras_callbacks_of_its_own(cnn, squares):
    X, y = squares
    stopping = keras.callbacks.EarlyStopping("loss", mode="max", patience=1)
    clf = cnn.set_params(n_networks=2, epochs=10, callbacks=[stopping]).fit(X, y)
    assert len(clf.callbacks_) == 2
    assert all(callback.stopped_epoch for callback in clf.callbacks_)
    assert_mean_of(clf, [member.fit(X, y) for member in alone(clf)], X)
    made = []

    def make():
        made.append(keras.callbacks.History())
        return made[-1:]

    clf = clone(cnn).set_params(callbacks=make).fit(X, y)
    assert clf.callbacks_ == made and len(made) == 2


def test_files_that_are_left_out_are_warned_of_once(cnn, squares, tmp_path):
    X, y = squares
    paths = [str(tmp_path / f"{number}.png") for number in range(48)]
    for path, image in zip(paths[1:], X[1:], strict=True):
        Image.fromarray(image).save(path)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        clf = cnn.set_params(on_error="skip", n_networks=2).fit(paths, y)
    assert sum("Left out" in str(w.message) for w in caught) == 1
    assert list(clf.skipped_) == paths[:1]
    assert_mean_of(clf, [member.fit(paths[1:], y[1:]) for member in alone(clf)], paths[1:])


def test_verbose_says_which_network_is_trained(cnn, squares, capsys):
    X, y = squares
    cnn.set_params(verbose=1, epochs=1, n_networks=2).fit(X, y)
    lines = capsys.readouterr().out.splitlines()
    assert [line for line in lines if line.startswith(("Network", "Training"))] == [
        "Network 1 of 2",
        "Training all: 1 epoch of 3 steps",
        "Network 2 of 2",
        "Training all: 1 epoch of 3 steps",
    ]


@pytest.mark.parametrize("name", ["n_networks", "n_views"])
@pytest.mark.parametrize("value, error", [(0, ValueError), (1.5, TypeError), (True, TypeError)])
def test_a_number_that_is_none_is_a_clear_error(cnn, squares, name, value, error):
    with pytest.raises(error, match=f"{name}={value}.* must be"):
        cnn.set_params(**{name: value}).fit(*squares)
    assert not hasattr(cnn, "classes_")


def test_copies_predict_the_same_and_a_frozen_backbone_is_saved_once(frozen, squares, tmp_path):
    X, y = squares
    expected = frozen.fit(X, y).predict_proba(X)
    joblib.dump(frozen, tmp_path / "three")
    for copy in (pickle.loads(pickle.dumps(frozen)), joblib.load(tmp_path / "three")):
        np.testing.assert_array_equal(copy.predict_proba(X), expected)
        first, *others = (network.parts.backbone for network in copy._networks)
        assert all(other is first for other in others)


def test_a_search_leaves_the_number_of_networks_and_views_alone(cnn):
    assert not {"n_networks", "n_views"} & set(search_space(cnn.set_params(n_networks=3)))


@pytest.mark.slow
def test_a_search_scores_and_prunes_by_the_epochs_of_all_networks(cnn, squares):
    X, y = squares
    cnn.set_params(n_networks=2, epochs=3)
    space = {"learning_rate": search_space(cnn)["learning_rate"]}
    search = OptunaSearch(cnn, space, cv=2, n_trials=6, random_state=0).fit(X, y)
    assert search.best_estimator_.n_iter_ == search.best_epoch_ <= 6
    assert search.best_score_ > 0.9


@pytest.mark.slow
def test_workers_train_the_same_networks(cnn, squares):
    X, y = squares
    cnn.set_params(n_networks=2, n_views=2)
    expected = clone(cnn).fit(X, y)
    splits = [(np.arange(48), np.arange(48))] * 2
    both = cross_validate(cnn, X, y, cv=splits, n_jobs=2, return_estimator=True)
    for fitted in both["estimator"]:
        assert_same_model(fitted, expected, X)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:float64 pixels lie in:UserWarning")
@parametrize_with_checks(
    [CNNClassifier(**{**SMALL, "image_size": 8}, filters=(8, 8), n_networks=2, n_views=2)],
    expected_failed_checks=lambda estimator: EXPECTED_FAILURES,
)
def test_scikit_learn_accepts_several_networks_and_views(estimator, check):
    check(estimator)
