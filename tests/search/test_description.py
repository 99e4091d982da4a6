"""Descriptions of searches: which searches continue a study, and which are refused."""

import re

import keras
import numpy as np
import pytest
from optuna.distributions import FloatDistribution
from sklearn.base import clone
from sklearn.datasets import load_iris
from sklearn.decomposition import PCA
from sklearn.impute import SimpleImputer
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline

from lungestimators import CNNClassifier
from lungestimators.search.description import describe_search
from lungestimators.search.space import Space
from lungestimators.search.trial import Objective
from tests.search.gaussian_searches import params_of, search


def test_a_pipeline_is_the_same_whatever_changes_no_result(iris, tmp_path):
    def go_on(**params):
        steps = make_pipeline(PCA(2, random_state=0), CNNClassifier()).set_params(**params)
        objective = Objective(steps, Space({}), *iris, [], None, "score", {}, {})
        return describe_search(objective, None)

    one = go_on()
    assert go_on(cnnclassifier__feature_cache="a", cnnclassifier__verbose=1, verbose=True) == one
    assert go_on(pca__n_components=3) != one
    assert go_on(pca="passthrough") != one
    layer = keras.layers.RandomFlip
    assert go_on(cnnclassifier__augment=layer()) == go_on(cnnclassifier__augment=layer())
    assert go_on(cnnclassifier__augment=layer()) != go_on(cnnclassifier__augment=layer("vertical"))


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (dict(estimator=GaussianNB(priors=[0.2, 0.3, 0.5])), "parameter priors"),
        (dict(space={"var_smoothing": FloatDistribution(1, 2)}), "space of var_smoothing"),
        (dict(scoring="accuracy"), "scoring"),
        (dict(cv=4), "folds"),
    ],
)
def test_a_study_of_something_else_is_refused_and_left_alone(iris, tmp_path, change, named):
    options = dict(storage=tmp_path / "study.log", study_name="a")
    first = search(**options).fit(*iris)
    with pytest.raises(ValueError, match=named):
        search(**{**options, **change}).fit(*iris)
    assert len(search(**options).fit(*iris).study_.trials) == len(first.study_.trials)


class Described:
    """Data in which one thing can be changed."""

    def __init__(self):
        data = load_iris(as_frame=True)
        self.X, self.y = data.data, data.target.map(dict(enumerate("abc")))


def fewer_rows(data):
    data.X, data.y = data.X[30:], data.y[30:]


def another_column(data):
    data.X = data.X.assign(**{"petal length (cm)": 1.0, "petal width (cm)": 2.0})


def a_name(data):
    data.X = data.X.rename(columns={"petal length (cm)": "length"})


def fewer_classes(data):
    data.y = data.y.replace({"c": "b"})


def another_order(data):
    data.y = data.y[::-1]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            fewer_rows,
            "else: X, rows: 150 there, 120 here; y, rows: 150 there, 120 here; "
            "y, rows of class, 'a': 50 there, 20 here. Name",
        ),
        (
            another_column,
            "else: X, column petal length (cm), column petal width (cm): not the same there and "
            "here. Name",
        ),
        (a_name, "X, column petal length (cm): only there; X, column length: only here. Name"),
        (
            fewer_classes,
            "y, rows of class, 'b': 50 there, 100 here; y, rows of class, 'c': only there",
        ),
        (another_order, "else: y, values: not the same there and here. Name"),
    ],
)
def test_a_study_of_other_data_is_refused_and_what_differs_is_said(change, message, tmp_path):
    folds = [(list(range(99)), list(range(99, 120)))]
    options = dict(storage=tmp_path / "study.log", study_name="a", cv=folds)
    data = Described()
    search(**options).fit(data.X, data.y)
    search(**options).fit(data.X.copy(), data.y.copy())
    change(data)
    with pytest.raises(ValueError, match=re.escape(message)):
        search(**options).fit(data.X, data.y)


def test_a_study_of_other_images_epochs_or_folds_is_refused(cnn, squares, tmp_path):
    X, y = squares
    options = dict(space={"dropout": FloatDistribution(0, 0.5)}, n_trials=1, cv=2)
    options |= dict(storage=tmp_path / "study.log", study_name="a")
    search(estimator=cnn.set_params(epochs=1), **options).fit(X, y)
    for changed, message in (
        (
            dict(estimator=clone(cnn).set_params(epochs=2)),
            "else: parameter epochs: 1 there, 2",
        ),
        (dict(estimator=clone(cnn), cv=3), "folds, number: 2 there, 3 here"),
    ):
        with pytest.raises(ValueError, match=message):
            search(**options | changed).fit(X, y)
    for images, message in (
        (X + 1, "else: X, values: not the same there and here"),
        (X[:, :8], r"X, shape of a row: \[16, 16\] there, \[8, 16\] here"),
        (X / 255, "X, type: 'uint8' there, 'float64' here"),
    ):
        with pytest.raises(ValueError, match=message):
            search(estimator=clone(cnn), **options).fit(images, y)


def test_a_study_goes_on_with_the_same_values_in_another_container(iris, tmp_path):
    X, y = iris
    options = dict(storage=tmp_path / "study.log", study_name="a")
    steps = make_pipeline(SimpleImputer(missing_values=np.nan), GaussianNB())
    options |= dict(estimator=steps, space={"gaussiannb__var_smoothing": FloatDistribution(0, 1)})
    first = search(**options).fit(X, y)
    mapped = np.memmap(tmp_path / "X", dtype=float, mode="w+", shape=X.shape)
    mapped[:] = X
    for same in (np.asfortranarray(X), mapped):
        again = search(**options).fit(same, y.tolist())
        assert params_of(again.study_) == params_of(first.study_)
