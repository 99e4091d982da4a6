"""Samplers of the user's: copies that draw what a storage can hold."""

import copy

from .. import _compat
from .._compat import optuna


class StoredChoiceSampler(optuna.samplers.BaseSampler):
    """A sampler whose draws are replaced by what the storage holds in their place.

    The user's own sampler may draw the choices themselves; the storage holds texts of them.

    Parameters
    ----------
    sampler : optuna.samplers.BaseSampler
    space : Space
    """

    def __init__(self, sampler, space):
        self._sampler = sampler
        self._space = space

    def reseed_rng(self):
        """Seed the wrapped sampler anew."""
        self._sampler.reseed_rng()

    def before_trial(self, study, trial):
        """Tell the wrapped sampler that a trial begins."""
        self._sampler.before_trial(study, trial)

    def after_trial(self, study, trial, state, values):
        """Tell the wrapped sampler that a trial has ended."""
        self._sampler.after_trial(study, trial, state, values)

    def infer_relative_search_space(self, study, trial):
        """Return the parameters that are drawn jointly."""
        return self._sampler.infer_relative_search_space(study, trial)

    def sample_relative(self, study, trial, search_space):
        """Draw several parameters jointly, as the storage holds them."""
        drawn = self._sampler.sample_relative(study, trial, search_space)
        return {name: self._space.as_stored(name, value) for name, value in drawn.items()}

    def sample_independent(self, study, trial, param_name, param_distribution):
        """Draw one parameter by itself, as the storage holds it."""
        drawn = self._sampler.sample_independent(study, trial, param_name, param_distribution)
        return self._space.as_stored(param_name, drawn)


def copy_users_sampler(sampler, space):
    """Return a copy of a sampler that draws what a storage can hold.

    Optuna's samplers that are given values, such as GridSampler, look them up among the choices of
    the storage; in the copy these values are replaced.

    Parameters
    ----------
    sampler : optuna.samplers.BaseSampler
    space : Space

    Returns
    -------
    optuna.samplers.BaseSampler
    """
    copied = _copy_sampler_with_stored_values(sampler, space)
    if not space.holds_texts or isinstance(
        sampler, optuna.samplers.GridSampler | optuna.samplers.PartialFixedSampler
    ):
        return copied
    return StoredChoiceSampler(copied, space)


def _copy_sampler_with_stored_values(sampler, space):
    """Copy a sampler, and replace the values that it was given by what the storage holds."""
    copied = copy.deepcopy(sampler)
    # The values are read from the sampler and not from its copy: a copy of a choice may not equal
    # the choice.
    if isinstance(sampler, optuna.samplers.GridSampler):
        _compat.optuna_encode_grid(copied, sampler, space.as_stored)
    elif isinstance(sampler, optuna.samplers.PartialFixedSampler):
        _compat.optuna_encode_fixed_values(copied, sampler, space.as_stored)
        base = copy_users_sampler(_compat.optuna_base_sampler(sampler), space)
        _compat.optuna_set_base_sampler(copied, base)
    return copied
