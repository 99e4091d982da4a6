"""What OptunaSearch takes where it is given no sampler and no pruner."""

import numpy as np
from optuna.pruners import SuccessiveHalvingPruner
from optuna.samplers import BaseSampler, TPESampler
from sklearn.utils import check_random_state

from .objective import STEPS


class NumberedSampler(BaseSampler):
    """TPE whose random numbers follow from the seed and the number of the trial.

    Workers that share a study, and a study that is taken up again, so never repeat each other's
    random numbers, and the first trials, which look at no other, are the same however many workers
    there are.

    Parameters
    ----------
    seed : int
    """

    def __init__(self, seed):
        self._seed = seed
        self._sampler = TPESampler(seed=seed)

    def before_trial(self, study, trial):
        """Seed anew."""
        seed = np.random.SeedSequence([self._seed, trial.number]).generate_state(1)
        self._sampler = TPESampler(seed=int(seed[0]))

    def infer_relative_search_space(self, study, trial):
        """Return what is drawn jointly."""
        return self._sampler.infer_relative_search_space(study, trial)

    def sample_relative(self, study, trial, search_space):
        """Draw jointly."""
        return self._sampler.sample_relative(study, trial, search_space)

    def sample_independent(self, study, trial, param_name, param_distribution):
        """Draw one parameter by itself."""
        return self._sampler.sample_independent(study, trial, param_name, param_distribution)


def default_sampler(random_state):
    """Return a NumberedSampler.

    Parameters
    ----------
    random_state : int, RandomState instance or None
        None: other numbers each time; NumPy's global generator is left alone.
    """
    if random_state is None:
        return NumberedSampler(int(np.random.SeedSequence().generate_state(1)[0]))
    return NumberedSampler(int(check_random_state(random_state).randint(2**31)))


def default_pruner():
    """Return successive halving that keeps a third at 7 and at 21 steps.

    That is after a third of the first fold and when it is over. Of equal scores, which are common
    where few images decide, all are kept. ``benchmarks/pruning.py`` measures it.
    """
    return SuccessiveHalvingPruner(min_resource=STEPS // 3 + 1, reduction_factor=3)
