"""Search spaces: default distributions, and how a storage holds the values of a space."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.pipeline import Pipeline

from .. import _compat
from .._compat import optuna
from ..classifiers.base import LungClassifier
from .content import content_text, shortened_content_text

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution


_PRIMITIVE = (type(None), bool, int, float, str)


def search_space(estimator: BaseEstimator) -> dict[str, BaseDistribution]:
    """Return default Optuna distributions for the parameters of a classifier.

    The distributions lie around the estimator's own values. Parameters that change the input or
    the output of frozen layers (``image_size``, the backbone, its width, the number of augmented
    views) are not searched, so that every image goes through frozen layers once for all trials.
    Nor are parameters that make an epoch slower, or a fit or a prediction longer (``n_networks``,
    ``n_views``).

    Parameters
    ----------
    estimator : LungClassifier or Pipeline
        A classifier of this package, or a pipeline that ends with one.

    Returns
    -------
    dict of str to optuna.distributions.BaseDistribution
        Parameter name to distribution: ``epochs`` (half to twice the estimator's value),
        ``learning_rate`` (a tenth to ten times), ``batch_size`` (half to twice), ``dense_units``
        (a quarter to once), ``dropout`` (0 to 0.7), ``class_weight`` (none or balanced);
        ``augment`` if all layers learn; ``fine_tune_epochs`` and ``fine_tune_learning_rate`` if
        pre-trained layers learn. For a pipeline, names begin with the name of its last step.
        Every Optuna storage can hold the choices, so there are no tuples (``filters``).

    Raises
    ------
    TypeError
        ``estimator`` is no classifier of this package.

    See Also
    --------
    OptunaSearch : Searches this space by default.

    Examples
    --------
    >>> from lungestimators import CNNClassifier, search_space
    >>> space = search_space(CNNClassifier(epochs=10))
    >>> space["epochs"].low, space["epochs"].high
    (5, 20)
    >>> sorted(space)
    ['augment', 'batch_size', 'class_weight', 'dense_units', 'dropout', 'epochs', 'learning_rate']
    """
    if isinstance(estimator, Pipeline):
        name, last = estimator.steps[-1]
        return {f"{name}__{key}": value for key, value in search_space(last).items()}
    if not isinstance(estimator, LungClassifier):
        raise TypeError(
            f"search_space knows the classifiers of lungestimators, not {estimator!r}: pass a "
            "space of your own, a dict of parameter name to optuna distribution"
        )

    def around(value):
        return optuna.distributions.IntDistribution(max(1, value // 2), 2 * value)

    def rate(value):
        return optuna.distributions.FloatDistribution(value / 10, value * 10, log=True)

    def choices(*values):
        return optuna.distributions.CategoricalDistribution(tuple(dict.fromkeys(values)))

    pretrained = estimator.weights is not None
    # Each value of dense_units, dropout and batch_size needs a compiled network of its own: few
    # values, so that compiled networks are used again.
    units, batch_size = estimator.dense_units, estimator.batch_size
    space = {
        "learning_rate": rate(estimator.learning_rate),
        "epochs": around(estimator.epochs),
        "batch_size": choices(max(1, batch_size // 2), batch_size, 2 * batch_size),
        "dense_units": choices(max(1, units // 4), max(1, units // 2), units),
        "dropout": optuna.distributions.FloatDistribution(0, 0.7, step=0.1),
    }
    if not isinstance(estimator.class_weight, dict):
        space["class_weight"] = choices(None, "balanced")
    trainable = "all" if estimator.trainable == "auto" and not pretrained else estimator.trainable
    if trainable == "all" and isinstance(estimator.augment, bool):
        space["augment"] = choices(False, True)
    if pretrained and estimator.trainable in ("last_stage", "all"):
        space["fine_tune_epochs"] = around(max(1, estimator.fine_tune_epochs))
        space["fine_tune_learning_rate"] = rate(estimator.fine_tune_learning_rate)
    return space


def check_space(estimator, space):
    """Raise unless ``space`` maps parameters of ``estimator`` to Optuna distributions."""
    if not isinstance(space, dict) or not space:
        raise TypeError(
            f"space={space!r} must be a dict of parameter name to optuna distribution, or None"
        )
    valid = estimator.get_params()
    unknown = sorted(map(str, set(space) - set(valid)))
    if unknown:
        raise ValueError(
            f"space names {unknown}, which {type(estimator).__name__} does not have; its "
            f"parameters are {sorted(valid)}"
        )
    for name, distribution in space.items():
        if not isinstance(distribution, optuna.distributions.BaseDistribution):
            raise TypeError(
                f"space[{name!r}]={distribution!r} must be an optuna distribution, such as "
                "optuna.distributions.FloatDistribution(0, 1)"
            )


class Space:
    """A space as the user gave it, and as an Optuna storage holds it.

    A storage can hold numbers, strings and None. Any other choice is stored as a text that
    describes its content; so is a choice that equals an earlier one, as 1 equals True. If two
    choices have the same text, the position of the choice is added to the second.

    Parameters
    ----------
    distributions : dict of str to optuna.distributions.BaseDistribution

    Attributes
    ----------
    given : dict of str to optuna.distributions.BaseDistribution
        With the choices of the user.
    stored : dict of str to optuna.distributions.BaseDistribution
        With the choices as the storage holds them.
    """

    def __init__(self, distributions):
        self.given = distributions
        self.stored = {
            name: _stored_distribution_of_space(each) for name, each in distributions.items()
        }

    @property
    def holds_texts(self):
        """Whether any choice is stored as a text."""
        return any(
            choice is not held
            for name in self.given
            for choice, held in self._given_and_stored(name)
        )

    def suggest_params(self, trial):
        """Let a trial draw a value for every parameter.

        Parameters
        ----------
        trial : optuna.Trial

        Returns
        -------
        dict of str to object
            Parameter name to value, with the choices of the user.
        """
        _compat.optuna_encode_enqueued_values(trial, self.as_stored)
        params = {}
        for name, distribution in self.stored.items():
            if isinstance(
                distribution,
                optuna.distributions.FloatDistribution | optuna.distributions.IntDistribution,
            ):
                floating = isinstance(distribution, optuna.distributions.FloatDistribution)
                suggest_number = trial.suggest_float if floating else trial.suggest_int
                params[name] = suggest_number(
                    name,
                    distribution.low,
                    distribution.high,
                    step=distribution.step,
                    log=distribution.log,
                )
            else:
                params[name] = trial.suggest_categorical(name, distribution.choices)
        return self.from_stored(params)

    def from_stored(self, params):
        """Replace the stored choices in the parameters of a trial by the choices of the user.

        Parameters
        ----------
        params : dict of str to object
            Parameter name to value, as the storage holds it.

        Returns
        -------
        dict of str to object
        """
        given = {}
        for name, value in params.items():
            choices = _choices_in_space(self.given[name])
            if choices:
                value = choices[int(self.stored[name].to_internal_repr(value))]
            given[name] = value
        return given

    def as_stored(self, name, value):
        """Return a choice as the storage holds it; any other value as it is.

        Parameters
        ----------
        name : str
            Name of the parameter.
        value : object
            A choice, or an equal value; a list for a tuple, as storages make lists of tuples.

        Returns
        -------
        object
        """
        pairs = self._given_and_stored(name)
        for is_the_choice in (
            _is_same_in_space,
            _has_same_content_in_space,
            _has_same_items_in_space,
        ):
            for choice, held in pairs:
                if is_the_choice(choice, value):
                    return held
        return value.item() if isinstance(value, np.generic) else value

    def _given_and_stored(self, name):
        """Return each choice of a parameter with what is stored for it."""
        if name not in self.given:
            return []
        given, stored = _choices_in_space(self.given[name]), _choices_in_space(self.stored[name])
        return list(zip(given, stored, strict=True))


def _is_same_in_space(choice, value):
    """Whether a value is the object of a choice itself."""
    return choice is value


def _has_same_content_in_space(choice, value):
    """Whether a value has the type and the content of a choice."""
    return type(choice) is type(value) and content_text(choice) == content_text(value)


def _has_same_items_in_space(choice, value):
    """Whether a value is a list of the items of a choice that is a tuple."""
    return isinstance(value, list) and _has_same_content_in_space(choice, tuple(value))


def _choices_in_space(distribution):
    """Return the choices of a distribution; none if it is one of numbers."""
    return getattr(distribution, "choices", ())


def _stored_distribution_of_space(distribution):
    """Return a distribution whose choices a storage can hold and Optuna can tell apart."""
    if not isinstance(distribution, optuna.distributions.CategoricalDistribution):
        return distribution
    choices = [c.item() if isinstance(c, np.generic) else c for c in distribution.choices]
    held = {}
    for position, choice in enumerate(choices):
        equals = [other for other in held.values() if _are_equal_in_optuna_space(other, choice)]
        if isinstance(choice, _PRIMITIVE) and all(
            _has_same_content_in_space(choice, other) for other in equals
        ):
            held[position] = choice
    for position in sorted(set(range(len(choices))) - set(held)):
        text = shortened_content_text(choices[position])
        while text in held.values():
            text = f"{text} (choices[{position}])"
        held[position] = text
    return optuna.distributions.CategoricalDistribution(
        [held[position] for position in range(len(choices))]
    )


def _are_equal_in_optuna_space(one, other):
    """Whether Optuna takes two choices for one; it takes all NaN for one."""
    if not (isinstance(one, _PRIMITIVE) and isinstance(other, _PRIMITIVE)):
        return False
    return one == other or (one != one and other != other)
