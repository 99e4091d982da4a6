"""Choices of a search that a storage cannot hold, or that Optuna takes for equal."""

import json
import math
import subprocess
import sys
from functools import partial

import keras
import numpy as np
import optuna
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution
from optuna.pruners import NopPruner
from optuna.samplers import (
    BruteForceSampler,
    GridSampler,
    NSGAIISampler,
    PartialFixedSampler,
    RandomSampler,
    TPESampler,
)
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, MinMaxScaler, StandardScaler

from lungestimators import OptunaSearch
from lungestimators.search.space import Space

pytestmark = [
    pytest.mark.filterwarnings("ignore:Choices for a categorical distribution"),
    pytest.mark.filterwarnings("ignore:.*contains a value with the type of.*GridSampler"),
    pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning"),
]
X, Y = load_iris(return_X_y=True)


class Power:
    """A function whose repr is its address."""

    def __init__(self, exponent):
        self.exponent = exponent

    def __call__(self, X):
        return X**self.exponent


class Silent(Power):
    """A function whose repr is that of any other."""

    def __repr__(self):
        return "Silent()"


def power(exponent):
    return lambda X: X**exponent


EXPONENTS = (0, 0.5, 2)
FUNCTIONS = {
    "objects": [Power(exponent) for exponent in EXPONENTS],
    "objects of equal repr": [Silent(exponent) for exponent in EXPONENTS],
    "lambdas": [power(exponent) for exponent in EXPONENTS],
    "partials": [partial(np.round, decimals=0), partial(np.power, 2.0), partial(np.power, 3.0)],
    "named functions": [np.sqrt, np.log1p, None],
}
FUNCTION = "functiontransformer__func"


def search(space, estimator=None, **options):
    if estimator is None:
        estimator = make_pipeline(FunctionTransformer(), GaussianNB())
    options = {"n_trials": 3, "cv": 3, "random_state": 0, "pruner": NopPruner(), **options}
    return OptunaSearch(estimator, space, **options)


def grid_search(choices):
    estimator = make_pipeline(FunctionTransformer(), GaussianNB())
    return GridSearchCV(estimator, {FUNCTION: choices}, cv=3, refit=False).fit(X, Y)


# What is stored


@pytest.mark.parametrize(
    ("choices", "stored"),
    [
        ((None, True, 3, 0.5, "a"), (None, True, 3, 0.5, "a")),
        (((4,), (4, 8)), ("(4,)", "(4, 8)")),
        (([4], (4,), "(4,)"), ("[4]", "(4,) (choices[1])", "(4,)")),
        ((True, 1, 1.0, "1"), (True, "1 (choices[1])", "1.0", "1")),
        ((1, "1", True), (1, "1", "True")),
        ((0.0, -0.0), (0.0, "-0.0")),
        ((np.int64(4), np.float32(0.5), np.bool_(True)), (4, 0.5, True)),
        (({"a": (1, 2)}, {"a": (1, 3)}), ("{'a': (1, 2)}", "{'a': (1, 3)}")),
        ((Power(2), Power(2)), ("Power(exponent=2)", "Power(exponent=2) (choices[1])")),
        ((LogisticRegression(C=2), "passthrough"), ("LogisticRegression(C=2)", "passthrough")),
    ],
)
def test_a_storage_holds_each_choice_as_something_of_its_own(choices, stored):
    space = Space({"x": CategoricalDistribution(choices)})
    held = space.stored["x"].choices
    assert held == stored
    assert list(map(type, held)) == list(map(type, stored))
    for position, (choice, value) in enumerate(zip(choices, held, strict=True)):
        value = json.loads(json.dumps(value))
        assert space.from_stored({"x": value})["x"] is choice
        assert space.stored["x"].to_internal_repr(space.as_stored("x", choice)) == position


