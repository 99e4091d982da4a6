"""Intervals and tests of a comparison, in degenerate cases too."""

import numpy as np
import pytest
from sklearn.dummy import DummyClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold
from sklearn.tree import DecisionTreeClassifier

from lungestimators import compare_models, compare_predictions
from lungestimators.comparison import statistics

from .small_models import MODELS, folds_of, said_with


def test_differences_and_their_test_are_those_of_a_hand_written_loop(table):
    X, y = table
    splits = list(StratifiedKFold(4).split(X, y))
    found = compare_models(MODELS, X, y, cv=splits, random_state=0)
    scores = [
        [clf.fit(X[train], y[train]).score(X[test], y[test]) for train, test in splits]
        for clf in (LogisticRegression(), DummyClassifier())
    ]
    differences = np.subtract(*scores)
    (pair,) = found.pairs
    expected = statistics.corrected_t_test(differences, 30 / 90)
    assert pair["difference"] == pytest.approx(differences.mean())
    assert (pair["low"], pair["high"]) == pytest.approx((expected.low, expected.high))
    assert pair["pvalue"] == pair["adjusted_pvalue"] == pytest.approx(expected.pvalue)
    assert pair["bootstrap_low"] < pair["difference"] < pair["bootstrap_high"]
    wilcoxon = compare_models(MODELS, X, y, cv=splits, test="wilcoxon", random_state=0)
    assert wilcoxon.pairs[0]["pvalue"] == pytest.approx(statistics.wilcoxon_test(differences))
    assert "cannot be below 0.125" in " ".join(wilcoxon.notes)


def test_identical_models_have_p_1(table):
    found = compare_models([LogisticRegression(), LogisticRegression()], *table, cv=3)
    (pair,) = found.pairs
    assert (pair["difference"], pair["low"], pair["high"], pair["pvalue"]) == (0, 0, 0, 1)
    assert found.conclusion.startswith("All models have the same accuracy")
    assert [row["model"] for row in found.models] == [
        "logisticregression-1",
        "logisticregression-2",
    ]


def test_folds_that_differ_by_the_same_are_tested_by_the_bootstrap_and_it_says_so():
    X = np.repeat([0.0, 1.0], 50)[:, None]
    y = np.repeat(["healthy", "ill"], 50)
    models = {"perfect": DecisionTreeClassifier(), "largest": DummyClassifier()}
    found = compare_models(models, X, y, cv=5, random_state=0)
    (pair,) = found.pairs
    assert pair["difference"] == 0.5
    assert pair["test"] == "bootstrap"
    assert 0.3 < pair["low"] < 0.5 < pair["high"] < 0.7
    assert pair["shown"]
    assert any("leaves the t-test no variance" in note for note in found.notes)
    low, high = found.models[0]["low"], found.models[0]["high"]
    assert low == pytest.approx(1 / (1 + 1.959964**2 / 100))  # Wilson's for 100 of 100
    assert high == pytest.approx(1)


def test_one_split_is_judged_by_mcnemars_test(table):
    X, y = table
    split = (np.arange(60), np.arange(60, 120))
    models = {"regression": LogisticRegression(), "tree": DecisionTreeClassifier(random_state=0)}
    right = [m.fit(X[:60], y[:60]).predict(X[60:]) == y[60:] for m in models.values()]
    found = compare_models(models, X, y, cv=split, random_state=0)
    expected, _ = statistics.mcnemar_test(*np.array(right, float), np.arange(60), 0)
    assert found.pairs[0]["test"] == "mcnemar"
    assert found.pairs[0]["pvalue"] == expected
    row = found.models[0]
    assert (row["low"], row["high"]) == statistics.wilson_interval(right[0].mean(), 60)
    by_auc = compare_models(models, X, y, cv=[split], scoring="roc_auc", random_state=0)
    assert by_auc.pairs[0]["test"] == "bootstrap"
    assert (by_auc.pairs[0]["low"] > 0) == (by_auc.pairs[0]["pvalue"] < 0.05)


