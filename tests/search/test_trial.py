"""A trial of a search: epochs, folds, pruning, and what is computed once for all of them."""

import math
import shutil
import warnings

import keras
import numpy as np
import optuna
import optuna_integration
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.samplers import GridSampler
from PIL import Image
from sklearn.base import clone
from sklearn.metrics import get_scorer
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from lungestimators import (
    BackboneClassifier,
    ImageReader,
    clear_feature_cache,
    feature_cache_info,
    search_space,
)
from tests.search.image_searches import FOLDS, search


class Curve:
    """A callback that scores every epoch on given images, and stops after one of them."""

    def __init__(self, X, y, metrics, last=math.inf):
        self.scorers = [get_scorer(metric) for metric in metrics]
        self.data = X, y
        self.last = last
        self.scores = []

    def setup(self, estimator, context):
        pass

    def teardown(self, estimator, context):
        pass

    def on_fit_task_begin(self, estimator, context):
        pass

    def on_fit_task_end(self, estimator, context, *, fitted_estimator=None):
        if context.task_name != "epoch":
            return False
        self.scores.append([scorer(fitted_estimator, *self.data) for scorer in self.scorers])
        return len(self.scores) == self.last


def test_the_epoch_that_is_best_over_all_folds_counts(cnn, squares):
    X, y = squares
    metrics = ["accuracy", "neg_log_loss"]
    found = search(cnn, scoring=metrics, refit="neg_log_loss").fit(X, y)
    best = clone(cnn).set_params(**found.best_params_)
    curves = []
    for train, test in FOLDS.split(X, y):
        curve = Curve(X[test], y[test], metrics)
        clone(best).set_callbacks(curve).fit(X[train], y[train])
        curves.append(curve.scores)
    means = np.mean(curves, axis=0)
    epoch = means[:, 1].argmax()
    assert found.best_epoch_ == epoch + 1
    assert found.best_score_ == means[epoch, 1]
    assert found.cv_results_["mean_test_accuracy"][found.best_index_] == means[epoch, 0]
    np.testing.assert_array_equal(found.cv_results_["n_epochs"], 2 * cnn.epochs)


def test_the_final_fit_stops_at_the_best_epoch(cnn, squares):
    X, y = squares
    y = np.random.default_rng(0).permutation(y)  # there is nothing to learn but these images
    found = search(cnn.set_params(epochs=5), scoring="neg_log_loss").fit(X, y)
    assert found.best_epoch_ < 5
    stop = Curve(X, y, ["accuracy"], last=found.best_epoch_)
    expected = clone(cnn).set_params(**found.best_params_).set_callbacks(stop).fit(X, y)
    np.testing.assert_array_equal(found.predict_proba(X), expected.predict_proba(X))
    assert found.best_estimator_.n_iter_ == found.best_epoch_
    assert found.best_estimator_.fit(X, y).n_iter_ == 5


@pytest.mark.parametrize("epochs", [3, 25])
def test_every_trial_has_twenty_steps_a_fold(cnn, squares, epochs):
    found = search(cnn.set_params(epochs=epochs), n_trials=1).fit(*squares)
    (trial,) = found.study_.trials
    assert list(trial.intermediate_values) == list(range(1, 41))
    assert trial.intermediate_values[40] == trial.value
    assert found.cv_results_["n_epochs"] == [2 * epochs]


@pytest.mark.parametrize(("step", "n_epochs"), [(4, 1), (5, 1), (6, 2), (20, 4), (21, 5)])
def test_a_trial_is_pruned_in_the_middle_of_a_fold(cnn, squares, step, n_epochs):
    class AtStep(optuna.pruners.BasePruner):
        def prune(self, study, trial):
            return trial.number == 1 and trial.last_step >= step

    found = search(cnn, pruner=AtStep(), n_trials=2).fit(*squares).cv_results_
    assert found["state"].tolist() == ["complete", "pruned"]
    assert found["n_epochs"].tolist() == [8, n_epochs]
    assert np.isfinite(found["split0_test_score"][1]) == (n_epochs >= 4)


@pytest.mark.slow
def test_pruning_halves_the_epochs_and_finds_as_good_a_trial(cnn, squares):
    space = {"learning_rate": FloatDistribution(1e-6, 1e-1, log=True)}
    sampler = optuna.samplers.RandomSampler(seed=0)
    options = dict(n_trials=30, sampler=sampler, scoring="neg_log_loss", refit=False)
    full = search(cnn, space, **options).fit(*squares)
    pruned = search(cnn, space, pruner=None, **options).fit(*squares)
    assert pruned.cv_results_["n_epochs"].sum() <= full.cv_results_["n_epochs"].sum() / 2
    assert pruned.best_score_ == full.best_score_


def test_with_early_stopping_the_classifier_chooses_its_epoch(cnn, squares):
    X, y = squares
    cnn.set_params(early_stopping=True, validation_fraction=0.25)
    found = search(cnn, n_trials=1).fit(X, y)
    assert found.best_epoch_ is None
    assert list(found.study_.trials[0].intermediate_values) == [20, 40]
    best = clone(cnn).set_params(**found.best_params_)
    scores = [
        clone(best).fit(X[train], y[train]).score(X[test], y[test])
        for train, test in FOLDS.split(X, y)
    ]
    assert found.best_score_ == np.mean(scores)