def test_not_a_number_is_one_choice():
    space = Space({"x": CategoricalDistribution((math.nan, 1.0))})
    stored = json.loads(json.dumps(space.stored["x"].choices))
    assert math.isnan(space.from_stored({"x": stored[0]})["x"])
    assert space.from_stored({"x": stored[1]}) == {"x": 1.0}
    assert math.isnan(space.as_stored("x", float("nan")))


@pytest.mark.parametrize(
    "choices",
    [(True, 1, 1.0), ((4,), [4], "(4,)"), (Silent(1), Silent(2)), (math.nan, 1, "nan")],
    ids=["equal numbers", "equal texts", "equal repr", "nan"],
)
@pytest.mark.parametrize("in_memory", [True, False])
def test_every_choice_is_drawn_and_found_again(choices, in_memory, tmp_path):
    space = Space({"x": CategoricalDistribution(choices)})
    study = optuna.create_study(
        storage=None if in_memory else f"sqlite:///{tmp_path}/study.db",
        sampler=RandomSampler(seed=0),
    )
    drawn = []
    for _ in range(30):
        drawn.append(space.suggest_params(study.ask())["x"])
    assert {id(choice) for choice in drawn} == {id(choice) for choice in choices}
    found = [space.from_stored(trial.params)["x"] for trial in study.get_trials()]
    assert all(one is other for one, other in zip(found, drawn, strict=True))


# What a search makes of it


@pytest.mark.parametrize("choices", FUNCTIONS.values(), ids=FUNCTIONS)
def test_objects_are_searched_as_a_grid_search_does(choices, tmp_path):
    expected = grid_search(choices).cv_results_["mean_test_score"]
    for storage in (None, tmp_path / "study.log"):
        found = search(
            {FUNCTION: CategoricalDistribution(choices)},
            sampler=GridSampler({FUNCTION: choices}),
            storage=storage,
            n_trials=5,
        ).fit(X, Y)
        assert len(found.study_.trials) == 3
        tried = [choices.index(function) for function in found.cv_results_[f"param_{FUNCTION}"]]
        assert sorted(tried) == [0, 1, 2]
        np.testing.assert_array_equal(found.cv_results_["mean_test_score"], expected[tried])


@pytest.mark.slow
def test_workers_and_a_resumption_know_objects_by_their_content(tmp_path):
    def run(**options):
        choices = [Silent(exponent) for exponent in EXPONENTS] + [power(1), power(3)]
        space = {FUNCTION: CategoricalDistribution(choices)}
        found = search(space, storage=tmp_path / "study.log", study_name="a", **options).fit(X, Y)
        return [choices.index(each) for each in found.cv_results_[f"param_{FUNCTION}"]], found

    first, _ = run(n_trials=4, n_jobs=2)
    second, found = run(n_trials=8)
    assert second[:4] == first
    assert set(found.cv_results_["state"]) == {"complete"}
    expected = grid_search([Silent(e) for e in EXPONENTS] + [power(1), power(3)])
    np.testing.assert_array_equal(
        found.cv_results_["mean_test_score"], expected.cv_results_["mean_test_score"][second]
    )


@pytest.mark.slow
def test_a_study_goes_on_in_another_process(tmp_path):
    options = dict(storage=str(tmp_path / "study.log"), study_name="a")
    space = {FUNCTION: CategoricalDistribution([Power(2), power(0), partial(np.power, 2.0)])}
    program = f"""
import sys; sys.path.insert(0, "tests")
from tests.search.test_choices import *
space = {{FUNCTION: CategoricalDistribution([Power(2), power(0), partial(np.power, 2.0)])}}
found = search(space, n_trials=6, **{options}).fit(X, Y)
print(len(found.study_.trials), set(found.cv_results_["state"]))
"""
    search(space, **options).fit(X, Y)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout == "6 {'complete'}\n", done.stderr


