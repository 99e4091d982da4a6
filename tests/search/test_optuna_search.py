"""OptunaSearch as an estimator of scikit-learn: results, resumption, workers, bad input."""

import os
import pickle
import re
import shutil
import subprocess
import sys
import time
import warnings

import keras
import numpy as np
import optuna
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.pruners import NopPruner
from sklearn import config_context
from sklearn.base import clone
from sklearn.datasets import load_iris
from sklearn.decomposition import PCA
from sklearn.exceptions import UndefinedMetricWarning
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import get_scorer, make_scorer
from sklearn.model_selection import GridSearchCV, GroupKFold, KFold, cross_val_score
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC
from sklearn.utils import get_tags
from sklearn.utils.estimator_checks import parametrize_with_checks
from sklearn.utils.validation import check_is_fitted

from lungestimators import CNNClassifier, OptunaSearch, compare_models
from lungestimators.search import description, progress
from lungestimators.search import space as spaces
from lungestimators.search.objective import Task

SPACE = {"var_smoothing": FloatDistribution(1e-3, 10, log=True)}
VALUES = [0.01, 0.1, 1.0]
GRID = {"var_smoothing": CategoricalDistribution(VALUES)}


@pytest.fixture(scope="module")
def iris():
    """150 flowers in three classes; nobody writes to them."""
    X, y = load_iris(return_X_y=True)
    X.flags.writeable = False
    return X, y


def search(**options):
    """A search of three trials."""
    return OptunaSearch(
        options.pop("estimator", GaussianNB()),
        options.pop("space", SPACE),
        **{"n_trials": 3, "cv": 3, "random_state": 0, "pruner": NopPruner(), **options},
    )


def grid(**options):
    """A search of every value in the grid; there are fewer of them than trials asked for."""
    return search(
        space=GRID, sampler=optuna.samplers.GridSampler({"var_smoothing": VALUES}), **options
    )


def params_of(study):
    return [trial.params for trial in study.trials]


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


def test_a_pipeline_is_the_same_whatever_changes_no_result(iris, tmp_path):
    def go_on(**params):
        steps = make_pipeline(PCA(2, random_state=0), CNNClassifier()).set_params(**params)
        task = Task(steps, spaces.Space({}), *iris, [], None, "score", {}, {})
        return description.describe(task, None)

    one = go_on()
    assert go_on(cnnclassifier__feature_cache="a", cnnclassifier__verbose=1, verbose=True) == one
    assert go_on(pca__n_components=3) != one
    assert go_on(pca="passthrough") != one
    layer = keras.layers.RandomFlip
    assert go_on(cnnclassifier__augment=layer()) == go_on(cnnclassifier__augment=layer())
    assert go_on(cnnclassifier__augment=layer()) != go_on(cnnclassifier__augment=layer("vertical"))


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


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (dict(estimator=GaussianNB(priors=[0.2, 0.3, 0.5])), "parameter priors"),
        (dict(space={"var_smoothing": FloatDistribution(1, 2)}), "space of var_smoothing"),
        (dict(scoring="accuracy"), "scoring"),
        (dict(cv=4), "folds"),
    ],
)
def test_a_study_of_something_else_is_refused_and_left_alone(iris, tmp_path, change, named):
    options = dict(storage=tmp_path / "study.log", study_name="a")
    first = search(**options).fit(*iris)
    with pytest.raises(ValueError, match=named):
        search(**{**options, **change}).fit(*iris)
    assert len(search(**options).fit(*iris).study_.trials) == len(first.study_.trials)


class Described:
    """Data in which one thing can be changed."""

    def __init__(self):
        data = load_iris(as_frame=True)
        self.X, self.y = data.data, data.target.map(dict(enumerate("abc")))


def fewer_rows(data):
    data.X, data.y = data.X[30:], data.y[30:]


def another_column(data):
    data.X = data.X.assign(**{"petal length (cm)": 1.0, "petal width (cm)": 2.0})


def a_name(data):
    data.X = data.X.rename(columns={"petal length (cm)": "length"})


def fewer_classes(data):
    data.y = data.y.replace({"c": "b"})


