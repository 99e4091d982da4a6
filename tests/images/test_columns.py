"""A column of paths is a list of paths, also where scikit-learn hands the column over."""

from pathlib import Path

import numpy as np
import pandas
import pytest
import scipy.sparse
from imblearn.over_sampling import RandomOverSampler
from imblearn.pipeline import make_pipeline as make_imbalanced_pipeline
from sklearn.base import clone
from sklearn.compose import ColumnTransformer
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import AdaBoostClassifier, BaggingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_predict, train_test_split
from sklearn.multiclass import OneVsRestClassifier
from sklearn.pipeline import make_pipeline

from lungestimators import (
    ImageReader,
    MobileNetClassifier,
    SampleImagesDisplay,
    audit_images,
    compare_models,
)
from lungestimators.images import columns

from .columns_of_paths import COLUMNS

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
