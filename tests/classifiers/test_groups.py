"""A patient's images stay together: in cross-validation, in a search, and inside fit."""

import numpy as np
import pandas
import pytest
from PIL import Image
from sklearn import config_context
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, StratifiedGroupKFold, cross_validate
from sklearn.pipeline import make_pipeline

from lungestimators import BorderCrop, load_image_folder, training

N_PATIENTS = 16


@pytest.fixture
def patients(squares):
    """48 images of 16 patients, whose number is the grey value of the corner, and their names."""
    X, y = squares
    numbers = np.tile(np.arange(N_PATIENTS), 3)  # a patient is clear or opaque: 16 is even
    X = X.copy()
    X[:, :2, :2] = 10 * numbers[:, None, None]
    X.flags.writeable = False
    return X, y, np.array([f"patient{number}" for number in numbers])


@pytest.fixture
def splits(monkeypatch):
    """The patients on both sides of every early stopping, read off the images that training had."""
    found = []
    fit = training.fit_all_stages

    def numbers(data):
        corners = data.images.prepare()[:, 0, 0, 0]
        return set(np.rint(corners * 25.5).astype(int).tolist())

    def spy(parts, stages, train, validation, *others):
        found.append((numbers(train), validation and numbers(validation)))
        return fit(parts, stages, train, validation, *others)

    monkeypatch.setattr(training, "fit_all_stages", spy)
    return found


@pytest.fixture
def stopping(cnn):
    return cnn.set_params(early_stopping=True, validation_fraction=0.25, epochs=2)


@pytest.fixture
def routing():
    with config_context(enable_metadata_routing=True):
        yield


def numbers_of(groups):
    return {int(name.removeprefix("patient")) for name in groups}


def assert_apart(splits, expected):
    """No patient is on both sides, and all of them are somewhere."""
    assert len(splits) == len(expected)
    for (train, validation), all_of_them in zip(splits, expected, strict=True):
        assert train and validation
        assert not train & validation
        assert train | validation == all_of_them


def test_without_groups_a_patient_is_on_both_sides(stopping, patients, splits):
    X, y, _ = patients
    stopping.fit(X, y)
    ((train, validation),) = splits
    assert train & validation


@pytest.mark.parametrize("seed", range(3))
def test_early_stopping_keeps_a_patient_on_one_side(stopping, patients, splits, seed):
    X, y, groups = patients
    stopping.set_params(random_state=seed).fit(X, y, groups=groups)
    assert_apart(splits, [numbers_of(groups)])


def test_cross_validation_routes_groups_to_the_splitter_and_to_fit(
    routing, stopping, patients, splits
):
    X, y, groups = patients
    stopping.set_fit_request(groups=True)
    scores = cross_validate(
        stopping,
        X,
        y,
        params={"groups": groups},
        cv=StratifiedGroupKFold(2),
        return_indices=True,
    )
    training_sides = scores["indices"]["train"]
    for train, test in zip(training_sides, scores["indices"]["test"], strict=True):
        assert not set(groups[train]) & set(groups[test])
    assert_apart(splits, [numbers_of(groups[train]) for train in training_sides])


def test_a_search_routes_groups_to_every_fit(routing, stopping, patients, splits):
    X, y, groups = patients
    stopping.set_fit_request(groups=True)
    cv = StratifiedGroupKFold(2)
    GridSearchCV(stopping, {"dropout": [0.2, 0.5]}, cv=cv).fit(X, y, groups=groups)
    training_sides = [numbers_of(groups[train]) for train, _ in cv.split(X, y, groups)]
    assert_apart(splits, [*training_sides, *training_sides, numbers_of(groups)])


def test_a_pipeline_routes_groups_to_its_last_step(routing, stopping, patients, splits):
    X, y, groups = patients
    pipeline = make_pipeline(BorderCrop(0), stopping.set_fit_request(groups=True))
    pipeline.fit(X, y, groups=groups)
    cross_validate(pipeline, X, y, params={"groups": groups}, cv=StratifiedGroupKFold(2))
    assert_apart(splits[:1], [numbers_of(groups)])
    assert len(splits) == 3
    assert not any(train & validation for train, validation in splits)


