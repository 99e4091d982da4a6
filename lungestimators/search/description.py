"""What a search is about, as plain data: two that share a study must agree in all of it."""

import inspect
import json
import math
import numbers
import os

import joblib
import lazy_loader as lazy
import numpy as np

from ..studies.study import DIGEST
from . import content

optuna = lazy.load("optuna")

# Parameters that change no result.
_IRRELEVANT = ("feature_cache", "memory", "n_jobs", "verbose")
# As many columns, classes or folds are described one by one.
_MOST_ITEMS = 50


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
        The same in every process and on every machine that has the same data. Digests stand
        beside what a reader can compare.
    """
    params = {
        name: value
        for name, value in task.estimator.get_params().items()
        if name not in task.space.given and name.split("__")[-1] not in _IRRELEVANT
    }
    return {
        "estimator": type(task.estimator).__name__,
        **{f"parameter {name}": _plain(_outline(value)) for name, value in sorted(params.items())},
        **{
            f"space of {name}": _describe_distribution(distribution)
            for name, distribution in sorted(task.space.stored.items())
        },
        "scoring": _plain(scoring),
        "metric": task.metric,
        "X": _describe_data(task.X),
        "y": _describe_labels(task.y),
        "folds": _describe_folds(task.splits),
        **{f"fit parameter {name}": _plain(value) for name, value in task.fit_params.items()},
        **{f"score parameter {name}": _plain(value) for name, value in task.score_params.items()},
    }


def _describe_distribution(distribution):
    described = json.loads(optuna.distributions.distribution_to_json(distribution))
    attributes = described["attributes"]
    for position, choice in enumerate(attributes.pop("choices", ())):
        attributes[f"choices[{position}]"] = _plain(choice)
    return {"kind": described["name"], **attributes}


def _describe_data(X):
    values = _as_array(X)
    if values is None:  # a sparse matrix, images of several sizes
        rows = X.shape[0] if hasattr(X, "shape") else len(X)
        return {"rows": rows, "values": DIGEST + joblib.hash(X)}
    if _are_paths(values):
        return {"rows": len(values), "paths": DIGEST + joblib.hash(_without_folder(values))}
    described = {"rows": len(values), "shape of a row": list(values.shape[1:])}
    if values.ndim != 2 or values.shape[1] > _MOST_ITEMS:
        return {**described, "type": str(values.dtype), "values": DIGEST + content.digest(values)}
    names = map(str, getattr(X, "columns", range(values.shape[1])))
    columns = {
        f"column {name}": DIGEST + content.digest(values[:, n]) for n, name in enumerate(names)
    }
    return {**described, "type": str(values.dtype), **columns}


def _describe_labels(y):
    values = None if y is None else _as_array(y)
    if values is None or values.ndim != 1:
        return None if y is None else _describe_data(y)
    values = values.tolist()
    described = {"rows": len(values), "values": DIGEST + joblib.hash(values)}
    classes = set(map(repr, values))
    if len(classes) <= _MOST_ITEMS:
        counts = {label: 0 for label in sorted(classes)}
        for value in values:
            counts[repr(value)] += 1
        described["rows of class"] = counts
    return described


def _describe_folds(splits):
    rows = [[np.asarray(part).tolist() for part in split] for split in splits]
    described = {"number": len(rows), "rows in them": DIGEST + joblib.hash(rows)}
    if len(rows) <= _MOST_ITEMS:
        described["numbers of rows to train on"] = [len(train) for train, _ in rows]
        described["numbers of rows to score on"] = [len(test) for _, test in rows]
    return described


def _as_array(values):
    """Return data as an array; None where NumPy makes none of one value a row."""
    try:
        array = np.asarray(values)
    except ValueError:  # images of several sizes
        return None
    return array if array.ndim else None


def _are_paths(values):
    is_column = values.ndim == 1 or (values.ndim == 2 and values.shape[1] == 1)
    return is_column and len(values) > 0 and isinstance(values.flat[0], str | os.PathLike)


def _without_folder(paths):
    """Return what paths do not share: machines may differ in that."""
    paths = list(map(os.fspath, paths.ravel().tolist()))
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
    """Return a value as it is or, where JSON knows no such thing, a text that describes it."""
    if value is None or isinstance(value, str | bool):
        return value
    if isinstance(value, numbers.Integral):
        return int(value)
    if isinstance(value, numbers.Real) and math.isfinite(value):
        return float(value)
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return content.short(value, 200)