def test_one_split_with_groups_is_judged_by_group(table):
    X, y = table
    groups = np.arange(120) // 6
    split = (np.arange(60), np.arange(60, 120))
    by_patient = compare_models(MODELS, X, y, split, groups, random_state=0)
    by_image = compare_models(MODELS, X, y, split, random_state=0)
    assert "bootstrap of 10 groups" in " ".join(by_patient.notes)
    assert "bootstrap of 60 images" in " ".join(by_image.notes)
    assert by_patient.pairs[0]["pvalue"] > by_image.pairs[0]["pvalue"]
    low, high = statistics.wilson_interval(by_image.models[0]["accuracy"], 60)
    assert by_patient.models[0]["low"] <= low
    assert by_patient.models[0]["high"] >= high


def test_the_bootstrap_can_be_the_test_of_folds(table):
    found = compare_models(MODELS, *table, cv=3, test="bootstrap", random_state=0)
    (pair,) = found.pairs
    assert (pair["low"], pair["high"]) == (pair["bootstrap_low"], pair["bootstrap_high"])
    assert pair["low"] > 0
    assert pair["shown"]


def test_a_model_that_wins_by_the_mean_and_loses_by_ranks_is_not_called_better():
    y = np.tile([0, 1], 200)
    splits = folds_of(y, 20)
    first, second = [1.0] + [0.7] * 19, [0.0] + [0.75] * 19
    said = {"a": said_with(y, splits, first), "b": said_with(y, splits, second)}
    found = compare_predictions(y, said, splits, test="wilcoxon", random_state=0)
    (pair,) = found.pairs
    assert (pair["first"], pair["pvalue"], pair["shown"]) == ("a", 1, False)
    assert "comes from the bootstrap and not from the test" in " ".join(found.notes)


@pytest.mark.parametrize("scoring", ["balanced_accuracy", "roc_auc"])
def test_a_handful_of_images_shows_nothing_by_the_bootstrap(scoring):
    y = np.tile([0, 1], 10)
    splits = [(np.arange(16), np.arange(16, 20))]
    right = np.eye(2)[y[16:]]
    said = {"a": [(y[16:], right)], "b": [(1 - y[16:], 1 - right)]}
    found = compare_predictions(y, said, splits, scoring=scoring, random_state=0)
    assert found.pairs[0]["pvalue"] == 2 / 2**4  # of all ways to exchange four images, two
    assert not found.pairs[0]["shown"]
    assert "4 images are few" in " ".join(found.notes)


def test_folds_of_few_images_that_differ_by_the_same_show_nothing():
    y = np.tile([0, 1], 2)
    splits = folds_of(y, 2)
    said = {"a": said_with(y, splits, [1, 1]), "b": said_with(y, splits, [0, 0])}
    (pair,) = compare_predictions(y, said, splits, random_state=0).pairs
    assert (pair["test"], pair["pvalue"], pair["shown"]) == ("bootstrap", 2 / 2**4, False)


def test_one_patient_has_no_interval_and_shows_nothing():
    y = np.tile([0, 1], 20)
    splits, groups = [(np.arange(20), np.arange(20, 40))], np.repeat([0, 1], 20)
    said = {"a": said_with(y, splits, [1]), "b": said_with(y, splits, [0])}
    for test in ("auto", "bootstrap"):
        found = compare_predictions(y, said, splits, groups, test=test, random_state=0)
        (pair,) = found.pairs
        assert (pair["pvalue"], pair["low"], pair["bootstrap_high"]) == (1, None, None)
        assert found.models[0]["low"] is None
        assert "no interval; p = 1.000" in found.sentences[0]
        assert "There is one group only" in str(found)


def test_the_order_of_test_images_does_not_matter_and_the_test_made_is_named():
    y = np.tile([0, 1], 20)
    rows = np.arange(20, 40)
    splits = [(np.arange(20), rows), (np.arange(20), rows[::-1])]
    said = {"a": said_with(y, splits, [1, 0.9]), "b": said_with(y, splits, [0.5, 0.2])}
    found = compare_predictions(y, said, splits, random_state=0)
    assert found.pairs[0]["test"] == "permutation"
    assert "p of the accuracy: a permutation test" in str(found)
    assert "McNemar" not in str(found)
