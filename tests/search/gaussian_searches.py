"""Small searches for a GaussianNB, shared by the tests."""

import optuna
from optuna.distributions import CategoricalDistribution, FloatDistribution
from optuna.pruners import NopPruner
from sklearn.naive_bayes import GaussianNB

from lungestimators import OptunaSearch

SPACE = {"var_smoothing": FloatDistribution(1e-3, 10, log=True)}
VALUES = [0.01, 0.1, 1.0]
GRID = {"var_smoothing": CategoricalDistribution(VALUES)}


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