def another_order(data):
    data.y = data.y[::-1]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            fewer_rows,
            "else: X, rows: 150 there, 120 here; y, rows: 150 there, 120 here; "
            "y, rows of class, 'a': 50 there, 20 here. Name",
        ),
        (
            another_column,
            "else: X, column petal length (cm), column petal width (cm): not the same there and "
            "here. Name",
        ),
        (a_name, "X, column petal length (cm): only there; X, column length: only here. Name"),
        (
            fewer_classes,
            "y, rows of class, 'b': 50 there, 100 here; y, rows of class, 'c': only there",
        ),
        (another_order, "else: y, values: not the same there and here. Name"),
    ],
)
def test_a_study_of_other_data_is_refused_and_what_differs_is_said(change, message, tmp_path):
    folds = [(list(range(99)), list(range(99, 120)))]
    options = dict(storage=tmp_path / "study.log", study_name="a", cv=folds)
    data = Described()
    search(**options).fit(data.X, data.y)
    search(**options).fit(data.X.copy(), data.y.copy())
    change(data)
    with pytest.raises(ValueError, match=re.escape(message)):
        search(**options).fit(data.X, data.y)


def test_a_study_of_other_images_epochs_or_folds_is_refused(cnn, squares, tmp_path):
    X, y = squares
    options = dict(space={"dropout": FloatDistribution(0, 0.5)}, n_trials=1, cv=2)
    options |= dict(storage=tmp_path / "study.log", study_name="a")
    search(estimator=cnn.set_params(epochs=1), **options).fit(X, y)
    for changed, message in (
        (
            dict(estimator=clone(cnn).set_params(epochs=2)),
            "else: parameter epochs: 1 there, 2",
        ),
        (dict(estimator=clone(cnn), cv=3), "folds, number: 2 there, 3 here"),
    ):
        with pytest.raises(ValueError, match=message):
            search(**options | changed).fit(X, y)
    for images, message in (
        (X + 1, "else: X, values: not the same there and here"),
        (X[:, :8], r"X, shape of a row: \[16, 16\] there, \[8, 16\] here"),
        (X / 255, "X, type: 'uint8' there, 'float64' here"),
    ):
        with pytest.raises(ValueError, match=message):
            search(estimator=clone(cnn), **options).fit(images, y)


def test_a_study_goes_on_with_the_same_values_in_another_container(iris, tmp_path):
    X, y = iris
    options = dict(storage=tmp_path / "study.log", study_name="a")
    steps = make_pipeline(SimpleImputer(missing_values=np.nan), GaussianNB())
    options |= dict(estimator=steps, space={"gaussiannb__var_smoothing": FloatDistribution(0, 1)})
    first = search(**options).fit(X, y)
    mapped = np.memmap(tmp_path / "X", dtype=float, mode="w+", shape=X.shape)
    mapped[:] = X
    for same in (np.asfortranarray(X), mapped):
        again = search(**options).fit(same, y.tolist())
        assert params_of(again.study_) == params_of(first.study_)


# Bad input


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        (dict(space={"var": FloatDistribution(0, 1)}), ValueError, r"\['var'\].*'var_smoothing'"),
        (dict(space={"var_smoothing": [1, 2]}), TypeError, r"space\['var_smoothing'\]"),
        (dict(space=None), TypeError, "pass a space of your own"),
        (dict(n_trials=0), ValueError, "n_trials=0"),
        (dict(n_trials=2.0), TypeError, "n_trials=2.0"),
        (dict(timeout=0), ValueError, "timeout=0"),
        (dict(refit=1), TypeError, "refit=1"),
        (dict(sampler="tpe"), TypeError, "sampler='tpe' must be None or of Optuna: a BaseSampler"),
        (dict(pruner=optuna.pruners.NopPruner), TypeError, "pruner=.*a BasePruner"),
        (dict(scoring="nothing"), ValueError, "nothing"),
        (dict(scoring=["accuracy"]), ValueError, r"refit=True must name .* \['accuracy'\]"),
        (dict(storage="/nowhere/study.log"), OSError, "nowhere"),
        (dict(storage=optuna.storages.InMemoryStorage(), n_jobs=2), ValueError, "in the memory"),
    ],
)
def test_bad_input_is_named_before_anything_is_fitted(iris, options, error, message):
    class Untouched(GaussianNB):
        def fit(self, X, y):
            raise AssertionError("fitted")

    with pytest.raises(error, match=message):
        search(**{"estimator": Untouched(), **options}).fit(*iris)


