"""Comparing models: the same folds for all, the same seed, bad input refused."""

import numpy as np
import pytest
from joblib import parallel_config
from PIL import Image
from sklearn.model_selection import (
    GroupKFold,
    KFold,
    LeaveOneOut,
    StratifiedKFold,
    cross_val_predict,
)
from sklearn.svm import LinearSVC

from lungestimators import compare_models

from .small_models import MODELS, Recorder


def bad_calls(X, y):
    """Name -> (what differs from a good call, what the message says)."""
    groups = np.arange(len(y)) // 2
    half = np.arange(60)
    return {
        "no model": (dict(estimators={}), "nothing to compare"),
        "no classifier": (dict(estimators={"a": "CNN"}), "cannot fit and predict"),
        "one class": (dict(y=np.full(len(y), "clear")), "two classes or more"),
        "numbers": (dict(y=X[:, 0]), "two classes or more"),
        "lengths": (dict(y=y[:5]), "inconsistent numbers of samples"),
        "groups": (dict(groups=groups[:5]), "inconsistent numbers of samples"),
        "one fold": (dict(cv=1), "n_splits=1"),
        "repeats": (dict(n_repeats=0), "n_repeats=0"),
        "leaking patients": (dict(groups=groups, cv=StratifiedKFold(3)), "one group on both"),
        "no groups": (dict(cv=GroupKFold(3)), "'groups' parameter should not be None"),
        "overlap": (dict(cv=(half, half)), "tests images that it trains on"),
        "empty": (dict(cv=(half, np.array([], int))), "no test images"),
        "no splits": (dict(cv=[]), "no splits"),
        "score": (dict(scoring="f1"), "scoring='f1' must be one of"),
        "test": (dict(test="t"), "test='t' must be one of"),
        "t-test of one split": (
            dict(cv=(half, half + 60), test="corrected_t"),
            "several test sets",
        ),
        "McNemar of folds": (dict(test="mcnemar"), "one set of test images"),
        "AUC of labels": (dict(estimators=[LinearSVC()], scoring="roc_auc"), "needs predict_proba"),
        "AUC of a class": (dict(cv=LeaveOneOut(), scoring="roc_auc"), "split 0 lack a class"),
    }


def test_the_same_random_state_gives_the_same_comparison(table):
    first, again = (compare_models(MODELS, *table, random_state=3).to_dict() for _ in range(2))
    for data in (first, again):
        for row in data["models"]:
            del row["fit_seconds"]
    assert first == again
    state = np.random.get_state()[1].copy()
    with parallel_config("threading"):
        data = compare_models(MODELS, *table, random_state=3, n_jobs=2).to_dict()
    for row in data["models"]:
        del row["fit_seconds"]
    assert first == data
    np.testing.assert_array_equal(np.random.get_state()[1], state)


def test_a_list_of_files_is_split_as_cross_validation_does(cnn, squares, tmp_path):
    X, y = squares
    paths = [str(tmp_path / f"{number}.png") for number in range(len(X))]
    for path, image in zip(paths, X, strict=True):
        Image.fromarray(image).save(path)
    cnn.set_params(epochs=1)
    folds = KFold(2)
    found = compare_models({"cnn": cnn}, paths, list(y), cv=folds, random_state=0)
    expected = cross_val_predict(cnn, paths, y, cv=folds, method="predict_proba")
    np.testing.assert_array_equal(found.out_of_fold("cnn")[1], expected)


def test_all_models_see_the_same_folds_and_patients_are_kept_together():
    rows, groups = np.arange(60)[:, None], np.arange(60) // 3
    y = np.tile([0, 1], 30)
    Recorder.seen.clear()
    found = compare_models([Recorder(), Recorder()], rows, y, 3, groups, n_repeats=2)
    seen = [train for train, _ in Recorder.seen]
    assert seen[::2] == seen[1::2]
    assert len(seen) == 12
    assert len({tuple(train) for train in seen}) == 6  # repeats have other folds
    for train in seen:
        assert not set(groups[train]) & set(np.delete(groups, train))
    assert all(given is None for _, given in Recorder.seen)
    assert found.models[0]["log_loss"] is None
    assert "No probabilities, hence no AUC and no log loss: recorder-1, recorder-2" in str(found)
    assert found.out_of_fold("recorder-1")[1] is None


def test_missing_patients_are_not_one_patient_more(table):
    groups = np.arange(120).astype(float) // 2
    groups[:3] = np.nan
    Recorder.seen.clear()
    with pytest.raises(ValueError, match="no value for 3 of 120"):
        compare_models([Recorder()], *table, cv=3, groups=groups)
    with pytest.raises(ValueError, match="no value for 1 of 120"):
        compare_models([Recorder()], *table, cv=3, groups=[None, *["p"] * 119])
    assert not Recorder.seen


def test_bad_arguments_are_refused_before_anything_is_trained(table):
    X, y = table
    good = dict(estimators=[Recorder()], X=X, y=y)
    Recorder.seen.clear()
    for name, (different, message) in bad_calls(X, y).items():
        with pytest.raises(ValueError) as raised:
            compare_models(**(good | different))
        assert message in str(raised.value), name
    assert not Recorder.seen
