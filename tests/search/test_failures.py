"""Bad input, failing trials and an interruption end a search with what was finished."""

import numpy as np
import optuna
import pytest
from optuna.distributions import FloatDistribution
from sklearn.exceptions import UndefinedMetricWarning
from sklearn.metrics import make_scorer
from sklearn.model_selection import GridSearchCV, KFold
from sklearn.naive_bayes import GaussianNB

from lungestimators import compare_models
from tests.search.gaussian_searches import VALUES, grid, search


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
