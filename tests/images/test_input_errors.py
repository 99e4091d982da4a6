"""Missing paths, and what is no images at all, are an error that says what is wrong."""

from pathlib import Path

import numpy as np
import pandas
import polars
import pyarrow
import pytest
import scipy.sparse
from PIL import Image

from lungestimators import ImageReader, audit_images

from .columns_of_paths import objects


@pytest.mark.parametrize("missing", [None, np.nan, pandas.NA, "", pandas.NaT])
@pytest.mark.parametrize("make", [list, objects, lambda p: objects(p)[:, None], pandas.Series])
def test_a_row_without_a_path_is_named(cnn, squares, paths, missing, make):
    paths[2] = paths[7] = missing
    with pytest.raises(ValueError, match=r"no path in 2 of 48 rows \(counted from 0: 2, 7\)"):
        cnn.fit(make(paths), squares[1])
    paths[0] = missing
    with pytest.raises(ValueError, match=r"no path in 3 of 48 rows \(counted from 0: 0, 2, 7\)"):
        cnn.fit(make(paths), squares[1])


def test_nulls_of_polars_and_pyarrow_are_named(cnn, squares, paths):
    paths[2] = None
    for X in (polars.Series(paths), polars.DataFrame({"f": paths}), pyarrow.table({"f": paths})):
        with pytest.raises(ValueError, match=r"no path in 1 of 48 rows \(counted from 0: 2\)"):
            cnn.fit(X, squares[1])


def tensorflow_dataset(X, paths):
    import tensorflow as tf

    return tf.data.Dataset.from_tensor_slices(X)


class TorchLoader:
    """Has what a DataLoader of PyTorch has: a length, and batches one by one."""

    def __len__(self):
        return 3

    def __iter__(self):
        return iter([])


NO_X = {
    "None": (lambda X, paths: None, TypeError, "X is of the type NoneType: pass an array"),
    "a number": (lambda X, paths: 3, TypeError, "X is of the type int: pass an array"),
    "a generator": (lambda X, paths: (x for x in X), TypeError, "generator, whose items come one"),
    "a map": (lambda X, paths: map(Path, paths), TypeError, "map, whose items come one by one"),
    "tf.data": (tensorflow_dataset, TypeError, r"tensorflow\..*, whose items come one by one"),
    "a loader": (lambda X, paths: TorchLoader(), TypeError, "TorchLoader, whose items come one"),
    "a dict": (lambda X, paths: {"data": X}, TypeError, r"dict: pass .* such as X\['data'\]"),
    "a set": (lambda X, paths: set(paths), TypeError, "set, whose items come one by one"),
    "a str": (lambda X, paths: paths[0], TypeError, "single path .*0.png'"),
    "bytes": (lambda X, paths: [p.encode() for p in paths], TypeError, "X holds bytes"),
    "an array of bytes": (lambda X, paths: np.array(paths, "S"), TypeError, "X holds bytes"),
    "paths and pixels": (lambda X, paths: [*paths[:-1], X[0]], TypeError, "paths beside ndarray"),
    "an empty list": (lambda X, paths: [], ValueError, r"X holds no image \(0 samples\)"),
    "an empty array": (lambda X, paths: X[:0], ValueError, r"0 sample\(s\)"),
    "an empty Series": (
        lambda X, paths: pandas.Series([], dtype=str),
        ValueError,
        "X holds no image",
    ),
    "a sparse matrix": (
        lambda X, paths: scipy.sparse.csr_array(X.reshape(48, -1)),
        TypeError,
        r"Sparse data was passed for X, but dense data is required",
    ),
    "several columns": (
        lambda X, paths: pandas.DataFrame({"age": 1, "file": paths}),
        ValueError,
        r"X has 2 columns, and text in 1 of them \('file'\): pass the one column",
    ),
    "several columns of polars": (
        lambda X, paths: polars.DataFrame({"file": paths, "sex": "F"}),
        ValueError,
        r"X has 2 columns, and text in 2 of them \('file', 'sex'\)",
    ),
    "several columns of pyarrow": (
        lambda X, paths: pyarrow.table({"file": paths, "age": [1] * 48}),
        ValueError,
        r"X has 2 columns, and text in 1 of them \('file'\)",
    ),
    "several columns of an array": (
        lambda X, paths: np.c_[paths, paths],
        ValueError,
        r"X has 2 columns, and text in 2 of them \(0, 1\)",
    ),
    "channels first": (
        lambda X, paths: np.stack([X] * 3, axis=1),
        ValueError,
        r"16 channels.*np\.moveaxis\(X, 1, -1\)",
    ),
    "X and y": (
        lambda X, paths: (X, np.zeros(48)),
        ValueError,
        r"X\[1\] is no image.*two arguments",
    ),
    "a path in an array": (lambda X, paths: np.array(paths[0]), TypeError, "single path"),
    "one grey image": (
        lambda X, paths: X[0],
        ValueError,
        r"is passed as X\[np.newaxis\]",
    ),
    "one RGB image": (
        lambda X, paths: np.stack([X[0]] * 3, axis=2),
        ValueError,
        r"one RGB image or 16 grey ones",
    ),
    "a palette": (
        lambda X, paths: [Image.fromarray(x).convert("P") for x in X],
        ValueError,
        r"X\[0\] is a Pillow image of the mode 'P'.*convert\('RGB'\)",
    ),
}


@pytest.mark.parametrize("kind", NO_X)
def test_what_is_no_x_is_said_in_one_sentence(cnn, squares, paths, kind):
    make, error, message = NO_X[kind]
    with pytest.raises(error, match=message):
        cnn.fit(make(squares[0], paths), squares[1])
    assert not hasattr(cnn, "classes_")


def test_every_part_says_the_same_of_a_generator(cnn, features, squares, paths):
    y = squares[1]
    calls = [
        lambda X: cnn.partial_fit(X, y, classes=np.unique(y)),
        lambda X: features.fit(X),
        lambda X: ImageReader().transform(X),
        lambda X: audit_images(X, y),
    ]
    for call in calls:
        with pytest.raises(TypeError, match="generator, whose items come one by one"):
            call(path for path in paths)
    cnn.set_params(epochs=1).fit(paths, y)
    with pytest.raises(TypeError, match="generator, whose items come one by one"):
        cnn.predict(path for path in paths)
