"""OptunaSearch as an estimator of scikit-learn: results, resumption, workers."""

import os
import pickle
import shutil

import numpy as np
import optuna
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from sklearn import config_context
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import get_scorer
from sklearn.model_selection import GridSearchCV, GroupKFold, KFold, cross_val_score
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC
from sklearn.utils import get_tags
from sklearn.utils.estimator_checks import parametrize_with_checks
from sklearn.utils.validation import check_is_fitted

from lungestimators import CNNClassifier, OptunaSearch
from tests.search.gaussian_searches import SPACE, VALUES, grid, params_of, search


@parametrize_with_checks(
    [OptunaSearch(LogisticRegression(), {"C": FloatDistribution(0.1, 1)}, cv=2, n_trials=2)]
)
def test_scikit_learn_accepts_the_search(estimator, check):
    check(estimator)


# Results


@pytest.mark.parametrize(
    ("scoring", "refit"),
    [
        (None, True),
        ("neg_log_loss", True),
        (["accuracy", "neg_log_loss"], "neg_log_loss"),
        ({"a": "accuracy", "b": get_scorer("neg_brier_score")}, "a"),
        (lambda clf, X, y: {"a": clf.score(X, y), "b": 1.0}, "a"),
    ],
    ids=["default", "name", "list", "dict", "function"],
)
def test_the_results_are_those_of_a_grid_search(iris, scoring, refit):
    found = grid(scoring=scoring, refit=refit).fit(*iris)
    expected = GridSearchCV(
        GaussianNB(), {"var_smoothing": VALUES}, cv=3, scoring=scoring, refit=refit
    )
    expected.fit(*iris)
    # The grid is visited in another order.
    rows = [found.cv_results_["params"].index(params) for params in expected.cv_results_["params"]]
    for name, column in expected.cv_results_.items():
        ours = np.ma.asarray(found.cv_results_[name], dtype=object)[rows]
        if "_time" not in name:
            np.testing.assert_array_equal(ours, np.ma.asarray(column, dtype=object))
    assert found.best_score_ == expected.best_score_
    assert found.score(*iris) == pytest.approx(expected.score(*iris), abs=1e-6)
    assert found.multimetric_ == expected.multimetric_
    assert found.n_splits_ == expected.n_splits_


def test_kernels_are_split_by_rows_and_columns(iris):
    X, y = iris
    space = {"C": CategoricalDistribution([0.01, 1.0])}
    direct = search(estimator=SVC(kernel="linear"), space=space).fit(X, y)
    kernel = search(estimator=SVC(kernel="precomputed"), space=space).fit(X @ X.T, y)
    columns = [name for name in direct.cv_results_ if "test_score" in name]
    for name in columns:
        np.testing.assert_allclose(kernel.cv_results_[name], direct.cv_results_[name])
    assert kernel.score(X @ X.T, y) == direct.score(X, y)
    assert get_tags(kernel).input_tags.pairwise
    assert cross_val_score(kernel, X @ X.T, y).mean() > 0.9


def test_the_best_trial_is_fitted_to_all_rows(iris):
    found = search().fit(*iris)
    expected = GaussianNB().set_params(**found.best_params_).fit(*iris)
    np.testing.assert_array_equal(found.predict_proba(iris[0]), expected.predict_proba(iris[0]))
    assert found.best_score_ == found.study_.best_value
    assert found.best_params_ == found.study_.best_params
    assert found.refit_time_ > 0


def test_without_refit_there_are_results_and_no_estimator(iris):
    found = search(refit=False, scoring=["accuracy", "neg_log_loss"]).fit(*iris)
    assert found.best_score_ == found.cv_results_["mean_test_accuracy"].max()
    with pytest.raises(AttributeError) as error:
        found.predict(iris[0])
    assert "refit=False" in str(error.value.__cause__)


