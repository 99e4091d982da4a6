"""Images in files, and their paths in a column of each kind."""

from pathlib import Path

import numpy as np
import pandas
import polars
import pyarrow
from PIL import Image


def save(folder, X):
    paths = [str(folder / f"{number}.png") for number in range(len(X))]
    for path, pixels in zip(paths, X, strict=True):
        Image.fromarray(pixels).save(path)
    return paths


def objects(items):
    """A 1-D array whose items are whatever they are."""
    array = np.empty(len(items), object)
    array[:] = items
    return array


COLUMNS = {
    "tuple": tuple,
    "numpy.str_": lambda paths: list(np.array(paths)),
    "pathlib": lambda paths: [Path(path) for path in paths],
    "1-D array": np.array,
    "StringDType": lambda paths: np.array(paths, dtype="T"),
    "objects": objects,
    "pathlib in an array": lambda paths: objects([Path(path) for path in paths]),
    "(n, 1) array": lambda paths: np.array(paths)[:, None],
    "(n, 1) objects": lambda paths: objects(paths).reshape(-1, 1),
    "list of lists": lambda paths: [[path] for path in paths],
    "pandas Series": lambda paths: pandas.Series(paths, index=range(100, 100 + len(paths))),
    "pandas Series of objects": lambda paths: pandas.Series(paths, dtype=object),
    "pandas categories": lambda paths: pandas.Series(paths, dtype="category"),
    "pandas Index": pandas.Index,
    "pandas DataFrame": lambda paths: pandas.DataFrame({"file": paths}, index=paths),
    "polars Series": polars.Series,
    "polars DataFrame": lambda paths: polars.DataFrame({"file": paths}),
    "pyarrow array": pyarrow.array,
    "pyarrow chunks": lambda paths: pyarrow.chunked_array([paths[:5], paths[5:]]),
    "pyarrow table": lambda paths: pyarrow.table({"file": paths}),
}
