"""Search spaces: sensible distributions, and what a trial draws from them."""

import lazy_loader as lazy
import numpy as np
from sklearn.pipeline import Pipeline

from .. import _compat
from ..classifiers.base import LungClassifier
from . import content

optuna = lazy.load("optuna")

_PRIMITIVE = (type(None), bool, int, float, str)


def search_space(estimator):
    """Return sensible Optuna distributions for a classifier.

    They lie around the estimator's own values. What would change the work done by frozen layers
    (``image_size``, the backbone, its width, views of augmented images) is left as it is, so that
    every image goes through them once for all trials; so is the cost of one epoch.

    Parameters
    ----------
    estimator : LungClassifier or Pipeline
        A classifier of this package, or a pipeline that ends with one.

    Returns
    -------
    dict of str to optuna.distributions.BaseDistribution
        A parameter and its values: ``epochs`` (half to twice), ``learning_rate`` (a tenth to ten
        times), ``batch_size`` (half to twice), ``dense_units`` (a quarter to once), ``dropout`` (0
        to 0.7), ``class_weight`` (none or balanced); ``augment`` where everything learns, and
        ``fine_tune_epochs`` and ``fine_tune_learning_rate`` where pre-trained layers learn. Names
        are prefixed by the step's name for a pipeline. Choices are such as every Optuna storage
        can hold, hence no tuples (``filters``).

    Raises
    ------
    TypeError
        ``estimator`` is no classifier of this package.

    See Also
    --------
    OptunaSearch : Takes it by default.

    Examples
    --------
    >>> from lungestimators import CNNClassifier, search_space
    >>> space = search_space(CNNClassifier(epochs=10))
    >>> space["epochs"]
    optuna.distributions.IntDistribution(high=20, log=False, low=5, step=1)
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
    # The number of units, the rate of dropout and the size of batches are parts of what is
    # compiled: few values, so that compiled networks are used again.
    units, images = estimator.dense_units, estimator.batch_size
    space = {
        "learning_rate": rate(estimator.learning_rate),
        "epochs": around(estimator.epochs),
        "batch_size": choices(max(1, images // 2), images, 2 * images),
        "dense_units": choices(max(1, units // 4), max(1, units // 2), units),
        "dropout": optuna.distributions.FloatDistribution(0, 0.7, step=0.1),
    }
    if not isinstance(estimator.class_weight, dict):
        space["class_weight"] = choices(None, "balanced")
    everything = "all" if estimator.trainable == "auto" and not pretrained else estimator.trainable
    if everything == "all" and isinstance(estimator.augment, bool):
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

    A storage holds numbers, strings and None. It holds a text in place of any other choice, and in
    place of a choice that equals an earlier one, as 1 equals True. A text describes the content of
    its choice; where two contents have the same description, the position is added.

    Parameters
    ----------
    distributions : dict of str to optuna.distributions.BaseDistribution

    Attributes
    ----------
    given : dict of str to optuna.distributions.BaseDistribution
    stored : dict of str to optuna.distributions.BaseDistribution
    """

    def __init__(self, distributions):
        self.given = distributions
        self.stored = {name: _stored(each) for name, each in distributions.items()}

    @property
    def holds_texts(self):
        """Whether a choice is stored as something else than itself."""
        return any(choice is not held for name in self.given for choice, held in self._pairs(name))

    def suggest(self, trial):
        """Draw a value for every parameter.

        Parameters
        ----------
        trial : optuna.Trial

        Returns
        -------
        dict of str to object
        """
        _compat.encode_enqueued_values(trial, self.encode)
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
        return self.decode(params)

    def decode(self, params):
        """Return the parameters of a trial as the estimator takes them.

        Parameters
        ----------
        params : dict of str to object
            As the storage holds them.

        Returns
        -------
        dict of str to object
        """
        decoded = {}
        for name, value in params.items():
            choices = _choices(self.given[name])
            if choices:
                value = choices[int(self.stored[name].to_internal_repr(value))]
            decoded[name] = value
        return decoded

    def encode(self, name, value):
        """Return a choice as the storage holds it, and any other value as it is.

        Parameters
        ----------
        name : str
            Of a parameter.
        value : object
            A choice, or an equal of it: a storage makes lists of tuples.

        Returns
        -------
        object
        """
        pairs = self._pairs(name)
        for is_the_choice in (_is_same, _has_same_content, _has_same_items):
            for choice, held in pairs:
                if is_the_choice(choice, value):
                    return held
        return value.item() if isinstance(value, np.generic) else value

    def _pairs(self, name):
        """Return each choice of a parameter, and what is stored in its place."""
        if name not in self.given:
            return []
        given, stored = _choices(self.given[name]), _choices(self.stored[name])
        return list(zip(given, stored, strict=True))


def _is_same(choice, value):
    return choice is value


def _has_same_content(choice, value):
    return type(choice) is type(value) and content.text(choice) == content.text(value)


def _has_same_items(choice, value):
    return isinstance(value, list) and _has_same_content(choice, tuple(value))


def _choices(distribution):
    return getattr(distribution, "choices", ())


def _stored(distribution):
    """Return a distribution whose choices a storage can hold and Optuna tells apart."""
    if not isinstance(distribution, optuna.distributions.CategoricalDistribution):
        return distribution
    choices = [c.item() if isinstance(c, np.generic) else c for c in distribution.choices]
    held = {}
    for position, choice in enumerate(choices):
        equals = [other for other in held.values() if _are_equal(other, choice)]
        if isinstance(choice, _PRIMITIVE) and all(
            _has_same_content(choice, other) for other in equals
        ):
            held[position] = choice
    for position in sorted(set(range(len(choices))) - set(held)):
        text = content.short(choices[position])
        while text in held.values():
            text = f"{text} (choices[{position}])"
        held[position] = text
    return optuna.distributions.CategoricalDistribution(
        [held[position] for position in range(len(choices))]
    )


def _are_equal(one, other):
    """Compare choices as Optuna does, to which all NaN are equal."""
    if not (isinstance(one, _PRIMITIVE) and isinstance(other, _PRIMITIVE)):
        return False
    return one == other or (one != one and other != other)