def test_folds_that_were_not_run_are_nan(iris):
    class Second(optuna.pruners.BasePruner):
        """Prunes every other trial after its first fold."""

        def prune(self, study, trial):
            return trial.number % 2 == 1

    found = search(pruner=Second(), n_trials=4).fit(*iris).cv_results_
    assert found["state"].tolist() == ["complete", "pruned", "complete", "pruned"]
    assert np.isfinite(found["split0_test_score"]).all()
    np.testing.assert_array_equal(np.isnan(found["split1_test_score"]), [False, True] * 2)
    np.testing.assert_array_equal(np.isnan(found["mean_test_score"]), [False, True] * 2)
    assert set(found["rank_test_score"][1::2]) == {3}


def test_nested_cross_validation_searches_in_each_fold(iris):
    X, y = iris
    folds = KFold(3, shuffle=True, random_state=0)
    scores = cross_val_score(search(), X, y, cv=folds)
    for score, (train, test) in zip(scores, folds.split(X), strict=True):
        assert search().fit(X[train], y[train]).score(X[test], y[test]) == score


def test_groups_and_weights_reach_folds_fits_and_scores(iris):
    X, y = iris
    groups, weight = np.arange(150) % 7, np.linspace(0.1, 3, 150)
    expected = GridSearchCV(GaussianNB(), {"var_smoothing": VALUES}, cv=GroupKFold(3))
    found = grid(cv=GroupKFold(3))
    expected.fit(X, y, groups=groups, sample_weight=weight)
    found.fit(X, y, groups=groups, sample_weight=weight)
    assert found.best_score_ == expected.best_score_
    with config_context(enable_metadata_routing=True):
        for some in (found, expected):
            some.estimator.set_fit_request(sample_weight=True).set_score_request(sample_weight=True)
            some.fit(X, y, groups=groups, sample_weight=weight)
    assert found.best_score_ == expected.best_score_
    assert found.best_score_ != grid(cv=GroupKFold(3)).fit(X, y, groups=groups).best_score_


def test_parameters_set_after_a_fit_are_for_the_next_one(iris):
    X, y = iris
    found = search(scoring={"a": "accuracy", "b": "neg_log_loss"}, refit="b").fit(X, y)
    proba, score, n_trials = found.predict_proba(X), found.score(X, y), len(found.study_.trials)
    assert score == get_scorer("neg_log_loss")(found.best_estimator_, X, y)
    found.set_params(refit="a", n_trials=1, space={}, scoring="accuracy", estimator=PCA())
    np.testing.assert_array_equal(found.predict_proba(X), proba)
    assert found.score(X, y) == score
    found.set_params(refit=False)
    np.testing.assert_array_equal(found.predict_proba(X), proba)
    assert len(pickle.loads(pickle.dumps(found)).study_.trials) == n_trials
    without = search(refit=False).fit(X, y).set_params(refit=True)
    check_is_fitted(without)
    with pytest.raises(AttributeError) as error:
        without.predict(X)
    assert "refit=False" in str(error.value.__cause__)
    assert without.set_params(refit=True).fit(X, y).predict(X).shape == (150,)


# Randomness


def test_the_same_seed_gives_the_same_study(iris):
    first, second = (search(n_trials=12).fit(*iris) for _ in range(2))
    assert params_of(first.study_) == params_of(second.study_)
    assert first.best_score_ == second.best_score_
    assert params_of(search(random_state=1).fit(*iris).study_) != params_of(first.study_)[:3]


def test_a_study_taken_up_again_goes_on_as_if_it_had_not_been_left(iris, tmp_path):
    options = dict(storage=tmp_path / "study.log", study_name="a")
    for n_trials in (5, 12):
        resumed = search(n_trials=n_trials, **options).fit(*iris)
    assert params_of(resumed.study_) == params_of(search(n_trials=12).fit(*iris).study_)


def test_the_users_sampler_pruner_and_generators_are_left_alone(iris):
    sampler = optuna.samplers.RandomSampler(seed=0)
    np.random.seed(0)
    expected = np.random.rand()
    np.random.seed(0)
    first, second = (search(sampler=sampler).fit(*iris).study_ for _ in range(2))
    assert params_of(first) == params_of(second)
    search(random_state=None).fit(*iris)
    assert np.random.rand() == expected


