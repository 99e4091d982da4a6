"""What a search is about, as plain data: two that share a study must agree in all of it."""

import inspect
import numbers
import os
import pickle
import sys

import joblib
import numpy as np
from optuna.distributions import distribution_to_json

from . import spaces

# Parameters that change no result.
_IRRELEVANT = ("feature_cache", "memory", "n_jobs", "verbose")


def describe(task, scoring):
    """Describe a search.

    Parameters
    ----------
    task : objective.Task
    scoring : object
        As the user gave it.

    Returns
    -------
    dict of str to str, int, float, bool, None, list or dict
        The same in every process and on every machine that has the same data.
    """
    params = {
        name: value
        for name, value in task.estimator.get_params().items()
        if name not in task.space and name.split("__")[-1] not in _IRRELEVANT
    }
    return {
        "estimator": type(task.estimator).__name__,
        **{f"parameter {name}": _plain(_outline(value)) for name, value in sorted(params.items())},
        **{
            f"space of {name}": distribution_to_json(spaces.stored(distribution))
            for name, distribution in sorted(task.space.items())
        },
        "scoring": _plain(scoring),
        "metric": task.metric,
        "X": f"digest {joblib.hash(_without_folder(task.X))}",
        "y": f"digest {joblib.hash(task.y)}",
        "folds": f"{len(task.splits)} of digest {joblib.hash(task.splits)}",
        **{f"fit parameter {name}": _plain(value) for name, value in task.fit_params.items()},
        **{f"score parameter {name}": _plain(value) for name, value in task.score_params.items()},
    }


def _without_folder(X):
    """Return X or, where it holds paths, what they do not share: machines may differ in that."""
    values = np.asarray(X)
    if values.ndim != 1 or not isinstance(values[0], str | os.PathLike):
        return X
    paths = list(map(os.fspath, values.tolist()))
    common = len(os.path.commonprefix(paths))  # noqa: RUF071 (any beginning will do)
    return [path[common:] for path in paths]


def _outline(value):
    """Return types in place of nested estimators, whose parameters have names of their own."""
    if hasattr(value, "get_params") and not inspect.isclass(value):
        return type(value).__name__
    if isinstance(value, list) and all(isinstance(item, tuple) for item in value):
        return [[_outline(part) for part in item] for item in value]
    return value


def _plain(value):
    """Return a value as it is or, where JSON knows no such thing, what tells it from others."""
    if value is None or isinstance(value, str | bool):
        return value
    if isinstance(value, numbers.Integral):
        return int(value)
    if isinstance(value, numbers.Real):
        return float(value)
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if inspect.isroutine(value) or inspect.isclass(value):
        return f"{value.__module__}.{value.__qualname__}"
    keras = sys.modules.get("keras")
    if keras is not None and isinstance(value, keras.layers.Layer):
        from . import augmentation  # which imports Keras

        return augmentation.as_json(value)
    try:
        return f"{type(value).__name__} of digest {joblib.hash(value)}"
    except pickle.PicklingError:  # it holds a function that has no name in its module
        return type(value).__name__