@pytest.mark.parametrize("epochs", [4, pytest.param(100, marks=pytest.mark.slow)])
def test_a_fold_that_a_callback_ends_counts_as_it_is_then(cnn, squares, epochs):
    X, y = squares
    early = keras.callbacks.EarlyStopping(monitor="loss", min_delta=1e9, patience=1)
    cnn.set_params(epochs=epochs, callbacks=[early])
    found = search(cnn, n_trials=1, scoring="neg_log_loss").fit(X, y)
    assert found.cv_results_["n_epochs"] == [4]
    assert list(found.study_.trials[0].intermediate_values)[-1] == 40
    best = clone(cnn).set_params(**found.best_params_)
    scores = [
        get_scorer("neg_log_loss")(clone(best).fit(X[train], y[train]), X[test], y[test])
        for train, test in FOLDS.split(X, y)
    ]
    if epochs == 100:  # neither fold came to its first look
        assert found.best_score_ == np.mean(scores)
    assert found.best_score_ >= np.mean(scores)


def test_a_training_that_diverges_fails_its_trial_and_not_the_search(cnn, squares):
    space = {"learning_rate": CategoricalDistribution((1e-2, 1e35))}
    cnn.set_params(optimizer="sgd")
    with pytest.warns(UserWarning, match="training diverged"):
        found = search(cnn, space, n_trials=4, scoring="neg_log_loss").fit(*squares)
    assert found.best_params_ == {"learning_rate": 1e-2}
    assert set(found.cv_results_["state"]) == {"complete", "fail"}


def test_a_training_that_diverges_is_no_accuracy_of_the_first_class(cnn, squares):
    space = {"learning_rate": CategoricalDistribution((1e-2, 1e35))}
    sampler = GridSampler({"learning_rate": [1e-2, 1e35]})
    with pytest.warns(UserWarning, match="1 of 2 trials failed.*training diverged"):
        found = search(cnn.set_params(optimizer="sgd"), space, sampler=sampler).fit(*squares)
    has_diverged = found.cv_results_["param_learning_rate"] == 1e35
    np.testing.assert_array_equal(found.cv_results_["state"] == "fail", has_diverged)


def test_scores_that_are_no_numbers_are_no_reason_to_prune(cnn, squares):
    def undefined(clf, X, y):
        return math.nan

    message = r"'score' is NaN in fold 1 of 2: the scorer .*undefined returned NaN.*clear, opaque"
    with pytest.raises(ValueError, match=message) as error:
        search(cnn, scoring=undefined, pruner=None).fit(*squares)
    assert "pruned" not in str(error.value)


def test_scores_may_be_undefined_at_first(cnn, squares):
    def late(clf, X, y):
        return math.nan if len(clf.history_["loss"]) < 3 else clf.history_["loss"][-1]

    found = search(cnn, scoring=late, n_trials=2, pruner=None, refit=False).fit(*squares)
    assert found.cv_results_["state"].tolist() == ["complete"] * 2
    assert found.best_epoch_ in (3, 4)
    assert min(found.study_.trials[0].intermediate_values) == 11


@pytest.fixture
def frozen():
    """A frozen network under a head that learns."""
    clear_feature_cache()
    return BackboneClassifier(
        "MobileNetV3Small",
        weights=None,
        trainable="head",
        image_size=32,
        epochs=2,
        dense_units=16,
        random_state=0,
    )


def test_no_image_goes_through_a_frozen_network_twice(frozen, squares):
    space = search_space(frozen)
    found = search(frozen, space, n_trials=4).fit(*squares)
    assert feature_cache_info().misses == len(squares[0])
    assert feature_cache_info().hits > 8 * len(squares[0])
    assert found.best_estimator_.feature_cache == "memory"


def test_optuna_search_cv_takes_the_space(frozen, squares):
    X, y = squares
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        theirs = optuna_integration.OptunaSearchCV(
            frozen,
            search_space(frozen),
            cv=2,
            n_trials=3,
            enable_pruning=True,
            max_iter=3,
            random_state=0,
            error_score="raise",
        )
    theirs.fit(X, y)
    assert theirs.best_params_.keys() == search_space(frozen).keys()
    assert [len(trial.intermediate_values) for trial in theirs.trials_] == [3, 3, 3]
    assert feature_cache_info().misses == len(X)
    assert theirs.predict(X).shape == (48,)


def flat(X):
    return X.reshape(len(X), -1)


def test_a_study_goes_on_where_the_same_files_lie_in_another_folder(squares, tmp_path):
    X, y = squares
    (tmp_path / "here").mkdir()
    paths = [str(tmp_path / "here" / f"{number}.png") for number in range(48)]
    for path, image in zip(paths, X, strict=True):
        Image.fromarray(image).save(path)
    shutil.copytree(tmp_path / "here", tmp_path / "there")
    reader = make_pipeline(ImageReader(image_size=8), FunctionTransformer(flat), GaussianNB())
    space = {"gaussiannb__var_smoothing": FloatDistribution(1e-9, 1, log=True)}
    options = dict(storage=tmp_path / "study.log", study_name="a")
    first = search(reader, space, **options).fit(paths, y)
    elsewhere = [path.replace("/here/", "/there/") for path in paths]
    again = search(reader, space, **options).fit(elsewhere, y)
    assert len(again.study_.trials) == 3
    assert again.best_score_ == first.best_score_
    assert (again.predict(elsewhere[:2]) == y[:2]).all()


@pytest.mark.filterwarnings("ignore:Choices for a categorical distribution")
def test_tuples_can_be_searched_in_a_storage(cnn, squares, tmp_path):
    space = {"filters": CategoricalDistribution(((2,), (4, 8))), "epochs": IntDistribution(2, 3)}
    found = search(cnn, space, n_trials=4, storage=tmp_path / "study.log").fit(*squares)
    assert found.best_estimator_.filters == found.best_params_["filters"]
    assert {params["filters"] for params in found.cv_results_["params"]} <= {(2,), (4, 8)}
