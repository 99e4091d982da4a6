"""Paths or images as a list, from a list, an array, a Series, or the one column of a table."""

import os
from pathlib import Path

import numpy as np

from .. import _compat

# Rows that are named in one error; the others are counted.
_NAMED = 10


def column_as_list(X):
    """Return the items of X as a list where they are objects or text; None where X is numbers.

    Parameters
    ----------
    X : list, tuple, 1-D array, Series, or array, DataFrame or table of one column

    Returns
    -------
    list or None

    Raises
    ------
    TypeError
        X is one path, or of a type that no estimator accepts: a generator, a dict, a data set of
        TensorFlow or PyTorch.
    ValueError
        X has several columns that hold text.
    """
    if isinstance(X, str | bytes | os.PathLike):
        raise TypeError(_message_one_path_is_no_column(X))
    if isinstance(X, list | tuple):
        return [item[0] for item in X] if all(map(_is_row_of_one_path, X)) else list(X)
    if hasattr(X, "toarray") and not hasattr(X, "__array__"):
        return None  # sparse: scikit-learn's check has the right words
    if not (hasattr(X, "__array__") or hasattr(X, "__array_interface__")):
        raise TypeError(_message_type_is_no_column(X))
    dtype = getattr(X, "dtype", None)
    if isinstance(dtype, np.dtype) and dtype.kind not in "OSTU":
        return None
    shape = shape_of_columns(X)
    if shape == () and isinstance(np.asarray(X).item(), str | os.PathLike):
        raise TypeError(_message_one_path_is_no_column(np.asarray(X).item()))
    if len(shape) == 2 and shape[0] and shape[1] > 1:
        _refuse_text_among_columns(X, shape, dtype)
    if len(shape) == 1 or (len(shape) == 2 and shape[1] == 1):
        array = np.asarray(X)
        if array.dtype.kind in "OSTU":
            return array.reshape(-1).tolist()
    return None


def shape_of_columns(X):
    """Return the shape of an array-like, also of one that NumPy's functions do not know."""
    shape = getattr(X, "shape", None)
    return shape if isinstance(shape, tuple) else np.asarray(X).shape


def is_column_of_paths(X):
    """Whether X holds the path of a file in each row.

    Raises
    ------
    ValueError
        X is empty, or holds paths in some rows only.
    TypeError
        As :func:`column_as_list` raises it, or X holds bytes, or other objects beside paths.
    """
    items = column_as_list(X)
    if items is None:
        return False
    if not items:
        raise ValueError(
            "X holds no image (0 samples): pass an array of images, or a list of image files"
        )
    if isinstance(items[0], str | os.PathLike) and all(map(_is_path_in_column, items)):
        return True
    missing = [row for row, item in enumerate(items) if _is_missing_in_column_of_paths(item)]
    others = {
        type(item).__name__
        for item in items
        if not (_is_path_in_column(item) or _is_missing_in_column_of_paths(item))
    }
    if missing and not others:
        raise ValueError(
            f"X has no path in {len(missing)} of {len(items)} rows (counted from 0: "
            f"{_first_few_of_column(missing)}): leave these rows out of X and y"
        )
    if "bytes" in others:
        raise TypeError(
            "X holds bytes: pass the paths of files as str (os.fsdecode makes one of bytes), and "
            "images as arrays"
        )
    if any(map(_is_path_in_column, items)):
        raise TypeError(f"X holds paths beside {' and '.join(sorted(others))}: pass paths alone")
    return False


def paths_in_column(X):
    """Return a list or column of paths as a list of str."""
    return [str(os.fsdecode(item)) for item in column_as_list(X)]


def _is_path_in_column(item):
    """Whether an item is a path object or a text that is not empty."""
    return isinstance(item, os.PathLike) or (isinstance(item, str) and item != "")


def _is_missing_in_column_of_paths(item):
    """Whether an item is None, NaN, pandas.NA or an empty str."""
    if item is None or isinstance(item, str):
        return not item
    try:
        return np.ndim(item) == 0 and bool(item != item)
    except TypeError:  # pandas.NA is neither true nor false
        return True
    except ValueError:  # an item of several numbers
        return False


def _is_row_of_one_path(item):
    """Whether an item is a list, tuple or array that holds one path and nothing else."""
    return (
        isinstance(item, list | tuple | np.ndarray)
        and np.shape(item) == (1,)
        and isinstance(item[0], str | os.PathLike)
    )


def _message_one_path_is_no_column(X):
    """Return the message of the error for X that is a single path."""
    path = os.fsdecode(X)
    if Path(path).is_dir():
        return (
            f"X is the single folder {path!r}: pass the paths of its images, which "
            "lungestimators.load_images lists. With one sub-folder a class, load_image_folder has "
            "the labels as well"
        )
    return (
        f"X is the single path {path!r}: pass a list of image files, if only of one. "
        "lungestimators.load_images lists those of a folder"
    )


def _message_type_is_no_column(X):
    """Return the message of the error for X of a type that no estimator accepts."""
    kind = f"{type(X).__module__}.{type(X).__qualname__}".removeprefix("builtins.")
    if hasattr(X, "keys"):
        return (
            f"X is of the type {kind}: pass the images or paths that it holds, such as X['data'], "
            "and not all of it"
        )
    if hasattr(X, "__iter__") or hasattr(X, "__getitem__"):
        return (
            f"X is of the type {kind}, whose items come one by one: pass an array of images or a "
            "list of paths. Images that do not fit in memory are passed as the paths of their files"
        )
    return f"X is of the type {kind}: pass an array of images or a list of paths"


def _refuse_text_among_columns(X, shape, dtype):
    """Raise where a table or an array of several columns holds text."""
    names = getattr(X, "column_names", getattr(X, "columns", None))
    if names is None and not isinstance(dtype, np.dtype):
        return  # a tensor
    first = np.asarray(_compat.sklearn_take_rows(X, [0]), dtype=object).reshape(-1).tolist()
    text = [column for column, item in enumerate(first) if isinstance(item, str | os.PathLike)]
    if text:
        which = _first_few_of_column(
            [column if names is None else list(names)[column] for column in text]
        )
        raise ValueError(
            f"X has {shape[1]} columns, and text in {len(text)} of them ({which}): pass the one "
            "column that holds the paths of image files, or numbers alone"
        )


def _first_few_of_column(items):
    """Return the first items as a text."""
    return ", ".join(map(repr, items[:_NAMED])) + " ..." * (len(items) > _NAMED)
