"""Small searches for an image classifier, shared by the tests."""

from optuna.distributions import FloatDistribution
from optuna.pruners import NopPruner
from sklearn.model_selection import StratifiedKFold

from lungestimators import OptunaSearch

RATES = {"learning_rate": FloatDistribution(1e-3, 1e-1, log=True)}
FOLDS = StratifiedKFold(2)


def search(estimator, space=RATES, **options):
    """Three trials of two folds each."""
    options = {"cv": FOLDS, "n_trials": 3, "random_state": 0, "pruner": NopPruner(), **options}
    return OptunaSearch(estimator, space, **options)