@pytest.mark.parametrize("position", [0, 1])
def test_a_study_with_another_choice_is_refused(tmp_path, position):
    options = dict(storage=tmp_path / "study.log", study_name="a")
    choices = [Power(1), power(2)]
    search({FUNCTION: CategoricalDistribution(choices)}, **options).fit(X, Y)
    choices[position] = [Power(3), power(3)][position]
    with pytest.raises(ValueError, match=rf"space of {FUNCTION}, choices\[{position}\]: '.*there"):
        search({FUNCTION: CategoricalDistribution(choices)}, **options).fit(X, Y)


def test_choices_that_hold_numbered_names_are_the_same_in_another_fit(cnn, squares, tmp_path):
    def fit(n_trials):
        flips = [keras.layers.RandomFlip(mode) for mode in ("horizontal", "vertical")]
        space = {"augment": CategoricalDistribution([False, *flips])}
        options = dict(storage=tmp_path / "study.log", study_name="a", cv=2, n_trials=n_trials)
        return search(space, cnn.set_params(epochs=1), **options).fit(*squares)

    first, second = fit(1), fit(2)
    assert second.study_.trials[0].params == first.study_.trials[0].params
    assert set(second.cv_results_["state"]) == {"complete"}


@pytest.mark.slow
def test_callbacks_can_be_searched(cnn, squares):
    def constant(rate):
        return [keras.callbacks.LearningRateScheduler(lambda epoch: rate)]

    callbacks = [constant(0.01), constant(1e-6)]
    space = {"callbacks": CategoricalDistribution(callbacks)}
    options = dict(cv=2, n_trials=5, sampler=GridSampler({"callbacks": callbacks}))
    found = search(space, cnn, scoring="neg_log_loss", **options).fit(*squares)
    assert len(found.study_.trials) == 2
    assert found.best_params_["callbacks"] is callbacks[0]
    assert found.best_estimator_.history_["learning_rate"][0] == pytest.approx(0.01)


@pytest.mark.slow
def test_estimators_that_differ_in_a_callback_alone_are_two_choices(cnn, squares):
    stopped = cnn.set_params(callbacks=[keras.callbacks.EarlyStopping("loss", min_delta=1e9)])
    choices = [type(cnn)(**{**cnn.get_params(), "callbacks": None}), stopped]
    found = search(
        {"clf": CategoricalDistribution(choices)},
        Pipeline([("clf", cnn)]),
        cv=2,
        n_trials=5,
        sampler=GridSampler({"clf": choices}),
    ).fit(*squares)
    tried = [choices.index(choice) for choice in found.cv_results_["param_clf"]]
    assert [[8, 4][choice] for choice in sorted(tried)] == [8, 4]
    assert found.cv_results_["n_epochs"].tolist() == [[8, 4][choice] for choice in tried]


# Samplers that hold choices

FILTERS = ((4,), (4, 8), (8, 8))


class Filtered(GaussianNB):
    """An estimator with a parameter that is a tuple."""

    def __init__(self, filters=(4,), priors=None, var_smoothing=1e-9):
        super().__init__(priors=priors, var_smoothing=var_smoothing)
        self.filters = filters


class Own(RandomSampler):
    """A sampler of the user's that knows the choices."""

    def sample_independent(self, study, trial, param_name, param_distribution):
        if param_name == "filters":
            return (8, 8)
        return super().sample_independent(study, trial, param_name, param_distribution)


def filters(**options):
    space = {"filters": CategoricalDistribution(FILTERS), "var_smoothing": FloatDistribution(0, 1)}
    if "sampler" in options and isinstance(options["sampler"], GridSampler | BruteForceSampler):
        space["var_smoothing"] = CategoricalDistribution([0.1, 0.2])
    return search(space, Filtered(), **options)