def test_routing_refuses_groups_that_nobody_asked_for(routing, stopping, patients):
    X, y, groups = patients
    with pytest.raises(ValueError, match=r"groups.*not explicitly set as requested"):
        cross_validate(stopping, X, y, params={"groups": groups}, cv=StratifiedGroupKFold(2))


def test_groups_of_a_folder_go_all_the_way(routing, stopping, patients, splits, tmp_path):
    X, y, groups = patients
    for number, (pixels, label, patient) in enumerate(zip(X, y, groups, strict=True)):
        (tmp_path / label).mkdir(exist_ok=True)
        Image.fromarray(pixels).save(tmp_path / label / f"{patient}_view{number}.png")
    lungs = load_image_folder(tmp_path)
    scores = cross_validate(
        stopping.set_fit_request(groups=True),
        lungs.data,
        lungs.target,
        params={"groups": lungs.groups},
        cv=StratifiedGroupKFold(2),
        return_indices=True,
    )
    assert_apart(splits, [numbers_of(lungs.groups[rows]) for rows in scores["indices"]["train"]])


def test_without_early_stopping_groups_change_nothing(cnn, patients):
    X, y, groups = patients
    expected = clone(cnn).fit(X, y).predict_proba(X)
    np.testing.assert_array_equal(cnn.fit(X, y, groups=groups).predict_proba(X), expected)


@pytest.mark.parametrize("kind", [list, lambda g: g.astype(object), lambda g: g.astype("T")])
def test_groups_are_names_of_any_kind(stopping, patients, splits, kind):
    X, y, groups = patients
    stopping.fit(X, y, groups=kind(groups))
    assert_apart(splits, [numbers_of(groups)])


def test_fewer_patients_than_a_split_needs_are_a_clear_error(stopping, patients, splits):
    X, y, _ = patients
    with pytest.raises(ValueError, match=r"cannot set aside validation_fraction=0\.25.*groups: 3"):
        stopping.fit(X, y, groups=np.arange(48) % 3)
    assert not splits


@pytest.mark.parametrize("early_stopping", [False, True])
def test_groups_of_another_length_are_a_clear_error(stopping, patients, splits, early_stopping):
    X, y, groups = patients
    stopping.set_params(early_stopping=early_stopping)
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        stopping.fit(X, y, groups=groups[:-1])
    with pytest.raises(ValueError, match="1d array"):
        stopping.fit(X, y, groups=np.c_[groups, groups])
    assert not splits


@pytest.mark.parametrize("early_stopping", [False, True])
@pytest.mark.parametrize(
    "missing",
    [
        lambda groups: np.where(groups == "patient3", None, groups),
        lambda groups: np.where(groups == "patient3", np.nan, np.arange(48)),
        lambda groups: pandas.Series(groups, dtype="string").replace("patient3", pandas.NA),
    ],
    ids=["None", "NaN", "NA"],
)
def test_an_image_of_nobody_is_a_clear_error(stopping, patients, splits, missing, early_stopping):
    X, y, groups = patients
    stopping.set_params(early_stopping=early_stopping)
    with pytest.raises(ValueError, match="groups has no value for 3 of 48 images"):
        stopping.fit(X, y, groups=missing(groups))
    assert not splits


def test_every_class_stays_in_training(stopping, patients, splits):
    """One patient has all images of a class: set aside, the class could not be learnt."""
    X, y, groups = patients
    groups = np.where(y == "opaque", "patient1", groups)
    for seed in range(6):
        stopping.set_params(random_state=seed).fit(X, y, groups=groups)
        assert 1 in splits[-1][0]


def test_a_split_that_would_cost_a_class_is_a_clear_error(stopping, patients, splits):
    X, y, _ = patients
    stopping.set_params(validation_fraction=0.5)
    with pytest.raises(ValueError, match=r"cannot set aside .*all images of a class"):
        stopping.fit(X, y, groups=y)
    assert not splits