@pytest.mark.parametrize("call", [2, 5])
def test_a_scorer_that_raises_ends_the_search_unless_a_trial_is_complete(iris, call):
    calls = []

    def fragile(clf, X, y):
        calls.append(1)
        if len(calls) == call:
            raise KeyError("spleen")
        return clf.score(X, y)

    failing = search(scoring=fragile)
    raised = r"fragile raised KeyError: 'spleen'"
    if call == 2:
        with pytest.raises(RuntimeError, match=raised):
            failing.fit(*iris)
        assert [trial.state.name for trial in failing.study_.trials] == ["FAIL"]
    else:
        with pytest.warns(UserWarning, match=f"1 of 3 trials failed.*{raised}"):
            failing.fit(*iris)
        assert failing.cv_results_["state"].tolist() == ["complete", "fail", "complete"]


@pytest.mark.parametrize("returned", [{"a": 1.0}, "high"], ids=["a dict", "a string"])
def test_a_scorer_that_returns_something_else_is_named(iris, returned):
    with pytest.raises(RuntimeError, match=r"The scorer .*odd raised"):

        def odd(clf, X, y):
            return returned

        search(scoring=odd).fit(*iris)


def test_some_failing_trials_are_a_warning(iris):
    space = {"var_smoothing": FloatDistribution(-1, 1)}
    with pytest.warns(UserWarning, match=r"[1-5] of 6 trials failed .* must be a float"):
        found = search(space=space, n_trials=6).fit(*iris).cv_results_
    failed = found["state"] == "fail"
    assert 0 < failed.sum() < 6
    np.testing.assert_array_equal(np.isnan(found["mean_test_score"]), failed)


def test_all_failing_trials_are_an_error_that_says_why(iris):
    failing = search(space={"var_smoothing": FloatDistribution(-2, -1)})
    with pytest.raises(ValueError, match=r"3 of 3 trials failed.* must be a float"):
        failing.fit(*iris)
    assert len(failing.study_.trials) == 3


def test_a_scorer_that_gives_no_number_fails_its_trials(iris):
    message = (
        r"3 of 3 trials failed.*'score' is NaN in fold 1 of 3: the scorer make_scorer\(<lambda>"
    )
    with pytest.raises(ValueError, match=message):
        search(scoring=make_scorer(lambda y, predicted: np.nan)).fit(*iris)


def test_a_fold_without_a_class_is_named_as_the_reason_for_a_score_that_is_nan(iris):
    message = (
        r"'score' is NaN in fold 1 of 3: .*roc_auc_score.* the 50 rows scored hold the classes 0$"
    )
    with (
        pytest.warns(UndefinedMetricWarning, match="Only one class"),
        pytest.raises(ValueError, match=message),
    ):
        search(scoring="roc_auc_ovr", cv=KFold(3)).fit(*iris)


def test_a_metric_that_does_not_count_may_be_nan_as_in_a_grid_search(iris):
    def scores(clf, X, y):
        return {"a": clf.score(X, y), "b": np.nan if clf.var_smoothing > 0.05 else 1.0}

    with pytest.warns(UserWarning, match="mean_test_b is NaN in 2 of 3 complete trials: its sco"):
        found = grid(scoring=scores, refit="a").fit(*iris)
    with pytest.warns(UserWarning, match="non-finite"):
        expected = GridSearchCV(
            GaussianNB(), {"var_smoothing": VALUES}, cv=3, scoring=scores, refit="a"
        ).fit(*iris)
    rows = [found.cv_results_["params"].index(p) for p in expected.cv_results_["params"]]
    for name in ("mean_test_a", "rank_test_a", "mean_test_b", "rank_test_b", "split2_test_b"):
        np.testing.assert_array_equal(found.cv_results_[name][rows], expected.cv_results_[name])
    assert found.best_score_ == expected.best_score_
    models = {"search": found, "alone": GaussianNB()}
    with pytest.warns(UserWarning, match="mean_test_b is NaN"):
        compared = compare_models(models, *iris, cv=3, n_repeats=1, random_state=0)
    assert [row["model"] for row in compared.models] == ["search", "alone"]


def test_an_interrupted_search_keeps_what_was_finished(iris, tmp_path):
    calls = []

    def interrupted(clf, X, y):
        calls.append(1)
        if len(calls) == 7:
            raise KeyboardInterrupt
        return clf.score(X, y)

    stopped = search(scoring=interrupted, storage=tmp_path / "study.log", study_name="a")
    with pytest.raises(KeyboardInterrupt):
        stopped.fit(*iris)
    values = [trial.value for trial in stopped.study_.trials if trial.value is not None]
    assert len(values) == 2
    assert stopped.fit(*iris).cv_results_["mean_test_score"].tolist()[:2] == values
    assert len(calls) == 7 + 3


# What is seen


