"""Descriptions of searches: two searches share a study only if their descriptions are equal."""

import inspect
import json
import math
import numbers
import os

import joblib
import numpy as np

from .._compat import optuna
from ..studies import DIGEST
from .content import digest_of_searched_content, shortened_content_text

# Parameters that change no result.
_WITHOUT_EFFECT = ("feature_cache", "memory", "n_jobs", "verbose")
# Columns, classes or folds are described one by one if there are at most so many.
_MOST_ITEMS = 50


def describe_search(objective, scoring):
    """Describe what a search is about: estimator, space, scoring, data and folds.

    Parameters
    ----------
    objective : Objective
    scoring : object
        As the user gave it.

    Returns
    -------
    dict of str to str, int, float, bool, None, list or dict
        JSON; the same in every process, and on every machine that has the same data. Counts and
        shapes, which a reader can compare, stand beside digests of the values.
    """
    params = {
        name: value
        for name, value in objective.estimator.get_params().items()
        if name not in objective.space.given and name.split("__")[-1] not in _WITHOUT_EFFECT
    }
    return {
        "estimator": type(objective.estimator).__name__,
        **{
            f"parameter {name}": _search_description_as_json(
                _describe_search_estimators_by_type(value)
            )
            for name, value in sorted(params.items())
        },
        **{
            f"space of {name}": _describe_search_distribution(distribution)
            for name, distribution in sorted(objective.space.stored.items())
        },
        "scoring": _search_description_as_json(scoring),
        "metric": objective.metric,
        "X": _describe_search_data(objective.X),
        "y": _describe_search_labels(objective.y),
        "folds": _describe_search_folds(objective.splits),
        **{
            f"fit parameter {name}": _search_description_as_json(value)
            for name, value in objective.fit_params.items()
        },
        **{
            f"score parameter {name}": _search_description_as_json(value)
            for name, value in objective.score_params.items()
        },
    }


def _describe_search_distribution(distribution):
    """Describe a distribution by its kind, its bounds and its choices."""
    described = json.loads(optuna.distributions.distribution_to_json(distribution))
    attributes = described["attributes"]
    for position, choice in enumerate(attributes.pop("choices", ())):
        attributes[f"choices[{position}]"] = _search_description_as_json(choice)
    return {"kind": described["name"], **attributes}


def _describe_search_data(X):
    """Describe X by its rows, shape and type, and by digests of its columns or of all values."""
    values = _describe_search_array(X)
    if values is None:  # a sparse matrix, images of several sizes
        rows = X.shape[0] if hasattr(X, "shape") else len(X)
        return {"rows": rows, "values": DIGEST + joblib.hash(X)}
    if _is_search_described_by_paths(values):
        return {
            "rows": len(values),
            "paths": DIGEST + joblib.hash(_describe_search_paths(values)),
        }
    described = {"rows": len(values), "shape of a row": list(values.shape[1:])}
    if values.ndim != 2 or values.shape[1] > _MOST_ITEMS:
        return {
            **described,
            "type": str(values.dtype),
            "values": DIGEST + digest_of_searched_content(values),
        }
    names = map(str, getattr(X, "columns", range(values.shape[1])))
    columns = {
        f"column {name}": DIGEST + digest_of_searched_content(values[:, n])
        for n, name in enumerate(names)
    }
    return {**described, "type": str(values.dtype), **columns}


def _describe_search_labels(y):
    """Describe y by its rows, a digest of its values and the number of rows of each class."""
    values = None if y is None else _describe_search_array(y)
    if values is None or values.ndim != 1:
        return None if y is None else _describe_search_data(y)
    values = values.tolist()
    described = {"rows": len(values), "values": DIGEST + joblib.hash(values)}
    classes = set(map(repr, values))
    if len(classes) <= _MOST_ITEMS:
        counts = {label: 0 for label in sorted(classes)}
        for value in values:
            counts[repr(value)] += 1
        described["rows of class"] = counts
    return described


def _describe_search_folds(splits):
    """Describe folds by their number, a digest of their rows and their numbers of rows."""
    rows = [[np.asarray(part).tolist() for part in split] for split in splits]
    described = {"number": len(rows), "rows in them": DIGEST + joblib.hash(rows)}
    if len(rows) <= _MOST_ITEMS:
        described["numbers of rows to train on"] = [len(train) for train, _ in rows]
        described["numbers of rows to score on"] = [len(test) for _, test in rows]
    return described


def _describe_search_array(values):
    """Return data as an array; None if NumPy cannot make an array of one value a row."""
    try:
        array = np.asarray(values)
    except ValueError:  # images of several sizes
        return None
    return array if array.ndim else None


def _is_search_described_by_paths(values):
    """Whether an array is one column of paths."""
    is_column = values.ndim == 1 or (values.ndim == 2 and values.shape[1] == 1)
    return is_column and len(values) > 0 and isinstance(values.flat[0], str | os.PathLike)


def _describe_search_paths(paths):
    """Return paths without the beginning that all share: it may differ between machines."""
    paths = list(map(os.fspath, paths.ravel().tolist()))
    common = len(os.path.commonprefix(paths))  # noqa: RUF071 (any beginning will do)
    return [path[common:] for path in paths]


def _describe_search_estimators_by_type(value):
    """Return the type in place of a nested estimator: its parameters are described by name."""
    if hasattr(value, "get_params") and not inspect.isclass(value):
        return type(value).__name__
    if isinstance(value, list) and all(isinstance(item, tuple) for item in value):
        return [[_describe_search_estimators_by_type(part) for part in item] for item in value]
    return value


def _search_description_as_json(value):
    """Return a value as JSON; a text that describes its content if JSON has no such value."""
    if value is None or isinstance(value, str | bool):
        return value
    if isinstance(value, numbers.Integral):
        return int(value)
    if isinstance(value, numbers.Real) and math.isfinite(value):
        return float(value)
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if isinstance(value, dict):
        return {str(key): _search_description_as_json(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_search_description_as_json(item) for item in value]
    return shortened_content_text(value, 200)
