"""What X may be: a column of paths is a list of paths, grey and RGB meet, and the rest is said."""

from pathlib import Path

import numpy as np
import pandas
import polars
import pyarrow
import pytest
import scipy.sparse
from imblearn.over_sampling import RandomOverSampler
from imblearn.pipeline import make_pipeline as make_imbalanced_pipeline
from PIL import Image
from sklearn.base import clone
from sklearn.compose import ColumnTransformer
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import AdaBoostClassifier, BaggingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_predict, train_test_split
from sklearn.multiclass import OneVsRestClassifier
from sklearn.pipeline import make_pipeline

from lungestimators import (
    BackboneFeatures,
    ImageReader,
    MobileNetClassifier,
    SampleImagesDisplay,
    audit_images,
    compare_models,
)
from lungestimators.images import columns


def save(folder, X):
    paths = [str(folder / f"{number}.png") for number in range(len(X))]
    for path, pixels in zip(paths, X, strict=True):
        Image.fromarray(pixels).save(path)
    return paths


@pytest.fixture
def paths(squares, tmp_path):
    return save(tmp_path, squares[0])


@pytest.fixture
def features():
    return BackboneFeatures("MobileNetV3Small", weights=None, image_size=32, random_state=0)


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
each_table = pytest.mark.parametrize(
    "column", ["(n, 1) objects", "pandas DataFrame", "polars DataFrame", "pyarrow table"]
)


@pytest.mark.parametrize("column", COLUMNS)
def test_a_column_of_paths_is_a_list_of_paths(paths, column):
    X = COLUMNS[column](paths)
    assert columns.is_column_of_paths(X)
    found = columns.paths_in_column(X)
    assert found == paths
    assert {type(path) for path in found} == {str}


@each_table
def test_classifiers_take_a_column_of_paths(cnn, squares, paths, column):
    _, y = squares
    X = COLUMNS[column](paths)
    cnn.set_params(epochs=1)
    expected = clone(cnn).fit(paths, y).predict_proba(paths)
    clf = clone(cnn).fit(X, y)
    np.testing.assert_array_equal(clf.predict_proba(X), expected)
    assert clf.image_shape_ == (None, None, 3)
    # A list of paths has no features: neither a number nor names.
    assert not hasattr(clf, "n_features_in_") and not hasattr(clf, "feature_names_in_")
    np.testing.assert_array_equal(clf.predict_proba(paths), expected)
    stepwise = clone(cnn).partial_fit(X, y, classes=np.unique(y))
    expected = clone(cnn).partial_fit(paths, y, classes=np.unique(y)).predict_proba(paths)
    np.testing.assert_array_equal(stepwise.predict_proba(X), expected)


@pytest.mark.slow
@pytest.mark.parametrize("column", ["(n, 1) objects", "pandas DataFrame"])
def test_every_part_takes_a_column_of_paths(features, squares, paths, column):
    _, y = squares
    X = COLUMNS[column](paths)
    np.testing.assert_array_equal(features.fit(X).transform(X), features.transform(paths))
    pixels = squares[0][..., None] / np.float32(255)
    np.testing.assert_array_equal(ImageReader().transform(X), pixels)
    options = dict(estimator=DummyClassifier(), random_state=0)
    assert str(audit_images(X, y, **options)) == str(audit_images(paths, y, **options))
    samples = SampleImagesDisplay.from_dataset(X, y, n_images=2).samples
    np.testing.assert_array_equal(
        samples, SampleImagesDisplay.from_dataset(paths, y, n_images=2).samples
    )


@pytest.mark.parametrize(
    "column", ["(n, 1) objects", "pandas Series", "pandas DataFrame", "polars DataFrame"]
)
def test_models_are_compared_on_a_column_of_paths(features, squares, paths, column):
    _, y = squares
    models = {"m": make_pipeline(features, LogisticRegression()), "d": DummyClassifier()}
    found = [
        compare_models(models, X, y, cv=2, n_repeats=1, random_state=0).models
        for X in (paths, COLUMNS[column](paths))
    ]
    assert [row["accuracy"] for row in found[0]] == [row["accuracy"] for row in found[1]]


def test_bad_files_of_a_column_are_skipped(cnn, squares, paths):
    _, y = squares
    Path(paths[3]).write_bytes(b"not a picture")
    cnn.set_params(on_error="skip", epochs=1)
    with pytest.warns(UserWarning, match="Left out"):
        cnn.fit(pandas.DataFrame({"file": paths}), pandas.Series(y))
    assert list(cnn.skipped_) == [paths[3]]


# Where others hand over a column