def test_progress_is_one_line_a_trial_and_one_before_the_final_fit(iris, capsys):
    search(verbose=1).fit(*iris)
    *lines, last = capsys.readouterr().out.splitlines()
    assert len(lines) == 3
    assert lines[0].startswith("Trial 0: 0.")
    assert "3 of 3 done, 0 pruned, 0 failed; best 0." in lines[2]
    assert lines[2].endswith("; 0 s left")
    assert last == "3 of 3 trials are done; the best parameters are fitted to all rows"


def test_all_trials_of_a_study_that_has_more_than_were_asked_for_are_counted(
    iris, capsys, tmp_path
):
    study = dict(storage=tmp_path / "study.log", study_name="more")
    search(n_trials=3, **study).fit(*iris)
    found = search(n_trials=2, verbose=1, **study).fit(*iris)
    assert len(found.cv_results_["params"]) == 3
    assert capsys.readouterr().out.startswith("3 of 3 trials are done")


def test_progress_counts_what_is_pruned_failed_and_resumed(iris, tmp_path, capsys):
    class Odd(optuna.pruners.BasePruner):
        def prune(self, study, trial):
            return trial.number % 2 == 1

    def fail(clf, X, y):
        if clf.var_smoothing < 0.02:
            raise KeyError("several\nlines")
        return clf.score(X, y)

    options = dict(storage=tmp_path / "study.log", study_name="a", scoring=fail, pruner=Odd())
    options |= dict(sampler=optuna.samplers.RandomSampler(seed=4), verbose=1, refit=False)
    for n_trials in (4, 9):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            found = search(n_trials=n_trials, **options).fit(*iris)
    *lines, last = [line for line in capsys.readouterr().out.splitlines() if "are done" not in line]
    lines.append(last)
    trials = found.study_.trials
    for number, line in enumerate(lines):
        states = [trial.state.name for trial in trials[: number + 1]]
        counts = f"{states.count('PRUNED')} pruned, {states.count('FAIL')} failed"
        assert f"; {number + 1} of {4 if number < 4 else 9} done, {counts}" in line
    assert len(lines) == 9
    assert {"PRUNED", "FAIL", "COMPLETE"} == {trial.state.name for trial in trials}


def test_workers_together_count_every_trial_once():
    program = (
        "from tests.search.test_optuna_search import *; "
        "search(verbose=1, n_trials=9, n_jobs=2).fit(*load_iris(return_X_y=True))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    *lines, last = done.stdout.splitlines()
    assert sorted(re.search("; (.*) of 9 done", line)[1] for line in lines) == list("123456789")
    assert last.startswith("9 of 9 trials are done")


def test_the_time_left_knows_the_timeout(iris, capsys):
    def slow(clf, X, y):
        time.sleep(0.1)
        return clf.score(X, y)

    search(verbose=1, n_trials=40_000, timeout=0.7, scoring=slow, refit=False).fit(*iris)
    *lines, last = capsys.readouterr().out.splitlines()
    assert 1 <= len(lines) <= 3
    assert all(re.search("; [01] s left until the timeout$", line) for line in lines)
    assert last == f"{len(lines)} of 40000 trials are done, and the timeout is over"


def test_a_sampler_that_has_tried_everything_is_said_to_have(iris, capsys):
    grid(verbose=1, n_trials=9).fit(*iris)
    last = capsys.readouterr().out.splitlines()[-1]
    assert last.startswith("3 of 9 trials are done, and the sampler has no others; the best")


def test_time_left_is_the_lesser_of_trials_and_timeout(monkeypatch):
    clock = iter([0.0, 30.0, 90.0])
    monkeypatch.setattr(progress.time, "monotonic", lambda: next(clock))
    study = optuna.create_study()
    counted = progress.Progress(study, 4, 100.0)
    assert counted._time_left(2) == "30 s left"
    assert counted._time_left(1) == "10 s left until the timeout"


def test_a_search_is_silent_and_leaves_optunas_verbosity(iris, capfd):
    verbosity = optuna.logging.get_verbosity()
    search().fit(*iris)
    assert "".join(capfd.readouterr()) == ""
    assert optuna.logging.get_verbosity() == verbosity


def test_clone_keeps_every_parameter():
    one = search(
        space={"var_smoothing": IntDistribution(1, 3)}, timeout=5, study_name="a", verbose=1
    )
    for name, value in clone(one).get_params(deep=False).items():
        if name != "estimator":
            assert type(value) is type(getattr(one, name))
