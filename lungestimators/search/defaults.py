"""The default sampler and the default pruner of a search."""

import numpy as np
from sklearn.utils import check_random_state

from .._compat import optuna
from .learning_curve import STEPS_PER_FOLD


class NumberedSampler(optuna.samplers.BaseSampler):
    """TPE whose random numbers follow from a seed and the number of the trial.

    So workers that share a study, and a study that is continued, never repeat each other's random
    numbers. The first trials, which TPE draws without looking at others, are the same for any
    number of workers.

    Parameters
    ----------
    seed : int
    """

    def __init__(self, seed):
        self._seed = seed
        self._sampler = optuna.samplers.TPESampler(seed=seed)

    def before_trial(self, study, trial):
        """Seed TPE by the number of the trial."""
        seed = np.random.SeedSequence([self._seed, trial.number]).generate_state(1)
        self._sampler = optuna.samplers.TPESampler(seed=int(seed[0]))

    def infer_relative_search_space(self, study, trial):
        """Return the parameters that are drawn jointly."""
        return self._sampler.infer_relative_search_space(study, trial)

    def sample_relative(self, study, trial, search_space):
        """Draw several parameters jointly."""
        return self._sampler.sample_relative(study, trial, search_space)

    def sample_independent(self, study, trial, param_name, param_distribution):
        """Draw one parameter by itself."""
        return self._sampler.sample_independent(study, trial, param_name, param_distribution)


def default_sampler(random_state):
    """Return the default sampler of a search, a NumberedSampler.

    Parameters
    ----------
    random_state : int, RandomState instance or None
        None: another seed each time; NumPy's global generator is not used.

    Returns
    -------
    NumberedSampler
    """
    if random_state is None:
        return NumberedSampler(int(np.random.SeedSequence().generate_state(1)[0]))
    return NumberedSampler(int(check_random_state(random_state).randint(2**31)))


def default_pruner():
    """Return the default pruner of a search: successive halving that keeps a third of the trials.

    It prunes at 7 and at 21 steps, which is after a third of the first fold and after the first
    fold. Of equal scores, which are common if few images decide, all are kept.
    ``benchmarks/pruning.py`` measures it.

    Returns
    -------
    optuna.pruners.SuccessiveHalvingPruner
    """
    return optuna.pruners.SuccessiveHalvingPruner(
        min_resource=STEPS_PER_FOLD // 3 + 1, reduction_factor=3
    )