def test_bagging_and_boosting_hand_over_a_column(cnn, squares, paths):
    _, y = squares
    X = np.array(paths, object)[:, None]
    bagging = BaggingClassifier(cnn, n_estimators=2, random_state=0).fit(X, y)
    assert bagging.score(X, y) > 0.9
    boosting = AdaBoostClassifier(cnn, n_estimators=2, random_state=0).fit(X, y)
    assert boosting.score(X, y) > 0.9


@pytest.mark.parametrize("columns", ["file", ["file"]], ids=["Series", "DataFrame"])
def test_a_column_transformer_hands_over_a_column(features, squares, paths, columns):
    _, y = squares
    frame = pandas.DataFrame({"age": np.arange(48.0), "file": paths})
    both = ColumnTransformer([("images", features, columns), ("age", "passthrough", ["age"])])
    vectors = both.fit_transform(frame)
    np.testing.assert_array_equal(vectors[:, :-1], features.fit_transform(paths))
    np.testing.assert_array_equal(vectors[:, -1], frame["age"])
    assert make_pipeline(both, LogisticRegression(max_iter=500)).fit(frame, y).predict(frame).shape


@pytest.mark.parametrize("column", ["(n, 1) objects", "pandas DataFrame"])
def test_a_sampler_hands_over_a_column(cnn, squares, paths, column):
    _, y = squares
    rows = np.r_[np.flatnonzero(y == "clear"), np.flatnonzero(y == "opaque")[:8]]
    X, y = COLUMNS[column]([paths[row] for row in rows]), y[rows]
    sampled, labels = RandomOverSampler(random_state=0).fit_resample(X, y)
    expected = clone(cnn).fit(np.asarray(sampled)[:, 0].tolist(), labels).predict_proba(X)
    pipeline = make_imbalanced_pipeline(RandomOverSampler(random_state=0), cnn).fit(X, y)
    np.testing.assert_array_equal(pipeline.predict_proba(X), expected)
    assert len(cross_val_predict(pipeline, X, y, cv=2)) == len(y)


def test_a_split_data_frame_of_paths_is_predicted(cnn, squares, paths):
    frame = pandas.DataFrame({"file": paths, "label": squares[1]})
    train, test = train_test_split(frame, random_state=0, stratify=frame["label"])
    cnn.fit(train[["file"]], train["label"])
    assert cnn.score(test[["file"]], test["label"]) > 0.9
    assert cnn.score(test["file"], test["label"]) > 0.9


def test_several_labels_an_image_share_one_forward_pass(squares, paths, monkeypatch):
    from lungestimators import clear_feature_cache, feature_cache_info
    from lungestimators.networks import blueprints

    X, y = squares
    Y = np.c_[y == "opaque", np.arange(48) % 3 == 0, np.arange(48) % 4 == 0].astype(int)
    clf = MobileNetClassifier(
        weights=None, alpha=0.25, trainable="head", image_size=32, epochs=2, random_state=0
    )
    clear_feature_cache()
    seen = []
    run = blueprints.Blueprint.run

    def counting(self, inputs):
        if np.ndim(inputs) == 4:
            seen.append(len(inputs))
        return run(self, inputs)

    monkeypatch.setattr(blueprints.Blueprint, "run", counting)
    several = OneVsRestClassifier(clf).fit(paths, Y)
    assert len(several.estimators_) == 3
    assert feature_cache_info().misses == len(X)
    assert several.predict(paths).shape == Y.shape
    assert sum(seen) == len(X)  # each image once, for three classifiers and their predictions
    for number, estimator in enumerate(several.estimators_):
        alone = clone(clf).fit(paths, Y[:, number])
        np.testing.assert_array_equal(estimator.predict_proba(paths), alone.predict_proba(paths))


@pytest.mark.parametrize("make", [np.asarray, pandas.DataFrame, scipy.sparse.csr_array])
def test_several_labels_an_image_are_an_error_that_says_what_is_right(cnn, squares, make):
    X, y = squares
    Y = make(np.c_[y == "opaque", y == "clear"].astype(int))
    with pytest.raises(ValueError, match=r"\(48, 2\).*1d array.*OneVsRestClassifier.*argmax"):
        cnn.fit(X, Y)


# Missing paths, and what is none


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


# Images one by one

IMAGES = {
    "list": list,
    "objects": lambda X: objects(list(X)),
    "(n, 1) objects": lambda X: objects(list(X)).reshape(-1, 1),
    "pandas Series": lambda X: pandas.Series(list(X)),
    "pandas DataFrame": lambda X: pandas.DataFrame({"pixels": list(X)}),
    "polars Series": lambda X: polars.Series(X.tolist()),
    "Pillow": lambda X: [Image.fromarray(x) for x in X],
}