@pytest.mark.parametrize("kind", ["memory", "journal", "sqlite"])
def test_a_grid_of_tuples_is_tried_once_also_when_the_study_goes_on(kind, tmp_path):
    storage = {"journal": tmp_path / "log", "sqlite": f"sqlite:///{tmp_path}/db"}.get(kind)
    grid = {"filters": [(4,), (4, 8), (8, 8)], "var_smoothing": np.array([0.1, 0.2])}
    for n_trials in (4, 20, 30) if storage else (20,):
        sampler = GridSampler(grid, seed=1)
        found = filters(
            sampler=sampler, storage=storage, study_name=storage and "a", n_trials=n_trials
        ).fit(X, Y)
    tried = [(p["filters"], p["var_smoothing"]) for p in found.cv_results_["params"]]
    assert sorted(tried) == sorted((f, v) for f in FILTERS for v in (0.1, 0.2))
    assert sampler._all_grids[0][0] in FILTERS


def test_a_parameter_may_be_fixed_to_a_tuple(tmp_path):
    sampler = PartialFixedSampler({"filters": (4, 8)}, RandomSampler(seed=0))
    found = filters(sampler=sampler, storage=tmp_path / "log").fit(X, Y)
    assert found.cv_results_["param_filters"].tolist() == [(4, 8)] * 3
    expected = optuna.create_study(sampler=RandomSampler(seed=0))
    smoothings = [expected.ask().suggest_float("var_smoothing", 0, 1) for _ in range(3)]
    assert found.cv_results_["param_var_smoothing"].tolist() == smoothings


def test_a_grid_may_be_below_a_fixed_parameter(tmp_path):
    for n_trials in (5, 6):
        grid = GridSampler({"filters": [(4, 8)], "var_smoothing": [0.1, 0.2]})
        found = filters(
            sampler=PartialFixedSampler({"filters": (4, 8)}, grid),
            storage=tmp_path / "log",
            study_name="a",
            n_trials=n_trials,
        ).fit(X, Y)
        assert sorted(found.cv_results_["param_var_smoothing"]) == [0.1, 0.2]


def test_a_sampler_of_the_users_may_draw_the_choices_themselves():
    found = filters(sampler=Own(seed=0), n_jobs=None).fit(X, Y)
    assert found.cv_results_["param_filters"].tolist() == [(8, 8)] * 3


@pytest.mark.parametrize(
    "sampler",
    [
        TPESampler(seed=0, multivariate=True, n_startup_trials=2),
        NSGAIISampler(seed=0, population_size=2),
        BruteForceSampler(seed=0),
    ],
    ids=lambda sampler: type(sampler).__name__,
)
def test_other_samplers_of_optuna_draw_tuples(sampler):
    found = filters(sampler=sampler, n_trials=6).fit(X, Y)
    assert found.cv_results_["state"].tolist() == ["complete"] * 6
    assert set(found.cv_results_["param_filters"]) <= set(FILTERS)


@pytest.mark.parametrize("in_memory", [pytest.param(True, marks=pytest.mark.slow), False])
def test_a_tuple_may_be_put_in_the_queue(tmp_path, in_memory):
    storage = optuna.storages.InMemoryStorage() if in_memory else f"sqlite:///{tmp_path}/db"
    study = optuna.create_study(storage=storage, study_name="a", direction="maximize")
    study.enqueue_trial({"filters": (4, 8), "var_smoothing": 0.5})
    found = filters(storage=storage, study_name="a").fit(X, Y)
    assert found.cv_results_["params"][0] == {"filters": (4, 8), "var_smoothing": 0.5}


def test_a_step_may_be_chosen_among_estimators_and_passthrough():
    choices = [StandardScaler(), MinMaxScaler(), "passthrough"]
    pipeline = Pipeline([("scale", None), ("clf", LogisticRegression())])
    found = search(
        {"scale": CategoricalDistribution(choices)},
        pipeline,
        sampler=GridSampler({"scale": choices}),
    ).fit(X, Y)
    expected = GridSearchCV(pipeline, {"scale": choices}, cv=3).fit(X, Y).cv_results_
    tried = [choices.index(choice) for choice in found.cv_results_["param_scale"]]
    np.testing.assert_array_equal(
        found.cv_results_["mean_test_score"], expected["mean_test_score"][tried]
    )
    assert sorted(tried) == [0, 1, 2]
