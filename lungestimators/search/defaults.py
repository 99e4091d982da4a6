"""The sampler and the pruner of OptunaSearch: its defaults, and the user's."""

import copy

import lazy_loader as lazy
import numpy as np
from sklearn.utils import check_random_state

from .. import _compat
from .objective import STEPS

optuna = lazy.load("optuna")


class NumberedSampler(optuna.samplers.BaseSampler):
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
        self._sampler = optuna.samplers.TPESampler(seed=seed)

    def before_trial(self, study, trial):
        """Seed anew."""
        seed = np.random.SeedSequence([self._seed, trial.number]).generate_state(1)
        self._sampler = optuna.samplers.TPESampler(seed=int(seed[0]))

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


class ChoiceSampler(optuna.samplers.BaseSampler):
    """A sampler that may draw the choices themselves, where a storage holds texts of them.

    Parameters
    ----------
    sampler : optuna.samplers.BaseSampler
    space : Space
    """

    def __init__(self, sampler, space):
        self._sampler = sampler
        self._space = space

    def reseed_rng(self):
        """Seed anew."""
        self._sampler.reseed_rng()

    def before_trial(self, study, trial):
        """Tell the sampler."""
        self._sampler.before_trial(study, trial)

    def after_trial(self, study, trial, state, values):
        """Tell the sampler."""
        self._sampler.after_trial(study, trial, state, values)

    def infer_relative_search_space(self, study, trial):
        """Return what is drawn jointly."""
        return self._sampler.infer_relative_search_space(study, trial)

    def sample_relative(self, study, trial, search_space):
        """Draw jointly."""
        drawn = self._sampler.sample_relative(study, trial, search_space)
        return {name: self._space.encode(name, value) for name, value in drawn.items()}

    def sample_independent(self, study, trial, param_name, param_distribution):
        """Draw one parameter by itself."""
        drawn = self._sampler.sample_independent(study, trial, param_name, param_distribution)
        return self._space.encode(param_name, drawn)


def users_sampler(sampler, space):
    """Return a copy of a sampler that draws what a storage can hold.

    Optuna's samplers that are given values look them up among those of the storage.

    Parameters
    ----------
    sampler : optuna.samplers.BaseSampler
    space : Space

    Returns
    -------
    optuna.samplers.BaseSampler
    """
    copied = _with_encoded_values(sampler, space)
    if not space.holds_texts or isinstance(
        sampler, optuna.samplers.GridSampler | optuna.samplers.PartialFixedSampler
    ):
        return copied
    return ChoiceSampler(copied, space)


def _with_encoded_values(sampler, space):
    copied = copy.deepcopy(sampler)
    # The values of the sampler itself are encoded: they may be the very choices, unlike copies.
    if isinstance(sampler, optuna.samplers.GridSampler):
        _compat.encode_grid(copied, sampler, space.encode)
    elif isinstance(sampler, optuna.samplers.PartialFixedSampler):
        _compat.encode_fixed_values(copied, sampler, space.encode)
        base = users_sampler(_compat.base_sampler(sampler), space)
        _compat.set_base_sampler(copied, base)
    return copied


def default_pruner():
    """Return successive halving that keeps a third at 7 and at 21 steps.

    That is after a third of the first fold and when it is over. Of equal scores, which are common
    where few images decide, all are kept. ``benchmarks/pruning.py`` measures it.
    """
    return optuna.pruners.SuccessiveHalvingPruner(min_resource=STEPS // 3 + 1, reduction_factor=3)