@pytest.mark.parametrize("kind", IMAGES)
def test_images_one_by_one_are_an_array_of_images(cnn, squares, kind):
    X, y = squares
    same = IMAGES[kind](X)
    cnn.set_params(epochs=1)
    expected = clone(cnn).fit(X, y).predict_proba(X)
    np.testing.assert_allclose(cnn.fit(same, y).predict_proba(same), expected, atol=1e-6)


def test_rows_one_by_one_are_flat_rows(cnn, squares):
    X, y = squares
    cnn.set_params(epochs=1, image_shape=(16, 16))
    rows = pandas.Series(list(X.reshape(48, -1)))
    expected = clone(cnn).fit(X.reshape(48, -1), y).predict_proba(X.reshape(48, -1))
    np.testing.assert_array_equal(cnn.fit(rows, y).predict_proba(rows), expected)


@pytest.mark.parametrize("dtype", ["uint8", "float32", "bool"])
def test_tensors_are_arrays(cnn, squares, dtype):
    import tensorflow as tf

    X = (squares[0] > 100) if dtype == "bool" else squares[0].astype(dtype)
    cnn.set_params(epochs=1)
    expected = clone(cnn).fit(X, squares[1]).predict_proba(X)
    tensor = tf.constant(X)
    np.testing.assert_array_equal(cnn.fit(tensor, squares[1]).predict_proba(tensor), expected)


# Grey and RGB


@pytest.fixture(params=["classifier", "features"])
def fitted(request, cnn, features, squares):
    """A function that fits on images and returns what is computed of others."""

    def fit(X):
        if request.param == "features":
            return features.fit(X).transform
        return cnn.set_params(epochs=1).fit(X, squares[1]).predict_proba

    return fit


def rgb(X):
    return np.repeat(X[..., None], 3, axis=3)


def test_a_fit_on_grey_takes_rgb_whose_channels_are_equal(fitted, squares):
    X, _ = squares
    compute = fitted(X)
    for same in (rgb(X), rgb(X / 255), list(rgb(X))):
        np.testing.assert_allclose(compute(same), compute(X), atol=1e-5)
    np.testing.assert_array_equal(compute(rgb(X)), compute(X))
    coloured = rgb(X)
    coloured[5, 3, 3, 1] += 1
    with pytest.raises(ValueError, match=r"channels of X\[5\] differ, but the fit was on grey"):
        compute(coloured)


def test_a_fit_on_rgb_takes_grey_repeated(fitted, squares):
    X, _ = squares
    compute = fitted(rgb(X))
    np.testing.assert_array_equal(compute(X), compute(rgb(X)))
    np.testing.assert_array_equal(compute(X[..., None]), compute(rgb(X)))


def test_a_fit_on_files_takes_grey_and_rgb_arrays(fitted, squares, paths):
    X, _ = squares
    compute = fitted(paths)
    for same in (X, X[..., None], rgb(X)):
        np.testing.assert_allclose(compute(same), compute(paths), atol=1e-5)
    half = X[:, ::2, ::2]  # files have no size of their own
    np.testing.assert_array_equal(compute(half), compute(rgb(half)))


@pytest.mark.parametrize("kind", ["grey", "RGB"])
def test_a_fit_on_arrays_takes_files_of_grey_and_rgb(fitted, squares, paths, tmp_path, kind):
    X, _ = squares
    (tmp_path / "rgb").mkdir()
    compute = fitted(X if kind == "grey" else rgb(X))
    expected = compute(X)
    np.testing.assert_allclose(compute(paths), expected, atol=1e-5)
    np.testing.assert_allclose(compute(save(tmp_path / "rgb", rgb(X))), expected, atol=1e-5)


def test_training_goes_on_with_grey_after_rgb(cnn, squares, paths):
    X, y = squares
    classes = np.unique(y)
    expected = clone(cnn).partial_fit(rgb(X), y, classes=classes).partial_fit(rgb(X), y)
    cnn.partial_fit(rgb(X), y, classes=classes).partial_fit(X, y)
    np.testing.assert_array_equal(cnn.predict_proba(X), expected.predict_proba(X))
    assert cnn.image_shape_ == (16, 16, 3)


def test_images_of_another_size_are_still_an_error(fitted, squares):
    X, _ = squares
    compute = fitted(X)
    for other in (X[:, :8], rgb(X)[:, :8]):
        with pytest.raises(ValueError, match=r"\(8, 16, .\), but .* fitted on images of shape"):
            compute(other)