# Storages and workers


def test_nothing_is_run_when_all_trials_are_there(iris, tmp_path):
    calls = []

    def count(clf, X, y):
        calls.append(1)
        return clf.score(X, y)

    options = dict(storage=f"sqlite:///{tmp_path}/study.db", study_name="a", scoring=count)
    first = search(**options).fit(*iris)
    assert len(calls) == 9
    again = search(**options).fit(*iris)
    assert len(calls) == 9
    assert again.best_params_ == first.best_params_
    np.testing.assert_array_equal(again.predict(iris[0]), first.predict(iris[0]))


@pytest.mark.parametrize("kind", ["journal", "sqlite"])
def test_a_fitted_search_is_loaded_where_its_storage_is_not(iris, tmp_path, kind):
    path = tmp_path / "away" / "study"
    path.parent.mkdir()
    found = search(storage=path if kind == "journal" else f"sqlite:///{path}").fit(*iris)
    pickled = pickle.dumps(found)
    shutil.rmtree(path.parent)
    loaded = pickle.loads(pickled)
    np.testing.assert_array_equal(loaded.predict(iris[0]), found.predict(iris[0]))
    assert params_of(loaded.study_) == list(found.cv_results_["params"])


def test_a_search_may_replace_the_step_that_keeps_features(iris):
    pipeline = Pipeline([("clf", CNNClassifier(feature_cache="memory"))])
    found = search(
        estimator=pipeline,
        space={"clf": CategoricalDistribution([GaussianNB()])},
        n_trials=1,
    ).fit(*iris)
    assert found.predict(iris[0]).shape == (150,)


def test_a_bad_parameter_leaves_an_earlier_fit(iris):
    found = search().fit(*iris)
    with pytest.raises(ValueError, match="n_trials=0"):
        found.set_params(n_trials=0).fit(*iris)
    assert found.predict(iris[0]).shape == (150,)


def test_without_a_name_every_fit_is_a_study_of_its_own(iris, tmp_path):
    one = search(storage=tmp_path / "study.log")
    assert len({one.fit(*iris).study_.study_name for _ in range(2)}) == 2
    assert len(one.study_.trials) == 3


@pytest.mark.slow
def test_two_worker_processes_find_what_one_finds(cnn, squares):
    X, y = squares
    options = dict(estimator=cnn, space=None, cv=2, n_trials=4)
    one = search(**options).fit(X, y)
    two = search(**options, n_jobs=2).fit(X, y)
    assert params_of(two.study_) == params_of(one.study_)
    for name in ("mean_test_score", "best_epoch", "split1_test_score"):
        np.testing.assert_array_equal(two.cv_results_[name], one.cv_results_[name])
    np.testing.assert_array_equal(two.predict_proba(X), one.predict_proba(X))
    assert two.best_estimator_.feature_cache == "memory"
    assert os.getpid() not in {trial.user_attrs["heartbeat"][1] for trial in two.study_.trials}


def test_the_configuration_of_scikit_learn_reaches_workers(iris):
    X, y = iris
    weight = np.linspace(0.1, 3, 150)
    with config_context(enable_metadata_routing=True):
        weighted = GaussianNB().set_fit_request(sample_weight=True)
        weighted.set_score_request(sample_weight=True)
        options = dict(
            estimator=make_pipeline(StandardScaler().set_fit_request(sample_weight=True), weighted),
            space={f"gaussiannb__{name}": values for name, values in SPACE.items()},
            n_trials=2,
        )
        one, two = (search(**options, n_jobs=n).fit(X, y, sample_weight=weight) for n in (1, 2))
    assert two.study_.trials[0].value == one.study_.trials[0].value


def test_clone_keeps_every_parameter():
    one = search(
        space={"var_smoothing": IntDistribution(1, 3)}, timeout=5, study_name="a", verbose=1
    )
    for name, value in clone(one).get_params(deep=False).items():
        if name != "estimator":
            assert type(value) is type(getattr(one, name))
