"""Predictions that are made already, and predictions that are wrong."""

import numpy as np
import pytest
from sklearn.model_selection import StratifiedKFold

from lungestimators import compare_models, compare_predictions

from .small_models import MODELS, Probable, Recorder


class Diverged(Recorder):
    """Its probabilities are NaN, as those of a network whose loss is."""

    def predict_proba(self, X):
        return np.full((len(X), len(self.classes_)), np.nan)


class Sometimes(Probable):
    """It has probabilities only where the first training row is 0, as another winner may not."""

    def __getattribute__(self, name):
        if name == "predict_proba" and self.__dict__.get("first_", 0):
            raise AttributeError(name)
        return super().__getattribute__(name)

    def fit(self, X, y):
        self.first_ = X[0, 0]
        return super().fit(X, y)


def test_predictions_made_before_are_judged_alike(table):
    X, y = table
    splits = list(StratifiedKFold(3).split(X, y))
    predictions = {name: [] for name in MODELS}
    for train, test in splits:
        for name, model in MODELS.items():
            model.fit(X[train], y[train])
            predictions[name].append((model.predict(X[test]), model.predict_proba(X[test])))
    made_before = compare_predictions(y, predictions, splits)
    found = compare_models(MODELS, X, y, cv=splits)
    for before, row in zip(made_before.models, found.models, strict=True):
        for key in ("accuracy", "low", "high", "roc_auc", "log_loss", "brier_score"):
            assert before[key] == pytest.approx(row[key])
        assert before["fit_seconds"] is None
    assert made_before.pairs[0]["pvalue"] == found.pairs[0]["pvalue"]


def test_several_predictions_of_one_test_set_are_one_test_set():
    y = np.tile([0, 1], 20)
    split = (np.arange(20), np.arange(20, 40))
    rng = np.random.default_rng(0)
    seeds = [
        [(np.where(rng.random(20) < share, y[20:], 1 - y[20:]),) for _ in range(3)]
        for share in (0.9, 0.6)
    ]
    found = compare_predictions(y, dict(zip("ab", seeds, strict=True)), [split] * 3)
    assert found.pairs[0]["test"] == "permutation"
    assert "one set of 20 tested images" in str(found)


def test_a_network_that_diverged_is_named_at_its_first_fit(table):
    Recorder.seen.clear()
    with pytest.raises(ValueError, match="'diverged' in split 0 are NaN"):
        compare_models({"diverged": Diverged(), "other": Recorder()}, *table, cv=3)
    assert len(Recorder.seen) == 1


def test_predictions_that_do_not_fit_are_refused():
    y = ["healthy", "ill"] * 10
    splits = [(range(10), range(10, 20))]
    labels, sure = y[10:], np.eye(2)[[0, 1] * 5]
    for predictions, message in (
        ([], "0 for 1 splits"),
        ([(labels[:5],)], "5 labels for 10 images"),
        ([(["dead"] * 10,)], "the classes are"),
        ([(labels, sure[:, :1])], "have the shape"),
        ([(labels, 2 * sure)], "do not sum to 1"),
    ):
        with pytest.raises(ValueError, match=message):
            compare_predictions(y, {"a": predictions}, splits)


def test_probabilities_that_one_split_lacks_cost_the_auc_and_nothing_else():
    X, y = np.arange(40)[:, None], np.tile([0, 0, 0, 1], 10)
    splits = [(np.arange(20), np.arange(20, 40)), (np.arange(20, 40), np.arange(20))]
    models = {"sometimes": Sometimes(), "always": Probable()}
    with pytest.warns(UserWarning, match="sometimes had no predict_proba in some splits"):
        found = compare_models(models, X, y, cv=splits, scoring="roc_auc")
    assert found.scoring == "accuracy"
    assert [row["accuracy"] for row in found.models] == [0.75, 0.75]
    assert [row["roc_auc"] for row in found.models] == [None, 0.5]
    assert "so that accuracy is compared instead" in found.notes[0]
